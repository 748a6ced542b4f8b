//! Harms to processes beyond death: started again with other knobs or on another machine, and CPUs that are slow.

use super::{Nemesis, effect, until, us};
use effect::Meter;
use std::{collections::BTreeMap, time::Duration};
use world::{Death, cpu, process};

/// How long a process is down between its end and its next start.
const DOWN: u64 = 50_000;

impl Nemesis {
    /// The knobs with which a process starts now.
    pub fn knobs(&self, process: &str) -> base::Knobs {
        let mut knobs = self.knobs.clone();
        self.claims.set_knobs(process, &mut knobs);
        knobs
    }

    pub(super) async fn restart(&self, hit: &[String], at: u64, meter: &Meter) -> String {
        self.fell(hit, Death::Process, at + DOWN, meter).await
    }

    /// They start again with other knobs, and once more with those from before if that is to be before the heal.
    pub(super) async fn reconfigure(
        &self,
        hit: &[String],
        knobs: &BTreeMap<String, u64>,
        (at, until_us): (u64, u64),
        meter: &Meter,
    ) -> String {
        let claim = self.claims.configure(hit, knobs);
        let did = self.restart(hit, at, meter).await;
        if until_us >= self.heal {
            return did;
        }
        until(until_us).await;
        self.claims.restore(hit, claim);
        let back = self.restart(hit, until_us, meter).await;
        if did.is_empty() || back.is_empty() {
            did
        } else {
            format!("{did}, and again with the knobs from before")
        }
    }

    /// Their machines are gone with all that was on their disks; others come in their place.
    pub(super) async fn replace(&self, hit: &[String], until_us: u64, meter: &Meter) -> String {
        let felled = hit.iter().filter(|name| self.claims.fell(name, Death::Power)).count();
        let replaced = hit.iter().filter(|name| process::replace(name)).count();
        until(until_us).await;
        let raised = hit.iter().filter(|name| self.claims.raise(name)).count();
        let machines = if replaced == 1 { "1 machine".into() } else { format!("{replaced} machines") };
        match meter.deaths(felled, raised) {
            _ if replaced == 0 => String::new(),
            died if died.is_empty() => format!("{machines} replaced"),
            died => format!("{died}, {machines} replaced"),
        }
    }

    /// Each step of these takes a while.
    pub(super) async fn slow_cpu(&self, hit: &[String], cost: (u64, u64), until_us: u64) -> String {
        let before: Vec<cpu::Counters> = hit.iter().map(|name| cpu::counters(name)).collect();
        let claim = self.claims.slow_cpu(hit, &(us(cost.0)..us(cost.1 + 1)));
        until(until_us).await;
        self.claims.quicken_cpu(hit, claim);
        let (mut steps, mut busy, mut longest) = (0, Duration::ZERO, Duration::ZERO);
        for (name, before) in hit.iter().zip(&before) {
            let now = cpu::counters(name);
            (steps, busy) = (steps + now.steps - before.steps, busy + now.busy - before.busy);
            longest = longest.max(now.longest);
        }
        effect::steps(steps, busy, longest)
    }
}
