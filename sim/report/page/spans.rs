//! Who was up, who led and who held a lock, which term a member was in, and what was harmed: from when to when.

use super::lanes::Lanes;
use crate::history::Nanos;
use crate::history::seen::Effect;
use crate::plan::{Aim, Blow, PlannedHarm};
use crate::story::Story;
use base::Note;
use serde::Serialize;
use std::collections::BTreeMap;

/// A process that was not up.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Fate {
    pub lane: usize,
    pub from: Nanos,
    pub to: Nanos,
    /// `down` or `paused`
    pub state: &'static str,
    pub why: &'static str,
}

pub fn fates(story: &Story, lanes: &Lanes) -> Vec<Fate> {
    let mut open: BTreeMap<usize, Fate> = BTreeMap::new();
    let mut fates = vec![];
    for event in &story.events {
        let (state, why) = match event.kind.as_str() {
            "kill" if event.detail == "Power" => ("down", "lost power"),
            "kill" => ("down", "crashed"),
            "exit" => ("down", "ended by itself"),
            "pause" => ("paused", "stood still"),
            "restart" | "resume" => ("up", ""),
            _ => continue,
        };
        let Some(lane) = lanes.get(&event.process) else { continue };
        // who is dead cannot die again, nor be woken by the end of a pause
        let dead = open.get(&lane).is_some_and(|fate| fate.state == "down");
        if dead && event.kind != "restart" {
            continue;
        }
        fates.extend(open.remove(&lane).map(|fate| Fate { to: event.at, ..fate }));
        if state != "up" {
            open.insert(lane, Fate { lane, from: event.at, to: event.at, state, why });
        }
    }
    fates.extend(open.into_values().map(|fate| Fate { to: story.end(), ..fate }));
    fates.sort_by_key(|fate| (fate.from, fate.lane));
    fates
}

/// A member that thought itself leader, or a process that thought it held a lock.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Reign {
    pub lane: usize,
    pub from: Nanos,
    pub to: Nanos,
    pub what: String,
    /// 0: it is a lock.
    pub term: u64,
}

/// A process believes that it leads until it says otherwise or dies: two may believe so at once.
pub fn reigns(story: &Story, lanes: &Lanes) -> Vec<Reign> {
    let mut open: BTreeMap<(usize, String), Reign> = BTreeMap::new();
    let mut reigns = vec![];
    for event in &story.events {
        let Some(lane) = lanes.get(&event.process) else { continue };
        if event.kind == "kill" || event.kind == "exit" {
            let ended: Vec<_> = open.keys().filter(|key| key.0 == lane).cloned().collect();
            let ended = ended.iter().filter_map(|key| open.remove(key));
            reigns.extend(ended.map(|reign| Reign { to: event.at, ..reign }));
        }
        let (over, begun) = match story.notes.get(&event.number) {
            Some(Note::Leader { term, .. }) => {
                ("leader".to_string(), Some((format!("leader, term {}", term.0), term.0)))
            }
            Some(Note::Deposed { .. } | Note::MemberStarted { .. }) => ("leader".to_string(), None),
            Some(Note::Elected { lock, held, .. }) => {
                (lock.clone(), held.then(|| (format!("holds {lock}"), 0)))
            }
            _ => continue,
        };
        if let (Some(reign), Some((what, _))) = (open.get(&(lane, over.clone())), &begun)
            && reign.what == *what
        {
            continue;
        }
        reigns.extend(open.remove(&(lane, over.clone())).map(|reign| Reign { to: event.at, ..reign }));
        if let Some((what, term)) = begun {
            open.insert((lane, over), Reign { lane, from: event.at, to: event.at, what, term });
        }
    }
    reigns.extend(open.into_values().map(|reign| Reign { to: story.end(), ..reign }));
    reigns.sort_by_key(|reign| (reign.from, reign.lane));
    reigns
}

/// A member is in this term from now on.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Term {
    pub lane: usize,
    pub at: Nanos,
    pub term: u64,
}

