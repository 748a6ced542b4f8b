//! Objects as rows for people: meta.k8s.io/v1 Tables with upstream's columns.

pub mod pod;

use serde_json::{Value, json};

use crate::kinds::Kind;
use crate::object::Object;
use crate::time;

/// A column of a kind. Priority 0 is always shown, 1 only in wide output.
#[derive(Clone, Copy, Debug)]
pub struct Column {
    pub name: &'static str,
    /// "string", "integer" or "boolean".
    pub of: &'static str,
    pub format: &'static str,
    pub priority: u8,
    pub description: &'static str,
}

impl Column {
    pub const NAME: Column = Column {
        name: "Name",
        of: "string",
        format: "name",
        priority: 0,
        description: "Name must be unique within a namespace. It is the object's identity for creation and update.",
    };
    pub const AGE: Column = Column::text("Age", "Time since the object was created.");

    pub const fn text(name: &'static str, description: &'static str) -> Column {
        Column { name, of: "string", format: "", priority: 0, description }
    }

    pub const fn number(name: &'static str, description: &'static str) -> Column {
        Column { name, of: "integer", format: "", priority: 0, description }
    }

    /// Shown only in wide output.
    pub const fn wide(self) -> Column {
        Column { priority: 1, ..self }
    }
}

pub const NAME_AND_AGE: &[Column] = &[Column::NAME, Column::AGE];

pub fn name_and_age(object: &Object, now: u64) -> Vec<Value> {
    vec![json!(object.name()), age(object, now)]
}

/// The cell of the Age column.
pub fn age(object: &Object, now: u64) -> Value {
    json!(time::age(object.creation_timestamp(), now))
}

/// What a row carries besides its cells.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum IncludeObject {
    None,
    Metadata,
    Object,
}

impl IncludeObject {
    /// The value of the `includeObject` query parameter.
    pub fn parse(text: &str) -> Option<IncludeObject> {
        match text {
            "None" => Some(IncludeObject::None),
            "" | "Metadata" => Some(IncludeObject::Metadata),
            "Object" => Some(IncludeObject::Object),
            _ => None,
        }
    }
}

/// A Table of objects. `list_metadata` is the list's (resourceVersion, continue, remainingItemCount), or of one
/// object. Without `columns` (events of a watch after the first) the definitions are left out.
pub fn table<'a>(
    kind: &Kind,
    objects: impl IntoIterator<Item = &'a Object>,
    list_metadata: Value,
    include: IncludeObject,
    columns: bool,
    now: u64,
) -> Value {
    let rows: Vec<Value> = objects.into_iter().map(|object| row(kind, object, include, now)).collect();
    let definitions: Vec<Value> =
        if columns { kind.columns.iter().map(definition).collect() } else { Vec::new() };
    json!({
        "kind": "Table", "apiVersion": "meta.k8s.io/v1", "metadata": list_metadata,
        "columnDefinitions": definitions, "rows": rows,
    })
}

fn definition(column: &Column) -> Value {
    json!({
        "name": column.name, "type": column.of, "format": column.format,
        "description": column.description, "priority": column.priority,
    })
}

fn row(kind: &Kind, object: &Object, include: IncludeObject, now: u64) -> Value {
    let cells = (kind.row)(object, now);
    match include {
        IncludeObject::None => json!({"cells": cells}),
        IncludeObject::Metadata => json!({"cells": cells, "object": partial_metadata(object)}),
        IncludeObject::Object => json!({"cells": cells, "object": object.value()}),
    }
}

/// The object without all but its metadata.
pub fn partial_metadata(object: &Object) -> Value {
    json!({
        "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
        "metadata": object.get(&["metadata"]).cloned().unwrap_or_else(|| json!({})),
    })
}
