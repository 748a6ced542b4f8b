//! Snapshots of every format there has been since fixtures are kept are read, and hold what they held. The folder
//! `formats` keeps one of each, made by the program of its time; `UPDATE_FIXTURES=1` adds that of the present format.

#![allow(clippy::disallowed_methods)] // fixtures are files

use base::{Index, MemberId};
use std::path::PathBuf;
use store::auth::Access;
use store::{
    Alarm, AlarmChange, AlarmKind, AuthChange, Checkpoint, Command, FORMAT, Member, Members, PutRequest,
    Store,
};

/// The first of which there is a fixture.
const FIRST: u32 = 3;

/// What a fixture of a format holds: something of everything that it can hold.
fn commands(format: u32) -> Vec<Command> {
    let put = |key: &'static str, value: &'static str, lease| {
        Command::Put(PutRequest { key: key.into(), value: value.into(), lease, ..PutRequest::default() })
    };
    let member = |name: &str, learner| Member {
        name: name.into(),
        peer_urls: vec!["http://10.0.0.1:2380".into()],
        client_urls: vec!["http://10.0.0.1:2379".into()],
        learner,
    };
    let present = [(MemberId(1), member("one", false)), (MemberId(65_537), member("two", true))];
    let (role, user) = ("reads".to_string(), "ann".to_string());
    let mut commands = vec![
        Command::Members(Members { present: present.into(), removed: [MemberId(2)].into() }),
        Command::LeaseGrant { id: 7, ttl: 60 },
        Command::LeaseGrant { id: -8, ttl: 9_000_000_000 },
        put("a", "1", 0),
        put("a", "2", 7),
        put("b", "", 0),
        Command::DeleteRange(store::DeleteRangeRequest { key: "b".into(), ..Default::default() }),
        put("c", "3", -8),
        Command::Compact { revision: 3 },
        put("b", "4", 0),
        Command::Auth(AuthChange::RoleAdd { role: role.clone() }),
        Command::Auth(AuthChange::RoleGrantPermission {
            role: role.clone(),
            key: "a".into(),
            range_end: "b".into(),
            access: Access::Read,
        }),
        Command::Auth(AuthChange::UserAdd { name: user.clone(), password: Some("hash".into()) }),
        Command::Auth(AuthChange::UserAdd { name: "nobody".into(), password: None }),
        Command::Auth(AuthChange::UserGrantRole { name: user, role }),
        Command::Alarm(AlarmChange::Raise(Alarm { member: MemberId(1), kind: AlarmKind::NoSpace })),
    ];
    if format >= 4 {
        commands.push(Command::LeaseCheckpoint(vec![Checkpoint { id: 7, granted: 2, left: 9 }]));
    }
    commands
}

fn store_of(format: u32) -> Store {
    let mut store = Store::new();
    for (index, command) in (1..).zip(commands(format)) {
        let outcome = store.apply(Index(index), &command);
        assert!(outcome.response.is_ok(), "{command:?}: {:?}", outcome.response);
    }
    store
}

fn fixture(format: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/formats/{format}.snapshot"))
}

#[test]
fn every_format_is_read() {
    for format in FIRST..=FORMAT {
        let bytes = std::fs::read(fixture(format)).expect("a fixture of each format");
        let (found, made) = (Store::restore(&bytes).expect("it is read"), store_of(format));
        assert_eq!(found.snapshot(), made.snapshot(), "format {format} holds what it held");
        assert_eq!(found.hash(), made.hash());
    }
}

/// Who changes what is written changes the number, so that older programs say that it is newer than they are.
#[test]
fn what_is_written_is_the_present_format() {
    let written = store_of(FORMAT).snapshot();
    if std::env::var("UPDATE_FIXTURES").is_ok() {
        std::fs::write(fixture(FORMAT), &written).expect("a file");
    }
    let kept = std::fs::read(fixture(FORMAT)).expect("a fixture of the present format");
    assert!(kept == written, "the bytes of a snapshot have changed: give them another FORMAT");
}
