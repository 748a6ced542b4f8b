//! Compares what the members hold, where that is asked for: a leader now and then, and a member before it serves. What
//! differs raises the alarm CORRUPT: nothing is read or written any more until somebody has seen to it.

use crate::{
    Error,
    compare::{self, Held, What},
    handle::Handle,
};
use base::{MemberId, Revision, knobs::ms, reached};
use std::collections::{BTreeMap, BTreeSet};
use store::{Alarm, AlarmChange, AlarmKind, Command};

/// So often those are asked that do not answer in time.
const TRIES: usize = 3;

/// Never returns.
pub async fn run(handle: Handle) {
    futures::join!(of_all(&handle), of_compactions(&handle));
}

/// What members hold at the newest revision.
async fn of_all(handle: &Handle) {
    loop {
        turn(handle, handle.knobs().corrupt_check_ms).await;
        let now = What::Kept(handle.with_store(store::Store::revision).0);
        let Some(mine) = compare::held(handle, now).await else { continue };
        let all = ask_all(handle, now).await;
        reached!("member: all members hold the same", all.agree(mine));
        raise(handle, all.differing(handle, mine)).await;
    }
}

/// What they held before history went: the hashes they took at compactions, the newest first, each until all members have
/// said the same. (etcd stops at the first of which they have, and passes over what differed before.)
async fn of_compactions(handle: &Handle) {
    let mut agreed = BTreeSet::new();
    loop {
        turn(handle, handle.knobs().compact_hash_check_ms).await;
        let taken = handle.hashes().newest_first();
        agreed.retain(|revision| taken.iter().any(|hash| hash.revision == *revision));
        for hash in taken.iter().filter(|hash| !agreed.contains(&hash.revision)).collect::<Vec<_>>() {
            let mine = Held { hash: hash.hash, compacted: hash.compacted };
            let all = ask_all(handle, What::Compacted(hash.revision)).await;
            let differing = all.differing(handle, mine);
            reached!("member: a hash that was taken at a compaction differs", !differing.is_empty());
            raise(handle, differing).await;
            if all.agree(mine) {
                agreed.insert(hash.revision);
            }
            if !handle.leads() {
                break;
            }
        }
    }
}

/// Waits until so long has passed and this member leads; for ever if that is no time. What is committed is applied here
/// by then.
async fn turn(handle: &Handle, every: u64) {
    if every == 0 {
        std::future::pending::<()>().await;
    }
    loop {
        rt::sleep(ms(every)).await;
        if let Ok(Some(_)) = handle.confirm_leadership().await {
            return;
        }
    }
}

async fn raise(handle: &Handle, members: Vec<MemberId>) {
    for member in members {
        let alarm = Alarm { member, kind: AlarmKind::Corrupt };
        if handle.with_store(|store| store.alarms().contains(&alarm)) {
            continue;
        }
        reached!("member: members hold different data");
        // one that fails is made good for by the next look
        let _ = handle.propose(Command::Alarm(AlarmChange::Raise(alarm))).await;
    }
}

/// What the others hold, or held.
struct Answers {
    others: usize,
    held: Vec<(MemberId, Held)>,
}

impl Answers {
    /// Whose data is not what most hold, by those that answered in time; 0 where nobody can tell.
    fn differing(&self, handle: &Handle, mine: Held) -> Vec<MemberId> {
        compare::differing((handle.member(), mine), &self.held, self.others + 1)
    }

    /// Whether all hold the same, and this is not the only one.
    fn agree(&self, mine: Held) -> bool {
        self.others > 0 && self.held.len() == self.others && self.held.iter().all(|(_, held)| *held == mine)
    }
}

async fn ask_all(handle: &Handle, what: What) -> Answers {
    let members = handle.members().present;
    let (others, mut answers) = (members.len().saturating_sub(1), BTreeMap::new());
    for _ in 0..TRIES {
        ask(handle, what, others, &mut answers).await;
        if answers.len() >= others {
            break;
        }
        reached!("member: what members hold was compared without some of them");
    }
    let held = answers.into_iter().filter_map(|(id, held)| Some((id, held?))).collect();
    Answers { others, held }
}

/// Asks the others, and waits for all of them, but not for long: twice as long as one may wait itself.
async fn ask(handle: &Handle, what: What, others: usize, answers: &mut BTreeMap<MemberId, Option<Held>>) {
    let Some(mut heard) = handle.compare(what).await else { return };
    let all = async {
        while answers.len() < others {
            let Some((id, held)) = heard.recv().await else { return };
            answers.insert(id, held);
        }
    };
    let _ = rt::timeout(2 * handle.knobs().election_timeout(), all).await;
}

/// Before this member serves: refuses if it holds something else than the others, or if nobody can tell who does. Those
/// that do not answer in time, or cannot say, are passed over.
pub async fn at_start(handle: &Handle) -> Result<(), Error> {
    let (me, revision) = (handle.member(), handle.with_store(store::Store::revision));
    if handle.knobs().corrupt_check_at_start == 0 || revision <= Revision(1) {
        return Ok(());
    }
    let now = What::Kept(revision.0);
    let Some(mine) = compare::held(handle, now).await else { return Ok(()) };
    let differing = ask_all(handle, now).await.differing(handle, mine);
    match differing.iter().any(|id| *id == me || *id == MemberId(0)) {
        true => Err(Error::Differs { id: me, revision }),
        false => Ok(()),
    }
}
