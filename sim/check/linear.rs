//! Linearizability in O(n log n): every write carries its place in the order (its revision), so that the order need
//! not be searched for, only confirmed: against the model, and against real time.

use super::Verdict;
use crate::history::{Body, Change, Event, History, LOAD, Operation, Outcome, Request, Span, seconds};
use crate::model::{kv::Model, kv::Told, log::Log, log::say};
use std::collections::BTreeMap;

/// What the sweep found, and the order of commits as far as it is certain.
pub struct Judged {
    pub verdict: Verdict,
    /// Whole revisions, with the events the model confirms.
    pub log: BTreeMap<i64, Vec<Event>>,
}

pub fn judge(history: &History) -> Judged {
    let mut sweep = Sweep::new(history);
    sweep.collect_writes();
    sweep.run();
    sweep.real_time();
    let (reads, unsure) = (sweep.reads, sweep.unsure);
    let writes = sweep.writes.len();
    let verdict = match sweep.broken {
        Some(evidence) => Verdict::Broken(evidence),
        // what was compacted before anybody saw it is nobody's fault
        None if reads > 20 && unsure * 2 > reads && sweep.unseen > history.compacted() => Verdict::Undecided(
            format!("{unsure} of {reads} reads fall on revisions that nobody saw being made"),
        ),
        None if writes == 0 && reads == 0 => Verdict::Idle,
        None => {
            base::reached!(
                "tank: what was read hangs on history that was compacted unseen",
                unsure * 2 > reads
            );
            let confirmed = reads - unsure;
            Verdict::Held(format!("{writes} writes in order, {confirmed} answers confirmed"))
        }
    };
    Judged { verdict, log: sweep.certain }
}

struct Sweep<'a> {
    history: &'a History,
    seen: Log,
    /// Acknowledged writes by the revision they made.
    writes: BTreeMap<i64, &'a Operation>,
    /// Who wrote a value; values of the load are unique.
    authors: BTreeMap<&'a str, &'a Operation>,
    /// What may have been deleted by someone who had no answer.
    doubtful: Vec<&'a Span>,
    /// Writes without an answer whose effect was seen, by revision.
    found: Vec<(i64, &'a Operation)>,
    certain: BTreeMap<i64, Vec<Event>>,
    broken: Option<Vec<String>>,
    reads: usize,
    unsure: usize,
    /// The newest revision that nobody saw whole.
    unseen: i64,
}

impl<'a> Sweep<'a> {
    fn new(history: &'a History) -> Self {
        let seen = Log::from_watches(history);
        let broken = seen.contradiction.clone().map(|text| vec!["two watches disagree".to_string(), text]);
        let (writes, authors, certain) = (BTreeMap::new(), BTreeMap::new(), BTreeMap::new());
        let (doubtful, found) = (vec![], vec![]);
        Sweep {
            history,
            seen,
            writes,
            authors,
            doubtful,
            found,
            certain,
            broken,
            reads: 0,
            unsure: 0,
            unseen: 0,
        }
    }

    fn complain(&mut self, evidence: Vec<String>) {
        self.broken.get_or_insert(evidence);
    }

    fn collect_writes(&mut self) {
        for operation in &self.history.operations {
            if let Request::Write { changes, .. } = &operation.request {
                let unknown = matches!(operation.outcome, Outcome::Unknown(_));
                for change in changes {
                    match change {
                        Change::Put { value, .. } => drop(self.authors.insert(value, operation)),
                        Change::Delete { span } if unknown => self.doubtful.push(span),
                        Change::Delete { .. } => {}
                    }
                }
            }
            let Some(revision) = operation.made() else { continue };
            if let Some(other) = self.writes.insert(revision, operation) {
                let text = format!("revision {revision} was given to two writes");
                self.complain(vec![text, other.to_string(), operation.to_string()]);
            }
        }
    }

    /// Goes through the revisions in order, confirming writes, and answers as they come up.
    fn run(&mut self) {
        let mut answers: Vec<(i64, &Operation)> =
            self.history.operations.iter().filter_map(place_of_answer).collect();
        answers.sort_by_key(|(revision, _)| *revision);
        if let Some((_, operation)) = answers.first().filter(|(revision, _)| *revision < 1) {
            return self.complain(vec!["the first revision there is is 1".into(), operation.to_string()]);
        }
        let last_answer = answers.last().map_or(1, |(revision, _)| *revision);
        let last_write = self.writes.keys().next_back().copied().unwrap_or(1);
        let last = self.seen.last().max(last_answer).max(last_write);
        let mut answers = answers.into_iter().peekable();
        let mut model = Model::default();
        for revision in 1..=last {
            if revision > 1 {
                self.advance(&mut model, revision);
            }
            while let Some((_, operation)) = answers.next_if(|(at, _)| *at <= revision) {
                self.reads += 1;
                self.confirm(&model, operation);
            }
            if self.broken.is_some() {
                return;
            }
        }
    }

