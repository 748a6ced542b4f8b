//! Every event of the record, in columns: what is the same is written once, and times as differences, so that a
//! hundred thousand events are a few megabytes.

use super::lanes::Lanes;
use crate::story::Story;
use serde::Serialize;
use std::collections::BTreeMap;

#[derive(Debug, Default, Serialize)]
pub struct Columns {
    /// Nanoseconds since the event before.
    pub since: Vec<u64>,
    pub lane: Vec<usize>,
    pub kind: Vec<usize>,
    pub text: Vec<usize>,
    /// The sender's lane of what arrived, by the number of its event, likewise as differences.
    pub messages: Vec<(usize, usize)>,
    pub kinds: Vec<String>,
    pub texts: Vec<String>,
}

/// Gives each different text a number.
#[derive(Default)]
struct Words(BTreeMap<String, usize>);

impl Words {
    fn number(&mut self, word: String) -> usize {
        let next = self.0.len();
        *self.0.entry(word).or_insert(next)
    }

    fn list(self) -> Vec<String> {
        let mut words: Vec<(usize, String)> =
            self.0.into_iter().map(|(word, number)| (number, word)).collect();
        words.sort_unstable();
        words.into_iter().map(|(_, word)| word).collect()
    }
}

pub fn columns(story: &Story, lanes: &Lanes) -> Columns {
    let (mut columns, mut kinds, mut texts) = (Columns::default(), Words::default(), Words::default());
    let (mut before, mut told) = (0, 0);
    for (number, event) in story.events.iter().enumerate() {
        // every process of the record has a lane
        let Some(lane) = lanes.get(&event.process) else { continue };
        columns.since.push(event.at.saturating_sub(before));
        before = event.at;
        columns.lane.push(lane);
        columns.kind.push(kinds.number(event.kind.clone()));
        if let Some(from) = sender(&event.kind, &event.detail).and_then(|name| lanes.get(name)) {
            columns.messages.push((number - told, from));
            told = number;
        }
        columns.text.push(texts.number(readable(&event.kind, &event.detail)));
    }
    (columns.kinds, columns.texts) = (kinds.list(), texts.list());
    columns
}

fn sender<'a>(kind: &str, detail: &'a str) -> Option<&'a str> {
    if kind != "datagram" && kind != "tcp" {
        return None;
    }
    detail.strip_prefix("from ")?.split([':', ',']).next()
}

/// An event's detail without what only a machine reads.
fn readable(kind: &str, detail: &str) -> String {
    match kind {
        "note" => bare(detail),
        // the words of a segment: connection, sequence numbers, flags
        "tcp" => detail.split(", [").next().unwrap_or(detail).to_string(),
        _ => detail.to_string(),
    }
}

/// `Index(5)` as `5`.
fn bare(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(open) = rest.find('(') {
        let (before, behind) = (&rest[..open], &rest[open + 1..]);
        let digits = behind.find(|c: char| !c.is_ascii_digit()).unwrap_or(0);
        let kept = before.trim_end_matches(|c: char| c.is_ascii_alphanumeric());
        if digits > 0 && behind[digits..].starts_with(')') && kept.len() < before.len() {
            out.push_str(kept);
            out.push_str(&behind[..digits]);
            rest = &behind[digits + 1..];
        } else {
            out.push_str(&rest[..=open]);
            rest = behind;
        }
    }
    out + rest
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn details_are_made_readable() {
        let note = "Appended { member: MemberId(1), first: Index(5), entries: [(Term(1), 77)] }";
        assert_eq!(bare(note), "Appended { member: 1, first: 5, entries: [(1, 77)] }");
        assert_eq!(bare("Said { text: \"(x) ü(1) f()\" }"), "Said { text: \"(x) ü(1) f()\" }");
        assert_eq!(readable("tcp", "from client-1, 24 bytes, [5, 0]"), "from client-1, 24 bytes");
        assert_eq!(sender("tcp", "from client-1, 24 bytes, [5, 0]"), Some("client-1"));
        assert_eq!(sender("datagram", "from member-3: would you vote for me?"), Some("member-3"));
        assert_eq!(sender("tcp syn", "from observer, at 10.0.1.3:2379"), None);
    }

    #[test]
    fn words_have_numbers_in_the_order_they_came() {
        let mut words = Words::default();
        let numbers = ["tcp", "note", "tcp", "a"].map(|word| words.number(word.to_string()));
        assert_eq!(numbers, [0, 1, 0, 2]);
        assert_eq!(words.list(), ["tcp", "note", "a"]);
    }
}
