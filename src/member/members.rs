//! Who the members are, and what a change makes of that. The refusals are etcd's (server/etcdserver/api/membership,
//! `--strict-reconfig-check`): a change that would leave too few members that have ever started is not begun.

use crate::{Config, Url};
use base::{MemberId, Term, bug};
use rt::net::Endpoint;
use std::collections::BTreeSet;
pub use store::{Member, Members};

/// What a client wants of the members.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Change {
    Add { peer_urls: Vec<String>, learner: bool },
    Promote { id: MemberId },
    Remove { id: MemberId },
    Update { id: MemberId, peer_urls: Vec<String> },
}

/// Why it does not get it. After the last three it may come about all the same.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum ChangeError {
    #[error("a member has one of these peer URLs")]
    PeerUrlExists,
    #[error("there is no such member")]
    NotFound,
    #[error("that member is no learner")]
    NotLearner,
    #[error("there are as many learners as there may be")]
    TooManyLearners,
    #[error("too few members that have started would be left to agree on anything")]
    NotEnoughStarted,
    #[error("the learner has not caught up with the leader")]
    LearnerNotReady,
    #[error("too few members are heard of")]
    Unhealthy,
    #[error("this member does not lead; nothing was changed")]
    NotLeader,
    #[error("other changes took all the time; nothing was changed")]
    NotBegun,
    #[error("the leader changed")]
    Lost,
    #[error("no agreement in time")]
    Timeout,
    #[error("the member has stopped")]
    Stopped,
}

/// What the leader knows of itself and the others, and what it allows.
pub struct Health {
    /// Learners there may be at a time.
    pub learners: usize,
    /// The term in which it leads.
    pub term: Term,
    /// It has heard of these lately, itself included.
    pub heard: BTreeSet<MemberId>,
    /// These hold nearly all of its log.
    pub caught_up: BTreeSet<MemberId>,
}

/// The members that a cluster is founded with.
pub fn founded(config: &Config) -> Members {
    let member = |address: &crate::MemberAddr| Member {
        name: address.name.clone(),
        peer_urls: vec![address.peer.to_string()],
        client_urls: address.clients.iter().map(ToString::to_string).collect(),
        learner: false,
    };
    let present = config.members.iter().map(|(id, address)| (*id, member(address))).collect();
    Members { present, removed: BTreeSet::new() }
}

/// The address or name in a URL of a member.
pub fn address(url: &str) -> Option<Endpoint> {
    url.parse::<Url>().ok().map(|url| url.addr)
}

/// The members after a change, if that may be begun.
pub fn after(members: &Members, change: &Change, health: &Health) -> Result<Members, ChangeError> {
    let mut next = members.clone();
    match change {
        Change::Add { peer_urls, learner } => {
            may_add(members, peer_urls, *learner, health)?;
            let member = Member { peer_urls: peer_urls.clone(), learner: *learner, ..Member::default() };
            next.present.insert(next_id(members, health.term), member);
        }
        Change::Promote { id } => {
            may_promote(members, *id, health)?;
            next.present.entry(*id).and_modify(|member| member.learner = false);
        }
        Change::Remove { id } => {
            may_remove(members, *id, health)?;
            next.present.remove(id);
            next.removed.insert(*id);
        }
        Change::Update { id, peer_urls } => {
            let others = members.present.iter().filter(|(other, _)| *other != id);
            if others.flat_map(|(_, member)| &member.peer_urls).any(|url| peer_urls.contains(url)) {
                return Err(ChangeError::PeerUrlExists);
            }
            let member = next.present.get_mut(id).ok_or(ChangeError::NotFound)?;
            member.peer_urls = peer_urls.clone();
            member.learner &= !bug!("B02"); // etcd-io/etcd#21736: whoever moves gets a vote by that
        }
    }
    Ok(next)
}

/// Bits of an id that count the members; those above are the term in which it was given.
const COUNT: u32 = 16;

/// One that never was given before, not even by a change that was taken back: that was in another term. The machine it
/// was given to may still go by it.
fn next_id(members: &Members, term: Term) -> MemberId {
    let ever = members.present.keys().chain(&members.removed);
    let count = ever.map(|id| id.0 & ((1 << COUNT) - 1)).max().unwrap_or(0) + 1;
    // our own: B15 gives what was taken back again
    let term = if bug!("B15") { 0 } else { term.0 };
    MemberId((term << COUNT) + count)
}

/// The voters but for one: how many there are, and how many of them have started.
fn voters_but(members: &Members, id: Option<MemberId>) -> (usize, usize) {
    let voters = members.present.iter().filter(|(other, member)| !member.learner && Some(**other) != id);
    voters.fold((0, 0), |(all, started), (_, member)| (all + 1, started + usize::from(member.has_started())))
}

