//! A member by etcd's flags. What it is to do follows from its folder, and from what the others say where that is empty:
//!
//! | folder | it |
//! |---|---|
//! | of a member, `--force-new-cluster` | is the only member from then on ([`crate::sole`]) |
//! | of a member that founded the cluster | stands where it stood; flags about the founding are not asked again |
//! | of one that joined later | stands where it stood |
//! | of a member that founded the cluster, without its log | lost its disk, or a part of it: as the next |
//! | empty, and the others know it to have started | lost its disk: it asks all of them what it promised ([`raft::Recall`]) |
//! | empty, state `new` | founds the cluster |
//! | empty, state `existing` | joins: the others say which one it is |
//!
//! Source: etcd, server/etcdserver/bootstrap.go.

use crate::{
    Config, Error, Join, Listen, MemberAddr, Url,
    config::Start,
    founding, join,
    members::{self, Members},
    recall,
    recover::{self, Recovered},
    sole,
};
use base::{Knobs, MemberId, knobs::ms};
use rt::net::Peers;
use std::{collections::BTreeMap, path::PathBuf};
use wal::Identity;

/// What a member is told.
#[derive(Clone, Debug)]
pub struct Boot {
    pub name: String,
    pub data_dir: PathBuf,
    pub listen: Listen,
    /// Where the others reach it.
    pub peer: Url,
    /// Every member there is to be, this one too, by name: `--initial-cluster`.
    pub initial: BTreeMap<String, Url>,
    pub state: State,
    /// The others are lost for good: it is to be the only member, with what it has.
    pub force_new_cluster: bool,
    /// Names the cluster when it is founded.
    pub cluster_id: u64,
    pub knobs: Knobs,
}

/// `--initial-cluster-state`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    New,
    Existing,
}

/// For so long one that is to found a cluster asks whether that was done before.
const FOUNDED_MS: u64 = 1_000;

/// Runs a member until it fails, or until it is asked to stop.
pub async fn boot(boot: Boot) -> Result<(), Error> {
    let mut doubt = false;
    loop {
        let peers = crate::bind(&boot.listen).await?;
        let recovered = rt::select! {
            recovered = stand_up(&boot, &peers, doubt) => recovered?,
            () = rt::shutdown() => return Ok(()),
        };
        match crate::serve(recovered, peers).await {
            Err(Error::Renamed) => doubt = true,
            ended => return ended,
        }
    }
}

async fn stand_up(boot: &Boot, peers: &Peers, doubt: bool) -> Result<Recovered, Error> {
    let owner = wal::owner(&boot.data_dir).await?;
    let founding = founding::read(&boot.data_dir).await?;
    if boot.force_new_cluster {
        return stand_alone(boot, owner, founding).await;
    }
    match (owner, founding, boot.state) {
        (Some(owner), Some((cluster, founded)), _) => {
            recover::recover(boot.config(owner.member, cluster, join::found(&founded), Start::Again)).await
        }
        (Some(owner), None, State::New) => {
            // from before the founding was kept in the folder: the flags say what it was
            let config = boot.config(owner.member, owner.cluster, boot.founding_members(), Start::Again);
            founding::write(&boot.data_dir, &(owner.cluster, members::founded(&config))).await?;
            recover::recover(config).await
        }
        (None, Some((cluster, members)), _) => {
            let me = members.present.iter().find(|(_, member)| member.name == boot.name);
            let (member, _) = me.ok_or_else(|| Error::NotInitial { name: boot.name.clone() })?;
            again(boot, Identity { cluster, member: *member }, members, peers).await
        }
        (None, None, State::New) => found(boot, peers).await,
        (None, None, State::Existing) if boot.join().ask.is_empty() => Err(Error::NobodyToAsk),
        (_, None, State::Existing) => match join::stand_up(boot.join(), peers, doubt).await {
            Err(Error::StartedBefore(before)) => again(boot, before.me, before.members, peers).await,
            recovered => recovered,
        },
    }
}

