//! The members as people know them: names and addresses. Raft knows only their ids; a change of members carries, beside
//! what Raft must know, the whole list as it is from there on. Nothing is kept of those a cluster was founded with until
//! the first change: until then each member's configuration says who they are.

use crate::{Error, Response, Store};
use base::{MemberId, reached};
use serde::{Deserialize, Serialize};
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

/// The members, and those that were members and never will be again.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Members {
    pub present: BTreeMap<MemberId, Member>,
    pub removed: BTreeSet<MemberId>,
}

/// One of them. Without a name it was added and has not started yet.
#[derive(Clone, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
pub struct Member {
    pub name: String,
    pub peer_urls: Vec<String>,
    pub client_urls: Vec<String>,
    pub learner: bool,
}

impl Member {
    /// Whether it has said its name, as it does when it starts.
    pub fn has_started(&self) -> bool {
        !self.name.is_empty()
    }
}

impl Members {
    /// Whether there is none, that is: whether members never changed.
    pub fn is_empty(&self) -> bool {
        self.present.is_empty()
    }
}

impl Store {
    /// The members; empty if they never changed.
    pub fn members(&self) -> &Arc<Members> {
        &self.members
    }

    pub(crate) fn replace_members(&mut self, members: &Members) -> Response {
        self.members = Arc::new(members.clone());
        self.rest_bytes = crate::snapshot::rest_bytes(self);
        self.digest_members();
        Response::Members
    }

    /// The members are those that the cluster was founded with, unless a list of them came before.
    pub(crate) fn found_members(&mut self, members: &Members) -> Response {
        if self.members.is_empty() {
            return self.replace_members(members);
        }
        reached!("store: the members were known before the founding ones were named");
        Response::Members
    }

    /// A member says its name, and where it serves clients.
    pub(crate) fn publish(
        &mut self,
        id: MemberId,
        name: &str,
        client_urls: &[String],
    ) -> Result<Response, Error> {
        let members = Arc::make_mut(&mut self.members);
        let Some(member) = members.present.get_mut(&id) else {
            reached!("store: one that is no member says its name");
            return Err(Error::MemberNotFound);
        };
        member.name = name.into();
        member.client_urls = client_urls.to_vec();
        self.rest_bytes = crate::snapshot::rest_bytes(self);
        self.digest_members();
        Ok(Response::Members)
    }

    fn digest_members(&mut self) {
        let members = self.members.clone();
        for (id, member) in &members.present {
            self.digest.number(id.0);
            self.digest.number(u64::from(member.learner));
            let urls = member.peer_urls.iter().chain(&member.client_urls);
            urls.chain([&member.name]).for_each(|text| self.digest.bytes(text.as_bytes()));
        }
        members.removed.iter().for_each(|id| self.digest.number(id.0));
    }
}
