//! Who waits for what: proposals until their entry is applied here, reads until their index is proven.
//!
//! A proposal that went out in one term can be agreed on only in that term: once an entry of a later term is
//! applied, it is known to be lost, and may go out again. Until then it never goes out a second time but to the
//! same leader in the same term, which takes it up once.

use crate::handle::{Applied, ProposeError, ReadError};
use base::{Index, Term, reached};
use raft::Data;
use rt::{Mono, sync::oneshot};
use std::{
    collections::{BTreeMap, BTreeSet},
    time::Duration,
};

/// Proposals of this member, by their count.
#[derive(Default)]
pub struct Proposals {
    waiting: BTreeMap<u64, Waiting>,
    /// Those that nobody has.
    unsent: BTreeSet<u64>,
    /// The term of the last entry applied.
    applied_term: Term,
    /// Of all that wait.
    bytes: u64,
}

struct Waiting {
    data: Data,
    /// The only term in which it may go out, and only from here.
    only_in: Option<Term>,
    answer: oneshot::Sender<Result<Applied, ProposeError>>,
    deadline: Mono,
    sent: Sent,
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Sent {
    /// Nobody has it: it is surely not done.
    No,
    /// It is in this member's own log.
    Here { term: Term },
    /// It was sent to the leader of this term, the last time then.
    Forwarded { term: Term, at: Mono },
}

impl Sent {
    fn term(self) -> Option<Term> {
        match self {
            Self::No => None,
            Self::Here { term } | Self::Forwarded { term, .. } => Some(term),
        }
    }
}

impl Proposals {
    pub fn len(&self) -> usize {
        self.waiting.len()
    }

    /// Bytes of all that wait.
    pub fn bytes(&self) -> u64 {
        self.bytes
    }

    pub fn add(
        &mut self,
        count: u64,
        data: Data,
        only_in: Option<Term>,
        deadline: Mono,
        answer: oneshot::Sender<Result<Applied, ProposeError>>,
    ) {
        self.bytes += data.len() as u64;
        self.waiting.insert(count, Waiting { data, only_in, answer, deadline, sent: Sent::No });
        self.unsent.insert(count);
    }

    /// Ends what was for another term than the one this member leads in, if it leads. Nobody has it.
    pub fn refuse_others(&mut self, leads_in: Option<Term>) {
        let for_another = |waiting: &Waiting| waiting.only_in.is_some() && waiting.only_in != leads_in;
        let unsent = self.unsent.iter().filter_map(|count| Some((*count, self.waiting.get(count)?)));
        let counts: Vec<u64> =
            unsent.filter(|(_, waiting)| for_another(waiting)).map(|(count, _)| count).collect();
        reached!("member: a command for one term was refused in another", !counts.is_empty());
        self.refuse(&counts, ProposeError::NotLeader);
    }

    /// Up to `most` proposals that nobody has, the oldest first.
    pub fn unsent(&self, most: usize) -> Vec<(u64, Data)> {
        let data = |count: &u64| Some((*count, self.waiting.get(count)?.data.clone()));
        self.unsent.iter().take(most).filter_map(data).collect()
    }

    /// Proposals sent to the leader of this term, the last time before `before`.
    pub fn overdue(&self, term: Term, before: Mono) -> Vec<(u64, Data)> {
        let overdue = |sent| matches!(sent, Sent::Forwarded { term: to, at } if to == term && at < before);
        let waiting = self.waiting.iter().filter(|(_, waiting)| overdue(waiting.sent));
        waiting.map(|(count, waiting)| (*count, waiting.data.clone())).collect()
    }

    pub fn appended(&mut self, counts: &[u64], term: Term) {
        self.mark(counts, Sent::Here { term });
    }

    pub fn forwarded(&mut self, counts: &[u64], term: Term, at: Mono) {
        self.mark(counts, Sent::Forwarded { term, at });
    }

    fn mark(&mut self, counts: &[u64], sent: Sent) {
        for count in counts {
            if let Some(waiting) = self.waiting.get_mut(count) {
                waiting.sent = sent;
                self.unsent.remove(count);
            }
        }
    }

    pub fn applied(&mut self, count: u64, applied: Applied) {
        if let Some(waiting) = self.remove(count) {
            let _ = waiting.answer.send(Ok(applied));
        }
    }

    pub fn refuse(&mut self, counts: &[u64], error: ProposeError) {
        for count in counts {
            if let Some(waiting) = self.remove(*count) {
                let _ = waiting.answer.send(Err(error));
            }
        }
    }

    fn remove(&mut self, count: u64) -> Option<Waiting> {
        self.unsent.remove(&count);
        let gone = self.waiting.remove(&count)?;
        self.bytes -= gone.data.len() as u64;
        Some(gone)
    }

