//! A member of ours and a real etcd, each alone, each from nothing; and what both say to one operation.

use super::{differs, draw::Op};
use crate::harness::{Folder, Process, eventually, free_ports};
use base::Knobs;
use etcd::{Client, pb};
use std::{fmt::Debug, net::SocketAddr, process::Command, process::Stdio, time::Duration};
use tonic::Status;

const ETCD: &str = "etcd is needed: Debian's package etcd-server";

pub struct Pair {
    _folder: Folder,
    _ours: Process,
    _theirs: Process,
    addrs: [SocketAddr; 2],
}

impl Pair {
    pub fn start() -> Self {
        let folder = Folder::new("differential");
        let first = free_ports(4);
        let addr = |n: u16| SocketAddr::from(([127, 0, 0, 1], first + n));
        // one line starts both
        let flags = |data: &str, client: SocketAddr, peer: SocketAddr| {
            [
                format!("--data-dir={}", folder.0.join(data).display()),
                format!("--listen-client-urls=http://{client}"),
                format!("--advertise-client-urls=http://{client}"),
                format!("--listen-peer-urls=http://{peer}"),
                format!("--initial-advertise-peer-urls=http://{peer}"),
                format!("--initial-cluster=default=http://{peer}"),
            ]
        };
        let mut args = vec!["member".to_string()];
        args.extend(flags("ours", addr(0), addr(1)));
        let ours = Process::start(&args, &folder.0.join("ours.log"));
        let mut etcd = Command::new("etcd");
        etcd.args(flags("theirs", addr(2), addr(3))).arg("--log-level=error");
        let log = std::fs::File::create(folder.0.join("theirs.log")).expect("a log");
        etcd.stdout(log.try_clone().expect("a log")).stderr(log).stdin(Stdio::null());
        let theirs = Process(etcd.spawn().unwrap_or_else(|error| panic!("etcd: {error}. {ETCD}")));
        let pair = Self { _folder: folder, _ours: ours, _theirs: theirs, addrs: [addr(0), addr(2)] };
        for at in pair.addrs {
            let endpoint = at.to_string();
            eventually("both answer", Duration::from_secs(30), || {
                let out = crate::harness::etcdctl(&endpoint, &["get", "none"]).output();
                let out = out.expect(crate::harness::ETCDCTL);
                if out.status.success() { Ok(()) } else { Err(format!("{out:?}")) }
            });
        }
        pair
    }

    pub async fn clients(&self) -> Clients {
        let client = |at| Client::new(vec![at], &Knobs::default());
        Clients { ours: client(self.addrs[0]), theirs: client(self.addrs[1]) }
    }
}

pub struct Clients {
    pub ours: Client,
    pub theirs: Client,
}

/// What an answer says beside who says it.
trait Answer: Debug + PartialEq {
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
}

/// The revision of an answer; what tells one server from the other is taken away.
fn plain<A: Answer>(answer: &mut A) -> i64 {
    let header = answer.header().get_or_insert_default();
    let revision = header.revision;
    *header = pb::ResponseHeader { revision, ..Default::default() };
    revision
}

/// Both answers alike: their revision, or nothing if both refused.
fn alike<A: Answer>(op: &Op, ours: Result<A, Status>, theirs: Result<A, Status>) -> Result<i64, String> {
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
        (ours, theirs) => differ(&ours, &theirs),
    }
}

impl Clients {
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

    /// What is left of a lease depends on when it is asked for; keys come in no order from etcd.
    async fn time_to_live(&self, op: &Op, request: pb::LeaseTimeToLiveRequest) -> Result<i64, String> {
        let still = |answer: Result<pb::LeaseTimeToLiveResponse, Status>| {
            answer.map(|mut answer| {
                answer.ttl = answer.ttl.signum();
                answer.keys.sort();
                answer
            })
        };
        let ours = still(self.ours.lease_time_to_live(request).await);
        alike(op, ours, still(self.theirs.lease_time_to_live(request).await))
    }
}
