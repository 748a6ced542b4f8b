//! Members of ours and a real etcd of as many, each from nothing; and what both say to one operation.

use super::{differs, draw::Op};
use crate::harness::{ETCDCTL, Folder, Process, etcdctl, eventually, free_ports};
use base::Knobs;
use etcd::{Client, pb};
use std::{fmt::Debug, net::SocketAddr, process::Command, time::Duration};
use tonic::Status;

/// Two clusters of one size, started by one line.
pub struct Pair {
    folder: Folder,
    _running: Vec<Process>,
    size: u16,
    first: u16,
}

#[derive(Clone, Copy)]
enum Whose {
    Ours,
    Theirs,
}

impl Pair {
    pub fn start(size: u16) -> Self {
        let folder = Folder::new(&format!("differential-{size}"));
        let mut pair = Self { folder, _running: vec![], size, first: free_ports(4 * size) };
        for whose in [Whose::Ours, Whose::Theirs] {
            let run = |number| Process::spawn(pair.command(whose, number), &pair.folder.0.join("log"));
            let running: Vec<Process> = (0..size).map(run).collect();
            pair._running.extend(running);
        }
        for (whose, number) in pair.everyone() {
            let endpoint = pair.client(whose, number).to_string();
            eventually("both answer", Duration::from_secs(30), || {
                let out = etcdctl(&endpoint, &["get", "none"]).output().expect(ETCDCTL);
                if out.status.success() { Ok(()) } else { Err(format!("{out:?}")) }
            });
        }
        pair
    }

    fn everyone(&self) -> impl Iterator<Item = (Whose, u16)> {
        let size = self.size;
        [Whose::Ours, Whose::Theirs].into_iter().flat_map(move |whose| (0..size).map(move |n| (whose, n)))
    }

    fn client(&self, whose: Whose, number: u16) -> SocketAddr {
        let place = self.size * (whose as u16) + number;
        SocketAddr::from(([127, 0, 0, 1], self.first + 2 * place))
    }

    fn peer(&self, whose: Whose, number: u16) -> SocketAddr {
        let client = self.client(whose, number);
        SocketAddr::new(client.ip(), client.port() + 1)
    }

    fn command(&self, whose: Whose, number: u16) -> Command {
        let mut command = match whose {
            Whose::Ours => crate::harness::wavetank(&["member".into()]),
            Whose::Theirs => Command::new("etcd"),
        };
        let (client, peer) = (self.client(whose, number), self.peer(whose, number));
        let named = |number| format!("m{number}=http://{}", self.peer(whose, number));
        let data = self.folder.0.join(format!("{}-{number}", whose as u16));
        command.args([
            format!("--name=m{number}"),
            format!("--data-dir={}", data.display()),
            format!("--listen-client-urls=http://{client}"),
            format!("--advertise-client-urls=http://{client}"),
            format!("--listen-peer-urls=http://{peer}"),
            format!("--initial-advertise-peer-urls=http://{peer}"),
            format!("--initial-cluster={}", (0..self.size).map(named).collect::<Vec<_>>().join(",")),
            "--bcrypt-cost=4".to_string(),
        ]);
        command
    }

    /// A client of one member of each: of one that follows where there are more than one, so that what it cannot do
    /// itself it has to pass on.
    pub async fn clients(&self) -> Clients {
        Clients { ours: self.follower(Whose::Ours).await, theirs: self.follower(Whose::Theirs).await }
    }

    async fn follower(&self, whose: Whose) -> Client {
        for number in 0..self.size {
            let client = Client::new(vec![self.client(whose, number)], &Knobs::default());
            let status = client.status(pb::StatusRequest {}).await.expect("it answers");
            if self.size == 1 || status.header.is_some_and(|header| header.member_id != status.leader) {
                return client;
            }
        }
        panic!("all of {} lead", self.size)
    }
}

#[derive(Clone)]
pub struct Clients {
    pub ours: Client,
    pub theirs: Client,
}

/// What an answer says beside who says it.
pub trait Answer: Debug + PartialEq {
    fn header(&mut self) -> &mut Option<pb::ResponseHeader>;
}

macro_rules! answers {
    ($($name:ident)+) => {
        $(impl Answer for pb::$name {
            fn header(&mut self) -> &mut Option<pb::ResponseHeader> {
                &mut self.header
            }
        })+
    };
}