fn quorum_of(voters: usize) -> usize {
    voters / 2 + 1
}

fn may_add(
    members: &Members,
    peer_urls: &[String],
    learner: bool,
    health: &Health,
) -> Result<(), ChangeError> {
    let mut known = members.present.values().flat_map(|member| &member.peer_urls);
    if known.any(|url| peer_urls.contains(url)) {
        return Err(ChangeError::PeerUrlExists);
    }
    let (voters, started) = voters_but(members, None);
    if learner && members.present.values().filter(|member| member.learner).count() >= health.learners {
        return Err(ChangeError::TooManyLearners);
    }
    // a single member may always get a second
    let enough = (voters, started) == (1, 1) || started >= quorum_of(voters + 1);
    if !learner && !enough {
        return Err(ChangeError::NotEnoughStarted);
    }
    let voters = members.present.iter().filter(|(_, member)| !member.learner);
    let heard_of_all = voters.into_iter().all(|(id, _)| health.heard.contains(id));
    if heard_of_all { Ok(()) } else { Err(ChangeError::Unhealthy) }
}

fn may_promote(members: &Members, id: MemberId, health: &Health) -> Result<(), ChangeError> {
    let member = members.present.get(&id).ok_or(ChangeError::NotFound)?;
    if !member.learner {
        return Err(ChangeError::NotLearner);
    }
    if !health.caught_up.contains(&id) {
        return Err(ChangeError::LearnerNotReady);
    }
    let (voters, started) = voters_but(members, None);
    // it has started, or it would not have caught up
    // etcd-io/etcd#11633: B03 does not count the learner itself
    if started + usize::from(!bug!("B03")) < quorum_of(voters + 1) {
        Err(ChangeError::NotEnoughStarted)
    } else {
        Ok(())
    }
}

