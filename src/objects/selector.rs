//! Label and field selectors: parsed from the query string or from an object's selector, then matched.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use serde_json::Value;

use crate::kinds::Kind;
use crate::names;
use crate::object::{Object, get_str};

/// One condition on one label.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Condition {
    In(BTreeSet<String>),
    /// True also when the label is missing.
    NotIn(BTreeSet<String>),
    Exists,
    DoesNotExist,
    GreaterThan(i64),
    LessThan(i64),
}

#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Requirement {
    pub key: String,
    pub condition: Condition,
}

impl Requirement {
    fn matches(&self, value: Option<&str>) -> bool {
        let number = || value.and_then(|v| v.parse::<i64>().ok());
        match &self.condition {
            Condition::In(values) => value.is_some_and(|v| values.contains(v)),
            Condition::NotIn(values) => value.is_none_or(|v| !values.contains(v)),
            Condition::Exists => value.is_some(),
            Condition::DoesNotExist => value.is_none(),
            Condition::GreaterThan(limit) => number().is_some_and(|n| n > *limit),
            Condition::LessThan(limit) => number().is_some_and(|n| n < *limit),
        }
    }
}

impl fmt::Display for Requirement {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let join = |values: &BTreeSet<String>| values.iter().cloned().collect::<Vec<_>>().join(",");
        let key = &self.key;
        match &self.condition {
            Condition::In(values) if values.len() == 1 => write!(f, "{key}={}", join(values)),
            Condition::In(values) => write!(f, "{key} in ({})", join(values)),
            Condition::NotIn(values) if values.len() == 1 => write!(f, "{key}!={}", join(values)),
            Condition::NotIn(values) => write!(f, "{key} notin ({})", join(values)),
            Condition::Exists => write!(f, "{key}"),
            Condition::DoesNotExist => write!(f, "!{key}"),
            Condition::GreaterThan(limit) => write!(f, "{key}>{limit}"),
            Condition::LessThan(limit) => write!(f, "{key}<{limit}"),
        }
    }
}

/// All requirements must hold. Without any it matches everything; `nothing` matches nothing.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct LabelSelector {
    requirements: Vec<Requirement>,
    nothing: bool,
}

impl LabelSelector {
    pub fn everything() -> LabelSelector {
        LabelSelector::default()
    }

    pub fn nothing() -> LabelSelector {
        LabelSelector { requirements: Vec::new(), nothing: true }
    }

    /// The value of a `labelSelector` query parameter: `a=b,c!=d,e in (f,g),h,!i`.
    pub fn parse(text: &str) -> Result<LabelSelector, String> {
        let requirements =
            Parser::new(text).requirements().map_err(|e| format!("unable to parse requirement: {e}"))?;
        Ok(LabelSelector { requirements, nothing: false })
    }

    /// A metav1.LabelSelector: matchLabels and matchExpressions. A missing one matches nothing, an empty one
    /// everything.
    pub fn from_value(selector: Option<&Value>) -> Result<LabelSelector, String> {
        let Some(selector) = selector.filter(|s| !s.is_null()) else { return Ok(LabelSelector::nothing()) };
        let mut requirements = Vec::new();
        for (key, value) in selector.get("matchLabels").and_then(Value::as_object).into_iter().flatten() {
            requirements.push(requirement(key, "in", &[value.as_str().unwrap_or("")])?);
        }
        for expression in selector.get("matchExpressions").and_then(Value::as_array).into_iter().flatten() {
            let values: Vec<&str> = expression
                .get("values")
                .and_then(Value::as_array)
                .into_iter()
                .flatten()
                .filter_map(Value::as_str)
                .collect();
            let operator = match get_str(expression, &["operator"]) {
                "In" => "in",
                "NotIn" => "notin",
                "Exists" => "exists",
                "DoesNotExist" => "!",
                other => return Err(format!("{other:?} is not a valid label selector operator")),
            };
            requirements.push(requirement(get_str(expression, &["key"]), operator, &values)?);
        }
        requirements.sort_by(|a, b| a.key.cmp(&b.key));
        Ok(LabelSelector { requirements, nothing: false })
    }