    fn advance(&mut self, model: &mut Model, revision: i64) {
        let seen = self.seen.events.get(&revision).cloned();
        let whole = self.seen.whole.contains(&revision);
        let write = self.writes.get(&revision).copied();
        let expected = match write {
            Some(write) => match self.expect(model, write, revision) {
                Ok(expected) => expected,
                Err(evidence) => return self.complain(evidence),
            },
            None => None,
        };
        match (expected, seen) {
            (Some(expected), seen) => {
                if let Some(wrong) = differ(&expected, seen.as_deref(), whole) {
                    let write = write.map(Operation::to_string).unwrap_or_default();
                    return self.complain(vec![wrong, write]);
                }
                model.apply(revision, &expected);
                self.certain.insert(revision, expected);
            }
            (None, Some(seen)) if whole => {
                if write.is_none()
                    && let Some(evidence) = self.unexplained(model, revision, &seen)
                {
                    return self.complain(evidence);
                }
                model.apply(revision, &seen);
                self.certain.insert(revision, seen);
            }
            (None, None) if whole => {
                let text =
                    format!("revision {revision} was never delivered to a watch of all keys that passed it");
                self.complain(vec![text, write.map(Operation::to_string).unwrap_or_default()]);
            }
            (None, seen) => {
                self.unseen = revision;
                model.skip(revision);
                model.apply(revision, &seen.unwrap_or_default());
            }
        }
    }

    /// What an acknowledged write must have done; None where the model cannot tell.
    fn expect(
        &self,
        model: &Model,
        write: &Operation,
        revision: i64,
    ) -> Result<Option<Vec<Event>>, Vec<String>> {
        let Request::Write { guards, changes } = &write.request else { return Ok(None) };
        if model.holds(guards) == Some(false) {
            return Err(vec!["a write succeeded although its guard did not hold".into(), write.to_string()]);
        }
        let Some(events) = model.effect(changes, revision) else { return Ok(None) };
        if let Some(Body::Wrote { deleted, .. }) = write.done().map(|answer| &answer.body) {
            let told: i64 = deleted.iter().sum();
            let found = events.iter().filter(|event| event.delete).count() as i64;
            if told != found {
                return Err(vec![
                    format!("told that {told} keys were deleted; there were {found}"),
                    write.to_string(),
                ]);
            }
        }
        Ok(Some(events))
    }

    /// Events that no acknowledged write made must come from an unknown outcome, or from a lease that ended.
    fn unexplained(&mut self, model: &Model, revision: i64, events: &[Event]) -> Option<Vec<String>> {
        for event in events.iter().filter(|event| event.kv.key.starts_with(LOAD)) {
            let what = format!("revision {revision}: {}", say(event));
            if event.delete {
                let leased = matches!(model.get(&event.kv.key), Told::Sure(Some(kv)) if kv.lease != 0);
                if leased || model.get(&event.kv.key) == Told::Unsure || self.may_have_deleted(&event.kv.key)
                {
                    continue;
                }
                return Some(vec![what, "nobody asked for that".into()]);
            }
            let Some(author) = self.authors.get(event.kv.value.as_str()).copied() else {
                return Some(vec![what, "nobody wrote that".into()]);
            };
            match author.outcome {
                Outcome::Unknown(_) => {
                    base::reached!("tank: a write without an answer took effect");
                    self.found.push((revision, author));
                }
                Outcome::Refused(_) => {
                    return Some(vec![what, "the write had been refused".into(), author.to_string()]);
                }
                Outcome::Done(_) => {
                    return Some(vec![what, "the write took effect twice".into(), author.to_string()]);
                }
            }
        }
        None
    }

    fn may_have_deleted(&self, key: &str) -> bool {
        self.doubtful.iter().any(|span| span.holds(key))
    }

    /// An answer that made no revision: a read, a guard that failed, a deletion of nothing.
    fn confirm(&mut self, model: &Model, operation: &Operation) {
        let Some(answer) = operation.done() else { return };
        match (&operation.request, &answer.body) {
            (Request::Read { span, .. }, Body::Kvs(kvs)) => match model.range(span) {
                Told::Unsure => {
                    base::reached!("tank: a read fell on a revision that nobody saw being made");
                    self.unsure += 1;
                }
                Told::Sure(found) => {
                    if found.len() != kvs.len() || found.iter().zip(kvs).any(|(a, b)| **a != *b) {
                        let lines =
                            found.iter().take(3).map(|kv| format!("{} (mod {})", kv.value, kv.modified));
                        let lines: Vec<String> = lines.collect();
                        let at = model.revision;
                        let right = match lines.is_empty() {
                            true => format!("at revision {at} there is nothing"),
                            false => format!("at revision {at} there is {}", lines.join(", ")),
                        };
                        self.complain(vec![
                            "a read was told what is not so".into(),
                            operation.to_string(),
                            right,
                        ]);
                    }
                }
            },
            (Request::Write { guards, .. }, Body::Wrote { succeeded: false, .. })
                if model.holds(guards) == Some(true) =>
            {
                self.complain(vec!["a guard that holds was said not to".into(), operation.to_string()]);
            }
            (Request::Write { changes, .. }, Body::Wrote { succeeded: true, .. }) => {
                if let Some(events) = model.effect(changes, model.revision)
                    && let Some(event) = events.first()
                {
                    let key = &event.kv.key;
                    self.complain(vec![
                        format!("{key} was there, and was not deleted"),
                        operation.to_string(),
                    ]);
                }
            }
            _ => {}
        }
    }

