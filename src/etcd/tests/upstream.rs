//! Held against lists taken from etcd's own sources (3.4, and the few fields and methods that later versions added): the
//! names, numbers and types of fields, the methods, and the errors' codes and texts.

use etcd::Error;
use std::collections::BTreeMap;

const MESSAGES: &str = include_str!("upstream-messages.txt");
const ERRORS: &str = include_str!("upstream-errors.txt");
/// Errors that etcd 3.4 does not have, and one whose code has changed since; the store answers with the first only.
const LATER: [Error; 6] = [
    Error::InvalidSortOption,
    Error::PermissionNotGiven,
    Error::NotSupportedForLearner,
    Error::WrongDowngradeVersionFormat,
    Error::InvalidDowngradeTargetVersion,
    Error::NoInflightDowngrade,
];

/// The last word of a type's path.
fn short(path: &str) -> &str {
    path.rsplit('.').next().unwrap_or(path)
}

/// What our files say, as the list does: a line for each message, enum and service that has parts.
fn ours() -> BTreeMap<String, String> {
    let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/proto");
    let files = protox::compile(["rpc.proto"], [folder]).expect("our own files").file;
    let mut lines = BTreeMap::new();
    let mut line = |name: String, mut parts: Vec<(i32, String)>| {
        parts.sort_by_key(|(number, _)| *number);
        let text: Vec<String> = parts.into_iter().map(|(_, text)| text).collect();
        if !text.is_empty() {
            lines.insert(name, text.join(", "));
        }
    };
    for file in &files {
        assert!(["authpb", "etcdserverpb", "mvccpb"].contains(&file.package()), "{}", file.package());
        let top = file.enum_type.iter().map(|kind| (kind.name().to_owned(), kind));
        let inner = file.message_type.iter().flat_map(|message| {
            message.enum_type.iter().map(|kind| (format!("{}.{}", message.name(), kind.name()), kind))
        });
        for (name, kind) in top.chain(inner) {
            let value = |(name, number): (&str, i32)| (number, format!("{}={number}", name.to_lowercase()));
            line(name, kind.value.iter().map(|v| value((v.name(), v.number()))).collect());
        }
        for message in &file.message_type {
            let field = |(name, number, many, kind): (&str, i32, bool, &str)| {
                (number, format!("{name}={number}:{}{kind}", if many { "*" } else { "" }))
            };
            let fields = message.field.iter().map(|f| {
                let plain = f.r#type().as_str_name().trim_start_matches("TYPE_").to_lowercase();
                let kind = if f.type_name().is_empty() { &plain } else { short(f.type_name()) };
                field((f.name(), f.number(), f.label().as_str_name() == "LABEL_REPEATED", kind))
            });
            line(message.name().to_owned(), fields.collect());
        }
        for service in &file.service {
            let methods = service.method.iter().enumerate().map(|(place, m)| {
                let stream = |on: bool| if on { "stream " } else { "" };
                let (asks, gives) = (stream(m.client_streaming()), stream(m.server_streaming()));
                let (input, output) = (short(m.input_type()), short(m.output_type()));
                (place as i32, format!("{}({asks}{input}) {gives}{output}", m.name()))
            });
            line(service.name().to_owned(), methods.collect());
        }
    }
    lines
}

#[test]
fn messages_and_methods_are_the_protocols() {
    let ours: Vec<String> = ours().into_iter().map(|(name, parts)| format!("{name}: {parts}")).collect();
    let upstream: Vec<&str> = MESSAGES.lines().collect();
    for (ours, upstream) in ours.iter().zip(&upstream) {
        assert_eq!(ours, upstream);
    }
    assert_eq!(ours.len(), upstream.len());
}

#[test]
fn errors_have_the_protocols_codes_and_texts() {
    for error in Error::ALL.iter().filter(|error| !LATER.contains(error)) {
        let line = format!("{:?} {}", error.code(), error.text());
        assert!(ERRORS.lines().any(|upstream| upstream == line), "etcd has no {line}");
    }
}