pub fn terms(story: &Story, lanes: &Lanes) -> Vec<Term> {
    let mut now: BTreeMap<usize, u64> = BTreeMap::new();
    let mut terms = vec![];
    for (number, note) in &story.notes {
        let (Note::MemberStarted { term, .. }
        | Note::Leader { term, .. }
        | Note::Deposed { term, .. }
        | Note::Synced { term, .. }
        | Note::Committed { term, .. }) = note
        else {
            continue;
        };
        let Some(event) = story.events.get(*number as usize) else { continue };
        let Some(lane) = lanes.get(&event.process) else { continue };
        if now.insert(lane, term.0) != Some(term.0) {
            terms.push(Term { lane, at: event.at, term: term.0 });
        }
    }
    terms
}

/// A harm on the lanes it hit.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
pub struct Harm {
    pub from: Nanos,
    pub to: Nanos,
    pub lanes: Vec<usize>,
    /// `death`, `pause`, `cut`, `slow`, `clock`, `disk`
    pub kind: &'static str,
    pub what: String,
    pub did: String,
}

pub fn harms(story: &Story, lanes: &Lanes) -> Vec<Harm> {
    let end = story.end();
    let of = |names: &[String]| names.iter().filter_map(|name| lanes.get(name)).collect();
    let done = story.outcome.harms.iter().map(|effect| Harm {
        from: effect.at,
        to: lasted(story, effect).min(end),
        lanes: of(&effect.of),
        kind: kind_of(story, effect),
        what: effect.what.clone(),
        did: if effect.did.is_empty() { "no effect".into() } else { effect.did.clone() },
    });
    let mut harms: Vec<Harm> = done.collect();
    harms.extend(story.plan.harms.iter().filter(|harm| goes_on(story, harm)).map(|harm| Harm {
        from: harm.at * 1_000,
        to: end,
        lanes: of(&aimed(&harm.of)),
        kind: kind(&harm.blow),
        what: "a harm that had not ended when the run did".into(),
        did: "not counted yet".into(),
    }));
    harms.sort_by_key(|harm| harm.from);
    harms
}

/// A clock that jumps is off until it is put right; all else lasts as long as was written down.
fn lasted(story: &Story, effect: &Effect) -> Nanos {
    if effect.until > effect.at || kind_of(story, effect) != "clock" {
        return effect.until;
    }
    let steps =
        story.events.iter().filter(|event| event.kind == "clock step" && effect.of.contains(&event.process));
    let steps = steps.filter(|event| event.at >= effect.at);
    let mut off: BTreeMap<&str, i64> = BTreeMap::new();
    let mut end = story.end();
    for event in steps {
        let off = off.entry(&event.process).or_default();
        *off += event.detail.parse::<i64>().unwrap_or(0);
        // clocks are put right to the microsecond
        if off.abs() < 1_000 {
            end = event.at;
            break;
        }
    }
    end
}

/// Effects are written down when a harm ends: one that a broken promise interrupted has none.
fn goes_on(story: &Story, harm: &PlannedHarm) -> bool {
    let written =
        |effect: &Effect| effect.line == harm.line && effect.at.abs_diff(harm.at * 1_000) < 1_000_000;
    harm.upon.is_none()
        && harm.at * 1_000 <= story.end()
        && harm.until * 1_000 > story.end()
        && !story.outcome.harms.iter().any(written)
}

fn aimed(aims: &[Aim]) -> Vec<String> {
    let processes = aims.iter().filter(|aim| matches!(aim, Aim::Process(_)));
    processes.map(|aim| aim.to_string()).collect()
}

/// An effect knows the line it comes from; of harms of one line, the nearest in time.
fn kind_of(story: &Story, effect: &Effect) -> &'static str {
    let candidates = story.plan.harms.iter().filter(|harm| harm.line == effect.line);
    let nearest = candidates.min_by_key(|harm| effect.at.abs_diff(harm.at * 1_000));
    nearest.map_or("death", |harm| kind(&harm.blow))
}

fn kind(blow: &Blow) -> &'static str {
    match blow {
        Blow::Crash
        | Blow::PowerCut
        | Blow::Restart
        | Blow::RestartWith { .. }
        | Blow::Replace
        | Blow::MemoryLimit(_)
        | Blow::Midway { .. } => "death",
        Blow::Pause => "pause",
        Blow::Partition { .. } | Blow::Hold { .. } => "cut",
        Blow::Link { .. } | Blow::Lag { .. } | Blow::SlowCpu(_) => "slow",
        Blow::Skew(_) | Blow::Step(_) => "clock",
        Blow::Disk(_) => "disk",
    }
}
