//! Conditions in a status: found by type, changed without losing when they last changed.

use serde_json::{Value, json};

use crate::object::Object;
use crate::time;

/// What is said about an object under one type.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Condition {
    pub of: String,
    /// "True", "False" or "Unknown".
    pub status: String,
    pub reason: String,
    pub message: String,
}

impl Condition {
    pub fn new(of: &str, status: &str, reason: &str, message: &str) -> Condition {
        let own = str::to_string;
        Condition { of: own(of), status: own(status), reason: own(reason), message: own(message) }
    }
}

/// The condition of the type, as it stands in `status.conditions`.
pub fn get<'a>(object: &'a Object, of: &str) -> Option<&'a Value> {
    object
        .get_array(&["status", "conditions"])
        .iter()
        .find(|c| c.get("type").and_then(Value::as_str) == Some(of))
}

/// "True", "False", "Unknown", or "" when nothing is said.
pub fn status<'a>(object: &'a Object, of: &str) -> &'a str {
    get(object, of).and_then(|c| c.get("status")).and_then(Value::as_str).unwrap_or("")
}

pub fn is_true(object: &Object, of: &str) -> bool {
    status(object, of) == "True"
}

/// Which other time field a kind of object keeps in its conditions.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Beat {
    /// Only lastTransitionTime (Pods).
    None,
    /// lastHeartbeatTime: when the condition was last seen to hold (Nodes).
    Heartbeat,
    /// lastUpdateTime: when anything in it last changed (Deployments).
    Update,
}

/// Sets the condition in `status.conditions`; says whether its status, reason or message changed.
/// lastTransitionTime moves only when the status does.
pub fn set(object: &mut Object, condition: &Condition, beat: Beat, now: u64) -> bool {
    let now = time::rfc3339(now);
    let old = get(object, &condition.of).cloned();
    let was = |key: &str| old.as_ref().and_then(|c| c.get(key)).and_then(Value::as_str);
    let same_status = was("status") == Some(condition.status.as_str());
    let unchanged = same_status
        && was("reason").unwrap_or("") == condition.reason
        && was("message").unwrap_or("") == condition.message;
    let transition = was("lastTransitionTime").filter(|_| same_status).unwrap_or(&now).to_string();
    let mut new = old.clone().unwrap_or_else(|| json!({"type": condition.of}));
    new["status"] = json!(condition.status);
    new["lastTransitionTime"] = json!(transition);
    put(&mut new, "reason", &condition.reason);
    put(&mut new, "message", &condition.message);
    match beat {
        Beat::None => {}
        Beat::Heartbeat => new["lastHeartbeatTime"] = json!(now),
        Beat::Update if unchanged => {}
        Beat::Update => new["lastUpdateTime"] = json!(now),
    }
    place(object, &condition.of, new);
    !unchanged
}

fn put(condition: &mut Value, key: &str, text: &str) {
    match condition {
        Value::Object(map) if text.is_empty() => {
            map.remove(key);
        }
        other => other[key] = json!(text),
    }
}

fn place(object: &mut Object, of: &str, condition: Value) {
    let mut all = object.get_array(&["status", "conditions"]).to_vec();
    match all.iter_mut().find(|c| c.get("type").and_then(Value::as_str) == Some(of)) {
        Some(found) => *found = condition,
        None => all.push(condition),
    }
    object.set(&["status", "conditions"], all);
}

/// Removes the condition; says whether it was there.
pub fn remove(object: &mut Object, of: &str) -> bool {
    let all = object.get_array(&["status", "conditions"]);
    let kept: Vec<Value> =
        all.iter().filter(|c| c.get("type").and_then(Value::as_str) != Some(of)).cloned().collect();
    let gone = kept.len() < all.len();
    if gone {
        object.set(&["status", "conditions"], kept);
    }
    gone
}

#[cfg(test)]
mod tests {
    use super::*;

    const SECOND: u64 = 1_000_000_000;

    #[test]
    fn transition_time_moves_with_the_status_only() {
        let mut node = Object::new("v1", "Node");
        assert_eq!(status(&node, "Ready"), "");
        assert!(set(&mut node, &Condition::new("Ready", "True", "Up", ""), Beat::Heartbeat, 0));
        assert!(is_true(&node, "Ready"));
        assert!(!set(&mut node, &Condition::new("Ready", "True", "Up", ""), Beat::Heartbeat, 5 * SECOND));
        let ready = get(&node, "Ready").unwrap();
        assert_eq!(ready["lastTransitionTime"], json!("1970-01-01T00:00:00Z"));
        assert_eq!(ready["lastHeartbeatTime"], json!("1970-01-01T00:00:05Z"));
        assert!(set(&mut node, &Condition::new("Ready", "True", "Other", "m"), Beat::None, 6 * SECOND));
        assert_eq!(get(&node, "Ready").unwrap()["lastTransitionTime"], json!("1970-01-01T00:00:00Z"));
        assert!(set(&mut node, &Condition::new("Ready", "False", "", ""), Beat::None, 7 * SECOND));
        let ready = get(&node, "Ready").unwrap();
        assert_eq!(ready["lastTransitionTime"], json!("1970-01-01T00:00:07Z"));
        assert_eq!(ready.get("reason"), None);
        assert!(remove(&mut node, "Ready"));
        assert!(!remove(&mut node, "Ready"));
    }

    #[test]
    fn update_time_moves_with_any_change() {
        let mut d = Object::new("apps/v1", "Deployment");
        let same = Condition::new("Progressing", "True", "A", "m");
        assert!(set(&mut d, &same, Beat::Update, 0));
        assert!(!set(&mut d, &same, Beat::Update, 9 * SECOND));
        assert_eq!(get(&d, "Progressing").unwrap()["lastUpdateTime"], json!("1970-01-01T00:00:00Z"));
        assert!(set(&mut d, &Condition::new("Progressing", "True", "B", "m"), Beat::Update, 9 * SECOND));
        assert_eq!(get(&d, "Progressing").unwrap()["lastUpdateTime"], json!("1970-01-01T00:00:09Z"));
    }
}
