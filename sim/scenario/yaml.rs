//! A YAML document as a tree in which every node knows its line and column, and the mistakes that point there.

use base::words::nearest;
use serde::de::{Deserialize, Deserializer, MapAccess, SeqAccess, Visitor};
use serde_saphyr::{Location, Spanned};
use std::fmt;

/// Where something stands in the file; both count from 1.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Place {
    pub line: u64,
    pub column: u64,
}

impl From<Location> for Place {
    fn from(at: Location) -> Self {
        Place { line: at.line(), column: at.column() }
    }
}

/// What is wrong in a scenario file: the place, what stands there, what was expected.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Mistake {
    pub place: Place,
    pub message: String,
    pub expected: String,
    pub nearest: Option<String>,
}

impl Mistake {
    pub fn new(place: Place, message: impl Into<String>, expected: impl Into<String>) -> Self {
        Mistake { place, message: message.into(), expected: expected.into(), nearest: None }
    }

    /// A word that is none of the valid ones.
    pub fn word(place: Place, what: &str, word: &str, valid: &[&str]) -> Self {
        Mistake {
            place,
            message: format!("`{word}` is not {what}"),
            expected: match valid.len() {
                0..=20 => format!("one of {}", valid.join(", ")),
                many => format!("one of {many} words, which `cargo tank schema` lists"),
            },
            nearest: nearest(word, valid.iter().copied()).map(str::to_string),
        }
    }

    /// The mistake with the line it is in, as a terminal shows it.
    pub fn show(&self, file: &str, text: &str) -> String {
        let Place { line, column } = self.place;
        let mut out = format!("{file}:{line}:{column}: {}", self.message);
        if let Some(source) = line.checked_sub(1).and_then(|n| text.lines().nth(n as usize)) {
            let margin = line.to_string().len();
            let under = " ".repeat(column.saturating_sub(1) as usize);
            out.push_str(&format!("\n {line} | {source}\n {} | {under}^", " ".repeat(margin)));
        }
        if !self.expected.is_empty() {
            out.push_str(&format!("\n   expected {}", self.expected));
        }
        if let Some(word) = &self.nearest {
            out.push_str(&format!("\n   did you mean `{word}`?"));
        }
        out
    }
}

/// A node of the document.
#[derive(Clone, Debug)]
pub struct Node {
    pub place: Place,
    pub value: Value,
    /// A scalar in quotes, or one that is no number and no boolean: text, whatever it looks like.
    text: bool,
}

#[derive(Clone, Debug)]
pub enum Value {
    Nothing,
    Scalar(String),
    List(Vec<Node>),
    Table(Vec<(Place, String, Node)>),
}

/// The parser's words without the place, which stands before them, and without advice to programmers.
fn words(message: &str) -> &str {
    let message = message.rsplit_once(" at line ").map_or(message, |(words, _)| words);
    message.split_once(", set ").map_or(message, |(words, _)| words)
}

impl Node {
    /// Reads a document of any shape.
    pub fn read(text: &str) -> Result<Node, Mistake> {
        let parsed: Result<Spanned<Raw>, _> = serde_saphyr::from_str(text);
        parsed.map(Node::from).map_err(|error| {
            let place = error.location().map(Place::from).unwrap_or_default();
            Mistake::new(
                place,
                format!("this is not YAML: {}", words(&error.without_snippet().to_string())),
                "",
            )
        })
    }

    pub fn kind(&self) -> &'static str {
        match self.value {
            Value::Nothing => "nothing",
            Value::Scalar(_) => "a word",
            Value::List(_) => "a list",
            Value::Table(_) => "a table",
        }
    }

    pub fn word(&self, expected: &str) -> Result<&str, Mistake> {
        match &self.value {
            Value::Scalar(word) => Ok(word),
            _ => Err(self.wrong(expected)),
        }
    }

    pub fn list(&self, expected: &str) -> Result<&[Node], Mistake> {
        match &self.value {
            Value::List(nodes) => Ok(nodes),
            _ => Err(self.wrong(expected)),
        }
    }

    pub fn is_word(&self, word: &str) -> bool {
        matches!(&self.value, Value::Scalar(found) if found == word)
    }

    /// The node as a table whose keys must all be among `known`.
    pub fn table<'a>(&'a self, what: &'static str, known: &[&str]) -> Result<Table<'a>, Mistake> {
        let Value::Table(entries) = &self.value else {
            return Err(self
                .wrong(&format!("{what}: a table, such as {{ {}: ... }}", known.first().unwrap_or(&"key"))));
        };
        for (n, (place, key, _)) in entries.iter().enumerate() {
            if !known.contains(&key.as_str()) {
                return Err(Mistake::word(*place, &format!("a key of {what}"), key, known));
            }
            if entries[..n].iter().any(|(_, earlier, _)| earlier == key) {
                return Err(Mistake::new(*place, format!("`{key}` stands here twice"), "each key once"));
            }
        }
        Ok(Table { place: self.place, what, entries })
    }

    /// The line in which a key of this table stands; 1 if it does not.
    pub fn line_of(&self, key: &str) -> u64 {
        let Value::Table(entries) = &self.value else { return 1 };
        entries.iter().find(|(_, found, _)| found == key).map_or(1, |(place, _, _)| place.line)
    }

    pub fn wrong(&self, expected: &str) -> Mistake {
        let found = match &self.value {
            Value::Scalar(word) => format!("`{word}`"),
            _ => self.kind().to_string(),
        };
        Mistake::new(self.place, format!("{found} cannot stand here"), expected)
    }

    /// The node as JSON, with YAML's plain scalars read as numbers and booleans where they are such.
    pub fn json(&self) -> serde_json::Value {
        match &self.value {
            Value::Nothing => serde_json::Value::Null,
            Value::Scalar(word) if self.text => word.as_str().into(),
            Value::Scalar(word) => scalar(word),
            Value::List(nodes) => nodes.iter().map(Node::json).collect(),
            Value::Table(entries) => serde_json::Value::Object(
                entries.iter().map(|(_, key, node)| (key.clone(), node.json())).collect(),
            ),
        }
    }
}

