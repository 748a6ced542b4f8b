//! Where the members are found. What the newest list of members says counts, also before it is committed: a new voter
//! may be needed to commit it. Nobody is forgotten, as those that left are told so.

use crate::{Config, members, proposal::Proposal};
use base::{MemberId, reached};
use raft::{Entry, Payload};
use std::{collections::BTreeMap, net::SocketAddr};
use store::{Command, Members};

pub struct Addresses {
    known: BTreeMap<MemberId, SocketAddr>,
    /// The last list that came, in the log or applied.
    newest: Members,
}

impl Addresses {
    pub fn of(config: &Config) -> Self {
        let known = config.members.iter().map(|(id, member)| (*id, member.peer.addr)).collect();
        Self { known, newest: members::founded(config) }
    }

    pub fn len(&self) -> usize {
        self.known.len()
    }

    pub fn get(&self, id: MemberId) -> Option<SocketAddr> {
        self.known.get(&id).copied()
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
    pub fn hear(&mut self, id: MemberId, sender: SocketAddr) {
        self.known.entry(id).or_insert_with(|| {
            reached!("member: one was heard of that no list had named");
            sender
        });
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
