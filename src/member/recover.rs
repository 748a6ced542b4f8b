//! From a folder to a member that stands where it stood: the newest snapshot, and the log behind it. What was
//! committed is applied again as soon as the member learns that it was.

use crate::{
    Config, Handle, Requests, addresses::Addresses, config::Start, disk, disk::Disk, error::Error,
    restoring::restore, snapshots::Snapshots,
};
use base::{Index, Note, Term, bug, reached};
use raft::{Membership, Node};
use store::Store;
use wal::{Identity, Wal};

/// A member as it stands up.
pub struct Recovered {
    pub node: Node,
    pub handle: Handle,
    pub requests: Requests,
    pub disk: Disk,
    pub snapshots: Snapshots,
    pub addresses: Addresses,
    /// It was made the only member just now.
    pub sole: bool,
}

/// From what the folder holds. A folder without a log is that of a new member only while the cluster is founded.
pub async fn recover(config: Config) -> Result<Recovered, Error> {
    if !config.members.contains_key(&config.id) {
        return Err(Error::NotAMember(config.id));
    }
    let (dir, identity) = (&config.data_dir, identity(&config));
    let (wal, found) = match config.start {
        Start::Again if !bug!("S21") => Wal::reopen(dir, identity, &config.knobs).await?,
        _ => Wal::open(dir, identity, &config.knobs).await?,
    };
    stand_up(config, wal, found).await
}

/// From nothing: the folder is lost, and all others were asked what may have been promised.
pub async fn rejoin(config: Config, forgot: Term) -> Result<Recovered, Error> {
    let (wal, found) = Wal::rejoin(&config.data_dir, identity(&config), &config.knobs, forgot).await?;
    stand_up(config, wal, found).await
}

fn identity(config: &Config) -> Identity {
    Identity { cluster: config.cluster_id, member: config.id }
}

async fn stand_up(config: Config, wal: Wal, found: wal::Recovered) -> Result<Recovered, Error> {
    reached!("member: what was out of order on the disk was repaired", !found.repairs.is_empty());
    for repair in &found.repairs {
        rt::note(Note::Repaired { member: config.id, what: repair.clone() });
    }
    let found = disk::recovered(found)?;
    reached!("member: a member came back from a snapshot", found.snapshot.is_some());
    let store = match &found.snapshot {
        Some(snapshot) => restore(wal.snapshots(), snapshot.meta.index).await?,
        None => Store::new(),
    };
    let snapshots = Snapshots::new(wal.snapshots(), store.applied(), &config.knobs);
    let raft = raft::Config {
        id: config.id,
        membership: founding_membership(&config),
        seed: rt::random_u64(),
        knobs: config.knobs.clone(),
    };
    let node = Node::new(raft, found);
    note_start(&node, &store);
    let disk = Disk::new(config.id, wal, node.term(), node.last());
    let mut addresses = Addresses::of(&config);
    addresses.learn(store.members());
    (node.first().0..=node.last().0)
        .filter_map(|index| node.log().entry(Index(index)))
        .for_each(|entry| addresses.read(entry));
    let (handle, requests) = Handle::new(config, store);
    handle.stands_up(node.last());
    Ok(Recovered { node, handle, requests, disk, snapshots, addresses, sole: false })
}

/// One that joins belongs to nothing until its log says so.
fn founding_membership(config: &Config) -> Membership {
    match config.start {
        Start::Joining => Membership::default(),
        Start::Founding | Start::Again => Membership::of_voters(config.members.keys().copied()),
    }
}

/// Says what stands on the disk, for whoever checks what outlives a crash.
fn note_start(node: &Node, store: &Store) {
    let member = node.id();
    rt::note(Note::MemberStarted { member, term: node.term(), last: node.last(), applied: store.applied() });
    if store.applied() > Index(0) {
        let (index, revision, hash) = (store.applied(), store.revision(), store.hash());
        let term = node.log().term_at(index).unwrap_or_default();
        rt::note(Note::Restored { member, index, term, revision, hash });
    }
    let first = node.first();
    let entries: Vec<_> = (first.0..=node.last().0)
        .filter_map(|index| node.log().entry(Index(index)))
        .map(|entry| (entry.term, entry.digest()))
        .collect();
    if !entries.is_empty() {
        rt::note(Note::Appended { member, first, entries });
        rt::note(Note::Synced { member, term: node.term(), last: node.last() });
    }
}
