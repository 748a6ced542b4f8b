//! Every kind the API serves. A kind is one file under `kinds/` and one line in the list below.

use serde_json::Value;

use crate::field_error::FieldError;
use crate::object::Object;
use crate::table::{Column, NAME_AND_AGE, name_and_age};
use crate::{names, validate};

macro_rules! kinds {
    ($($module:ident),* $(,)?) => {
        $(pub mod $module;)*
        /// In the order of discovery: the core group first.
        pub static KINDS: &[&Kind] = &[$(&$module::KIND),*];
    };
}

kinds! {
    config_map,
    event,
    namespace,
    node,
    pod,
    service,
    service_account,
    lease,
    deployment,
    replica_set,
    job,
}

/// What a label of a field selector reads.
#[derive(Clone, Copy, Debug)]
pub struct Field {
    pub label: &'static str,
    pub path: &'static [&'static str],
    /// What a missing field reads as.
    pub missing: &'static str,
}

impl Field {
    pub const fn new(label: &'static str, path: &'static [&'static str]) -> Field {
        Field { label, path, missing: "" }
    }
}

/// One kind of object: its names, and what is particular to it.
pub struct Kind {
    pub group: &'static str,
    pub version: &'static str,
    pub kind: &'static str,
    pub plural: &'static str,
    pub singular: &'static str,
    /// What it is, in a sentence, for those who ask the API to explain.
    pub about: &'static str,
    pub short_names: &'static [&'static str],
    pub categories: &'static [&'static str],
    pub namespaced: bool,
    pub has_status: bool,
    pub has_scale: bool,
    /// A client that creates the object also says its first status.
    pub keeps_status_on_create: bool,
    /// Has `metadata.generation`, bumped when the spec changes.
    pub has_generation: bool,
    /// Subresources other than status and scale, as (name, kind they take, its group and version).
    pub subresources: &'static [(&'static str, &'static str, &'static str)],
    /// Its name in the schema.
    pub definition: &'static str,
    /// An update without a resourceVersion overwrites whatever is there.
    pub unconditional_update: bool,
    /// PUT to a name that is not there creates.
    pub create_on_update: bool,
    /// A delete that says nothing about what it owns lets that go, as it was before there was a choice.
    pub orphans_by_default: bool,
    /// Objects of this kind vanish after so many seconds.
    pub ttl_seconds: Option<u64>,
    /// What is wrong with a name; nothing when it is good.
    pub name_rule: fn(&str) -> Vec<String>,
    pub defaults: fn(&mut Object),
    /// What is wrong with the object beyond its metadata; `old` is there on an update.
    pub validate: fn(&Object, Option<&Object>) -> Vec<FieldError>,
    /// What is wrong with a new status.
    pub validate_status: fn(&Object, &Object) -> Vec<FieldError>,
    /// What the server fills in on create, after the defaults.
    pub on_create: fn(&mut Object),
    /// What the server fills in once the new object has its name and uid.
    pub on_named: fn(&mut Object),
    /// What the server fills in on update, after the defaults and after system fields were carried over.
    pub on_update: fn(&mut Object, &Object),
    /// Whether the update is a change of the desired state.
    pub spec_changed: fn(&Object, &Object) -> bool,
    /// Fields a selector may name besides metadata.name and metadata.namespace.
    pub fields: &'static [Field],
    pub columns: &'static [Column],
    /// The cells of the columns, at a time in ns since 1970.
    pub row: fn(&Object, u64) -> Vec<Value>,
}

/// What most kinds are: namespaced, with spec and status, named by a DNS subdomain.
pub const COMMON: Kind = Kind {
    group: "",
    version: "v1",
    kind: "",
    plural: "",
    singular: "",
    about: "",
    short_names: &[],
    categories: &[],
    namespaced: true,
    has_status: false,
    has_scale: false,
    keeps_status_on_create: false,
    has_generation: false,
    subresources: &[],
    definition: "",
    unconditional_update: true,
    create_on_update: false,
    orphans_by_default: false,
    ttl_seconds: None,
    name_rule: names::dns_subdomain,
    defaults: |_| {},
    validate: |_, _| Vec::new(),
    validate_status: |_, _| Vec::new(),
    on_create: |_| {},
    on_named: |_| {},
    on_update: |_, _| {},
    spec_changed: |new, old| new.get(&["spec"]) != old.get(&["spec"]),
    fields: &[],
    columns: NAME_AND_AGE,
    row: name_and_age,
};

/// The kind served at `/apis/<group>/<version>/.../<plural>` (`/api/v1` when the group is empty).
pub fn by_plural(group: &str, version: &str, plural: &str) -> Option<&'static Kind> {
    KINDS.iter().copied().find(|k| k.group == group && k.version == version && k.plural == plural)
}

/// The kind of an object's apiVersion and kind.
pub fn by_kind(api_version: &str, kind: &str) -> Option<&'static Kind> {
    let (group, version) = api_version.split_once('/').unwrap_or(("", api_version));
    KINDS.iter().copied().find(|k| k.group == group && k.version == version && k.kind == kind)
}

