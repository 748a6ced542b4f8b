//! The quota and its alarm, and the state as a file.

use super::{core::Core, error, with_member};
use base::Knobs;
use etcd::{Error, pb};
use pb::alarm_request::AlarmAction;
use sha2::{Digest, Sha256};

#[test]
fn a_member_that_is_full_takes_nothing_that_grows_until_there_is_space() {
    let knobs = Knobs { quota_bytes: 4_000, ..Knobs::default() };
    with_member(knobs, async |member: Core| {
        let client = member.client();
        for n in 0..3 {
            client.put(pb::PutRequest::of("a", vec![n; 1_000])).await.unwrap();
        }
        let put = || client.put(pb::PutRequest::of("a", vec![9; 1_000]));
        assert_eq!(error(put().await), Some(Error::NoSpace));
        let grant = pb::LeaseGrantRequest { id: 7, ttl: 60 };
        assert_eq!(error(client.lease_grant(grant).await), Some(Error::NoSpace));
        let list = |kind: pb::AlarmType| pb::AlarmRequest { alarm: kind.into(), ..Default::default() };
        let alarms = client.alarm(list(pb::AlarmType::None)).await.unwrap().alarms;
        assert_eq!(alarms, [pb::AlarmMember { member_id: 1, alarm: pb::AlarmType::Nospace.into() }]);
        assert_eq!(client.alarm(list(pb::AlarmType::Corrupt)).await.unwrap().alarms, []);
        let status = client.status(pb::StatusRequest {}).await.unwrap();
        assert_eq!(status.errors, ["memberID:1 alarm:NOSPACE "]);
        assert_eq!(status.db_size_quota, 4_000);
        // reading, deleting and compacting go on; space alone does not take the alarm back
        client.range(pb::RangeRequest::of_key("a")).await.unwrap();
        client.delete_range(pb::DeleteRangeRequest::of_key("a")).await.unwrap();
        let revision = member.handle.with_store(|store| store.revision().0);
        client.compact(pb::CompactionRequest { revision, physical: true }).await.unwrap();
        assert_eq!(error(put().await), Some(Error::NoSpace));
        let disarm = pb::AlarmRequest { action: AlarmAction::Deactivate.into(), member_id: 1, alarm: 1 };
        assert_eq!(client.alarm(disarm).await.unwrap().alarms, alarms);
        put().await.unwrap();
    });
}

#[test]
fn an_alarm_is_raised_by_name() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        // the alarm of no kind is none
        for action in [AlarmAction::Activate, AlarmAction::Deactivate] {
            let none = pb::AlarmRequest { action: action.into(), member_id: 1, alarm: 0 };
            let answer = client.alarm(none).await.unwrap();
            assert!(answer.alarms.is_empty() && answer.header.is_some());
        }
        client.put(pb::PutRequest::of("a", "1")).await.unwrap();
        let corrupt = pb::AlarmRequest { action: AlarmAction::Activate.into(), member_id: 1, alarm: 2 };
        assert_eq!(client.alarm(corrupt).await.unwrap().alarms.len(), 1);
        assert_eq!(client.alarm(corrupt).await.unwrap().alarms.len(), 0);
        assert_eq!(error(client.put(pb::PutRequest::of("a", "1")).await), Some(Error::Corrupt));
        client.range(pb::RangeRequest::of_key("a")).await.unwrap();
    });
}

#[test]
fn a_snapshot_is_the_whole_state_and_its_hash() {
    with_member(Knobs::default(), async |member: Core| {
        let client = member.client();
        for n in 0..20 {
            client.put(pb::PutRequest::of(format!("key-{n}"), vec![n; 10_000])).await.unwrap();
        }
        let mut stream = client.snapshot().await.unwrap();
        let (mut file, mut left) = (Vec::new(), u64::MAX);
        let mut pieces = 0;
        while let Some(piece) = stream.message().await.unwrap() {
            assert!(piece.remaining_bytes < left || piece.remaining_bytes == 0);
            assert!(piece.header.is_none());
            left = piece.remaining_bytes;
            file.extend_from_slice(&piece.blob);
            pieces += 1;
        }
        assert!(pieces > 3, "{pieces}");
        assert_eq!(left, 0);
        assert_eq!(file.len() % 512, 32);
        let (state, hash) = file.split_at(file.len() - 32);
        assert_eq!(Sha256::digest(state)[..], hash[..]);
        let store = member.handle.store();
        assert!(state.starts_with(&store.snapshot()));
    });
}