    /// An entry of this term was applied: what went out in an earlier one will never be agreed on.
    pub fn term_applied(&mut self, term: Term) {
        if std::mem::replace(&mut self.applied_term, term) == term {
            return;
        }
        for (count, waiting) in &mut self.waiting {
            if waiting.sent.term().is_some_and(|sent| sent < term) {
                reached!("a proposal lost with its leader went out again");
                waiting.sent = Sent::No;
                self.unsent.insert(*count);
            }
        }
    }

    /// A snapshot whose last entry is of this term took the place of entries nobody saw here.
    pub fn jumped(&mut self, term: Term) {
        let may_be_in_it = |waiting: &Waiting| waiting.sent.term().is_some_and(|sent| sent <= term);
        let counts: Vec<u64> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| may_be_in_it(waiting))
            .map(|(count, _)| *count)
            .collect();
        reached!("member: the fate of a proposal lies in a snapshot", !counts.is_empty());
        self.refuse(&counts, ProposeError::Lost);
    }

    /// Ends what has waited too long, and forgets those who no longer listen.
    pub fn sweep(&mut self, now: Mono) {
        let late: Vec<(u64, ProposeError)> = self
            .waiting
            .iter()
            .filter(|(_, waiting)| waiting.deadline <= now || waiting.answer.is_closed())
            .map(|(count, waiting)| match waiting.sent {
                Sent::No => (*count, ProposeError::NoLeader),
                _ => (*count, ProposeError::Timeout),
            })
            .collect();
        let because = |wanted| late.iter().any(|(_, why)| *why == wanted);
        reached!("member: a proposal found no leader in time", because(ProposeError::NoLeader));
        reached!("member: a proposal was not agreed on in time", because(ProposeError::Timeout));
        late.into_iter().for_each(|(count, error)| self.refuse(&[count], error));
    }
}

/// Reads of this member. Those that come together share a context, and every attempt has a new one.
pub struct Reads {
    next_context: u64,
    unsent: Vec<Reader>,
    under_way: BTreeMap<u64, (Mono, Vec<Reader>)>,
}

struct Reader {
    answer: oneshot::Sender<Result<Index, ReadError>>,
    deadline: Mono,
}

impl Reads {
    /// Contexts count from a number drawn at start, so that no late answer to an earlier run fits.
    pub fn new(first_context: u64) -> Self {
        Self { next_context: first_context, unsent: Vec::new(), under_way: BTreeMap::new() }
    }

    pub fn add(&mut self, deadline: Mono, answer: oneshot::Sender<Result<Index, ReadError>>) {
        self.unsent.push(Reader { answer, deadline });
    }

    /// The context for everything that has not gone out; none if there is nothing.
    pub fn send(&mut self, now: Mono) -> Option<u64> {
        if self.unsent.is_empty() {
            return None;
        }
        let context = self.next_context;
        reached!("member: several readers share a read", self.unsent.len() > 1);
        self.next_context = context.wrapping_add(1);
        self.under_way.insert(context, (now, std::mem::take(&mut self.unsent)));
        Some(context)
    }

    pub fn ready(&mut self, context: u64, index: Index) {
        reached!(
            "member: the answer to a read came when it was given up",
            !self.under_way.contains_key(&context)
        );
        if let Some((_, readers)) = self.under_way.remove(&context) {
            for reader in readers {
                let _ = reader.answer.send(Ok(index));
            }
        }
    }

    /// The attempt failed; its readers wait for the next.
    pub fn lost(&mut self, context: u64) {
        if let Some((_, readers)) = self.under_way.remove(&context) {
            reached!("a read had to be tried again");
            self.unsent.extend(readers);
        }
    }

    /// Gives up attempts older than `patience`, ends what has waited too long, forgets who no longer listens.
    pub fn sweep(&mut self, now: Mono, patience: Duration, has_leader: bool) {
        let old: Vec<u64> = self
            .under_way
            .iter()
            .filter(|(_, (at, _))| *at + patience <= now)
            .map(|(context, _)| *context)
            .collect();
        old.into_iter().for_each(|context| self.lost(context));
        let error = if has_leader { ReadError::Timeout } else { ReadError::NoLeader };
        for reader in std::mem::take(&mut self.unsent) {
            if reader.deadline <= now {
                reached!("member: a read was not proved in time", has_leader);
                reached!("member: a read found no leader in time", !has_leader);
                let _ = reader.answer.send(Err(error));
            } else if !reader.answer.is_closed() {
                self.unsent.push(reader);
            }
        }
    }
}