    /// A plain map of labels, as in a Service's selector. An empty one matches everything.
    pub fn from_labels<'a>(labels: impl IntoIterator<Item = (&'a str, &'a str)>) -> LabelSelector {
        let is = |(key, value): (&str, &str)| Requirement {
            key: key.to_string(),
            condition: Condition::In(BTreeSet::from([value.to_string()])),
        };
        LabelSelector { requirements: labels.into_iter().map(is).collect(), nothing: false }
    }

    pub fn is_everything(&self) -> bool {
        !self.nothing && self.requirements.is_empty()
    }

    pub fn requirements(&self) -> &[Requirement] {
        &self.requirements
    }

    pub fn matches(&self, object: &Object) -> bool {
        self.matches_by(|key| object.label(key))
    }

    pub fn matches_labels(&self, labels: &BTreeMap<&str, &str>) -> bool {
        self.matches_by(|key| labels.get(key).copied())
    }

    /// Against a map of labels that is part of some object: a pod template's, say.
    pub fn matches_value(&self, labels: Option<&Value>) -> bool {
        self.matches_by(|key| labels?.get(key)?.as_str())
    }

    fn matches_by<'a>(&self, label: impl Fn(&str) -> Option<&'a str>) -> bool {
        !self.nothing && self.requirements.iter().all(|r| r.matches(label(&r.key)))
    }
}

impl fmt::Display for LabelSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let all: Vec<String> = self.requirements.iter().map(Requirement::to_string).collect();
        f.write_str(&all.join(","))
    }
}

/// Makes a requirement of an operator in words ("in", "=", "!", ">", ...) after checking key and values.
fn requirement(key: &str, operator: &str, values: &[&str]) -> Result<Requirement, String> {
    if let Some(error) = names::qualified_name(key).first() {
        return Err(format!("key: Invalid value: {key:?}: {error}"));
    }
    let set = || values.iter().map(|v| (*v).to_string()).collect::<BTreeSet<_>>();
    let one_number = || match values {
        [one] => one.parse::<i64>().map_err(|_| {
            format!(
                "values[0]: Invalid value: {one:?}: for 'Gt', 'Lt' operators, the value must be an integer"
            )
        }),
        _ => {
            Err("values: Invalid value: for 'Gt', 'Lt' operators, exactly one value is required".to_string())
        }
    };
    let condition = match operator {
        "in" | "=" | "==" | "notin" | "!=" => {
            if values.is_empty() {
                return Err(
                    "values: Invalid value: []: for 'in', 'notin' operators, values set can't be empty"
                        .into(),
                );
            }
            if matches!(operator, "notin" | "!=") { Condition::NotIn(set()) } else { Condition::In(set()) }
        }
        "exists" | "!" if !values.is_empty() => {
            return Err(
                "values: Invalid value: values set must be empty for exists and does not exist".into()
            );
        }
        "exists" => Condition::Exists,
        "!" => Condition::DoesNotExist,
        ">" => Condition::GreaterThan(one_number()?),
        "<" => Condition::LessThan(one_number()?),
        other => return Err(format!("operator: Unsupported value: {other:?}")),
    };
    for (index, value) in values.iter().enumerate() {
        if let Some(error) = names::label_value(value).first() {
            return Err(format!("values[{index}][{key}]: Invalid value: {value:?}: {error}"));
        }
    }
    Ok(Requirement { key: key.to_string(), condition })
}

/// Splits the text into words and the marks `= == != ! > < ( ) ,`.
struct Parser<'a> {
    tokens: Vec<&'a str>,
    at: usize,
}

impl<'a> Parser<'a> {
    fn new(text: &'a str) -> Parser<'a> {
        let mut tokens = Vec::new();
        let mut rest = text.trim_start();
        while !rest.is_empty() {
            let length = match rest {
                r if r.starts_with("==") || r.starts_with("!=") => 2,
                r if r.starts_with(['=', '!', '>', '<', '(', ')', ',']) => 1,
                r => r.find(|c: char| "=!><(), \t\n".contains(c)).unwrap_or(r.len()),
            };
            tokens.push(&rest[..length]);
            rest = rest[length..].trim_start();
        }
        Parser { tokens, at: 0 }
    }

    fn peek(&self) -> &'a str {
        self.tokens.get(self.at).copied().unwrap_or("")
    }

