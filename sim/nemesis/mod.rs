//! Does the harm a plan says, on the world and never on the product's state; heals it; and accounts for what it
//! did, so that a run in which nothing was harmed is known to be vacuous.

pub mod claims;
mod disks;
mod effect;
mod processes;
mod views;

use crate::history::seen::{Effect, Seen};
use crate::plan::{Aim, Blow, Owed, Plan, PlannedHarm};
use crate::scenario::{
    DiskHarm, Moment, Role, Way,
    units::{say_size, say_time},
};
use claims::{Claims, Link};
use effect::Meter;
use futures::channel::oneshot;
use std::{sync::Arc, time::Duration};
use world::{Death, Profile, clock, cpu, disk_harm, memory, net, process};

/// Carries out a plan's harms. What becomes of two that overlap is told by [`claims`]; harms of disks are counted too.
#[derive(Clone)]
pub struct Nemesis {
    seen: Seen,
    processes: Arc<Vec<String>>,
    claims: Claims,
    /// Of the plan.
    knobs: base::Knobs,
    disks: disks::Disks,
    profile: Profile,
    /// When all harm ends, in microseconds.
    heal: u64,
}

fn us(us: u64) -> Duration {
    Duration::from_micros(us)
}

pub fn now() -> u64 {
    process::elapsed().as_nanos() as u64
}

/// Sleeps until a time of the plan.
pub async fn until(at: u64) {
    let left = us(at).saturating_sub(process::elapsed());
    if !left.is_zero() {
        rt::sleep(left).await;
    }
}

impl Nemesis {
    pub fn new(plan: &Plan, seen: &Seen) -> Self {
        let roles = [Role::ApiServer, Role::Manager, Role::Scheduler, Role::Node];
        let others = roles.iter().flat_map(|role| plan.cluster.processes(*role));
        let processes = plan.cluster.all_members().chain(others).map(|p| p.to_string()).collect();
        let nemesis = Nemesis {
            seen: seen.clone(),
            processes: Arc::new(processes),
            claims: Claims::default(),
            knobs: plan.knobs(),
            disks: disks::Disks::default(),
            profile: profile(plan),
            heal: plan.heal,
        };
        net().set_profile(nemesis.profile.clone());
        nemesis
    }

    /// Begins every harm at its time. Returns at once.
    pub fn unleash(&self, plan: &Plan) {
        for harm in &plan.harms {
            let (nemesis, harm) = (self.clone(), harm.clone());
            rt::spawn(async move {
                until(harm.at).await;
                match harm.upon {
                    None => nemesis.strike(&harm).await,
                    Some((moment, delay)) => nemesis.ambush(harm, moment, delay).await,
                }
            });
        }
    }

    /// True while the process is down because a harm says so.
    pub fn keeps_down(&self, process: &str) -> bool {
        self.claims.keeps_down(process)
    }

    /// Ends all harm, whatever its plan was. Members that ended because they were removed stay down: nobody starts them
    /// again, and the rest must not need them.
    pub fn heal_all(&self) {
        self.claims.forget();
        net().heal_all();
        self.seen.lock().traps.clear();
        let removed = self.seen.lock().removed.clone();
        self.disks.heal_all();
        for name in self.processes.iter() {
            process::resume(name);
            clock::heal(name);
            cpu::slow(name, None);
            memory::limit(name, None);
            if let Some(disk) = disk_harm::control(name) {
                disk.heal();
            }
            if !removed.contains(name) {
                process::restart(name);
            }
        }
    }

    /// Strikes a while after the next such moment, for as long as it was planned to last; if there is none in that
    /// time, not at all.
    async fn ambush(&self, mut harm: PlannedHarm, moment: Moment, delay: u64) {
        let lasting = harm.until.saturating_sub(harm.at);
        let come = self.lie_in_wait(&harm, moment, delay);
        let cut = rt::select! {
            cut = come => cut.unwrap_or_default(),
            () = until(self.heal.saturating_sub(lasting)) => return,
        };
        rt::sleep(us(delay)).await;
        harm.at = now() / 1_000;
        harm.until = (harm.at + lasting).min(self.heal);
        let over = async { self.claims.mend(&cut) };
        futures::join!(self.strike(&harm), over);
    }

    /// Until the next such moment. Who is to be cut off at once is so while it lasts: what that step of his still says
    /// never leaves him. Gives those links, which are cut until somebody mends them.
    fn lie_in_wait(&self, harm: &PlannedHarm, moment: Moment, delay: u64) -> oneshot::Receiver<Vec<Link>> {
        let (tell, told) = oneshot::channel();
        let (nemesis, harm) = (self.clone(), harm.clone());
        let strike = move || {
            let links = match &harm.blow {
                Blow::Partition { from, way, .. } if delay == 0 && !tell.is_canceled() => {
                    nemesis.links(&nemesis.hit(&harm), from.as_deref(), *way)
                }
                _ => vec![],
            };
            nemesis.claims.cut(&links);
            let _ = tell.send(links);
        };
        self.seen.lock().moments.wait(moment, strike);
        told
    }

