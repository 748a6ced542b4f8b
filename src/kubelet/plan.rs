//! What is next for one pod. Pure: from the pod as the cache has it, what its containers are doing, and now.

use objects::Object;
use std::time::Duration;

/// What the containers of a pod are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Nothing,
    Starting { until: Duration },
    Running,
    Stopping { until: Duration },
}

/// The next step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Step {
    Rest,
    /// Look again at this time.
    Wait(Duration),
    /// Decide whether the pod fits, and begin to start it.
    Admit,
    /// The starting time is over: the containers run.
    Started,
    /// Begin to stop.
    Stop,
    /// The stopping time is over: the containers have ended.
    Stopped,
    /// The pod was asked to go and nothing of it runs: say so, for good.
    Finish,
    /// The pod no longer exists and nothing of it runs.
    Forget,
}

/// `pod` is None when the cache no longer has it (or has another of the same name).
pub fn next(pod: Option<&Object>, doing: Doing, now: Duration) -> Step {
    let Some(pod) = pod else { return without_pod(doing, now) };
    let ended = matches!(pod.get_str(&["status", "phase"]), "Succeeded" | "Failed");
    let leaving = pod.deletion_timestamp().is_some();
    match doing {
        Doing::Stopping { until } if now < until => Step::Wait(until),
        Doing::Stopping { .. } => Step::Stopped,
        Doing::Running | Doing::Starting { .. } if ended || leaving => Step::Stop,
        Doing::Running => Step::Rest,
        Doing::Starting { until } if now < until => Step::Wait(until),
        Doing::Starting { .. } => Step::Started,
        Doing::Nothing if leaving => Step::Finish,
        Doing::Nothing if ended => Step::Rest,
        Doing::Nothing => Step::Admit,
    }
}

fn without_pod(doing: Doing, now: Duration) -> Step {
    match doing {
        Doing::Nothing => Step::Forget,
        Doing::Running | Doing::Starting { .. } => Step::Stop,
        Doing::Stopping { until } if now < until => Step::Wait(until),
        Doing::Stopping { .. } => Step::Stopped,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    const S: fn(u64) -> Duration = Duration::from_secs;

    fn pod(phase: &str, leaving: bool) -> Object {
        let mut value = json!({ "apiVersion": "v1", "kind": "Pod", "status": { "phase": phase },
            "metadata": { "name": "p", "namespace": "d", "uid": "u" } });
        if leaving {
            value["metadata"]["deletionTimestamp"] = "2026-01-01T00:00:00Z".into();
        }
        Object::from_value(value).expect("a pod")
    }

    #[test]
    fn every_state_of_a_pod_and_its_containers_has_one_next_step() {
        let all = [
            Doing::Nothing,
            Doing::Starting { until: S(9) },
            Doing::Starting { until: S(1) },
            Doing::Running,
            Doing::Stopping { until: S(9) },
            Doing::Stopping { until: S(1) },
        ];
        use Step::*;
        let table: [(Option<Object>, [Step; 6]); 4] = [
            (Some(pod("Pending", false)), [Admit, Wait(S(9)), Started, Rest, Wait(S(9)), Stopped]),
            (Some(pod("Running", true)), [Finish, Stop, Stop, Stop, Wait(S(9)), Stopped]),
            (Some(pod("Failed", false)), [Rest, Stop, Stop, Stop, Wait(S(9)), Stopped]),
            (None, [Forget, Stop, Stop, Stop, Wait(S(9)), Stopped]),
        ];
        for (pod, steps) in table {
            for (doing, step) in all.iter().zip(steps) {
                assert_eq!(next(pod.as_ref(), *doing, S(5)), step, "{pod:?} {doing:?}");
            }
        }
    }
}