    fn next(&mut self) -> &'a str {
        let token = self.peek();
        self.at += 1;
        token
    }

    fn word(&mut self, expected: &str) -> Result<&'a str, String> {
        match self.next() {
            mark if mark.is_empty() || mark.starts_with(['=', '!', '>', '<', '(', ')', ',']) => {
                Err(format!("found '{mark}', expected: {expected}"))
            }
            word => Ok(word),
        }
    }

    fn requirements(&mut self) -> Result<Vec<Requirement>, String> {
        let mut found = Vec::new();
        while !self.peek().is_empty() {
            found.push(self.requirement()?);
            match self.next() {
                "" => break,
                "," if self.peek().is_empty() => {
                    return Err("found '', expected: identifier after ','".into());
                }
                "," => {}
                other => return Err(format!("found '{other}', expected: ',' or 'end of string'")),
            }
        }
        found.sort_by(|a: &Requirement, b| a.key.cmp(&b.key));
        Ok(found)
    }

    fn requirement(&mut self) -> Result<Requirement, String> {
        if self.peek() == "!" {
            self.next();
            let key = self.word("identifier")?;
            return requirement(key, "!", &[]);
        }
        let key = self.word("!, identifier, or 'end of string'")?;
        match self.peek() {
            "" | "," => requirement(key, "exists", &[]),
            operator @ ("in" | "notin") => {
                self.next();
                let values = self.values()?;
                requirement(key, operator, &values)
            }
            operator @ ("=" | "==" | "!=" | ">" | "<") => {
                self.next();
                let value = if matches!(self.peek(), "" | ",") { "" } else { self.word("identifier")? };
                requirement(key, operator, &[value])
            }
            other => Err(format!("found '{other}', expected: in, notin, =, ==, !=, gt, lt")),
        }
    }

    fn values(&mut self) -> Result<Vec<&'a str>, String> {
        match self.next() {
            "(" => {}
            other => return Err(format!("found '{other}' expected: '('")),
        }
        let mut values = Vec::new();
        loop {
            match self.peek() {
                "," => {
                    values.push("");
                    self.next();
                    if self.peek() == ")" {
                        values.push("");
                    }
                    continue;
                }
                ")" => {
                    self.next();
                    return Ok(values);
                }
                _ => values.push(self.word("',', ')' or identifier")?),
            }
            match self.next() {
                ")" => return Ok(values),
                "," if self.peek() == ")" => values.push(""),
                "," => {}
                other => return Err(format!("found '{other}', expected: ',' or ')'")),
            }
        }
    }
}

/// One condition on one field.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct FieldRequirement {
    pub label: String,
    pub value: String,
    pub negated: bool,
}

/// A field selector that is valid for its kind. Without requirements it matches everything.
#[derive(Clone, Debug, PartialEq, Eq, Default)]
pub struct FieldSelector {
    requirements: Vec<FieldRequirement>,
}

impl FieldSelector {
    pub fn everything() -> FieldSelector {
        FieldSelector::default()
    }

    /// The value of a `fieldSelector` query parameter: `a=b,c!=d`, with `\` before `,`, `=` and `\` in values.
    pub fn parse(kind: &Kind, text: &str) -> Result<FieldSelector, String> {
        let mut requirements = Vec::new();
        for term in split_terms(text) {
            if term.is_empty() {
                continue;
            }
            let Some((label, negated, value)) = split_term(&term) else {
                return Err(format!("invalid selector: '{text}'; can't understand '{term}'"));
            };
            if !supports(kind, label) {
                return Err(unsupported(kind, label));
            }
            requirements.push(FieldRequirement {
                label: label.to_string(),
                value: unescape(value)?,
                negated,
            });
        }
        Ok(FieldSelector { requirements })
    }

    pub fn is_everything(&self) -> bool {
        self.requirements.is_empty()
    }

    pub fn requirements(&self) -> &[FieldRequirement] {
        &self.requirements
    }

    /// The value the field must have, when the selector says so: what an index can use.
    pub fn exact(&self, label: &str) -> Option<&str> {
        self.requirements.iter().find(|r| r.label == label && !r.negated).map(|r| r.value.as_str())
    }

    pub fn matches(&self, kind: &Kind, object: &Object) -> bool {
        self.requirements.iter().all(|r| (field_value(kind, object, &r.label) == r.value) != r.negated)
    }
}

impl fmt::Display for FieldSelector {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let escape = |v: &str| v.replace('\\', "\\\\").replace(',', "\\,").replace('=', "\\=");
        let one = |r: &FieldRequirement| {
            format!("{}{}{}", r.label, if r.negated { "!=" } else { "=" }, escape(&r.value))
        };
        let all: Vec<String> = self.requirements.iter().map(one).collect();
        f.write_str(&all.join(","))
    }
}

