//! Harms to processes beyond death: started again with other knobs or on another machine, CPUs that are slow, and too
//! little memory.

use super::{Nemesis, effect, now, until, us};
use effect::Meter;
use std::{collections::BTreeMap, time::Duration};
use world::{
    Death, cpu,
    memory::{self, Over},
    process,
};

/// How long a process is down between its end and its next start.
const DOWN: u64 = 50_000;
/// How long it is down when the kernel killed it for its memory.
const OUT_OF_MEMORY: u64 = 500_000;

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

    /// Each dies as often as it holds more, and lives again as soon as it may hold what it likes.
    pub(super) async fn limit_memory(&self, hit: &[String], limit: u64, until_us: u64) -> String {
        let claim = self.claims.limit_memory(hit, limit);
        let fates = hit.iter().map(|name| self.out_of_memory(name, limit, until_us));
        let fates = futures::future::join_all(fates).await;
        self.claims.lift_memory(hit, claim);
        let said = hit.iter().zip(&fates).map(|(name, kills)| effect::out_of_memory(name, kills));
        said.filter(|said| !said.is_empty()).collect::<Vec<_>>().join(", ")
    }

    /// Kills a process each time it holds more than it may, from here and so not from within its own steps.
    async fn out_of_memory(&self, name: &str, limit: u64, until_us: u64) -> Vec<Over> {
        let mut kills = vec![];
        loop {
            let over = rt::select! {
                over = memory::over(name, limit) => over,
                () = until(until_us) => break,
            };
            // another limit that it is over may have been quicker
            if self.claims.fell(name, Death::Process) {
                base::reached!("tank: a process was killed for its memory");
                base::reached!("tank: a process was killed for its memory again", !kills.is_empty());
                kills.push(over);
            }
            until((now() / 1_000 + OUT_OF_MEMORY).min(until_us)).await;
            self.claims.raise(name);
        }
        let lives = process::status(name).is_some_and(|status| status.up);
        base::reached!("tank: a process lived below its limit of memory", lives && kills.is_empty());
        kills
    }
}
