//! A member that lost its disk asks all others in which term they are, again and again, until each has answered.
//! Until then it takes no part: it hears no other frame, and says nothing to clients. Why: [`raft::Recall`].

use crate::{
    Config,
    error::Error,
    frame::{self, Frame},
};
use base::{Note, Term};
use raft::Recall;
use rt::net::Peers;

/// Up to which term promises of this member may have been lost.
pub async fn recall(config: &Config, peers: &Peers) -> Result<Term, Error> {
    let (dir, members) = (config.data_dir.clone(), config.members.len());
    if members < 3 {
        // without this one's vote there is no quorum to catch up with
        return Err(Error::NotSpared { dir, members });
    }
    let others = config.members.keys().copied().filter(|id| *id != config.id);
    let nonce = rt::random_u64();
    let mut recall = Recall::new(others, nonce);
    let mut again = rt::interval(config.knobs.election_timeout() / 2);
    let text = format!(
        "{} has an empty folder and founds no cluster (--initial-cluster-state): it asks all others what it promised",
        config.name
    );
    rt::note(Note::Said { text });
    loop {
        rt::select! {
            _ = again.tick() => ask(config, peers, &recall, nonce),
            heard = peers.recv() => {
                let bytes = heard.map_err(Error::Peers)?;
                if let Ok(Frame::Recalled { from, nonce, term, changed }) =
                    frame::open(config.cluster_id, &bytes)
                {
                    recall.answered(from, nonce, term, changed);
                }
            }
        }
        if recall.hopeless() {
            return Err(Error::MembersChanged { dir, id: config.id });
        }
        if let Some(term) = recall.done() {
            return Ok(term);
        }
    }
}

fn ask(config: &Config, peers: &Peers, recall: &Recall, nonce: u64) {
    let question = frame::seal(config.cluster_id, &Frame::Recall { from: config.id, nonce });
    for id in recall.waiting() {
        peers.send(config.members[id].peer.addr.clone(), question.clone());
    }
}