/// Whether a field selector of the kind may name the field.
pub fn supports(kind: &Kind, label: &str) -> bool {
    label == "metadata.name"
        || (kind.namespaced && label == "metadata.namespace")
        || kind.fields.iter().any(|field| field.label == label)
}

/// The error for a field that a kind cannot be selected by: kinds with fields of their own have a shorter one.
fn unsupported(kind: &Kind, label: &str) -> String {
    if kind.fields.is_empty() || kind.group == "apps" {
        format!("{label:?} is not a known field selector: only \"metadata.name\", \"metadata.namespace\"")
    } else {
        format!("field label not supported: {label}")
    }
}

fn field_value(kind: &Kind, object: &Object, label: &str) -> String {
    match label {
        "metadata.name" => return object.name().to_string(),
        "metadata.namespace" => return object.namespace().unwrap_or("").to_string(),
        _ => {}
    }
    let Some(field) = kind.fields.iter().find(|field| field.label == label) else { return String::new() };
    match object.get(field.path) {
        Some(Value::String(text)) if text.is_empty() => field.missing.to_string(),
        Some(Value::String(text)) => text.clone(),
        None | Some(Value::Null) => field.missing.to_string(),
        Some(other) => other.to_string(),
    }
}

fn split_terms(text: &str) -> Vec<String> {
    let mut terms = vec![String::new()];
    let mut escaped = false;
    for c in text.chars() {
        if c == ',' && !escaped {
            terms.push(String::new());
            continue;
        }
        escaped = c == '\\' && !escaped;
        if let Some(last) = terms.last_mut() {
            last.push(c);
        }
    }
    terms
}

/// (label, negated, value); the first of `!=`, `==`, `=` counts.
fn split_term(term: &str) -> Option<(&str, bool, &str)> {
    let at = term.find("!=").into_iter().chain(term.find('=')).min()?;
    let (label, rest) = term.split_at(at);
    let strip = |mark: &str, negated| Some((label, negated, rest.strip_prefix(mark)?));
    strip("!=", true).or_else(|| strip("==", false)).or_else(|| strip("=", false))
}

