//! Where the members are found. What the newest list of members says counts, also before it is committed: a new voter
//! may be needed to commit it. Nobody that was on a list is forgotten, as those that left are told so. Of those that were
//! only heard of, which anybody can claim to be, a few are remembered.

use crate::{Config, members, proposal::Proposal};
use base::{MemberId, reached};
use raft::{Entry, Payload};
use rt::net::Endpoint;
use std::collections::{BTreeMap, VecDeque};
use store::{Command, Members};

/// Members that no list has named, remembered at a time: more than a cluster has that one member has slept through.
const HEARD: usize = 32;

pub struct Addresses {
    known: BTreeMap<MemberId, Endpoint>,
    /// Those of them that no list named so far, the latest last.
    heard: VecDeque<MemberId>,
    /// The last list that came, in the log or applied.
    newest: Members,
}

impl Addresses {
    pub fn of(config: &Config) -> Self {
        let known = config.members.iter().map(|(id, member)| (*id, member.peer.addr.clone())).collect();
        Self { known, heard: VecDeque::new(), newest: members::founded(config) }
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn get(&self, id: MemberId) -> Option<Endpoint> {
        self.known.get(&id).cloned()
    }

    /// All that are known but this one.
    pub fn others(&self, id: MemberId) -> impl Iterator<Item = MemberId> {
        self.known.keys().copied().filter(move |other| *other != id)
    }

    /// The members by the last list that came.
    pub fn newest(&self) -> &Members {
        &self.newest
    }

    /// Who is not on any list that came so far may be on one that is still to come.
    pub fn hear(&mut self, id: MemberId, sender: Endpoint) {
        if self.known.contains_key(&id) {
            return;
        }
        reached!("member: one was heard of that no list had named");
        if self.heard.len() >= HEARD
            && let Some(oldest) = self.heard.pop_front()
        {
            self.known.remove(&oldest);
        }
        self.known.insert(id, sender);
        self.heard.push_back(id);
    }

    pub fn learn(&mut self, members: &Members) {
        if members.is_empty() {
            return;
        }
        for (id, member) in &members.present {
            if let Some(address) = member.peer_urls.iter().find_map(|url| members::address(url)) {
                self.known.insert(*id, address);
            }
        }
        self.heard.retain(|id| !members.present.contains_key(id));
        self.newest = members.clone();
    }

    /// Takes what an entry says of members, if it does.
    pub fn read(&mut self, entry: &Entry) {
        if let Payload::Config { context, .. } = &entry.payload
            && let Ok(Proposal { command: Command::Members(members), .. }) = Proposal::decode(context)
        {
            self.learn(&members);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::net::SocketAddr;
    use store::Member;

    fn at(id: u64) -> Endpoint {
        SocketAddr::from(([10, 0, (id >> 8) as u8, id as u8], 2380)).into()
    }

    fn list(ids: impl IntoIterator<Item = u64>) -> Members {
        let member = |id| Member { peer_urls: vec![format!("http://{}", at(id))], ..Member::default() };
        let present = ids.into_iter().map(|id| (MemberId(id), member(id))).collect();
        Members { present, ..Members::default() }
    }

    fn of_three() -> Addresses {
        let newest = Members::default();
        let mut addresses = Addresses { known: BTreeMap::new(), heard: VecDeque::new(), newest };
        addresses.learn(&list(1..=3));
        addresses
    }

    #[test]
    fn one_that_claims_to_be_everybody_takes_no_more_room_than_a_few() {
        let mut addresses = of_three();
        (1..=10_000).for_each(|id| addresses.hear(MemberId(id), at(9)));
        assert_eq!(addresses.len(), 3 + HEARD);
        assert_eq!(addresses.others(MemberId(1)).count(), 2 + HEARD);
        assert!((1..=3).all(|id| addresses.get(MemberId(id)) == Some(at(id))), "members stay where they are");
        assert_eq!(addresses.get(MemberId(10_000)), Some(at(9)), "the latest is remembered");
        assert_eq!(addresses.get(MemberId(10_000 - HEARD as u64)), None, "the oldest is forgotten");
        addresses.hear(MemberId(4), at(4));
        assert_eq!(addresses.get(MemberId(4)), Some(at(4)), "a new one has room all the same");
    }

    #[test]
    fn who_is_on_a_list_is_where_the_list_says_and_is_never_forgotten() {
        let mut addresses = of_three();
        addresses.hear(MemberId(4), at(9));
        addresses.learn(&list(2..=4));
        assert_eq!(addresses.get(MemberId(4)), Some(at(4)));
        assert_eq!(addresses.len(), 4, "no one is there twice");
        (5..=500).for_each(|id| addresses.hear(MemberId(id), at(9)));
        addresses.hear(MemberId(1), at(9));
        assert!((1..=4).all(|id| addresses.get(MemberId(id)) == Some(at(id))), "those that left, too");
    }
}