answers! {
    RangeResponse PutResponse DeleteRangeResponse TxnResponse CompactionResponse
    LeaseGrantResponse LeaseRevokeResponse LeaseTimeToLiveResponse LeaseLeasesResponse
    AuthEnableResponse AuthDisableResponse AuthUserAddResponse AuthUserDeleteResponse AuthUserGetResponse
    AuthUserListResponse AuthUserChangePasswordResponse AuthUserGrantRoleResponse AuthUserRevokeRoleResponse
    AuthRoleAddResponse AuthRoleGetResponse AuthRoleListResponse AuthRoleDeleteResponse
    AuthRoleGrantPermissionResponse AuthRoleRevokePermissionResponse
}

/// The revision of an answer; what tells one server from the other is taken away.
fn plain<A: Answer>(answer: &mut A) -> i64 {
    let header = answer.header().get_or_insert_default();
    let revision = header.revision;
    *header = pb::ResponseHeader { revision, ..Default::default() };
    revision
}

/// Both answers alike: their revision, or nothing if both refused.
pub fn alike<A: Answer>(
    op: &dyn Debug,
    ours: Result<A, Status>,
    theirs: Result<A, Status>,
) -> Result<i64, String> {
    let differ = |ours: &dyn Debug, theirs: &dyn Debug| {
        Err(format!("{op:?}\nwe answer\n{ours:?}\netcd answers\n{theirs:?}"))
    };
    match (ours, theirs) {
        (Ok(mut ours), Ok(mut theirs)) => {
            let revision = plain(&mut ours);
            plain(&mut theirs);
            if ours == theirs { Ok(revision) } else { differ(&ours, &theirs) }
        }
        (Err(ours), Err(theirs)) if (ours.code(), ours.message()) == (theirs.code(), theirs.message()) => {
            Ok(0)
        }
        (Err(ours), Err(theirs)) if differs::asks_who_first(&ours, &theirs) => Ok(0),
        (ours, theirs) => differ(&ours, &theirs),
    }
}

impl Clients {
    /// The same members, asked by a user.
    pub fn for_user(&self, name: &str, password: &str) -> Self {
        Self { ours: self.ours.for_user(name, password), theirs: self.theirs.for_user(name, password) }
    }

    /// Asks both. Gives the revision, and the one up to which history went.
    pub async fn ask(&self, op: &Op) -> Result<(i64, Option<i64>), String> {
        let (ours, theirs) = (&self.ours, &self.theirs);
        macro_rules! both {
            ($method:ident($request:expr)) => {
                alike(op, ours.$method($request.clone()).await, theirs.$method($request.clone()).await)
            };
        }
        let revision = match op {
            Op::Range(request) => both!(range(request)),
            Op::Put(request) => both!(put(request)),
            Op::Delete(request) => both!(delete_range(request)),
            Op::Txn(request) => match ours.txn(request.clone()).await {
                Err(refusal) if differs::refused_by_ours_only(request, &refusal) => Ok(0),
                answer => alike(op, answer, theirs.txn(request.clone()).await),
            },
            Op::Compact(request) => {
                let answer = both!(compact(request));
                return answer.map(|revision| (revision, (revision > 0).then_some(request.revision)));
            }
            Op::Grant(request) => both!(lease_grant(request)),
            Op::Revoke(request) => both!(lease_revoke(request)),
            Op::TimeToLive(request) => self.time_to_live(op, *request).await,
            Op::Leases => {
                let sorted = |answer: Result<pb::LeaseLeasesResponse, Status>| {
                    answer.map(|mut answer| {
                        answer.leases.sort_by_key(|lease| lease.id);
                        answer
                    })
                };
                let request = pb::LeaseLeasesRequest {};
                alike(
                    op,
                    sorted(ours.lease_leases(request).await),
                    sorted(theirs.lease_leases(request).await),
                )
            }
        };
        revision.map(|revision| (revision, None))
    }

    /// What is left of a lease depends on when it is asked for; keys come in no order from etcd, and now and then not as
    /// they are ([`differs::keys_by_ranges`]).
    async fn time_to_live(&self, op: &Op, request: pb::LeaseTimeToLiveRequest) -> Result<i64, String> {
        let still = |answer: Result<pb::LeaseTimeToLiveResponse, Status>| {
            answer.map(|mut answer| {
                answer.ttl = answer.ttl.signum();
                answer.keys.sort();
                answer
            })
        };
        let ours = still(self.ours.lease_time_to_live(request).await);
        let mut theirs = still(self.theirs.lease_time_to_live(request).await);
        if let (Ok(ours), Ok(theirs)) = (&ours, &mut theirs)
            && ours.keys != theirs.keys
            && let Some(keys) = differs::keys_by_ranges(&self.theirs, request.id).await
        {
            theirs.keys = keys;
        }
        alike(op, ours, theirs)
    }
}