fn unescape(value: &str) -> Result<String, String> {
    let mut plain = String::with_capacity(value.len());
    let mut chars = value.chars();
    while let Some(c) = chars.next() {
        match c {
            '\\' => match chars.next() {
                Some(next @ ('\\' | ',' | '=')) => plain.push(next),
                Some(next) => {
                    return Err(format!("invalid field selector: invalid escape sequence: \\{next}"));
                }
                None => return Err("invalid field selector: invalid escape sequence: \\".into()),
            },
            '=' => return Err(format!("invalid field selector: unescaped character in value: {c}")),
            _ => plain.push(c),
        }
    }
    Ok(plain)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;
    use crate::kinds::{config_map, deployment, event, node, pod};

    fn labelled(labels: Value) -> Object {
        Object::from_value(json!({"metadata": {"name": "a", "namespace": "n", "labels": labels}})).unwrap()
    }

    #[test]
    fn label_selectors_match() {
        let object = labelled(json!({"app": "web", "tier": "front", "n": "5", "empty": ""}));
        let yes = [
            "",
            "app=web",
            "app==web",
            "app",
            "!gone",
            "app in (web, api)",
            "gone notin (x)",
            "app!=api",
            "gone!=x",
            "app=web,tier=front",
            "n>4",
            "n<6",
            "empty=",
            "empty in (,x)",
            " app = web , tier ",
            "app notin (x,y)",
        ];
        let no = [
            "app=api",
            "gone",
            "!app",
            "app in (x)",
            "app notin (web)",
            "app!=web",
            "app=web,tier=back",
            "n>5",
            "app>1",
            "gone=",
        ];
        for text in yes {
            assert!(LabelSelector::parse(text).unwrap().matches(&object), "{text}");
        }
        for text in no {
            assert!(!LabelSelector::parse(text).unwrap().matches(&object), "{text}");
        }
    }

    #[test]
    fn label_selectors_print_as_they_parse() {
        for text in ["a=b,c!=d,e in (f,g),h,!i", "a notin (b,c)", "a>1,b<2", ""] {
            assert_eq!(LabelSelector::parse(text).unwrap().to_string(), text);
        }
    }

    #[test]
    fn bad_label_selectors() {
        let cases = [
            ("a=b,", "found ''"),
            ("a in", "expected: '('"),
            ("a in ()", "can't be empty"),
            ("a b", "found 'b'"),
            ("=b", "found '='"),
            ("a in (b", "expected: ',' or ')'"),
            ("a=b=c", "found '='"),
            ("-a=b", "key: Invalid value"),
            ("a=-b", "values[0][a]: Invalid value"),
            ("a>x", "must be an integer"),
            ("!", "expected: identifier"),
        ];
        for (text, part) in cases {
            let error = LabelSelector::parse(text).unwrap_err();
            assert!(error.starts_with("unable to parse requirement: "), "{error}");
            assert!(error.contains(part), "{text}: {error}");
        }
    }

    #[test]
    fn selector_objects() {
        let object = labelled(json!({"app": "web"}));
        let matches = |selector: Value| LabelSelector::from_value(Some(&selector)).unwrap().matches(&object);
        assert!(matches(json!({})));
        assert!(!LabelSelector::from_value(None).unwrap().matches(&object));
        assert!(matches(json!({"matchLabels": {"app": "web"}})));
        assert!(!matches(json!({"matchLabels": {"app": "web", "x": "y"}})));
        let expression = |operator: &str, values: Value| json!({"matchExpressions": [{"key": "app", "operator": operator, "values": values}]});
        assert!(matches(expression("In", json!(["web", "x"]))));
        assert!(matches(expression("NotIn", json!(["x"]))));
        assert!(matches(expression("Exists", json!(null))));
        assert!(!matches(expression("DoesNotExist", json!(null))));
        assert!(LabelSelector::from_value(Some(&expression("Like", json!([])))).is_err());
        assert!(LabelSelector::from_value(Some(&expression("In", json!([])))).is_err());
        let template = json!({"app": "web"});
        assert!(LabelSelector::from_labels([("app", "web")]).matches_value(Some(&template)));
        assert!(!LabelSelector::from_labels([("app", "web")]).matches_value(None));
    }

    #[test]
    fn field_selectors_match() {
        let mut object = labelled(json!({}));
        object.set(&["spec", "nodeName"], "n1");
        object.set(&["status", "phase"], "Running");
        let matches =
            |text: &str| FieldSelector::parse(&pod::KIND, text).unwrap().matches(&pod::KIND, &object);
        for text in [
            "",
            "metadata.name=a",
            "metadata.namespace==n",
            "spec.nodeName=n1,status.phase!=Failed",
            "status.podIP=",
            "spec.hostNetwork=false",
        ] {
            assert!(matches(text), "{text}");
        }
        for text in
            ["metadata.name!=a", "spec.nodeName=", "status.phase=Failed", "spec.nodeName=n1,metadata.name=b"]
        {
            assert!(!matches(text), "{text}");
        }
        let selector = FieldSelector::parse(&pod::KIND, "spec.nodeName=n\\,1,status.phase!=x").unwrap();
        assert_eq!(selector.exact("spec.nodeName"), Some("n,1"));
        assert_eq!(selector.exact("status.phase"), None);
        assert_eq!(selector.to_string(), "spec.nodeName=n\\,1,status.phase!=x");
        let node = FieldSelector::parse(&node::KIND, "spec.unschedulable=false").unwrap();
        assert!(node.matches(&node::KIND, &labelled(json!({}))));
        assert!(FieldSelector::parse(&event::KIND, "involvedObject.name=a,type!=Normal").is_ok());
    }

    #[test]
    fn bad_field_selectors() {
        let error = |kind, text| FieldSelector::parse(kind, text).unwrap_err();
        assert_eq!(error(&pod::KIND, "spec.x=1"), "field label not supported: spec.x");
        assert_eq!(error(&event::KIND, "x=1"), "field label not supported: x");
        assert_eq!(
            error(&config_map::KIND, "data=1"),
            "\"data\" is not a known field selector: only \"metadata.name\", \"metadata.namespace\""
        );
        assert!(error(&deployment::KIND, "spec.x=1").contains("is not a known field selector"));
        assert_eq!(error(&pod::KIND, "abc"), "invalid selector: 'abc'; can't understand 'abc'");
        assert!(error(&pod::KIND, "metadata.name=a\\b").contains("invalid escape sequence"));
        assert!(error(&node::KIND, "metadata.namespace=a").contains("not supported"));
    }
}
