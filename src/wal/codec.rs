//! The bytes of frames. Nothing else in this crate knows bincode; another encoding is another version of the
//! segment format and a change of this file.

use crate::record::{Entry, HardState, Place, Record};
use base::{Index, MemberId, Term};
use bincode::{Decode, Encode, config};

/// What one append puts into a segment: all of it is found again, or nothing.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Frame {
    /// Everything in this segment before this offset had been synced when the frame was made: damage there
    /// is no torn write.
    pub synced: u64,
    pub items: Vec<Item>,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Item {
    Record(Record),
    /// First in a segment: the log so far ended here.
    Continue(Place),
    /// A snapshot took the place of the whole log, which goes on behind it.
    Restart(Place),
}

/// As on the disk; borrowed for writing.
#[derive(Encode)]
enum WireOut<'a> {
    HardState { term: u64, vote: Option<u64> },
    Entry { index: u64, term: u64, data: &'a [u8] },
    Continue { index: u64, term: u64 },
    Restart { index: u64, term: u64 },
}

/// The same, owned. The variants stand in the same order.
#[derive(Decode)]
enum WireIn {
    HardState { term: u64, vote: Option<u64> },
    Entry { index: u64, term: u64, data: Vec<u8> },
    Continue { index: u64, term: u64 },
    Restart { index: u64, term: u64 },
}

impl<'a> From<&'a Item> for WireOut<'a> {
    fn from(item: &'a Item) -> Self {
        match item {
            Item::Record(record) => record.into(),
            Item::Continue(place) => WireOut::Continue { index: place.index.0, term: place.term.0 },
            Item::Restart(place) => WireOut::Restart { index: place.index.0, term: place.term.0 },
        }
    }
}

impl<'a> From<&'a Record> for WireOut<'a> {
    fn from(record: &'a Record) -> Self {
        match record {
            Record::HardState(hard) => {
                WireOut::HardState { term: hard.term.0, vote: hard.vote.map(|member| member.0) }
            }
            Record::Entry(entry) => {
                WireOut::Entry { index: entry.index.0, term: entry.term.0, data: &entry.data }
            }
        }
    }
}

impl From<WireIn> for Item {
    fn from(wire: WireIn) -> Self {
        let place = |index, term| Place { index: Index(index), term: Term(term) };
        match wire {
            WireIn::HardState { term, vote } => {
                let hard = HardState { term: Term(term), vote: vote.map(MemberId) };
                Item::Record(Record::HardState(hard))
            }
            WireIn::Entry { index, term, data } => {
                Item::Record(Record::Entry(Entry { index: Index(index), term: Term(term), data }))
            }
            WireIn::Continue { index, term } => Item::Continue(place(index, term)),
            WireIn::Restart { index, term } => Item::Restart(place(index, term)),
        }
    }
}

/// The payload of a frame of records.
pub(crate) fn encode_records(synced: u64, records: &[Record]) -> Vec<u8> {
    encode(synced, records.iter().map(WireOut::from).collect())
}

/// The payload of a frame.
pub(crate) fn encode_items(synced: u64, items: &[Item]) -> Vec<u8> {
    encode(synced, items.iter().map(WireOut::from).collect())
}

fn encode(synced: u64, items: Vec<WireOut<'_>>) -> Vec<u8> {
    bincode::encode_to_vec((synced, items), config::standard()).expect("records have an encoding")
}

/// Reads a payload; `None` when it is none.
pub(crate) fn decode(payload: &[u8]) -> Option<Frame> {
    let decoded = bincode::decode_from_slice::<(u64, Vec<WireIn>), _>(payload, config::standard());
    let ((synced, items), read) = decoded.ok()?;
    (read == payload.len()).then(|| Frame { synced, items: items.into_iter().map(Item::from).collect() })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_encoded_is_decoded() {
        let entry = Entry { index: Index(7), term: Term(3), data: vec![0, 1, 255] };
        let hard = HardState { term: Term(1 << 40), vote: Some(MemberId(9)) };
        let place = Place { index: Index(6), term: Term(2) };
        let records =
            vec![Record::Entry(entry), Record::HardState(hard), Record::HardState(HardState::default())];
        let mut items: Vec<Item> = records.iter().cloned().map(Item::Record).collect();
        let decoded = decode(&encode_records(99, &records)).unwrap();
        assert_eq!(decoded, Frame { synced: 99, items: items.clone() });
        items.extend([Item::Continue(place), Item::Restart(place)]);
        let bytes = encode_items(0, &items);
        assert_eq!(decode(&bytes).unwrap().items, items);
        assert_eq!(decode(&bytes[..bytes.len() - 1]), None);
        assert_eq!(decode(&[bytes, vec![0]].concat()), None);
    }
}
