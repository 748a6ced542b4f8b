//! A member that was added to a cluster that runs. It is known by its peer address: it asks those that it was told of
//! what its id is, and who the others are. With an empty folder it may start only if it never started before.

use crate::{
    Config, Listen, MemberAddr, Url,
    config::Start,
    error::{Error, StartedBefore},
    frame::{self, Frame},
    members::{self, Member, Members},
    recover::{self, Recovered},
};
use base::{Knobs, MemberId, Note, knobs::ms, reached};
use rt::net::Peers;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};
use wal::Identity;

/// What a member is told that joins.
#[derive(Clone, Debug)]
pub struct Join {
    pub name: String,
    pub data_dir: PathBuf,
    pub listen: Listen,
    /// Where the others reach it: with that it was added.
    pub peer: Url,
    /// Peer addresses of members that are there.
    pub ask: Vec<SocketAddr>,
    pub knobs: Knobs,
}

/// Between two attempts to be answered.
const AGAIN_MS: u64 = 500;

/// A member as it stands up: by its folder, and where that is empty by what the others say.
pub async fn stand_up(join: Join, peers: &Peers) -> Result<Recovered, Error> {
    let owner = wal::owner(&join.data_dir).await?;
    let Some(owner) = owner else {
        say(&join);
        let told = who_am_i(&join, None, peers).await?.not_before(&join)?;
        return recover_as(&join, &told).await;
    };
    let mut recovered = recover::recover(config(&join, owner, None)).await?;
    if recovered.addresses.len() > 1 {
        return Ok(recovered);
    }
    // it stopped before it was given a log that names the others
    reached!("member: one that joined asks again who the others are");
    say(&join);
    let told = who_am_i(&join, Some(owner), peers).await?.not_before(&join)?;
    if told.me == owner {
        recovered.addresses.learn(&told.members);
        return Ok(recovered);
    }
    // The change that gave it its id was never agreed on, and so nothing was that it had a part in under that id: a
    // later change that was agreed on would have come with it.
    reached!("member: one that joined is another one than it was told first");
    drop(recovered);
    wal::forget(&join.data_dir).await?;
    recover_as(&join, &told).await
}

fn say(join: &Join) {
    rt::note(Note::Said { text: format!("{} joins: it asks the members who it is", join.name) });
}

/// As the others say.
async fn recover_as(join: &Join, told: &Told) -> Result<Recovered, Error> {
    let mut recovered = recover::recover(config(join, told.me, Some(&told.members))).await?;
    recovered.addresses.learn(&told.members);
    Ok(recovered)
}

/// Where the members of a list are found.
pub fn found(members: &Members) -> BTreeMap<MemberId, MemberAddr> {
    let found = |(id, member): (&MemberId, &Member)| {
        let peer = member.peer_urls.iter().find_map(|url| url.parse().ok())?;
        let clients = member.client_urls.iter().filter_map(|url| url.parse().ok()).collect();
        Some((*id, MemberAddr { name: member.name.clone(), peer, clients }))
    };
    members.present.iter().filter_map(found).collect()
}

fn config(join: &Join, me: Identity, said: Option<&Members>) -> Config {
    let mut members = said.map(found).unwrap_or_default();
    let (name, clients) = (join.name.clone(), join.listen.advertised.clone());
    members.insert(me.member, MemberAddr { name, peer: join.peer, clients });
    Config {
        id: me.member,
        name: join.name.clone(),
        cluster_id: me.cluster,
        start: Start::Joining,
        data_dir: join.data_dir.clone(),
        listen: join.listen.clone(),
        members,
        knobs: join.knobs.clone(),
    }
}

/// What the others say.
pub struct Told {
    pub me: Identity,
    pub members: Members,
    /// It has started before as somebody that it does not know of any more.
    pub before: bool,
}

impl Told {
    fn not_before(self, join: &Join) -> Result<Self, Error> {
        match self.before {
            true => Err(Error::StartedBefore(Box::new(self.lost(join)))),
            false => Ok(self),
        }
    }

    /// An empty folder, although they know this one to have started.
    fn lost(self, join: &Join) -> StartedBefore {
        let Told { me, members, .. } = self;
        StartedBefore { dir: join.data_dir.clone(), peer: join.peer.addr, me, members }
    }
}

/// Asks until somebody knows. One that does not know which cluster it was added to takes the answer of any.
pub async fn who_am_i(join: &Join, me: Option<Identity>, peers: &Peers) -> Result<Told, Error> {
    let (nonce, id) = (rt::random_u64(), me.map(|me| me.member));
    let cluster = me.map_or(frame::ANY, |me| me.cluster);
    let question = frame::seal(cluster, &Frame::WhoAmI { nonce, peer: join.peer.addr, id });
    let mut again = rt::interval(ms(AGAIN_MS));
    loop {
        rt::select! {
            _ = again.tick() => join.ask.iter().for_each(|to| peers.send(*to, question.clone())),
            heard = peers.recv() => match frame::open(cluster, &heard.map_err(Error::Peers)?) {
                Ok(Frame::YouAre { nonce: of, cluster, id: now, members, started }) if of == nonce => {
                    let before = started && id != Some(now);
                    return Ok(Told { me: Identity { cluster, member: now }, members, before });
                }
                Ok(Frame::Removed) => return Err(Error::Removed),
                _ => {}
            },
        }
    }
}

/// What a member answers to one that asks who it is; nothing if it does not know of it (yet). The one at an address may
/// be another than it was told when a change was under way that was taken back.
pub fn answer(
    cluster: u64,
    members: &Members,
    nonce: u64,
    peer: SocketAddr,
    id: Option<MemberId>,
) -> Option<Frame> {
    let at = |member: &Member| member.peer_urls.iter().any(|url| members::address(url) == Some(peer));
    let of_that_id = id.and_then(|id| members.present.get_key_value(&id)).filter(|(_, member)| at(member));
    let there = || members.present.iter().find(|(_, member)| at(member));
    let (id, member) = of_that_id.or_else(there)?;
    let (id, started) = (*id, member.has_started());
    Some(Frame::YouAre { nonce, cluster, id, members: members.clone(), started })
}