/// (group, version) pairs in use, the core group first, without repeats.
pub fn group_versions() -> Vec<(&'static str, &'static str)> {
    let mut found: Vec<(&str, &str)> = Vec::new();
    for kind in KINDS {
        if !found.contains(&(kind.group, kind.version)) {
            found.push((kind.group, kind.version));
        }
    }
    found
}

/// Metadata only the server writes: taken from the stored object on every update.
const SYSTEM_FIELDS: [&str; 6] =
    ["uid", "creationTimestamp", "generation", "selfLink", "deletionTimestamp", "deletionGracePeriodSeconds"];

impl Kind {
    /// "v1", "apps/v1".
    pub fn api_version(&self) -> String {
        if self.group.is_empty() {
            self.version.to_string()
        } else {
            format!("{}/{}", self.group, self.version)
        }
    }

    pub fn list_kind(&self) -> String {
        format!("{}List", self.kind)
    }

    /// "pods", "deployments.apps": how messages name the resource.
    pub fn resource(&self) -> String {
        if self.group.is_empty() {
            self.plural.to_string()
        } else {
            format!("{}.{}", self.plural, self.group)
        }
    }

    /// "Pod", "Deployment.apps": how messages name the kind.
    pub fn group_kind(&self) -> String {
        if self.group.is_empty() { self.kind.to_string() } else { format!("{}.{}", self.kind, self.group) }
    }

    /// Where objects of this kind are in the store: "/registry/pods/".
    pub fn prefix(&self) -> String {
        format!("/registry/{}/", self.plural)
    }

    /// Where one object is in the store: "/registry/pods/default/web".
    pub fn storage_key(&self, namespace: Option<&str>, name: &str) -> String {
        match namespace {
            Some(namespace) => format!("/registry/{}/{namespace}/{name}", self.plural),
            None => format!("/registry/{}/{name}", self.plural),
        }
    }

    /// Fills in what the author left out.
    pub fn apply_defaults(&self, object: &mut Object) {
        (self.defaults)(object);
    }

    /// Makes an object of a client fit to be created: system fields and status are not the client's to say.
    /// Call after `apply_defaults`; uid, creationTimestamp and a generated name are the caller's to add, and then to
    /// call `on_named`.
    pub fn prepare_create(&self, object: &mut Object) {
        for field in SYSTEM_FIELDS {
            object.remove(&["metadata", field]);
        }
        if self.has_status && !self.keeps_status_on_create {
            object.remove(&["status"]);
        }
        if self.has_generation {
            object.set_generation(1);
        }
        (self.on_create)(object);
    }

    /// Carries over what an update may not touch, and bumps the generation when the desired state changed.
    pub fn prepare_update(&self, new: &mut Object, old: &Object) {
        carry_system_fields(new, old);
        if self.has_status {
            carry(new, old, &["status"]);
        }
        (self.on_update)(new, old);
        if self.has_generation && (self.spec_changed)(new, old) {
            new.set_generation(old.generation() + 1);
        }
    }

    /// Carries over everything but the status (and the metadata a status writer may change).
    pub fn prepare_status_update(&self, new: &mut Object, old: &Object) {
        carry_system_fields(new, old);
        carry(new, old, &["spec"]);
        carry(new, old, &["metadata", "ownerReferences"]);
        if self.group == "apps" {
            carry(new, old, &["metadata", "labels"]);
        }
        for field in old.map().keys().chain(new.map().keys()).cloned().collect::<Vec<_>>() {
            if !["metadata", "spec", "status", "apiVersion", "kind"].contains(&field.as_str()) {
                carry(new, old, &[&field]);
            }
        }
    }

    pub fn check_create(&self, object: &Object) -> Vec<FieldError> {
        let mut errors = validate::metadata(self, object);
        errors.extend((self.validate)(object, None));
        errors
    }

    pub fn check_update(&self, new: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = validate::metadata_update(self, new, old);
        errors.extend((self.validate)(new, Some(old)));
        errors
    }

    pub fn check_status_update(&self, new: &Object, old: &Object) -> Vec<FieldError> {
        let mut errors = validate::metadata_update(self, new, old);
        errors.extend((self.validate_status)(new, old));
        errors
    }
}

fn carry_system_fields(new: &mut Object, old: &Object) {
    for field in SYSTEM_FIELDS {
        carry(new, old, &["metadata", field]);
    }
}

/// Makes the field what it was.
fn carry(new: &mut Object, old: &Object, path: &[&str]) {
    match old.get(path) {
        Some(value) => new.set(path, value.clone()),
        None => {
            new.remove(path);
        }
    }
}

impl std::fmt::Debug for Kind {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.api_version(), self.plural)
    }
}

/// There is one of each kind.
impl PartialEq for Kind {
    fn eq(&self, other: &Kind) -> bool {
        self.group == other.group && self.version == other.version && self.kind == other.kind
    }
}

impl Eq for Kind {}
