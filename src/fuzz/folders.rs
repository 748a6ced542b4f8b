//! A member's folder: files as they come, and files of any content behind right checksums. It is opened, opened again,
//! written to, and stood up from.

use crate::{
    Seed,
    input::{Input, Output},
};
use base::{Index, Knobs, MemberId, Term};
use member::{Config, Listen, MemberAddr, Start, codec, recover};
use raft::{Membership, Payload};
use std::{
    collections::BTreeMap,
    path::{Path, PathBuf},
    sync::atomic::{AtomicU64, Ordering},
};
use wal::{Entry, HardState, Identity, Record, Snapshot, Wal, forged};

const ME: Identity = Identity { cluster: 9, member: MemberId(1) };
/// Files of one input at the most.
const FILES: usize = 6;

/// A folder of files, each of them `kind, length, content`.
pub fn wal(bytes: &[u8]) {
    let files = files(bytes);
    rt::testing::run_here(1, move || async move {
        let folder = Folder::new();
        folder.fill(&files).await;
        tried(&folder.0).await;
        folder.remove().await;
    });
}

/// A folder for one input.
struct Folder(PathBuf);

impl Folder {
    fn new() -> Self {
        static COUNT: AtomicU64 = AtomicU64::new(0);
        let count = COUNT.fetch_add(1, Ordering::Relaxed);
        Self(std::env::temp_dir().join(format!("wavetank-fuzz-{}-{count}", std::process::id())))
    }

    async fn fill(&self, files: &BTreeMap<PathBuf, Vec<u8>>) {
        rt::fs::create_dir_all(&self.0).await.expect("a folder");
        for (name, content) in files {
            let file = rt::fs::File::create(&self.0.join(name)).await.expect("a file");
            file.append(content).await.expect("its content");
        }
    }

    async fn remove(self) {
        for name in rt::fs::read_dir(&self.0).await.expect("the folder") {
            rt::fs::remove(&self.0.join(name)).await.expect("a file");
        }
        rt::fs::remove(&self.0).await.expect("the folder");
    }
}

/// The files of an input, by their names.
fn files(bytes: &[u8]) -> BTreeMap<PathBuf, Vec<u8>> {
    let (mut input, mut files, mut sequence) = (Input::new(bytes), BTreeMap::new(), 0);
    let here = Path::new("");
    for _ in 0..FILES {
        if input.is_empty() {
            break;
        }
        let (kind, content) = (input.byte(), input.block());
        sequence += u64::from(kind % 8 < 3);
        let (name, content) = match kind % 8 {
            0 => (forged::segment_path(here, sequence), content.to_vec()),
            1 => (forged::segment_path(here, sequence), segment(sequence, content)),
            2 => {
                let head = forged::segment(ME, sequence, []).expect("it is small");
                (forged::segment_path(here, sequence), [&head, content].concat())
            }
            3 => (forged::snapshot_path(here, Index(u64::from(kind / 8))), content.to_vec()),
            4 | 5 => {
                let (snapshot, data) = snapshot(kind / 8, content);
                (forged::snapshot_path(here, snapshot.index), forged::snapshot(ME, &snapshot, data))
            }
            6 => (forged::rejoin_path(here), content.to_vec()),
            _ => (forged::rejoin_path(here), forged::rejoin(ME, Term(u64::from(kind / 8)))),
        };
        files.insert(name, content);
    }
    files
}

/// A segment of whole frames, each of a payload in a block.
fn segment(sequence: u64, content: &[u8]) -> Vec<u8> {
    let (mut input, mut payloads) = (Input::new(content), Vec::new());
    while !input.is_empty() {
        payloads.push(input.block());
    }
    forged::segment(ME, sequence, payloads).expect("it is small")
}

/// A snapshot: its term, its meta in a block, and its data.
fn snapshot(index: u8, content: &[u8]) -> (Snapshot, &[u8]) {
    let mut input = Input::new(content);
    let (term, meta) = (Term(u64::from(input.byte())), input.block().to_vec());
    let data = input.rest();
    (Snapshot { index: Index(u64::from(index)), term, meta, size: data.len() as u64 }, data)
}

