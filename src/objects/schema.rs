//! What fields the kinds have: a compact table derived from upstream's OpenAPI document, and what follows from
//! it: unknown fields, wrong types, merge keys, the OpenAPI v3 documents.
//!
//! The table is parsed once, when it is first asked for; it never changes after.

use std::collections::BTreeMap;
use std::sync::LazyLock;

mod decode;
mod duplicates;
mod openapi;

pub use decode::{decode, decode_as, strict_error};
pub use duplicates::duplicate_fields;
pub use openapi::{openapi_index, openapi_v3};

const TABLE: &str = include_str!("schema/core.txt");

static SCHEMA: LazyLock<Schema> = LazyLock::new(|| match Schema::parse(TABLE) {
    Ok(schema) => schema,
    Err(error) => panic!("schema/core.txt: {error}"),
});

/// The types of every kind that is served.
pub fn schema() -> &'static Schema {
    &SCHEMA
}

/// What JSON a field holds.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Shape {
    String,
    /// A string of base64.
    Bytes,
    Bool,
    Int32,
    Int64,
    Quantity,
    IntOrString,
    Time,
    MicroTime,
    /// Any object.
    Any,
    /// An object of a type of the table.
    Type(String),
    List(Box<Shape>),
    Map(Box<Shape>),
}

/// How a list is merged by owners of its parts.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum ListKind {
    Atomic,
    Set,
    Map(Vec<String>),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Field {
    pub name: String,
    pub required: bool,
    pub shape: Shape,
    pub list: Option<ListKind>,
    /// A map or struct that is replaced whole.
    pub atomic: bool,
    /// In a strategic patch: the field by which the items of a list are told apart.
    pub merge_key: Option<String>,
    /// In a strategic patch: the list is merged, not replaced.
    pub merge: bool,
    /// In a strategic patch: only the keys named by the patch stay.
    pub retain_keys: bool,
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Type {
    /// "core.v1.Pod".
    pub name: String,
    /// (group, version, kind) of a type that stands for itself.
    pub kind: Option<(String, String, String)>,
    pub atomic: bool,
    pub fields: BTreeMap<String, Field>,
}

impl Type {
    /// "Pod" of "core.v1.Pod".
    pub fn short_name(&self) -> &str {
        self.name.rsplit('.').next().unwrap_or(&self.name)
    }
}

#[derive(Debug, Default)]
pub struct Schema {
    pub types: BTreeMap<String, Type>,
}

impl Schema {
    pub fn get(&self, name: &str) -> Option<&Type> {
        self.types.get(name)
    }

    /// The type a shape leads to, through lists and maps.
    pub fn type_of(&self, shape: &Shape) -> Option<&Type> {
        match shape {
            Shape::Type(name) => self.get(name),
            Shape::List(item) | Shape::Map(item) => self.type_of(item),
            _ => None,
        }
    }

    /// Reads the table: `type` lines, each followed by the lines of its fields.
    fn parse(text: &str) -> Result<Schema, String> {
        let mut types: Vec<Type> = Vec::new();
        for (number, line) in text.lines().enumerate() {
            let at = |error: String| format!("line {}: {error}", number + 1);
            let mut words = line.split_whitespace();
            match words.next() {
                None => {}
                Some(comment) if comment.starts_with('#') => {}
                Some("type") if !line.starts_with(' ') => types.push(parse_type(words).map_err(at)?),
                Some(name) => {
                    let field = parse_field(name, words).map_err(at)?;
                    let owner = types.last_mut().ok_or_else(|| at("a field before any type".into()))?;
                    owner.fields.insert(field.name.clone(), field);
                }
            }
        }
        Ok(Schema { types: types.into_iter().map(|t| (t.name.clone(), t)).collect() })
    }
}

fn parse_type<'a>(mut words: impl Iterator<Item = &'a str>) -> Result<Type, String> {
    let name = words.next().ok_or("expected the name of the type")?.to_string();
    let mut found = Type { name, kind: None, atomic: false, fields: BTreeMap::new() };
    for word in words {
        match word.split('/').collect::<Vec<_>>().as_slice() {
            ["atomic"] => found.atomic = true,
            [group, version, kind] => {
                found.kind = Some((group.to_string(), version.to_string(), kind.to_string()));
            }
            _ => return Err(format!("expected group/version/Kind or atomic, found {word}")),
        }
    }
    Ok(found)
}

