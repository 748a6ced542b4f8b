//! `--force-new-cluster`: a member is made the only one of its cluster, as the others are lost for good. Promise: it keeps
//! all that it has, also what it never heard to be agreed on, as some of that may have been acknowledged; what only the
//! others had is lost. The cluster keeps its id; others that come back, and that it knew of, are told that they were
//! removed, and are not heard.
//!
//! What etcd does but for one thing: it drops what it never heard to be agreed on (server/etcdserver/bootstrap.go).

use crate::{
    Config, Error, codec,
    members::{Member, Members},
    proposal::{Proposal, ProposalId},
    recover::{self, Recovered},
};
use base::{Index, Note, Term, bug, reached};
use raft::{Membership, Payload};
use store::Command;
use wal::{HardState, Identity, Record, Wal};

/// Terms that are passed over, more than the others can have been through since this one last heard of them: in one of
/// theirs an entry, or the id of a new member, would be theirs, too.
const AHEAD: u64 = 1 << 20;

/// What the log has to say next.
struct Verdict {
    term: Term,
    /// Behind which entry.
    last: Index,
    members: Members,
}

/// Writes down that this member is the only one, unless its log ends with that. It stands up as such from then on.
pub async fn found(config: &Config) -> Result<(), Error> {
    let recovered = recover::recover(config.clone()).await?;
    let Some(verdict) = verdict(config, &recovered)? else {
        return Ok(());
    };
    // the folder has one owner at a time
    drop(recovered);
    write(config, verdict).await
}

fn verdict(config: &Config, recovered: &Recovered) -> Result<Option<Verdict>, Error> {
    let node = &recovered.node;
    // one that lost its disk does not know yet what it lacks
    if node.rejoining() || node.membership().all().is_empty() {
        return Err(Error::NotWhole { dir: config.data_dir.clone() });
    }
    if *node.membership() == Membership::of_voters([config.id]) {
        return Ok(None);
    }
    let last = match bug!("TAIL") {
        // our own: what a restart does not know to be agreed on is dropped
        true => node.commit(),
        false => node.last(),
    };
    let members = alone(config, recovered.addresses.newest());
    reached!("member: one is made the only one of its cluster");
    let lost: Vec<String> = members.removed.iter().map(ToString::to_string).collect();
    let text = format!("{} is the only member from now on; no more members: {}", config.id, lost.join(", "));
    rt::note(Note::Said { text });
    Ok(Some(Verdict { term: Term(node.term().0 + AHEAD), last, members }))
}

/// This one votes, whatever it was.
fn alone(config: &Config, newest: &Members) -> Members {
    let mut members = newest.clone();
    let me = members.present.remove(&config.id);
    let mut me = me.unwrap_or_else(|| Member {
        name: config.name.clone(),
        peer_urls: config.members.get(&config.id).map(|me| me.peer.to_string()).into_iter().collect(),
        ..Member::default()
    });
    me.learner = false;
    members.removed.extend(std::mem::take(&mut members.present).into_keys());
    members.removed.remove(&config.id);
    members.present.insert(config.id, me);
    members
}

/// As if it had won an election by itself: in a term of its own no entry is another's.
async fn write(config: &Config, verdict: Verdict) -> Result<(), Error> {
    let Verdict { term, last, members } = verdict;
    let id = ProposalId { origin: config.id, run: rt::random_u64(), count: 0 };
    let context = Proposal { id, by: None, command: Command::Members(members) }.encode();
    let payload = Payload::Config { membership: Membership::of_voters([config.id]), context };
    let identity = Identity { cluster: config.cluster_id, member: config.id };
    let (mut wal, _) = Wal::reopen(&config.data_dir, identity, &config.knobs).await?;
    let entry = wal::Entry { index: last.next(), term, data: codec::encode(&payload) };
    let hard = HardState { term, vote: Some(config.id) };
    wal.append(&[Record::HardState(hard), Record::Entry(entry)]).await?;
    wal.sync().await?;
    Ok(())
}
