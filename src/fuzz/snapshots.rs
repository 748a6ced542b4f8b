//! The store's snapshots and backups: as they come, and of any records behind right checksums. What is restored is a state
//! like any other: it is read, changed, and made a snapshot of.

use crate::{
    FAR, Seed,
    input::{Input, Output},
    served::sound,
};
use base::{Index, MemberId};
use sha2::{Digest as _, Sha256};
use std::path::Path;
use store::{
    Alarm, AlarmChange, AlarmKind, AuthChange, Command, DeleteRangeRequest, Digest, KeyRange, Member,
    Members, PutRequest, RangeRequest, Store, auth::Access,
};

const MAGIC: &[u8] = b"WTSTORE\0";
/// The tag of the record that holds the checksum.
const END: u8 = 5;

/// How the bytes are: a snapshot, a backup, or records in blocks that are to be put into one of them.
pub fn snapshots(bytes: &[u8]) {
    let mut input = Input::new(bytes);
    let restored = match input.byte() % 4 {
        0 => Store::restore(input.rest()).ok(),
        1 => member::backup::decode(Path::new("backup"), input.rest(), false).ok().map(|backup| backup.store),
        2 => Store::restore(&sealed(&mut input)).ok(),
        _ => {
            let backup = backup(sealed(&mut input));
            member::backup::decode(Path::new("backup"), &backup, true).ok().map(|backup| backup.store)
        }
    };
    restored.into_iter().for_each(live);
}

/// A snapshot of these records.
fn sealed(input: &mut Input) -> Vec<u8> {
    let (mut bytes, mut checksum) = (MAGIC.to_vec(), Digest::default());
    let mut put = |record: &[u8]| {
        bytes.extend((record.len() as u32).to_le_bytes());
        bytes.extend(record);
    };
    while !input.is_empty() {
        let record = input.block();
        checksum.bytes(record);
        put(record);
    }
    put(&[&[END], checksum.value().to_le_bytes().as_slice()].concat());
    bytes
}

/// A backup of a snapshot.
fn backup(mut bytes: Vec<u8>) -> Vec<u8> {
    bytes.resize(bytes.len().next_multiple_of(512), 0);
    let hash = Sha256::digest(&bytes);
    bytes.extend(hash);
    bytes
}

/// A state that was restored goes on.
fn live(mut store: Store) {
    sound(&store);
    look_at(&store);
    if store.applied().0.max(store.revision().0 as u64).max(store.auth().revision) > FAR {
        return;
    }
    let mut new = store.clone();
    new.found_anew();
    let _ = new.raise_revision(1000);
    sound(&new);
    for command in commands(&store) {
        let index = store.applied().next();
        store.apply(index, &command);
        sound(&store);
    }
    look_at(&store);
}

fn look_at(store: &Store) {
    let all = KeyRange::new(&"\0".into(), &"\0".into());
    let compacted = store.compacted().0;
    let history = store.history(&all, compacted.max(0)).map(Iterator::count);
    assert!(history.is_ok(), "history begins where it says");
    for revision in [0, compacted, store.revision().0 - 1, store.revision().0] {
        let request =
            RangeRequest { key: "\0".into(), range_end: "\0".into(), revision, ..RangeRequest::default() };
        let _ = (store.range(&request), store.hash_at(revision));
    }
}

/// One of each kind, of what is there.
fn commands(store: &Store) -> Vec<Command> {
    let put = |key: &'static str, lease| {
        Command::Put(PutRequest { key: key.into(), value: "v".into(), lease, ..PutRequest::default() })
    };
    let lease = store.leases().next().map_or(7, |(id, _)| id);
    let all = DeleteRangeRequest { key: "\0".into(), range_end: "\0".into(), prev_kv: true };
    vec![
        put("a", 0),
        Command::LeaseGrant { id: 7, ttl: 60 },
        put("b", lease),
        Command::Compact { revision: store.revision().0 },
        Command::LeaseRevoke { id: lease },
        Command::Auth(AuthChange::Disable),
        Command::DeleteRange(all),
        Command::Compact { revision: store.revision().0 + 1 },
    ]
}

/// A state with something of everything.
fn rich() -> Store {
    let member =
        Member { name: "two".into(), peer_urls: vec!["http://10.0.0.2:2380".into()], ..Member::default() };
    let members = Members { present: [(MemberId(2), member)].into(), removed: [MemberId(3)].into() };
    let text = |text: &str| text.to_string();
    let range = AuthChange::RoleGrantPermission {
        role: "some".into(),
        key: "a".into(),
        range_end: "c".into(),
        access: Access::ReadWrite,
    };
    let auth = [
        AuthChange::RoleAdd { role: text("some") },
        range,
        AuthChange::UserAdd { name: text("alice"), password: Some("hash".into()) },
        AuthChange::UserGrantRole { name: text("alice"), role: text("some") },
    ];
    let put = |key: &'static str, lease| {
        Command::Put(PutRequest { key: key.into(), value: "v".into(), lease, ..PutRequest::default() })
    };
    let delete = DeleteRangeRequest { key: "c".into(), ..DeleteRangeRequest::default() };
    let commands = [
        Command::Members(members),
        Command::LeaseGrant { id: 9, ttl: 60 },
        put("a", 0),
        put("b", 9),
        put("c", 0),
        Command::Compact { revision: 3 },
        Command::DeleteRange(delete),
        Command::Alarm(AlarmChange::Raise(Alarm { member: MemberId(2), kind: AlarmKind::NoSpace })),
    ];
    let mut store = Store::new();
    for command in commands.into_iter().chain(auth.map(Command::Auth)) {
        let done = store.apply(Index(store.applied().0 + 1), &command);
        assert!(done.response.is_ok(), "{command:?}: {:?}", done.response);
    }
    store
}

/// The records of a snapshot but for the last, in blocks.
fn records(snapshot: &[u8]) -> Vec<u8> {
    let (mut rest, mut output) = (&snapshot[MAGIC.len()..], Output::default());
    while let Some((length, after)) = rest.split_first_chunk() {
        let (record, after) = after.split_at(u32::from_le_bytes(*length) as usize);
        if record.first() != Some(&END) {
            output = output.block(record);
        }
        rest = after;
    }
    output.into_bytes()
}

pub fn seeds() -> Vec<Seed> {
    let (empty, rich) = (Store::new().snapshot(), rich().snapshot());
    let seed = |kind: u8, bytes: &[u8]| [&[kind], bytes].concat();
    vec![
        ("empty".into(), seed(0, &empty)),
        ("rich".into(), seed(0, &rich)),
        ("a-backup".into(), seed(1, &backup(rich.clone()))),
        ("records-of-empty".into(), seed(2, &records(&empty))),
        ("records-of-rich".into(), seed(2, &records(&rich))),
        ("records-of-a-backup".into(), seed(3, &records(&rich))),
    ]
}
