//! Names, labels and keys: what is allowed, and upstream's words for what is not.
//!
//! Every check returns the texts of what is wrong; none means good.

pub const LABEL_MAX: usize = 63;
pub const SUBDOMAIN_MAX: usize = 253;

const LABEL_TEXT: &str = "a lowercase RFC 1123 label must consist of lower case alphanumeric characters or '-', and must start and end with an alphanumeric character (e.g. 'my-name',  or '123-abc', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?')";
const SUBDOMAIN_TEXT: &str = "a lowercase RFC 1123 subdomain must consist of lower case alphanumeric characters, '-' or '.', and must start and end with an alphanumeric character (e.g. 'example.com', regex used for validation is '[a-z0-9]([-a-z0-9]*[a-z0-9])?(\\.[a-z0-9]([-a-z0-9]*[a-z0-9])?)*')";
const DNS1035_TEXT: &str = "a DNS-1035 label must consist of lower case alphanumeric characters or '-', start with an alphabetic character, and end with an alphanumeric character (e.g. 'my-name',  or 'abc-123', regex used for validation is '[a-z]([-a-z0-9]*[a-z0-9])?')";
const QUALIFIED_TEXT: &str = "name part must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]')";
const QUALIFIED_SHAPE_TEXT: &str = "a valid label key must consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyName',  or 'my.name',  or '123-abc', regex used for validation is '([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9]') with an optional DNS subdomain prefix and '/' (e.g. 'example.com/MyName')";
const LABEL_VALUE_TEXT: &str = "a valid label must be an empty string or consist of alphanumeric characters, '-', '_' or '.', and must start and end with an alphanumeric character (e.g. 'MyValue',  or 'my_value',  or '12345', regex used for validation is '(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?')";
const PORT_NAME_SHAPE: &str = "must contain only alpha-numeric characters (a-z, 0-9), and hyphens (-)";

fn lower(byte: u8) -> bool {
    byte.is_ascii_lowercase() || byte.is_ascii_digit()
}

/// Lower case, digits and inner '-'.
fn label_shape(text: &str) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            lower(*first) && lower(*last) && bytes.iter().all(|b| lower(*b) || *b == b'-')
        }
        _ => false,
    }
}

/// Letters, digits and inner '-', '_', '.'.
fn qualified_shape(text: &str) -> bool {
    let bytes = text.as_bytes();
    match (bytes.first(), bytes.last()) {
        (Some(first), Some(last)) => {
            first.is_ascii_alphanumeric()
                && last.is_ascii_alphanumeric()
                && bytes.iter().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(b))
        }
        _ => false,
    }
}

fn max_length(limit: usize) -> String {
    format!("must be no more than {limit} bytes")
}

fn check(text: &str, limit: usize, good: bool, complaint: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > limit {
        errors.push(max_length(limit));
    }
    if !good {
        errors.push(complaint.to_string());
    }
    errors
}

/// RFC 1123 label: namespaces, containers.
pub fn dns_label(text: &str) -> Vec<String> {
    check(text, LABEL_MAX, label_shape(text), LABEL_TEXT)
}

/// RFC 1123 subdomain: most objects.
pub fn dns_subdomain(text: &str) -> Vec<String> {
    check(text, SUBDOMAIN_MAX, text.split('.').all(label_shape), SUBDOMAIN_TEXT)
}

/// A label that starts with a letter: services.
pub fn dns1035_label(text: &str) -> Vec<String> {
    let good = label_shape(text) && text.as_bytes()[0].is_ascii_lowercase();
    check(text, LABEL_MAX, good, DNS1035_TEXT)
}

/// The key of a label or annotation: an optional DNS prefix, '/', a name.
pub fn qualified_name(text: &str) -> Vec<String> {
    let parts: Vec<&str> = text.split('/').collect();
    let mut errors = Vec::new();
    let name = match parts.as_slice() {
        [name] => name,
        [prefix, name] => {
            if prefix.is_empty() {
                errors.push("prefix part must be non-empty".to_string());
            } else {
                errors.extend(dns_subdomain(prefix).into_iter().map(|e| format!("prefix part {e}")));
            }
            name
        }
        _ => return vec![QUALIFIED_SHAPE_TEXT.to_string()],
    };
    if name.is_empty() {
        errors.push("name part must be non-empty".to_string());
    } else if name.len() > LABEL_MAX {
        errors.push(format!("name part {}", max_length(LABEL_MAX)));
    }
    if !qualified_shape(name) {
        errors.push(QUALIFIED_TEXT.to_string());
    }
    errors
}

pub fn label_value(text: &str) -> Vec<String> {
    check(text, LABEL_MAX, text.is_empty() || qualified_shape(text), LABEL_VALUE_TEXT)
}

