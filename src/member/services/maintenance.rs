//! The state of this member, hashes of what it holds, all of it as a file, and the alarms. Defragment, Snapshot and
//! MoveLeader answer without a header, as in etcd: clients hold it to that.

use super::{VERSION, admit, admit_admin, admit_at_learner, backup, refuse};
use crate::{handle::Handle, hashes::Kind};
use base::MemberId;
use etcd::{error, pb};
use pb::{alarm_request::AlarmAction, downgrade_request::DowngradeAction};
use rt::sync::mpsc;
use store::{Alarm, AlarmChange, AlarmKind, Command};
use tokio_stream::wrappers::ReceiverStream;
use tonic::{Request, Response, Status};

pub struct Maintenance {
    handle: Handle,
}

impl Maintenance {
    pub fn new(handle: Handle) -> Self {
        Self { handle }
    }

    fn head(&self) -> Option<pb::ResponseHeader> {
        Some(self.handle.header(self.handle.with_store(store::Store::revision)))
    }

    /// Counted among those of its kind.
    async fn hash_at(
        &self,
        revision: i64,
        kind: Kind,
    ) -> Result<(Option<pb::ResponseHeader>, store::HashAt), Status> {
        let hash = self.handle.hash_at(revision, kind).await.map_err(refuse::by_store)?;
        Ok((self.head(), hash))
    }
}

fn alarm(member: u64, kind: AlarmKind) -> Alarm {
    Alarm { member: MemberId(member), kind }
}

/// Nothing for no alarm in particular.
fn kind_of(kind: pb::AlarmType) -> Option<AlarmKind> {
    match kind {
        pb::AlarmType::None => None,
        pb::AlarmType::Nospace => Some(AlarmKind::NoSpace),
        pb::AlarmType::Corrupt => Some(AlarmKind::Corrupt),
    }
}

fn alarm_to_pb(alarm: &Alarm) -> pb::AlarmMember {
    let kind = match alarm.kind {
        AlarmKind::NoSpace => pb::AlarmType::Nospace,
        AlarmKind::Corrupt => pb::AlarmType::Corrupt,
    };
    pb::AlarmMember { member_id: alarm.member.0, alarm: kind.into() }
}

/// As etcd writes it in a member's state.
fn alarm_text(alarm: &Alarm) -> String {
    format!("memberID:{} alarm:{} ", alarm.member.0, alarm_name(alarm.kind))
}

/// An alarm's name in the protocol.
pub fn alarm_name(kind: AlarmKind) -> &'static str {
    match kind {
        AlarmKind::NoSpace => "NOSPACE",
        AlarmKind::Corrupt => "CORRUPT",
    }
}

/// As etcd reads one: `3.4`, `3.4.0`, `3.4.0-rc.1`.
fn is_version(text: &str) -> bool {
    let release = text.split(['-', '+']).next().unwrap_or_default();
    let parts: Vec<&str> = release.split('.').collect();
    let whole = parts.len() == 3 || parts.len() == 2 && release == text;
    whole && parts.iter().all(|part| part.parse::<u64>().is_ok())
}

impl Maintenance {
    /// Those that are raised, of one kind or of all.
    async fn alarms(&self, kind: Option<AlarmKind>) -> Result<pb::AlarmResponse, Status> {
        self.handle.read_index().await.map_err(refuse::by_read)?;
        let alarms = self.handle.with_store(|store| store.alarms().clone());
        let wanted = alarms.iter().filter(|alarm| kind.is_none_or(|kind| alarm.kind == kind));
        Ok(pb::AlarmResponse { header: self.head(), alarms: wanted.map(alarm_to_pb).collect() })
    }
}

#[tonic::async_trait]
impl pb::maintenance_server::Maintenance for Maintenance {
    type SnapshotStream = ReceiverStream<Result<pb::SnapshotResponse, Status>>;

    async fn alarm(&self, request: Request<pb::AlarmRequest>) -> Result<Response<pb::AlarmResponse>, Status> {
        let (sender, request) = admit(&self.handle, request).await?;
        match request.action() {
            AlarmAction::Get => sender.require_user(&self.handle)?,
            AlarmAction::Activate | AlarmAction::Deactivate => sender.require_admin(&self.handle)?,
        }
        let kind = kind_of(request.alarm());
        let change = match (request.action(), kind) {
            (AlarmAction::Get, kind) => return self.alarms(kind).await.map(Response::new),
            // there is no such alarm, hence nothing that changes, as in etcd since 3.5
            (AlarmAction::Activate | AlarmAction::Deactivate, None) => {
                return Ok(Response::new(pb::AlarmResponse { header: self.head(), alarms: vec![] }));
            }
            (AlarmAction::Activate, Some(kind)) => AlarmChange::Raise(alarm(request.member_id, kind)),
            (AlarmAction::Deactivate, Some(kind)) => AlarmChange::Disarm(alarm(request.member_id, kind)),
        };
        let applied = self.handle.propose(Command::Alarm(change)).await.map_err(refuse::by_propose)?;
        let store::Response::Alarm(changed) = applied.response.map_err(refuse::by_store)? else {
            return Err(refuse::mismatch());
        };
        let header = Some(self.handle.header(applied.revision));
        let alarms = changed.iter().map(alarm_to_pb).collect();
        Ok(Response::new(pb::AlarmResponse { header, alarms }))
    }