    /// Who is meant by it, now.
    fn hit(&self, harm: &PlannedHarm) -> Vec<String> {
        let mut hit: Vec<String> = harm.of.iter().filter_map(|aim| self.resolve(aim)).collect();
        hit.sort();
        hit.dedup();
        hit
    }

    async fn strike(&self, harm: &PlannedHarm) {
        let hit = self.hit(harm);
        let meter = Meter::start(&hit);
        let at = now();
        let said = format!("{} {}", say(&harm.blow), hit.join(", "));
        let what = match harm.blow {
            Blow::Restart | Blow::Step(_) => said,
            Blow::RestartWith { .. } if harm.until >= self.heal => said,
            _ => format!("{said} for {}", say_time(harm.until.saturating_sub(harm.at))),
        };
        let did = match &harm.blow {
            Blow::Crash => self.fell(&hit, Death::Process, harm.until, &meter).await,
            Blow::PowerCut => self.fell(&hit, Death::Power, harm.until, &meter).await,
            Blow::Restart => self.restart(&hit, harm.at, &meter).await,
            Blow::RestartWith { knobs } => self.reconfigure(&hit, knobs, (harm.at, harm.until), &meter).await,
            Blow::Replace => self.replace(&hit, harm.until, &meter).await,
            Blow::SlowCpu(cost) => self.slow_cpu(&hit, *cost, harm.until).await,
            Blow::MemoryLimit(limit) => self.limit_memory(&hit, *limit, harm.until).await,
            Blow::Pause => self.pause(&hit, harm.until).await,
            Blow::Partition { from, way, flapping } => {
                let links = self.links(&hit, from.as_deref(), *way);
                self.partition(&links, *flapping, harm.until).await
            }
            Blow::Link { latency, loss } => self.slow_links(&hit, *latency, *loss, harm.until).await,
            Blow::Skew(shift) => self.skew(&hit, *shift, harm.until).await,
            Blow::Step(shift) => {
                let stepped =
                    hit.iter().filter(|name| *shift != 0 && self.claims.step(name, *shift * 1_000)).count();
                effect::clocks(stepped, *shift)
            }
            Blow::Midway { after } => self.midway(&hit, *after, harm.until.saturating_sub(harm.at)).await,
            Blow::Hold { from } => {
                let links = self.links(&hit, from.as_deref(), Way::Out);
                self.hold(&links, harm.until).await
            }
            Blow::Lag { by } => self.lag(&hit, *by, harm.until).await,
            Blow::Disk(disk) => self.disk(&hit, disk, harm.until, &meter).await,
        };
        let (line, required, until) = (harm.line, harm.owed == Owed::Touch, now());
        self.seen.lock().harms.push(Effect { at, until, of: hit, line, required, what, did });
    }

    /// Who is meant, now.
    pub fn resolve(&self, aim: &Aim) -> Option<String> {
        let name = match aim {
            Aim::Process(process) => Some(process.to_string()),
            Aim::Leader => self.seen.leader(),
            Aim::Active(role) => self.seen.active(*role),
            Aim::NodeRunning(pod) => self.seen.node_running(pod),
        };
        name.filter(|name| self.processes.contains(name))
    }

    async fn fell(&self, hit: &[String], death: Death, until_us: u64, meter: &Meter) -> String {
        let felled = hit.iter().filter(|name| self.claims.fell(name, death)).count();
        base::reached!("tank: a harm found its process down already", felled < hit.len());
        until(until_us).await;
        let raised = hit.iter().filter(|name| self.claims.raise(name)).count();
        meter.deaths(felled, raised)
    }

    async fn pause(&self, hit: &[String], until_us: u64) -> String {
        let paused: Vec<_> =
            hit.iter().filter_map(|name| self.claims.pause(name).map(|which| (name, which))).collect();
        until(until_us).await;
        for (name, incarnation) in &paused {
            self.claims.resume(name, *incarnation);
        }
        if paused.is_empty() { String::new() } else { format!("{} stood still", paused.len()) }
    }

    /// The directed links between those hit and the others.
    fn links(&self, hit: &[String], from: Option<&[Aim]>, way: Way) -> Vec<Link> {
        let others: Vec<String> = match from {
            Some(aims) => aims.iter().filter_map(|aim| self.resolve(aim)).collect(),
            // clients are part of the rest
            None => {
                process::names().into_iter().filter(|name| name != "judge" && name != "observer").collect()
            }
        };
        let mut links = vec![];
        for one in hit {
            for other in others.iter().filter(|other| !hit.contains(other)) {
                if way != Way::In {
                    links.push((one.clone(), other.clone()));
                }
                if way != Way::Out {
                    links.push((other.clone(), one.clone()));
                }
            }
        }
        links
    }

