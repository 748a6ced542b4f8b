//! What a pod asks of a node.

use std::collections::BTreeMap;

use serde_json::Value;

use super::list;
use crate::quantity::Quantity;

/// Amounts by name: "cpu", "memory", ...
pub type Amounts = BTreeMap<String, Quantity>;

/// The amounts of a map of quantities; what is no quantity is skipped.
pub fn amounts(map: Option<&Value>) -> Amounts {
    let entries = map.and_then(Value::as_object).into_iter().flatten();
    entries.filter_map(|(name, value)| Some((name.clone(), Quantity::from_value(value).ok()?))).collect()
}

fn requests_of(container: &Value) -> Amounts {
    amounts(container.get("resources").and_then(|r| r.get("requests")))
}

pub fn add(sum: &mut Amounts, more: &Amounts) {
    for (name, amount) in more {
        let entry = sum.entry(name.clone()).or_insert(Quantity::ZERO);
        *entry = entry.plus(*amount);
    }
}

fn raise(to: &mut Amounts, other: &Amounts) {
    for (name, amount) in other {
        let entry = to.entry(name.clone()).or_insert(Quantity::ZERO);
        *entry = (*entry).max(*amount);
    }
}

/// What the pod of this spec needs at once: its containers together (with init containers that keep running), or
/// the hungriest moment of its start, whichever is more; and the overhead.
pub fn pod_requests(spec: &Value) -> Amounts {
    let mut running = Amounts::new();
    let mut peak = Amounts::new();
    for container in list(spec, "initContainers") {
        let own = requests_of(container);
        if container.get("restartPolicy").and_then(Value::as_str) == Some("Always") {
            add(&mut running, &own);
            raise(&mut peak, &running);
        } else {
            let mut moment = running.clone();
            add(&mut moment, &own);
            raise(&mut peak, &moment);
        }
    }
    for container in list(spec, "containers") {
        add(&mut running, &requests_of(container));
    }
    raise(&mut peak, &running);
    add(&mut peak, &amounts(spec.get("overhead")));
    peak
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn cpu(milli: i64) -> Value {
        json!({"resources": {"requests": {"cpu": format!("{milli}m")}}})
    }

    #[test]
    fn the_hungriest_moment_counts() {
        let mut sidecar = cpu(50);
        sidecar["restartPolicy"] = json!("Always");
        let cases = [
            (json!({"containers": [cpu(100), cpu(200)]}), 300),
            (json!({"containers": [cpu(100)], "initContainers": [cpu(500)]}), 500),
            (json!({"containers": [cpu(100)], "initContainers": [sidecar, cpu(500)]}), 550),
            (json!({"containers": [cpu(100)], "overhead": {"cpu": "10m"}}), 110),
            (json!({"containers": [{}]}), 0),
        ];
        for (spec, milli) in cases {
            assert_eq!(pod_requests(&spec).get("cpu").map_or(0, |q| q.milli()), milli, "{spec}");
        }
    }
}
