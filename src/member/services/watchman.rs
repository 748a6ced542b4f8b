//! Compares what the members hold, where that is asked for: a leader now and then, and a member before it serves. What
//! differs raises the alarm CORRUPT: nothing is read or written any more until somebody has seen to it.

use crate::{
    Error,
    compare::{self, Held},
    handle::Handle,
};
use base::{MemberId, knobs::ms, reached};
use store::{Alarm, AlarmChange, AlarmKind, Command};

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
    let Some((mine, others)) = ask(handle).await else { return vec![] };
    let voters = handle.members().present.values().filter(|member| !member.learner).count();
    compare::differing((handle.member(), mine), &others, voters / 2 + 1)
}

/// What this member holds, and what the others that answered in time do at the same revision.
async fn ask(handle: &Handle) -> Option<(Held, Vec<(MemberId, Held)>)> {
    let revision = handle.with_store(store::Store::revision).0;
    let mine = compare::held(handle, revision).await?;
    let mut missing = handle.members().present.len().saturating_sub(1);
    let mut answers = handle.compare(revision).await?;
    let mut others = vec![];
    let heard = async {
        while missing > 0 {
            let Some((id, held)) = answers.recv().await else { return };
            others.extend(held.map(|held| (id, held)));
            missing -= 1;
        }
    };
    let all = rt::timeout(handle.request_timeout(), heard).await;
    reached!("member: what members hold was compared without some of them", all.is_err());
    Some((mine, others))
}

/// Before this member serves: refuses if it holds something else than the others, or if nobody can tell who does. Those
/// that do not answer in time, or cannot say, are passed over.
pub async fn at_start(handle: &Handle) -> Result<(), Error> {
    if handle.knobs().corrupt_check_at_start == 0 || handle.members().present.len() < 2 {
        return Ok(());
    }
    let (me, revision) = (handle.member(), handle.with_store(store::Store::revision));
    match differing(handle).await.iter().any(|id| *id == me || *id == MemberId(0)) {
        true => Err(Error::Differs { id: me, revision }),
        false => Ok(()),
    }
}