/// A key of a ConfigMap.
pub fn config_key(text: &str) -> Vec<String> {
    let good = !text.is_empty() && text.bytes().all(|b| b.is_ascii_alphanumeric() || b"-_.".contains(&b));
    let complaint = "a valid config key must consist of alphanumeric characters, '-', '_' or '.' (e.g. 'key.name',  or 'KEY_NAME',  or 'key-name', regex used for validation is '[-._a-zA-Z0-9]+')";
    let mut errors = check(text, SUBDOMAIN_MAX, good, complaint);
    match text {
        "." => errors.push("must not be '.'".to_string()),
        ".." => errors.push("must not be '..'".to_string()),
        _ if text.starts_with("..") => errors.push("must not start with '..'".to_string()),
        _ => {}
    }
    errors
}

/// The name of an environment variable, as relaxed in recent versions: printable ASCII without '='.
pub fn env_name(text: &str) -> Vec<String> {
    let good = !text.is_empty() && text.bytes().all(|b| (b' '..=b'~').contains(&b) && b != b'=');
    if good {
        return Vec::new();
    }
    vec![
        "a valid environment variable name must consist only of printable ASCII characters other than '='"
            .to_string(),
    ]
}

/// The name of a port: an IANA service name.
pub fn port_name(text: &str) -> Vec<String> {
    let mut errors = Vec::new();
    if text.len() > 15 {
        errors.push("must be no more than 15 characters".to_string());
    }
    if !text.bytes().all(|b| lower(b) || b == b'-') || text.is_empty() {
        errors.push(PORT_NAME_SHAPE.to_string());
    }
    if !text.bytes().any(|b| b.is_ascii_lowercase()) {
        errors.push("must contain at least one letter (a-z)".to_string());
    }
    if text.contains("--") {
        errors.push("must not contain consecutive hyphens".to_string());
    }
    if text.starts_with('-') || text.ends_with('-') {
        errors.push("must not begin or end with a hyphen".to_string());
    }
    errors
}

/// A segment of a URL's path: "." and "..", '/' and '%' are not names.
pub fn path_segment(text: &str) -> Vec<String> {
    if text == "." || text == ".." {
        return vec![format!("may not be '{text}'")];
    }
    ['/', '%'].iter().filter(|c| text.contains(**c)).map(|c| format!("may not contain '{c}'")).collect()
}

/// The name of an object that carries another's name and a suffix is checked with the suffix cut off:
/// a trailing '-' of a `generateName` is no fault.
pub fn mask_trailing_dash(name: &str) -> String {
    match name.strip_suffix('-') {
        Some(rest) if !rest.is_empty() && !rest.ends_with('-') => format!("{rest}a"),
        _ => name.to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    type Rule = fn(&str) -> Vec<String>;

    #[test]
    fn good_and_bad_names() {
        let long = "a".repeat(64);
        let longer = "a".repeat(254);
        let cases: [(Rule, &[&str], &[&str]); 8] = [
            (dns_label, &["a", "0", "a-b", "a--b"], &["", "-a", "a-", "A", "a.b", "a_b", &long]),
            (dns_subdomain, &["a", "a.b", "a-b.c", &long], &["", ".a", "a..b", "a.-b", "A.b", &longer]),
            (dns1035_label, &["a", "a-0"], &["", "0a", "a-", "a.b", &long]),
            (qualified_name, &["a", "A_b.c", "a.b/c", "x/Y"], &["", "/a", "a/", "a/b/c", "A/b", "-a", &long]),
            (label_value, &["", "a", "A.b_c-d"], &["-a", "a-", "a b", "a/b", &long]),
            (config_key, &["a", "..a".trim_start_matches(".."), "A.b"], &["", ".", "..", "..a", "a/b"]),
            (port_name, &["http", "a-1"], &["", "1", "a--b", "-a", "a-", "HTTP", "abcdefghijklmnop"]),
            (path_segment, &["a", "a.b"], &[".", "..", "a/b", "a%b"]),
        ];
        for (index, (rule, good, bad)) in cases.iter().enumerate() {
            for name in *good {
                assert_eq!(rule(name), Vec::<String>::new(), "rule {index}, {name:?}");
            }
            for name in *bad {
                assert!(!rule(name).is_empty(), "rule {index}, {name:?}");
            }
        }
    }

    #[test]
    fn several_complaints_at_once() {
        let name = format!("-{}", "a".repeat(70));
        assert_eq!(dns_label(&name).len(), 2);
        assert!(dns_label(&name)[0].contains("no more than 63 bytes"));
    }

    #[test]
    fn trailing_dash_is_masked() {
        assert_eq!(mask_trailing_dash("web-"), "weba");
        assert_eq!(mask_trailing_dash("web"), "web");
        assert_eq!(mask_trailing_dash("-"), "-");
    }
}
