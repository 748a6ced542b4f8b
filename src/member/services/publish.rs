//! A member says its name and where it serves clients, as soon as the list of members lacks that. Until then it counts
//! as one that has not started.

use crate::handle::Handle;
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

/// What the list of members does not say of this one.
fn lacks(handle: &Handle) -> Option<Command> {
    let (id, config) = (handle.member(), handle.config());
    let client_urls = vec![format!("http://{}", config.client_listen)];
    let said = |member: &store::Member| member.name == config.name && member.client_urls == client_urls;
    let lacks =
        handle.with_store(|store| store.members().present.get(&id).is_some_and(|member| !said(member)));
    lacks.then(|| Command::Publish { id, name: config.name.clone(), client_urls })
}