    /// What had been answered before a call must be in front of it in the order, and nothing may be answered with
    /// what had not been asked for yet.
    fn real_time(&mut self) {
        let placed = |operation: &'a Operation| match operation.made() {
            Some(revision) => Some((revision, operation)),
            None => place_of_answer(operation),
        };
        let historic = |op: &Operation| matches!(op.request, Request::Read { at, .. } if at > 0);
        let stale_is_fine = |op: &Operation| matches!(op.request, Request::Read { serializable: true, .. });
        let all: Vec<(i64, &Operation)> =
            self.history.operations.iter().filter(|op| !historic(op)).filter_map(placed).collect();
        let mut by_return = all.clone();
        by_return.sort_by_key(|(_, op)| op.ret);
        let mut by_call: Vec<_> = all.iter().copied().filter(|(_, op)| !stale_is_fine(op)).collect();
        by_call.sort_by_key(|(_, op)| op.call);
        let mut returned = by_return.into_iter().peekable();
        let mut newest: Option<(i64, &Operation)> = None;
        for (revision, operation) in by_call {
            while let Some(next) = returned.next_if(|(_, earlier)| earlier.ret < operation.call) {
                newest = if newest.is_none_or(|(known, _)| known < next.0) { Some(next) } else { newest };
            }
            let Some((known, earlier)) = newest else { continue };
            let made = operation.made().is_some();
            if known > revision || (made && known == revision) {
                let text =
                    format!("revision {known} had been answered before this began, and it got {revision}");
                return self.complain(vec![text, earlier.to_string(), operation.to_string()]);
            }
        }
        let found = self.found.clone();
        self.nothing_from_the_future(all, &found);
    }

    fn nothing_from_the_future(
        &mut self,
        mut all: Vec<(i64, &'a Operation)>,
        found: &[(i64, &'a Operation)],
    ) {
        let wrote = |op: &Operation| op.made().is_some() || matches!(op.outcome, Outcome::Unknown(_));
        all.extend(found);
        all.sort_by_key(|(revision, op)| (*revision, !wrote(op)));
        let mut latest: Option<&Operation> = None;
        for (revision, operation) in all {
            if wrote(operation) && latest.is_none_or(|latest| latest.call < operation.call) {
                latest = Some(operation);
            }
            if let Some(write) = latest.filter(|write| write.call > operation.ret) {
                let text = format!(
                    "answered at {} with revision {revision}, in front of which stands a write called at {}",
                    seconds(operation.ret),
                    seconds(write.call)
                );
                return self.complain(vec![text, operation.to_string(), write.to_string()]);
            }
        }
    }
}

/// The revision at which an answer that made none must be true.
fn place_of_answer(operation: &Operation) -> Option<(i64, &Operation)> {
    let answer = operation.done()?;
    if operation.made().is_some() {
        return None;
    }
    match operation.request {
        Request::Read { at, .. } if at > 0 => Some((at, operation)),
        Request::Read { .. } | Request::Write { .. } => Some((answer.revision, operation)),
        _ => None,
    }
}

fn differ(expected: &[Event], seen: Option<&[Event]>, whole: bool) -> Option<String> {
    let Some(seen) = seen else {
        return whole
            .then(|| "an acknowledged write was delivered to no watch that passed its revision".to_string());
    };
    for event in seen {
        match expected.iter().find(|other| other.kv.key == event.kv.key) {
            Some(other) if other.kv == event.kv && other.delete == event.delete => {}
            Some(other) => return Some(format!("a watch saw {:?}; the write made {:?}", event.kv, other.kv)),
            None => {
                return Some(format!(
                    "a watch saw {}, which the write of that revision did not do",
                    say(event)
                ));
            }
        }
    }
    let missing = expected.iter().find(|event| !seen.iter().any(|other| other.kv.key == event.kv.key));
    missing.filter(|_| whole).map(|event| format!("a watch of all keys did not see {}", say(event)))
}
