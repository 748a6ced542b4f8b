//! Where objects are in the store: `/registry/<plural>/<namespace>/<name>`. Pure.

use objects::Kind;

/// The compactors of all API servers meet here, as upstream's do.
pub const COMPACT_KEY: &str = "compact_rev_key";

/// The part of a key below the kind's prefix. A kind without namespaces takes none.
pub fn key(kind: &Kind, namespace: &str, name: &str) -> String {
    if kind.namespaced { format!("{namespace}/{name}") } else { name.to_string() }
}

/// The part below the kind's prefix that all objects of a namespace share; "" for all namespaces.
pub fn scope(kind: &Kind, namespace: &str) -> String {
    if kind.namespaced && !namespace.is_empty() { format!("{namespace}/") } else { String::new() }
}

#[cfg(test)]
mod tests {
    use super::*;
    use objects::kinds::by_kind;

    #[test]
    fn keys_agree_with_the_layout_of_the_kinds() {
        let pod = by_kind("v1", "Pod").unwrap();
        assert_eq!(pod.prefix() + &key(pod, "n", "a"), pod.storage_key(Some("n"), "a"));
        assert_eq!((scope(pod, "n"), scope(pod, "")), ("n/".to_string(), String::new()));
        let node = by_kind("v1", "Node").unwrap();
        assert_eq!(node.prefix() + &key(node, "", "a"), "/registry/nodes/a");
        assert_eq!(scope(node, "n"), "");
    }
}
