//! Where the members are found. What the newest list of members says counts, also before it is committed: a new voter
//! may be needed to commit it. Nobody is forgotten, as those that left are told so.

use crate::{Config, members, proposal::Proposal};
use base::MemberId;
use raft::{Entry, Payload};
use std::{collections::BTreeMap, net::SocketAddr};
use store::{Command, Members};

pub struct Addresses(BTreeMap<MemberId, SocketAddr>);

impl Addresses {
    pub fn of(config: &Config) -> Self {
        Self(config.members.iter().map(|(id, member)| (*id, member.peer)).collect())
    }

    pub fn len(&self) -> usize {
        self.0.len()
    }

    pub fn get(&self, id: MemberId) -> Option<SocketAddr> {
        self.0.get(&id).copied()
    }

    pub fn learn(&mut self, members: &Members) {
        for (id, member) in &members.present {
            if let Some(address) = member.peer_urls.iter().find_map(|url| members::address(url)) {
                self.0.insert(*id, address);
            }
        }
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
