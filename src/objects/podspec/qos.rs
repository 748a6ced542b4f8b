//! The class of a pod: who is killed first when a node runs short.

use serde_json::Value;

use super::all_containers;
use super::resources::{Amounts, add, amounts};

/// "Guaranteed", "Burstable" or "BestEffort".
pub fn qos_class(spec: &Value) -> &'static str {
    let (mut requests, mut limits) = (Amounts::new(), Amounts::new());
    let mut limited = true;
    for (_, container) in all_containers(spec) {
        let of = |field: &str| {
            let mut found = amounts(container.get("resources").and_then(|r| r.get(field)));
            found.retain(|name, amount| ["cpu", "memory"].contains(&name.as_str()) && !amount.is_zero());
            found
        };
        let own_limits = of("limits");
        limited &= own_limits.len() == 2;
        add(&mut requests, &of("requests"));
        add(&mut limits, &own_limits);
    }
    if requests.is_empty() && limits.is_empty() {
        "BestEffort"
    } else if limited && requests == limits {
        "Guaranteed"
    } else {
        "Burstable"
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn classes() {
        let full = json!({"cpu": "1", "memory": "1Gi"});
        let cases = [
            (json!([{"resources": {}}]), "BestEffort"),
            (json!([{"resources": {"requests": {"cpu": "0"}}}]), "BestEffort"),
            (json!([{"resources": {"requests": full, "limits": full}}]), "Guaranteed"),
            (json!([{"resources": {"requests": full, "limits": full}}, {}]), "Burstable"),
            (json!([{"resources": {"requests": {"cpu": "1"}, "limits": full}}]), "Burstable"),
            (json!([{"resources": {"requests": {"cpu": "1"}}}]), "Burstable"),
            (json!([{"resources": {"limits": {"cpu": "1"}, "requests": {"cpu": "1"}}}]), "Burstable"),
        ];
        for (containers, class) in cases {
            assert_eq!(qos_class(&json!({"containers": containers})), class, "{containers}");
        }
    }
}
