//! An operator, as one does it with etcdctl: what is refused for now is tried again for a while, and an attempt without
//! an answer may have been carried out.

use super::{Ground, begin, users::Office};
use crate::nemesis::now;
use crate::plan::{MemberDeed, Operator, OperatorDeed, OperatorOp};
use crate::run::cluster::peer_url;
use base::reached;
use etcd::{Client, error, pb};
use std::time::Duration;
use tonic::Status;

/// How long a wish is repeated.
const PATIENCE: Duration = Duration::from_secs(6);
const PAUSE: Duration = Duration::from_millis(200);

pub async fn run(operator: Operator, ground: Ground) -> Result<(), String> {
    let client = ground.root();
    rt::sleep(Duration::from_micros(operator.from)).await;
    for OperatorOp { when, deed } in operator.ops {
        begin(when).await;
        let left = operator.until.min(ground.until).saturating_sub(now() / 1_000);
        if left == 0 {
            break;
        }
        ground.seen.start(&operator.name, now());
        rt::note(base::Note::Said { text: format!("{}: {}", operator.name, said(deed)) });
        // when load ends, so does what is under way: whoever changes leaders later renews every lease
        let patience = PATIENCE.min(Duration::from_micros(left));
        let _ = rt::timeout(patience, repeat(&operator.name, &ground, &client, deed)).await;
    }
    Ok(())
}

fn said(deed: OperatorDeed) -> String {
    let (word, about) = deed.said();
    format!("{word} {about}")
}

async fn repeat(name: &str, ground: &Ground, client: &Client, deed: OperatorDeed) {
    let office = Office { name, ground, client };
    loop {
        let attempted = match deed {
            OperatorDeed::Member(deed) => attempt(ground, client, deed).await,
            OperatorDeed::User(deed) => office.attempt(deed).await,
        };
        match attempted {
            Ok(()) => return,
            Err(status) if hopeless(&status) => return reached!("tank: an operator was refused for good"),
            Err(_) => {
                reached!("tank: an operator is refused for now");
                rt::sleep(PAUSE).await;
            }
        }
    }
}

/// Repeating it changes nothing.
fn hopeless(status: &Status) -> bool {
    use error::Error::*;
    matches!(error::kind(status), Some(MemberNotFound | MemberNotLearner | PeerUrlExist))
}

async fn attempt(ground: &Ground, client: &Client, deed: MemberDeed) -> Result<(), Status> {
    let (_, number) = deed.said();
    match deed {
        MemberDeed::Add(_) | MemberDeed::AddVoter(_) => {
            let is_learner = matches!(deed, MemberDeed::Add(_));
            // whatever comes of the attempt: one that was not added asks in vain
            ground.seen.lock().added.insert(number);
            let request = pb::MemberAddRequest { peer_urls: vec![peer_url(number)], is_learner };
            client.member_add(request).await?;
            reached!("tank: a learner was added", is_learner);
            reached!("tank: a voter was added", !is_learner);
        }
        MemberDeed::Promote(_) => {
            let id = id_of(client, number).await?;
            client.member_promote(pb::MemberPromoteRequest { id }).await?;
            reached!("tank: a learner was promoted");
        }
        MemberDeed::Remove(_) => {
            let id = id_of(client, number).await?;
            client.member_remove(pb::MemberRemoveRequest { id }).await?;
            reached!("tank: a member was removed");
        }
        MemberDeed::MoveLeader(_) => move_leader(ground, client, number).await?,
    }
    Ok(())
}

/// The id that members go by: it never changes, so that any member's word will do, and who leads is asked only if that
/// one does not know it.
async fn id_of(client: &Client, number: u64) -> Result<u64, Status> {
    for linearizable in [false, true] {
        let list = client.member_list(pb::MemberListRequest { linearizable }).await?;
        let member = list.members.iter().find(|member| member.peer_urls.contains(&peer_url(number)));
        if let Some(member) = member {
            return Ok(member.id);
        }
    }
    Err(error::member_not_found())
}

/// Only the leader can, so that each is asked in turn.
async fn move_leader(ground: &Ground, client: &Client, number: u64) -> Result<(), Status> {
    let target_id = id_of(client, number).await?;
    let mut knobs = ground.knobs.clone();
    knobs.client_timeout_ms = knobs.client_timeout_ms.min(2_000);
    for store in &ground.stores {
        let client = ground.root_at(vec![*store], &knobs);
        let asked = client.move_leader(pb::MoveLeaderRequest { target_id }).await;
        if asked.is_ok() {
            reached!("tank: leadership was handed on");
            return Ok(());
        }
    }
    Err(error::not_leader())
}