fn may_remove(members: &Members, id: MemberId, health: &Health) -> Result<(), ChangeError> {
    let member = members.present.get(&id).ok_or(ChangeError::NotFound)?;
    if member.learner {
        return Ok(());
    }
    let (left, started) = voters_but(members, Some(id));
    if started < quorum_of(left) {
        return Err(ChangeError::NotEnoughStarted);
    }
    // one that is down is no part of the quorum there is
    if !health.heard.contains(&id) {
        return Ok(());
    }
    let voters = members.present.iter().filter(|(other, member)| !member.learner && **other != id);
    let heard = voters.into_iter().filter(|(other, _)| health.heard.contains(other)).count();
    if heard < quorum_of(left) { Err(ChangeError::Unhealthy) } else { Ok(()) }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn url(id: u64) -> String {
        format!("http://10.0.0.{id}:2380")
    }

    /// Members 1, 2, ...: `v` is a voter, `n` one that has not started, `l` a learner.
    fn members(kinds: &str) -> Members {
        let member = |(id, kind): (u64, char)| {
            let name = if kind == 'n' { String::new() } else { format!("m{id}") };
            let member = Member { name, peer_urls: vec![url(id)], learner: kind == 'l', ..Member::default() };
            (MemberId(id), member)
        };
        Members { present: (1..).zip(kinds.chars()).map(member).collect(), removed: BTreeSet::new() }
    }

    fn all_well(members: &Members) -> Health {
        let all: BTreeSet<MemberId> = members.present.keys().copied().collect();
        Health { learners: 1, term: Term(0), heard: all.clone(), caught_up: all }
    }

    fn outcome(kinds: &str, change: &Change) -> Result<usize, ChangeError> {
        let members = members(kinds);
        after(&members, change, &all_well(&members)).map(|members| members.present.len())
    }

    fn add(id: u64, learner: bool) -> Change {
        Change::Add { peer_urls: vec![url(id)], learner }
    }

    #[test]
    fn a_voter_is_added_only_if_those_that_have_started_are_a_quorum_with_it() {
        use ChangeError::*;
        assert_eq!(outcome("v", &add(9, false)), Ok(2), "a single member may get a second");
        assert_eq!(outcome("vv", &add(9, false)), Ok(3));
        assert_eq!(outcome("vn", &add(9, false)), Err(NotEnoughStarted));
        assert_eq!(outcome("vvn", &add(9, false)), Err(NotEnoughStarted));
        assert_eq!(outcome("vvvn", &add(9, false)), Ok(5));
        assert_eq!(outcome("vvl", &add(9, true)), Err(TooManyLearners));
        assert_eq!(outcome("vvl", &add(9, false)), Ok(4));
        assert_eq!(outcome("vv", &add(2, true)), Err(PeerUrlExists));
    }

    #[test]
    fn there_are_as_many_learners_as_there_may_be() {
        for (most, kinds, expected) in [
            (0, "vv", Err(ChangeError::TooManyLearners)),
            (2, "vvl", Ok(4)),
            (2, "vvll", Err(ChangeError::TooManyLearners)),
            (3, "vvll", Ok(5)),
        ] {
            let members = members(kinds);
            let health = Health { learners: most, ..all_well(&members) };
            let added = after(&members, &add(9, true), &health).map(|members| members.present.len());
            assert_eq!(added, expected, "{most} of {kinds}");
        }
    }

    #[test]
    fn one_is_removed_only_if_those_that_have_started_are_a_quorum_without_it() {
        use ChangeError::*;
        let remove = |id| Change::Remove { id: MemberId(id) };
        assert_eq!(outcome("v", &remove(1)), Err(NotEnoughStarted), "the last one stays");
        assert_eq!(outcome("vv", &remove(1)), Ok(1));
        assert_eq!(outcome("vvn", &remove(3)), Ok(2));
        assert_eq!(outcome("vvn", &remove(1)), Err(NotEnoughStarted));
        assert_eq!(outcome("vl", &remove(2)), Ok(1));
        assert_eq!(outcome("vv", &remove(9)), Err(NotFound));
    }

    #[test]
    fn a_learner_is_promoted_once_it_has_caught_up() {
        use ChangeError::*;
        let promote = |id| Change::Promote { id: MemberId(id) };
        assert_eq!(outcome("vvl", &promote(3)), Ok(3));
        assert_eq!(outcome("vl", &promote(2)), Ok(2), "it counts itself");
        base::marks::plant(Some("B03"));
        assert_eq!(outcome("vl", &promote(2)).is_ok(), !base::marks::COUNTED, "planted, it is seen");
        base::marks::plant(None);
        assert_eq!(outcome("vvl", &promote(2)), Err(NotLearner));
        assert_eq!(outcome("vvl", &promote(9)), Err(NotFound));
        let behind = members("vvl");
        let health = Health { caught_up: BTreeSet::new(), ..all_well(&behind) };
        assert_eq!(after(&behind, &promote(3), &health), Err(LearnerNotReady));
    }

    #[test]
    fn nothing_is_begun_that_the_members_heard_of_could_not_carry() {
        use ChangeError::*;
        let three = members("vvv");
        let heard = |ids: &[u64]| Health {
            learners: 1,
            term: Term(0),
            heard: ids.iter().map(|id| MemberId(*id)).collect(),
            caught_up: BTreeSet::new(),
        };
        let remove = |id| Change::Remove { id: MemberId(id) };
        assert_eq!(after(&three, &add(9, true), &heard(&[1, 2])), Err(Unhealthy));
        assert_eq!(after(&three, &remove(2), &heard(&[1, 2])), Err(Unhealthy));
        assert!(after(&three, &remove(3), &heard(&[1, 2])).is_ok(), "one that is down may go");
    }

    #[test]
    fn whoever_was_removed_is_remembered_and_no_url_is_given_twice() {
        let three = members("vvv");
        let next = after(&three, &Change::Remove { id: MemberId(3) }, &all_well(&three)).expect("allowed");
        assert!(next.removed.contains(&MemberId(3)) && !next.present.contains_key(&MemberId(3)));
        let again = after(&next, &add(3, false), &all_well(&next)).expect("allowed");
        let ids: Vec<u64> = again.present.keys().map(|id| id.0).collect();
        assert_eq!(ids, [1, 2, 4], "no id is given twice");
        let later = Health { term: Term(3), ..all_well(&next) };
        let again = after(&next, &add(3, false), &later).expect("allowed");
        let last = again.present.keys().last();
        assert_eq!(last, Some(&MemberId(0x30004)), "nor after a change in another term was taken back");
        let update = |id, to| Change::Update { id: MemberId(id), peer_urls: vec![url(to)] };
        assert_eq!(outcome("vv", &update(1, 2)), Err(ChangeError::PeerUrlExists));
        assert_eq!(outcome("vv", &update(1, 7)), Ok(2));
        assert_eq!(outcome("vv", &update(9, 7)), Err(ChangeError::NotFound));
        let learner = members("vvl");
        base::marks::plant(Some("B02"));
        let moved = after(&learner, &update(3, 7), &all_well(&learner)).expect("allowed");
        assert_eq!(moved.present[&MemberId(3)].learner, !base::marks::COUNTED, "planted, it is seen");
        base::marks::plant(None);
        let moved = after(&learner, &update(3, 7), &all_well(&learner)).expect("allowed");
        let three = &moved.present[&MemberId(3)];
        assert!(three.learner && three.peer_urls == [url(7)], "who moves gets no vote by that");
        assert_eq!(address("http://10.0.0.1:2380"), "10.0.0.1:2380".parse().ok());
    }
}