fn parse_field<'a>(name: &str, mut words: impl Iterator<Item = &'a str>) -> Result<Field, String> {
    let shape = words.next().ok_or_else(|| format!("expected the shape of {name}"))?;
    let mut field = Field {
        name: name.trim_end_matches('!').to_string(),
        required: name.ends_with('!'),
        shape: parse_shape(shape),
        list: None,
        atomic: false,
        merge_key: None,
        merge: false,
        retain_keys: false,
    };
    let is_list = matches!(field.shape, Shape::List(_));
    for word in words {
        match word.split_once('=') {
            None if word == "atomic" && is_list => field.list = Some(ListKind::Atomic),
            None if word == "atomic" => field.atomic = true,
            None if word == "set" => field.list = Some(ListKind::Set),
            Some(("map", keys)) => {
                field.list = Some(ListKind::Map(keys.split(',').map(str::to_string).collect()))
            }
            Some(("key", key)) => field.merge_key = Some(key.to_string()),
            Some(("patch", strategies)) => {
                field.merge = strategies.split(',').any(|s| s == "merge");
                field.retain_keys = strategies.split(',').any(|s| s == "retainKeys");
            }
            _ => return Err(format!("expected a flag of a field, found {word}")),
        }
    }
    Ok(field)
}

fn parse_shape(text: &str) -> Shape {
    if let Some(item) = text.strip_prefix("[]") {
        return Shape::List(Box::new(parse_shape(item)));
    }
    if let Some(item) = text.strip_prefix("{}") {
        return Shape::Map(Box::new(parse_shape(item)));
    }
    match text {
        "string" => Shape::String,
        "bytes" => Shape::Bytes,
        "bool" => Shape::Bool,
        "int32" => Shape::Int32,
        "int64" => Shape::Int64,
        "quantity" => Shape::Quantity,
        "int-or-string" => Shape::IntOrString,
        "time" => Shape::Time,
        "micro-time" => Shape::MicroTime,
        "any" => Shape::Any,
        name => Shape::Type(name.to_string()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::kinds::KINDS;

    #[test]
    fn every_kind_has_its_type_with_spec_and_status_as_it_says() {
        for kind in KINDS {
            let found = schema().get(kind.definition).unwrap_or_else(|| panic!("{kind:?}"));
            let own = (kind.group.to_string(), kind.version.to_string(), kind.kind.to_string());
            assert_eq!(found.kind.as_ref(), Some(&own));
            assert_eq!(found.fields.contains_key("status"), kind.has_status, "{kind:?}");
            for field in ["apiVersion", "kind", "metadata"] {
                assert!(found.fields.contains_key(field), "{kind:?} {field}");
            }
        }
    }

    #[test]
    fn every_reference_leads_somewhere_and_every_key_is_a_field() {
        for found in schema().types.values() {
            for field in found.fields.values() {
                let place = format!("{}.{}", found.name, field.name);
                let item = schema().type_of(&field.shape);
                let mut shape = &field.shape;
                while let Shape::List(inner) | Shape::Map(inner) = shape {
                    shape = inner;
                }
                assert!(!matches!(shape, Shape::Type(_)) || item.is_some(), "{place}");
                let keys: Vec<&String> = match &field.list {
                    Some(ListKind::Map(keys)) => keys.iter().collect(),
                    _ => Vec::new(),
                };
                for key in keys.into_iter().chain(&field.merge_key) {
                    assert!(item.is_some_and(|t| t.fields.contains_key(key)), "{place}: {key}");
                }
                assert!(field.list.is_none() || matches!(field.shape, Shape::List(_)), "{place}");
            }
        }
    }

    #[test]
    fn well_known_facts_are_in_the_table() {
        let field = |of: &str, name: &str| schema().get(of).unwrap().fields[name].clone();
        let containers = field("core.v1.PodSpec", "containers");
        assert_eq!(
            (containers.merge_key.as_deref(), containers.merge, containers.required),
            (Some("name"), true, true)
        );
        assert_eq!(field("core.v1.Container", "ports").merge_key.as_deref(), Some("containerPort"));
        assert_eq!(field("core.v1.ServiceSpec", "ports").merge_key.as_deref(), Some("port"));
        assert!(field("core.v1.PodSpec", "volumes").retain_keys);
        assert!(field("apps.v1.DeploymentSpec", "strategy").retain_keys);
        assert!(field("meta.v1.ObjectMeta", "finalizers").merge);
        assert_eq!(field("core.v1.PodSpec", "tolerations").list, Some(ListKind::Atomic));
        assert!(!field("core.v1.PodSpec", "tolerations").merge);
        assert_eq!(
            field("core.v1.ResourceRequirements", "limits").shape,
            Shape::Map(Box::new(Shape::Quantity))
        );
        assert!(field("core.v1.NodeSpec", "taints").merge_key.is_none());
        assert_eq!(field("apps.v1.DeploymentSpec", "replicas").shape, Shape::Int32);
    }

    #[test]
    fn a_bad_table_names_the_line() {
        for (text, error) in [
            (" a string", "line 1: a field before any type"),
            ("type a\n b", "line 2: expected the shape of b"),
            ("type a\n b string odd", "line 2: expected a flag of a field, found odd"),
            ("type a b", "line 1: expected group/version/Kind or atomic, found b"),
        ] {
            assert_eq!(Schema::parse(text).unwrap_err(), error);
        }
    }
}
