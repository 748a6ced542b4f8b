//! The bytes of frames. Nothing else in this crate knows bincode; another encoding is another version of the
//! segment format and a change of this file.

use crate::record::{Entry, HardState, Place, Record};
use base::{Index, MemberId, Term};
use bincode::{BorrowDecode, Decode, Encode, config, de::BorrowDecoder, error::DecodeError};

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

/// As on the disk. What is read is borrowed, so that a length that is damage is found out before room is made for it.
#[derive(Encode, BorrowDecode)]
enum Wire<'a> {
    HardState { term: u64, vote: Option<u64> },
    Entry { index: u64, term: u64, data: &'a [u8] },
    Continue { index: u64, term: u64 },
    Restart { index: u64, term: u64 },
}

/// As a `Vec` is read, but one by one: how many there are to be makes no room for them.
struct Wires<'a>(Vec<Wire<'a>>);

impl<'de, Context> BorrowDecode<'de, Context> for Wires<'de> {
    fn borrow_decode<D: BorrowDecoder<'de, Context = Context>>(decoder: &mut D) -> Result<Self, DecodeError> {
        let count = u64::decode(decoder)?;
        (0..count).map(|_| Wire::borrow_decode(decoder)).collect::<Result<_, _>>().map(Self)
    }
}

impl<'a> From<&'a Item> for Wire<'a> {
    fn from(item: &'a Item) -> Self {
        match item {
            Item::Record(record) => record.into(),
            Item::Continue(place) => Wire::Continue { index: place.index.0, term: place.term.0 },
            Item::Restart(place) => Wire::Restart { index: place.index.0, term: place.term.0 },
        }
    }
}

impl<'a> From<&'a Record> for Wire<'a> {
    fn from(record: &'a Record) -> Self {
        match record {
            Record::HardState(hard) => {
                Wire::HardState { term: hard.term.0, vote: hard.vote.map(|member| member.0) }
            }
            Record::Entry(entry) => {
                Wire::Entry { index: entry.index.0, term: entry.term.0, data: &entry.data }
            }
        }
    }
}

impl From<Wire<'_>> for Item {
    fn from(wire: Wire<'_>) -> Self {
        let place = |index, term| Place { index: Index(index), term: Term(term) };
        match wire {
            Wire::HardState { term, vote } => {
                let hard = HardState { term: Term(term), vote: vote.map(MemberId) };
                Item::Record(Record::HardState(hard))
            }
            Wire::Entry { index, term, data } => Item::Record(Record::Entry(Entry {
                index: Index(index),
                term: Term(term),
                data: data.to_vec(),
            })),
            Wire::Continue { index, term } => Item::Continue(place(index, term)),
            Wire::Restart { index, term } => Item::Restart(place(index, term)),
        }
    }
}

/// The payload of a frame of records.
pub(crate) fn encode_records(synced: u64, records: &[Record]) -> Vec<u8> {
    encode(synced, records.iter().map(Wire::from).collect())
}

/// The payload of a frame.
pub(crate) fn encode_items(synced: u64, items: &[Item]) -> Vec<u8> {
    encode(synced, items.iter().map(Wire::from).collect())
}

fn encode(synced: u64, items: Vec<Wire<'_>>) -> Vec<u8> {
    bincode::encode_to_vec((synced, items), config::standard()).expect("records have an encoding")
}

/// Reads a payload; `None` when it is none.
pub(crate) fn decode(payload: &[u8]) -> Option<Frame> {
    let decoded = bincode::borrow_decode_from_slice::<(u64, Wires), _>(payload, config::standard());
    let ((synced, Wires(items)), read) = decoded.ok()?;
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

    #[test]
    fn a_number_that_is_damage_makes_no_room() {
        let far = bincode::encode_to_vec((0_u64, u64::MAX), config::standard()).unwrap();
        assert_eq!(decode(&far), None, "so many records");
        let long = bincode::encode_to_vec((0_u64, 1_u64, 1_u32, 7_u64, 3_u64, u64::MAX), config::standard())
            .unwrap();
        assert_eq!(decode(&long), None, "so many bytes in one");
    }
}
