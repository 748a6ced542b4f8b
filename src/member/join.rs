//! A member that was added to a cluster that runs. It is known by its peer address: it asks those that it was told of
//! what its id is, and who the others are. With an empty folder it may start only if it never started before.

use crate::{
    Config, MemberAddr,
    config::Start,
    error::Error,
    frame::{self, Frame},
    members::{self, Member, Members},
    recover::{self, Recovered},
};
use base::{Knobs, MemberId, Note, knobs::ms, reached};
use rt::net::Peers;
use std::{collections::BTreeMap, net::SocketAddr, path::PathBuf};

/// What a member is told that joins.
#[derive(Clone, Debug)]
pub struct Join {
    pub name: String,
    pub cluster_id: u64,
    pub data_dir: PathBuf,
    pub client_listen: SocketAddr,
    pub peer_listen: SocketAddr,
    /// Peer addresses of members that are there.
    pub ask: Vec<SocketAddr>,
    pub knobs: Knobs,
}

/// Between two attempts to be answered.
const AGAIN_MS: u64 = 500;

/// A member as it stands up: by its folder, and where that is empty by what the others say.
pub async fn stand_up(join: Join, peers: &Peers) -> Result<Recovered, Error> {
    let owner = wal::owner(&join.data_dir).await?;
    let (id, said) = match owner {
        Some(owner) => (owner.member, None),
        None => who_am_i(&join, None, peers).await.map(|(id, members)| (id, Some(members)))?,
    };
    let mut recovered = recover::recover(config(&join, id, said.as_ref())).await?;
    if let Some(members) = said {
        recovered.addresses.learn(&members);
        return Ok(recovered);
    }
    if recovered.addresses.len() > 1 {
        return Ok(recovered);
    }
    // it stopped before it was given a log that names the others
    reached!("member: one that joined asks again who the others are");
    let (now, members) = who_am_i(&join, Some(id), peers).await?;
    if now == id {
        recovered.addresses.learn(&members);
        return Ok(recovered);
    }
    // The change that gave it its id was never agreed on, and so nothing was that it had a part in under that id: a
    // later change that was agreed on would have come with it.
    reached!("member: one that joined is another one than it was told first");
    drop(recovered);
    wal::forget(&join.data_dir).await?;
    let mut recovered = recover::recover(config(&join, now, Some(&members))).await?;
    recovered.addresses.learn(&members);
    Ok(recovered)
}

fn config(join: &Join, id: MemberId, said: Option<&Members>) -> Config {
    let me = MemberAddr { name: join.name.clone(), peer: join.peer_listen, client: join.client_listen };
    let found = |(id, member): (&MemberId, &Member)| {
        let first = |urls: &[String]| urls.iter().find_map(|url| members::address(url));
        let (peer, client) = (first(&member.peer_urls)?, first(&member.client_urls)?);
        Some((*id, MemberAddr { name: member.name.clone(), peer, client }))
    };
    let others = said.into_iter().flat_map(|members| &members.present).filter_map(found);
    let members: BTreeMap<_, _> = others.chain([(id, me)]).collect();
    Config {
        id,
        name: join.name.clone(),
        cluster_id: join.cluster_id,
        start: Start::Joining,
        data_dir: join.data_dir.clone(),
        client_listen: join.client_listen,
        peer_listen: join.peer_listen,
        members,
        knobs: join.knobs.clone(),
    }
}

/// Asks until somebody knows.
async fn who_am_i(join: &Join, id: Option<MemberId>, peers: &Peers) -> Result<(MemberId, Members), Error> {
    let nonce = rt::random_u64();
    let question = Frame::WhoAmI { nonce, peer: join.peer_listen, id };
    let question = frame::seal(join.cluster_id, &question);
    let mut again = rt::interval(ms(AGAIN_MS));
    rt::note(Note::Said { text: format!("{} joins: it asks the members who it is", join.name) });
    loop {
        rt::select! {
            _ = again.tick() => join.ask.iter().for_each(|to| peers.send(*to, question.clone())),
            heard = peers.recv() => match frame::open(join.cluster_id, &heard.map_err(Error::Peers)?) {
                Ok(Frame::YouAre { nonce: of, id: now, started: true, .. })
                    if of == nonce && id != Some(now) =>
                {
                    return Err(Error::StartedBefore { peer: join.peer_listen, dir: join.data_dir.clone() });
                }
                Ok(Frame::YouAre { nonce: of, id, members, .. }) if of == nonce => return Ok((id, members)),
                Ok(Frame::Removed) => return Err(Error::Removed),
                _ => {}
            },
        }
    }
}

/// What a member answers to one that asks who it is; nothing if it does not know of it (yet). The one at an address may
/// be another than it was told when a change was under way that was taken back.
pub fn answer(members: &Members, nonce: u64, peer: SocketAddr, id: Option<MemberId>) -> Option<Frame> {
    let at = |member: &Member| member.peer_urls.iter().any(|url| members::address(url) == Some(peer));
    let of_that_id = id.and_then(|id| members.present.get_key_value(&id)).filter(|(_, member)| at(member));
    let there = || members.present.iter().find(|(_, member)| at(member));
    let (id, member) = of_that_id.or_else(there)?;
    let (id, started) = (*id, member.has_started());
    Some(Frame::YouAre { nonce, id, members: members.clone(), started })
}