fn scalar(word: &str) -> serde_json::Value {
    match word {
        "true" => true.into(),
        "false" => false.into(),
        _ => match word.parse::<i64>() {
            Ok(number) => number.into(),
            Err(_) => word.into(),
        },
    }
}

/// A table whose keys have been checked.
pub struct Table<'a> {
    pub place: Place,
    pub what: &'static str,
    pub entries: &'a [(Place, String, Node)],
}

impl<'a> Table<'a> {
    pub fn get(&self, key: &str) -> Option<&'a Node> {
        self.entries.iter().find(|(_, found, _)| found == key).map(|(_, _, node)| node)
    }

    pub fn need(&self, key: &str) -> Result<&'a Node, Mistake> {
        let missing =
            || Mistake::new(self.place, format!("{} lacks `{key}`", self.what), format!("`{key}: ...`"));
        self.get(key).ok_or_else(missing)
    }
}

/// What serde gives; only [`Node`] leaves this module.
enum Raw {
    Nothing,
    Scalar(String),
    Text(String),
    List(Vec<Spanned<Raw>>),
    Table(Vec<(Spanned<String>, Spanned<Raw>)>),
}

impl From<Spanned<Raw>> for Node {
    fn from(raw: Spanned<Raw>) -> Self {
        let text = matches!(raw.value, Raw::Text(_));
        let value = match raw.value {
            Raw::Nothing => Value::Nothing,
            Raw::Scalar(word) | Raw::Text(word) => Value::Scalar(word),
            Raw::List(nodes) => Value::List(nodes.into_iter().map(Node::from).collect()),
            Raw::Table(entries) => Value::Table(
                entries
                    .into_iter()
                    .map(|(key, node)| (key.referenced.into(), key.value, Node::from(node)))
                    .collect(),
            ),
        };
        Node { place: raw.referenced.into(), value, text }
    }
}

impl<'de> Deserialize<'de> for Raw {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
}

struct RawVisitor;

impl<'de> Visitor<'de> for RawVisitor {
    type Value = Raw;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("any YAML")
    }
    fn visit_unit<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }
    fn visit_none<E>(self) -> Result<Raw, E> {
        Ok(Raw::Nothing)
    }
    fn visit_some<D: Deserializer<'de>>(self, deserializer: D) -> Result<Raw, D::Error> {
        deserializer.deserialize_any(RawVisitor)
    }
    fn visit_bool<E>(self, v: bool) -> Result<Raw, E> {
        Ok(Raw::Scalar(v.to_string()))
    }
    fn visit_i64<E>(self, v: i64) -> Result<Raw, E> {
        Ok(Raw::Scalar(v.to_string()))
    }
    fn visit_u64<E>(self, v: u64) -> Result<Raw, E> {
        Ok(Raw::Scalar(v.to_string()))
    }
    fn visit_f64<E>(self, v: f64) -> Result<Raw, E> {
        Ok(Raw::Scalar(v.to_string()))
    }
    fn visit_str<E>(self, v: &str) -> Result<Raw, E> {
        Ok(Raw::Text(v.to_string()))
    }
    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Raw, A::Error> {
        let mut nodes = vec![];
        while let Some(node) = seq.next_element()? {
            nodes.push(node);
        }
        Ok(Raw::List(nodes))
    }
    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Raw, A::Error> {
        let mut entries = vec![];
        while let Some(entry) = map.next_entry()? {
            entries.push(entry);
        }
        Ok(Raw::Table(entries))
    }
}
