//! Owner references, generated names, and the hash that names a pod template.

use serde_json::{Value, json};

use crate::object::Object;

#[derive(Clone, Debug, Default, PartialEq, Eq, PartialOrd, Ord)]
pub struct OwnerRef {
    pub api_version: String,
    pub kind: String,
    pub name: String,
    pub uid: String,
    pub controller: bool,
    pub block_owner_deletion: bool,
}

impl OwnerRef {
    /// The reference by which `owner` controls what it makes.
    pub fn controller_of(owner: &Object) -> OwnerRef {
        OwnerRef {
            api_version: owner.api_version().to_string(),
            kind: owner.kind().to_string(),
            name: owner.name().to_string(),
            uid: owner.uid().to_string(),
            controller: true,
            block_owner_deletion: true,
        }
    }

    fn from_value(value: &Value) -> OwnerRef {
        let text = |key: &str| value.get(key).and_then(Value::as_str).unwrap_or("").to_string();
        let flag = |key: &str| value.get(key).and_then(Value::as_bool).unwrap_or(false);
        OwnerRef {
            api_version: text("apiVersion"),
            kind: text("kind"),
            name: text("name"),
            uid: text("uid"),
            controller: flag("controller"),
            block_owner_deletion: flag("blockOwnerDeletion"),
        }
    }

    pub fn to_value(&self) -> Value {
        let mut value = json!({
            "apiVersion": self.api_version, "kind": self.kind, "name": self.name, "uid": self.uid,
        });
        if self.controller {
            value["controller"] = json!(true);
        }
        if self.block_owner_deletion {
            value["blockOwnerDeletion"] = json!(true);
        }
        value
    }
}

pub fn owner_refs(object: &Object) -> Vec<OwnerRef> {
    object.get_array(&["metadata", "ownerReferences"]).iter().map(OwnerRef::from_value).collect()
}

pub fn set_owner_refs(object: &mut Object, owners: &[OwnerRef]) {
    if owners.is_empty() {
        object.remove(&["metadata", "ownerReferences"]);
    } else {
        object
            .set(&["metadata", "ownerReferences"], owners.iter().map(OwnerRef::to_value).collect::<Vec<_>>());
    }
}

/// The one owner that controls the object.
pub fn controller_ref(object: &Object) -> Option<OwnerRef> {
    let refs = object.get_array(&["metadata", "ownerReferences"]).iter();
    refs.map(OwnerRef::from_value).find(|owner| owner.controller)
}

/// The uid of the one owner that controls the object.
pub fn controller_uid(object: &Object) -> Option<&str> {
    let mut refs = object.get_array(&["metadata", "ownerReferences"]).iter();
    let controls = |owner: &&Value| owner.get("controller").and_then(Value::as_bool).unwrap_or(false);
    refs.find(controls).map(|owner| owner.get("uid").and_then(Value::as_str).unwrap_or(""))
}

pub fn is_controlled_by(object: &Object, owner: &Object) -> bool {
    controller_uid(object).is_some_and(|uid| uid == owner.uid())
}

/// No vowels and no look-alikes, so that no word comes out by chance.
const ALPHABET: &[u8; 27] = b"bcdfghjklmnpqrstvwxz2456789";

/// A name is the base cut to 58 characters and 5 more, so that it fits a DNS label.
const MAX_GENERATED_BASE: usize = 58;

/// Five characters drawn from one random number.
pub fn random_suffix(random: u64) -> String {
    letters(random, 5)
}

/// `generateName` made a name.
pub fn generate_name(base: &str, random: u64) -> String {
    let mut cut = base.len().min(MAX_GENERATED_BASE);
    while !base.is_char_boundary(cut) {
        cut -= 1;
    }
    format!("{}{}", &base[..cut], random_suffix(random))
}

fn letters(mut number: u64, count: usize) -> String {
    let mut text = String::with_capacity(count);
    for _ in 0..count {
        text.push(ALPHABET[(number % ALPHABET.len() as u64) as usize] as char);
        number /= ALPHABET.len() as u64;
    }
    text
}

/// The value of `pod-template-hash` for a template: the same for equal templates whatever the order of their
/// fields, another when a collision count was added to step around a clash.
pub fn pod_template_hash(template: &Value, collisions: i64) -> String {
    let mut hash = Fnv::new();
    hash_value(template, &mut hash);
    if collisions > 0 {
        hash.add(&collisions.to_le_bytes());
    }
    let digits = (hash.0 as u32 ^ (hash.0 >> 32) as u32).to_string();
    digits.bytes().map(|digit| ALPHABET[(digit as usize) % ALPHABET.len()] as char).collect()
}

struct Fnv(u64);

impl Fnv {
    fn new() -> Fnv {
        Fnv(0xcbf2_9ce4_8422_2325)
    }

    fn add(&mut self, bytes: &[u8]) {
        for byte in bytes {
            self.0 = (self.0 ^ u64::from(*byte)).wrapping_mul(0x0000_0100_0000_01b3);
        }
    }
}

fn hash_value(value: &Value, hash: &mut Fnv) {
    match value {
        Value::Object(map) => {
            let mut entries: Vec<_> = map.iter().filter(|(_, value)| !value.is_null()).collect();
            entries.sort_by_key(|(key, _)| key.as_str());
            hash.add(b"{");
            for (key, value) in entries {
                hash.add(key.as_bytes());
                hash.add(b":");
                hash_value(value, hash);
            }
            hash.add(b"}");
        }
        Value::Array(items) => {
            hash.add(b"[");
            for item in items {
                hash_value(item, hash);
                hash.add(b",");
            }
            hash.add(b"]");
        }
        leaf => hash.add(leaf.to_string().as_bytes()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn owner_refs_round_trip() {
        let mut owner = Object::new("apps/v1", "ReplicaSet");
        owner.set_name("web");
        owner.set_uid("u1");
        let mut pod = Object::new("v1", "Pod");
        assert!(controller_ref(&pod).is_none());
        pod.set_owner_refs(&[
            OwnerRef { uid: "u0".into(), ..OwnerRef::default() },
            OwnerRef::controller_of(&owner),
        ]);
        assert!(is_controlled_by(&pod, &owner));
        assert_eq!(pod.owner_refs().len(), 2);
        assert_eq!(controller_ref(&pod), Some(OwnerRef::controller_of(&owner)));
        pod.set_owner_refs(&[]);
        assert_eq!(pod.get(&["metadata", "ownerReferences"]), None);
    }

    #[test]
    fn names_fit_a_label() {
        assert_eq!(generate_name("web-", 0), "web-bbbbb");
        let long = generate_name(&"x".repeat(100), u64::MAX);
        assert_eq!(long.len(), 63);
        assert!(generate_name("web-", 12345).bytes().skip(4).all(|b| ALPHABET.contains(&b)));
        assert_ne!(random_suffix(1), random_suffix(2));
    }

    #[test]
    fn template_hash_ignores_order_and_minds_content() {
        let a: Value = serde_json::from_str(r#"{"a":1,"b":[1,2],"c":null}"#).unwrap();
        let b: Value = serde_json::from_str(r#"{"b":[1,2],"a":1}"#).unwrap();
        let c: Value = serde_json::from_str(r#"{"b":[2,1],"a":1}"#).unwrap();
        assert_eq!(pod_template_hash(&a, 0), pod_template_hash(&b, 0));
        assert_ne!(pod_template_hash(&a, 0), pod_template_hash(&c, 0));
        assert_ne!(pod_template_hash(&a, 0), pod_template_hash(&a, 1));
    }
}