/// What is found is found again; what is added is found as well. A member stands up from it, or says why not.
async fn tried(dir: &Path) {
    let knobs = Knobs::default();
    let Ok((wal, found)) = Wal::open(dir, ME, &knobs).await else { return };
    drop(wal);
    drop(recover::recover(config(dir)).await); // an error or a member, and neither changes what is there
    let (mut wal, again) = Wal::open(dir, ME, &knobs).await.expect("what was opened opens again");
    assert!(again.repairs.is_empty(), "what was repaired is in order: {:?}", again.repairs);
    assert_eq!(again, wal::Recovered { repairs: vec![], ..found.clone() }, "what was found is found again");
    let index = wal.last().0.checked_add(1).map(Index);
    let entry =
        index.map(|index| Entry { index, term: found.hard.term, data: codec::encode(&Payload::Noop) });
    wal.append(&entry.clone().map(Record::Entry).into_iter().collect::<Vec<_>>())
        .await
        .expect("it is appended");
    wal.sync().await.expect("it is on the disk");
    drop(wal);
    let (_, after) = Wal::open(dir, ME, &knobs).await.expect("what was added to opens");
    let mut wanted = again;
    wanted.entries.extend(entry);
    assert_eq!(after, wanted, "what was added is found");
}

fn config(dir: &Path) -> Config {
    let addr = |port| ([10, 0, 0, 1], port).into();
    Config {
        id: ME.member,
        name: "one".into(),
        cluster_id: ME.cluster,
        start: Start::Again,
        data_dir: dir.to_path_buf(),
        listen: Listen::plain(addr(2380), addr(2379)),
        members: BTreeMap::from([(ME.member, MemberAddr::plain("one".into(), addr(2380), addr(2379)))]),
        knobs: Knobs::default(),
    }
}

pub fn seeds() -> Vec<Seed> {
    let entry = |index, term| {
        Record::Entry(Entry { index: Index(index), term: Term(term), data: codec::encode(&Payload::Noop) })
    };
    let hard = |term| Record::HardState(HardState { term: Term(term), vote: Some(ME.member) });
    let frames = |payloads: &[Vec<u8>]| {
        payloads.iter().fold(Output::default(), |output, payload| output.block(payload)).into_bytes()
    };
    let log = frames(&[
        forged::beginning(),
        forged::records(0, &[hard(1), entry(1, 1), entry(2, 1)]),
        forged::records(60, &[hard(2), entry(2, 2), entry(3, 2), entry(4, 2)]),
    ]);
    let raw = segment(1, &log);
    let mut store = store::Store::new();
    (1..=3).for_each(|index| store.skip(Index(index)));
    let meta = codec::encode(&(Membership::of_voters([ME.member]), Index(0)));
    let snap = Output::default().byte(2).block(&meta).rest(&store.snapshot()).into_bytes();
    let (head, data) = snapshot(3, &snap);
    let whole = forged::snapshot(ME, &head, data);
    let seed = |files: &[(u8, &[u8])]| {
        files
            .iter()
            .fold(Output::default(), |output, (kind, file)| output.byte(*kind).block(file))
            .into_bytes()
    };
    vec![
        ("a-log".into(), seed(&[(1, &log)])),
        ("a-raw-log".into(), seed(&[(0, &raw)])),
        ("a-torn-log".into(), seed(&[(0, &raw[..raw.len() - 3])])),
        ("frames-of-a-log".into(), seed(&[(2, &raw[40..])])),
        ("a-log-and-a-snapshot".into(), seed(&[(1, &log), (3 * 8 + 4, &snap)])),
        ("a-log-and-a-raw-snapshot".into(), seed(&[(1, &log), (3 * 8 + 3, &whole)])),
        ("a-log-that-was-lost".into(), seed(&[(1, &log), (7 + 8 * 5, &[])])),
        ("a-raw-note".into(), seed(&[(6, &forged::rejoin(ME, Term(5)))])),
    ]
}