    async fn status(
        &self,
        request: Request<pb::StatusRequest>,
    ) -> Result<Response<pb::StatusResponse>, Status> {
        let (sender, _) = admit_at_learner(&self.handle, request).await?;
        sender.require_user(&self.handle)?;
        let view = self.handle.view();
        // What it holds of a disk is a snapshot.
        let (applied, bytes) = self.handle.with_store(|store| (store.applied(), store.bytes() as i64));
        let no_leader = view.leader.is_none().then(|| error::Error::NoLeader.text().into());
        let alarms = self.handle.with_store(|store| store.alarms().clone());
        let errors = no_leader.into_iter().chain(alarms.iter().map(alarm_text)).collect();
        Ok(Response::new(pb::StatusResponse {
            header: self.head(),
            version: VERSION.into(),
            db_size: bytes,
            leader: view.leader.map_or(0, |leader| leader.0),
            raft_index: view.committed.0,
            raft_term: view.term.0,
            raft_applied_index: applied.0,
            errors,
            db_size_in_use: bytes,
            is_learner: self.handle.learns(),
            db_size_quota: self.handle.knobs().quota_bytes as i64,
            ..Default::default()
        }))
    }

    async fn defragment(
        &self,
        request: Request<pb::DefragmentRequest>,
    ) -> Result<Response<pb::DefragmentResponse>, Status> {
        admit_admin(&self.handle, request).await?; // nothing here gets fragmented
        Ok(Response::new(pb::DefragmentResponse { header: None }))
    }

    async fn hash(&self, request: Request<pb::HashRequest>) -> Result<Response<pb::HashResponse>, Status> {
        admit_admin(&self.handle, request).await?;
        let (header, hash) = self.hash_at(0, |meters| &mut meters.hashes).await?;
        Ok(Response::new(pb::HashResponse { header, hash: hash.hash }))
    }

    async fn hash_kv(
        &self,
        request: Request<pb::HashKvRequest>,
    ) -> Result<Response<pb::HashKvResponse>, Status> {
        let request = admit_admin(&self.handle, request).await?;
        let (header, hash) = self.hash_at(request.revision, |meters| &mut meters.revision_hashes).await?;
        let (compact_revision, hash_revision) = (hash.compacted, hash.revision);
        Ok(Response::new(pb::HashKvResponse { header, hash: hash.hash, compact_revision, hash_revision }))
    }

    async fn snapshot(
        &self,
        request: Request<pb::SnapshotRequest>,
    ) -> Result<Response<Self::SnapshotStream>, Status> {
        let (sender, _) = admit_at_learner(&self.handle, request).await?;
        sender.require_admin(&self.handle)?;
        let (out, pieces) = mpsc::channel(backup::QUEUE);
        rt::spawn(backup::send(self.handle.store(), out));
        Ok(Response::new(ReceiverStream::new(pieces)))
    }

    async fn move_leader(
        &self,
        request: Request<pb::MoveLeaderRequest>,
    ) -> Result<Response<pb::MoveLeaderResponse>, Status> {
        let target = MemberId(admit_admin(&self.handle, request).await?.target_id);
        self.handle.transfer(target).await.map_err(refuse::by_transfer)?;
        Ok(Response::new(pb::MoveLeaderResponse { header: None }))
    }

    /// No other release reads what this one has written: there is no version to go back to, nor ever one on its way.
    async fn downgrade(
        &self,
        request: Request<pb::DowngradeRequest>,
    ) -> Result<Response<pb::DowngradeResponse>, Status> {
        let request = admit_admin(&self.handle, request).await?;
        let Ok(action) = DowngradeAction::try_from(request.action) else {
            return Err(Status::unknown("etcdserver: unknown method"));
        };
        let goes_back = action != DowngradeAction::Cancel;
        if goes_back && !is_version(&request.version) {
            return Err(error::wrong_downgrade_version_format());
        }
        self.handle.read_index().await.map_err(refuse::by_read)?;
        Err(match goes_back {
            true => error::invalid_downgrade_target_version(),
            false => error::no_inflight_downgrade(),
        })
    }
}