/// The only member from now on, with what its folder holds.
async fn stand_alone(
    boot: &Boot,
    owner: Option<Identity>,
    founding: Option<founding::Founding>,
) -> Result<Recovered, Error> {
    let owner = owner.ok_or_else(|| Error::NothingToKeep { dir: boot.data_dir.clone() })?;
    let (founders, start) = match founding {
        Some((_, founded)) => (join::found(&founded), Start::Again),
        None => (BTreeMap::from([(owner.member, boot.me())]), Start::Joining),
    };
    let config = boot.config(owner.member, owner.cluster, founders, start);
    sole::found(&config).await?;
    Ok(Recovered { sole: true, ..recover::recover(config).await? })
}

/// Founds the cluster, unless another member knows this one to have started: then its disk was lost.
async fn found(boot: &Boot, peers: &Peers) -> Result<Recovered, Error> {
    let initial = boot.founding_members();
    let me = boot.founding_id()?;
    if initial.len() > 1 {
        let join = boot.join();
        let asking = join::who_am_i(&join, None, peers);
        if let Ok(told) = rt::timeout(ms(FOUNDED_MS), asking).await {
            let told = told?;
            if told.me.cluster != boot.cluster_id {
                return Err(Error::OtherCluster { peer: boot.peer.addr.clone() });
            }
            if told.members.present.get(&told.me.member).is_some_and(|me| !me.client_urls.is_empty()) {
                return again(boot, told.me, told.members, peers).await;
            }
        }
    }
    let config = boot.config(me, boot.cluster_id, initial, Start::Founding);
    let founding = (boot.cluster_id, members::founded(&config));
    let recovered = recover::recover(config).await?;
    // behind the log: where this is and the log is not, the log was lost
    founding::write(&boot.data_dir, &founding).await?;
    Ok(recovered)
}

/// A member that lost its disk. While members never changed, those that there are are those that founded the cluster.
async fn again(boot: &Boot, me: Identity, members: Members, peers: &Peers) -> Result<Recovered, Error> {
    let config = boot.config(me.member, me.cluster, join::found(&members), Start::Again);
    let forgot = recall::recall(&config, peers).await?;
    founding::write(&boot.data_dir, &(me.cluster, members)).await?;
    recover::rejoin(config, forgot).await
}

impl Boot {
    /// Ids in the order of names, so that all who found a cluster mean the same.
    pub(crate) fn founding_members(&self) -> BTreeMap<MemberId, MemberAddr> {
        let member = |(id, (name, peer)): (u64, (&String, &Url))| {
            (MemberId(id), MemberAddr { name: name.clone(), peer: peer.clone(), clients: vec![] })
        };
        (1..).zip(&self.initial).map(member).collect()
    }

    fn me(&self) -> MemberAddr {
        MemberAddr { name: self.name.clone(), peer: self.peer.clone(), clients: vec![] }
    }

    /// This one's among them.
    pub(crate) fn founding_id(&self) -> Result<MemberId, Error> {
        let mut named = (1..).zip(self.initial.keys());
        let me = named.find_map(|(id, name)| (*name == self.name).then_some(MemberId(id)));
        me.ok_or_else(|| Error::NotInitial { name: self.name.clone() })
    }

    pub(crate) fn config(
        &self,
        id: MemberId,
        cluster_id: u64,
        members: BTreeMap<MemberId, MemberAddr>,
        start: Start,
    ) -> Config {
        Config {
            id,
            name: self.name.clone(),
            cluster_id,
            start,
            data_dir: self.data_dir.clone(),
            listen: self.listen.clone(),
            members,
            knobs: self.knobs.clone(),
        }
    }

    fn join(&self) -> Join {
        let others = self.initial.values().filter(|peer| **peer != self.peer);
        Join {
            name: self.name.clone(),
            data_dir: self.data_dir.clone(),
            listen: self.listen.clone(),
            peer: self.peer.clone(),
            ask: others.map(|peer| peer.addr.clone()).collect(),
            knobs: self.knobs.clone(),
        }
    }
}
