//! Harms to what a process knows and to what it has begun (Sieve): a death midway, a view that stands still, a
//! view that is old.

use super::{Nemesis, claims::Link, effect, now, until, us};
use crate::history::trap::Trap;
use world::{Death, Held, Profile, net};

impl Nemesis {
    /// Each dies before the write that comes after so many; if it does not write so much before the end, not.
    pub(super) async fn midway(&self, hit: &[String], after: u64, lasting: u64) -> String {
        let deaths = hit.iter().map(|name| self.dies_midway(name, after, lasting));
        let died: Vec<String> = futures::future::join_all(deaths).await.into_iter().flatten().collect();
        died.join(", ")
    }

    async fn dies_midway(&self, name: &str, after: u64, lasting: u64) -> Option<String> {
        let (claims, process) = (self.claims.clone(), name.to_string());
        let (trap, told) = Trap::new(name, after, move || {
            claims.fell(&process, Death::Process);
        });
        self.seen.lock().traps.push(trap);
        let patience = self.heal.saturating_sub(lasting).saturating_sub(now() / 1_000);
        let (last, next) = rt::timeout(us(patience), told).await.ok()?.ok()?;
        until((now() / 1_000 + lasting).min(self.heal)).await;
        self.claims.raise(name);
        Some(match last {
            Some(last) => format!("{name} died between {last} and {next}"),
            None => format!("{name} died before {next}"),
        })
    }

    /// Connections that are open now are alive but silent.
    pub(super) async fn hold(&self, links: &[Link], until_us: u64) -> String {
        let held: Vec<Held> = links.iter().map(|(from, to)| net().hold(from, to)).collect();
        until(until_us).await;
        let (mut bytes, mut gone) = (0, 0);
        for held in &held {
            let (late, left) = net().release(held);
            (bytes, gone) = (bytes + late, gone + left);
        }
        let said = [(bytes, "bytes late"), (gone as u64, "connections given up")];
        let said = said.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        said.collect::<Vec<_>>().join(", ")
    }

    /// What members say reaches these so much later, in order; what they say reaches members as ever.
    pub(super) async fn lag(&self, hit: &[String], by: u64, until_us: u64) -> String {
        let members = self.processes.iter().filter(|name| name.starts_with("member-"));
        let links: Vec<Link> =
            members.flat_map(|member| hit.iter().map(|name| (member.clone(), name.clone()))).collect();
        let slow = Profile { latency: us(by)..us(by + 1), tail: 0.0, ..self.profile.clone() };
        let before = effect::sent(&links);
        let claim = self.claims.slow(&links, &slow);
        until(until_us).await;
        self.claims.quicken(&links, claim);
        match effect::sent(&links) - before {
            0 => String::new(),
            sent => format!("{sent} packets late"),
        }
    }
}
