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
use base::{Knobs, MemberId, Note, bug, knobs::ms, reached};
use rt::net::{Endpoint, Peers};
use std::{
    collections::{BTreeMap, BTreeSet},
    path::PathBuf,
};
use wal::Identity;

/// What a member is told that joins.
#[derive(Clone, Debug)]
pub struct Join {
    pub name: String,
    pub data_dir: PathBuf,
    pub listen: Listen,
    /// Where the others reach it: with that it was added.
    pub peer: Url,
    /// Where members that are there are reached.
    pub ask: Vec<Endpoint>,
    pub knobs: Knobs,
}

/// Between two attempts to be answered.
const AGAIN_MS: u64 = 500;

/// A member as it stands up: by its folder, and where that is empty by what the others say. One that is in doubt asks
/// them too, although its log names them.
pub async fn stand_up(join: Join, peers: &Peers, doubt: bool) -> Result<Recovered, Error> {
    let owner = wal::owner(&join.data_dir).await?;
    let Some(owner) = owner else {
        say(&join);
        let told = who_am_i(&join, None, peers).await?.not_before(&join)?;
        return recover_as(&join, &told).await;
    };
    let mut recovered = recover::recover(config(&join, owner, None)).await?;
    if names_whom_it_needs(&recovered) && !doubt {
        return Ok(recovered);
    }
    // it stopped before it was given a log that names the others, or by a log that may never have been agreed on
    reached!("member: one that joined asks again who the others are");
    say(&join);
    let told = who_am_i(&join, Some(owner), peers).await?.not_before(&join)?;
    if !is_another(&recovered.node, told.me.member, told.instead) {
        recovered.addresses.learn(&told.members);
        return Ok(recovered);
    }
    reached!("member: one that joined is another one than it was told first");
    drop(recovered);
    wal::forget(&join.data_dir).await?;
    recover_as(&join, &told).await
}

/// Whether its log says where the others are, or that there are no others.
fn names_whom_it_needs(recovered: &Recovered) -> bool {
    let alone = recovered.node.membership().all() == BTreeSet::from([recovered.node.id()]);
    reached!("member: one that joined is all that is left, and stands up alone", alone);
    // our own: B17 asks others, of whom there are none
    recovered.addresses.len() > 1 || alone && !bug!("B17")
}

/// Whether it is to begin anew, with nothing: the change that gave it its id was taken back, and a later one gave it
/// another. One that promised nothing may do so at once: it may be needed to agree on that later change. Any other must
/// know that the later change is agreed on. Then what it had a part in as the former never can be: an id is greater the
/// later it is given, and nobody is added at an address that another one has. The one that says so may lag, and name an
/// id from before: the smaller of two is never believed.
pub fn is_another(node: &raft::Node, told: MemberId, instead: bool) -> bool {
    let promised_nothing = node.membership().all().is_empty() && node.vote().is_none();
    told != node.id() && !bug!("B14") && (promised_nothing || instead && told > node.id() && !bug!("B07"))
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
    members.insert(me.member, MemberAddr { name, peer: join.peer.clone(), clients });
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
    /// That is agreed on, and the id that it asked with is nobody's.
    pub instead: bool,
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
        StartedBefore { dir: join.data_dir.clone(), peer: join.peer.addr.clone(), me, members }
    }
}

/// Asks until somebody knows. One that does not know which cluster it was added to takes the answer of any.
pub async fn who_am_i(join: &Join, me: Option<Identity>, peers: &Peers) -> Result<Told, Error> {
    let (nonce, id) = (rt::random_u64(), me.map(|me| me.member));
    let cluster = me.map_or(frame::ANY, |me| me.cluster);
    let question = frame::seal(cluster, &Frame::WhoAmI { nonce, peer: join.peer.addr.clone(), id });
    let mut again = rt::interval(ms(AGAIN_MS));
    loop {
        rt::select! {
            _ = again.tick() => join.ask.iter().for_each(|to| peers.send(to.clone(), question.clone())),
            heard = peers.recv() => match frame::open(cluster, &heard.map_err(Error::Peers)?) {
                Ok(Frame::YouAre { nonce: of, cluster, id: now, members, started, instead }) if of == nonce => {
                    let before = started && id != Some(now);
                    return Ok(Told { me: Identity { cluster, member: now }, members, before, instead });
                }
                Ok(Frame::Removed) => return Err(Error::Removed),
                _ => {}
            },
        }
    }
}

/// Who asks a member which one it is: with what number, from where, and as whom.
pub struct Asker {
    pub nonce: u64,
    pub peer: Endpoint,
    pub id: Option<MemberId>,
}

/// Which member of a list it is that asks; none if it is not on it (yet). The one at an address may be another than it
/// was told when a change was under way that was taken back.
pub fn find(members: &Members, asker: &Asker) -> Option<MemberId> {
    let at = |member: &Member| {
        member.peer_urls.iter().any(|url| members::address(url).as_ref() == Some(&asker.peer))
    };
    if bug!("B14") && asker.id.is_some() {
        return asker.id.filter(|id| members.present.contains_key(id)); // our own: by its id alone
    }
    let of_that_id = asker.id.filter(|id| members.present.get(id).is_some_and(at));
    of_that_id.or_else(|| members.present.iter().find_map(|(id, member)| at(member).then_some(*id)))
}
