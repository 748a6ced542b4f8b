//! Compares what the members hold, where that is asked for: a leader now and then, and a member before it serves. What
//! differs raises the alarm CORRUPT: nothing is read or written any more until somebody has seen to it.

use crate::{
    Error,
    compare::{self, Held},
    handle::Handle,
};
use base::{MemberId, Revision, knobs::ms, reached};
use std::collections::BTreeMap;
use store::{Alarm, AlarmChange, AlarmKind, Command};

/// So often those are asked that do not answer in time.
const TRIES: usize = 3;

/// Never returns.
pub async fn run(handle: Handle) {
    let every = handle.knobs().corrupt_check_ms;
    if every == 0 {
        std::future::pending::<()>().await;
    }
    loop {
        rt::sleep(ms(every)).await;
        // what is committed is applied here before it is compared
        if let Ok(Some(_)) = handle.confirm_leadership().await {
            look(&handle).await;
        }
    }
}

async fn look(handle: &Handle) {
    for member in differing(handle).await {
        let alarm = Alarm { member, kind: AlarmKind::Corrupt };
        if handle.with_store(|store| store.alarms().contains(&alarm)) {
            continue;
        }
        reached!("member: members hold different data");
        // one that fails is made good for by the next look
        let _ = handle.propose(Command::Alarm(AlarmChange::Raise(alarm))).await;
    }
}

/// Whose data is not what a quorum holds, by those that answered in time; 0 where nobody can tell.
async fn differing(handle: &Handle) -> Vec<MemberId> {
    let revision = handle.with_store(store::Store::revision).0;
    let Some(mine) = compare::held(handle, revision).await else { return vec![] };
    let members = handle.members().present;
    let quorum = members.values().filter(|member| !member.learner).count() / 2 + 1;
    let mut answers = BTreeMap::new();
    for _ in 0..TRIES {
        ask(handle, revision, members.len().saturating_sub(1), &mut answers).await;
        if answers.len() + 1 >= members.len() {
            break;
        }
        reached!("member: what members hold was compared without some of them");
    }
    let others: Vec<(MemberId, Held)> =
        answers.into_iter().filter_map(|(id, held)| Some((id, held?))).collect();
    let all = others.len() + 1 == members.len() && others.iter().all(|(_, held)| *held == mine);
    reached!("member: all members hold the same", all && !others.is_empty());
    compare::differing((handle.member(), mine), &others, quorum)
}

/// Asks the others, and waits for all of them, but not for long: twice as long as one may wait itself.
async fn ask(handle: &Handle, revision: i64, others: usize, answers: &mut BTreeMap<MemberId, Option<Held>>) {
    let Some(mut heard) = handle.compare(revision).await else { return };
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
    match differing(handle).await.iter().any(|id| *id == me || *id == MemberId(0)) {
        true => Err(Error::Differs { id: me, revision }),
        false => Ok(()),
    }
}
