//! Arithmetic of a rolling update: how many pods more, how many fewer.

use serde_json::Value;

use crate::object::Object;

/// An int-or-percent of a total. None when it is neither.
pub fn resolve(value: &Value, total: i64, round_up: bool) -> Option<i64> {
    match value {
        Value::Number(number) => number.as_i64(),
        Value::String(text) => {
            let percent: i64 = text.strip_suffix('%')?.parse().ok()?;
            let product = percent.checked_mul(total)?;
            Some(if round_up { (product + 99).div_euclid(100) } else { product.div_euclid(100) })
        }
        _ => None,
    }
}

fn bound(deployment: &Object, field: &str, round_up: bool) -> i64 {
    let given = deployment.get(&["spec", "strategy", "rollingUpdate", field]);
    let replicas = replicas(deployment);
    given.and_then(|value| resolve(value, replicas, round_up)).unwrap_or(0)
}

/// spec.replicas, 1 when left out.
pub fn replicas(object: &Object) -> i64 {
    object.get_i64(&["spec", "replicas"]).unwrap_or(1)
}

pub fn is_rolling(deployment: &Object) -> bool {
    deployment.get_str(&["spec", "strategy", "type"]) != "Recreate"
}

/// How many pods above the wanted number may exist; percentages round up.
pub fn max_surge(deployment: &Object) -> i64 {
    if is_rolling(deployment) { bound(deployment, "maxSurge", true) } else { 0 }
}

/// How many pods of the wanted number may be missing; percentages round down. When both bounds come to nothing
/// one pod may be missing, or nothing could ever move.
pub fn max_unavailable(deployment: &Object) -> i64 {
    if !is_rolling(deployment) {
        return 0;
    }
    let unavailable = bound(deployment, "maxUnavailable", false);
    let stuck = unavailable == 0 && max_surge(deployment) == 0;
    (if stuck { 1 } else { unavailable }).min(replicas(deployment))
}

/// Pods that must stay available during the update.
pub fn min_available(deployment: &Object) -> i64 {
    if is_rolling(deployment) { replicas(deployment) - max_unavailable(deployment) } else { 0 }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn surge_rounds_up_unavailable_down() {
        let cases = [
            (10, json!("25%"), json!("25%"), 3, 2),
            (4, json!("25%"), json!("25%"), 1, 1),
            (1, json!("25%"), json!("25%"), 1, 0),
            (3, json!(0), json!("25%"), 0, 1),
            (3, json!(0), json!(0), 0, 1),
            (3, json!(2), json!(5), 2, 3),
            (0, json!("25%"), json!("25%"), 0, 0),
            (1000, json!("100%"), json!("0%"), 1000, 0),
        ];
        for (replicas, surge, unavailable, up, down) in cases {
            let mut d = Object::new("apps/v1", "Deployment");
            d.set(&["spec", "replicas"], replicas);
            d.set(
                &["spec", "strategy"],
                json!({"type": "RollingUpdate",
                "rollingUpdate": {"maxSurge": surge, "maxUnavailable": unavailable}}),
            );
            assert_eq!((max_surge(&d), max_unavailable(&d)), (up, down), "{d:?}");
            assert_eq!(min_available(&d), replicas - down);
        }
    }

    #[test]
    fn recreate_and_nonsense() {
        let mut d = Object::new("apps/v1", "Deployment");
        d.set(&["spec", "strategy", "type"], "Recreate");
        assert_eq!((max_surge(&d), max_unavailable(&d), min_available(&d)), (0, 0, 0));
        assert_eq!(resolve(&json!("x%"), 1, true), None);
        assert_eq!(resolve(&json!("5"), 1, true), None);
        assert_eq!(resolve(&json!(true), 1, true), None);
    }
}