    async fn partition(&self, links: &[Link], flapping: Option<u64>, until_us: u64) -> String {
        let before = effect::dropped(links);
        let Some(pace) = flapping else {
            self.claims.cut(links);
            until(until_us).await;
            self.claims.mend(links);
            return effect::packets(effect::dropped(links) - before);
        };
        let mut at = process::elapsed().as_micros() as u64;
        while at < until_us {
            self.claims.cut(links);
            at += pace.max(1_000);
            until(at.min(until_us)).await;
            self.claims.mend(links);
            at += pace.max(1_000);
            until(at.min(until_us)).await;
        }
        effect::packets(effect::dropped(links) - before)
    }

    async fn slow_links(&self, hit: &[String], latency: (u64, u64), loss: u64, until_us: u64) -> String {
        let links = self.links(hit, None, Way::Both);
        let mut profile = Profile { loss: loss as f64 / 1e6, ..self.profile.clone() };
        if latency.1 > 0 {
            profile.latency = us(latency.0)..us(latency.1 + 1);
        }
        let before = effect::sent(&links);
        let claim = self.claims.slow(&links, &profile);
        until(until_us).await;
        self.claims.quicken(&links, claim);
        match effect::sent(&links) - before {
            0 => String::new(),
            sent => format!("{sent} packets slowed or lost"),
        }
    }

    async fn skew(&self, hit: &[String], shift: i64, until_us: u64) -> String {
        if shift == 0 {
            return String::new();
        }
        let (claim, moved) = self.claims.skew(hit, shift * 1_000);
        until(until_us).await;
        self.claims.unskew(&moved, claim);
        effect::clocks(moved.len(), shift)
    }
}

fn profile(plan: &Plan) -> Profile {
    Profile {
        latency: us(plan.latency.0)..us(plan.latency.1.max(plan.latency.0) + 1),
        loss: plan.loss as f64 / 1e6,
        duplicate: 0.001,
        reorder: 0.01,
        ..Profile::default()
    }
}

fn say(blow: &Blow) -> String {
    match blow {
        Blow::Crash => "crash".into(),
        Blow::PowerCut => "power cut of".into(),
        Blow::Restart => "restart".into(),
        Blow::RestartWith { knobs } => format!("restart with {} of", crate::plan::knob_table(knobs)),
        Blow::Replace => "another machine in the place of".into(),
        Blow::SlowCpu((low, high)) => {
            format!("each step takes {} to {} at", say_time(*low), say_time(*high))
        }
        Blow::MemoryLimit(limit) => format!("no more than {} of memory at", say_size(*limit)),
        Blow::Pause => "pause".into(),
        Blow::Partition { way: Way::In, .. } => "nothing reaches".into(),
        Blow::Partition { way: Way::Out, .. } => "nothing comes from".into(),
        Blow::Partition { flapping: Some(pace), .. } => {
            format!("cut off, on and off every {},", say_time(*pace))
        }
        Blow::Partition { .. } => "cut off".into(),
        Blow::Link { latency, loss } => {
            let slow = format!("links of {} to {}", say_time(latency.0), say_time(latency.1));
            if *loss > 0 {
                format!("{slow} with {:.1}% loss at", *loss as f64 / 1e4)
            } else {
                format!("{slow} at")
            }
        }
        Blow::Skew(shift) => format!("clock off by {:+.1} s at", *shift as f64 / 1e6),
        Blow::Step(shift) => format!("clock jumps by {:+.1} s at", *shift as f64 / 1e6),
        Blow::Disk(DiskHarm::Fail(op)) => format!("EIO on {} at", format!("{op:?}").to_lowercase()),
        Blow::Midway { after } => format!("death before its write number {} of", after + 1),
        Blow::Hold { .. } => "open connections keep back what is said by".into(),
        Blow::Lag { by } => format!("the store is heard {} late by", say_time(*by)),
        Blow::Disk(DiskHarm::Stall) => "disk stands still at".into(),
        Blow::Disk(DiskHarm::Full) => "disk full at".into(),
        Blow::Disk(DiskHarm::Slow(_)) => "slow disk at".into(),
        Blow::Disk(DiskHarm::Rot) => "bit rot at".into(),
        Blow::Disk(DiskHarm::Short) => "writes land in part at".into(),
        Blow::Disk(DiskHarm::Misdirected) => "writes land elsewhere at".into(),
        Blow::Disk(DiskHarm::Wipe) => "loss of the disk of".into(),
    }
}
