//! What is next for one pod. Pure: from the pod as the cache has it, what its containers are doing, and now.

use objects::Object;
use std::time::Duration;

/// What the containers of a pod are doing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Doing {
    Nothing,
    Starting {
        until: Duration,
    },
    /// `until`: when they end by themselves; for ever if never.
    Running {
        until: Option<Duration>,
    },
    Stopping {
        until: Duration,
    },
    /// They have ended by themselves, and are not started again.
    Ended {
        code: i32,
    },
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
    /// Their time is over: the containers have ended by themselves.
    Expire,
    /// They ran when last heard of, and are gone: a pod that is never restarted has lost them.
    Lose,
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
        Doing::Ended { .. } if leaving => Step::Finish,
        Doing::Ended { .. } => Step::Rest,
        Doing::Running { .. } | Doing::Starting { .. } if ended || leaving => Step::Stop,
        Doing::Running { until: None } => Step::Rest,
        Doing::Running { until: Some(until) } if now < until => Step::Wait(until),
        Doing::Running { .. } => Step::Expire,
        Doing::Starting { until } if now < until => Step::Wait(until),
        Doing::Starting { .. } => Step::Started,
        Doing::Nothing if leaving => Step::Finish,
        Doing::Nothing if ended => Step::Rest,
        Doing::Nothing if ran(pod) && restarts(pod) == "Never" => Step::Lose,
        Doing::Nothing => Step::Admit,
    }
}

fn ran(pod: &Object) -> bool {
    pod.get_str(&["status", "phase"]) == "Running"
}

/// "Always", "OnFailure" or "Never".
pub fn restarts(pod: &Object) -> &str {
    match pod.get_str(&["spec", "restartPolicy"]) {
        "" => "Always",
        policy => policy,
    }
}

fn without_pod(doing: Doing, now: Duration) -> Step {
    match doing {
        Doing::Nothing | Doing::Ended { .. } => Step::Forget,
        Doing::Running { .. } | Doing::Starting { .. } => Step::Stop,
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
            Doing::Running { until: None },
            Doing::Running { until: Some(S(9)) },
            Doing::Running { until: Some(S(1)) },
            Doing::Stopping { until: S(9) },
            Doing::Stopping { until: S(1) },
            Doing::Ended { code: 0 },
        ];
        use Step::*;
        let never = |phase: &str| {
            let mut pod = pod(phase, false);
            pod.set(&["spec", "restartPolicy"], "Never");
            pod
        };
        let (wait, rest) = (Wait(S(9)), Rest);
        let table: [(Option<Object>, [Step; 9]); 6] = [
            (Some(pod("Pending", false)), [Admit, wait, Started, rest, wait, Expire, wait, Stopped, rest]),
            (Some(pod("Running", true)), [Finish, Stop, Stop, Stop, Stop, Stop, wait, Stopped, Finish]),
            (Some(pod("Failed", false)), [rest, Stop, Stop, Stop, Stop, Stop, wait, Stopped, rest]),
            (Some(never("Pending")), [Admit, wait, Started, rest, wait, Expire, wait, Stopped, rest]),
            (Some(never("Running")), [Lose, wait, Started, rest, wait, Expire, wait, Stopped, rest]),
            (None, [Forget, Stop, Stop, Stop, Stop, Stop, wait, Stopped, Forget]),
        ];
        for (pod, steps) in table {
            for (doing, step) in all.iter().zip(steps) {
                assert_eq!(next(pod.as_ref(), *doing, S(5)), step, "{pod:?} {doing:?}");
            }
        }
    }
}
