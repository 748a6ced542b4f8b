//! A member says its name and where it serves clients, as soon as the list of members lacks that. Until then it counts
//! as one that has not started.

use crate::{config::Start, handle::Handle, members};
use base::{knobs::ms, reached};
use store::Command;

/// Between two attempts.
const AGAIN_MS: u64 = 500;

/// Never returns.
pub async fn run(handle: Handle) {
    loop {
        let seen = handle.members_changed().version();
        match lacks(&handle) {
            Some(command) => {
                reached!("member: one that was added says its name");
                let _ = handle.propose(command).await;
                rt::sleep(ms(AGAIN_MS)).await;
            }
            None => drop(handle.members_changed().changed(seen).await),
        }
    }
}

/// What the list of members does not say of this one. Where there is no list yet, as nobody came or went since the
/// founding, and those that founded it did not know where this one serves clients, the list itself.
fn lacks(handle: &Handle) -> Option<Command> {
    let (id, config) = (handle.member(), handle.config());
    let unlisted = handle.with_store(|store| store.members().is_empty());
    if unlisted {
        let unknown = config.members.get(&id).is_some_and(|me| me.clients.is_empty());
        let founding = config.start != Start::Joining && unknown;
        reached!("member: one of those that founded the cluster says where it serves", founding);
        return founding.then(|| Command::Found(members::founded(config)));
    }
    let client_urls: Vec<String> = config.listen.advertised.iter().map(ToString::to_string).collect();
    let said = |member: &store::Member| member.name == config.name && member.client_urls == client_urls;
    let lacks =
        handle.with_store(|store| store.members().present.get(&id).is_some_and(|member| !said(member)));
    lacks.then(|| Command::Publish { id, name: config.name.clone(), client_urls })
}
