//! Members as processes of a world, what they say about themselves, and a client that records its writes.

use base::{Index, Knobs, MemberId, Note, Term, knobs::ms};
use etcd::{Client, pb};
use member::{Boot, Config, Join, Listen, MemberAddr, Start, Url};
use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::{Arc, Mutex},
    time::Duration,
};
use world::{Death, World};

/// What the members said, checked as it comes.
#[derive(Default)]
pub struct Seen {
    pub leaders: BTreeMap<Term, MemberId>,
    pub hashes: BTreeMap<Index, u64>,
    pub synced: BTreeMap<MemberId, Index>,
    pub acknowledged: Index,
    pub restored: u64,
    pub repairs: Vec<String>,
    pub syncs: u64,
    pub members: usize,
    /// Members that asked what they had promised before they lost their disk.
    pub recalled: u64,
    pub faults: Vec<String>,
}

impl Seen {
    fn hear(&mut self, note: &Note) {
        match note {
            Note::Leader { member, term } => {
                let led = *self.leaders.entry(*term).or_insert(*member);
                self.require(led == *member, || format!("two leaders in {term}: {led} and {member}"));
            }
            Note::Repaired { what, .. } => self.repairs.push(what.clone()),
            Note::Said { text } if text.contains("asks all others what it promised") => self.recalled += 1,
            Note::Applied { index, hash, member, .. } | Note::Restored { index, hash, member, .. } => {
                if matches!(note, Note::Restored { .. }) {
                    self.restored += 1;
                }
                let known = *self.hashes.entry(*index).or_insert(*hash);
                self.require(known == *hash, || format!("{member} differs at {index}"));
            }
            Note::Appended { member, first, .. } => {
                let synced = self.synced.entry(*member).or_default();
                *synced = (*synced).min(Index(first.0 - 1));
            }
            Note::Synced { member, last, .. } => {
                self.syncs += 1;
                self.synced.insert(*member, *last);
            }
            Note::Acknowledged { member, index } => {
                self.acknowledged = self.acknowledged.max(*index);
                let holders = self.synced.values().filter(|synced| **synced >= *index).count();
                let quorum = holders > self.members / 2;
                self.require(quorum, || format!("{member} acknowledged {index}, which {holders} disks hold"));
            }
            _ => {}
        }
    }

    fn require(&mut self, holds: bool, fault: impl FnOnce() -> String) {
        if !holds {
            self.faults.push(fault());
        }
    }

    pub fn leader(&self) -> Option<MemberId> {
        self.leaders.last_key_value().map(|(_, leader)| *leader)
    }
}

pub struct Group {
    pub world: World,
    pub seen: Arc<Mutex<Seen>>,
    pub knobs: Knobs,
    size: u64,
    flags: Arc<Mutex<BTreeMap<String, Boot>>>,
}

pub fn name(id: u64) -> String {
    format!("member-{id}")
}

pub fn config(id: u64, size: u64, knobs: &Knobs) -> Config {
    let addr = |id: u64, port: u16| SocketAddr::new(IpAddr::from([10, 0, 0, id as u8]), port);
    let member = |id| MemberAddr::plain(name(id), addr(id, 2380), addr(id, 2379));
    Config {
        id: MemberId(id),
        name: name(id),
        cluster_id: 77,
        start: Start::Founding,
        data_dir: "/data".into(),
        listen: Listen::plain(addr(id, 2380), addr(id, 2379)),
        members: (1..=size).map(|id| (MemberId(id), member(id))).collect(),
        knobs: knobs.clone(),
    }
}

/// Where a member serves clients.
pub fn client_of(id: u64) -> SocketAddr {
    SocketAddr::new(IpAddr::from([10, 0, 0, id as u8]), 2379)
}

impl Group {
    pub fn start(world: World, size: u64, knobs: Knobs) -> Self {
        let group = Self::empty(world, size, knobs);
        (1..=size).for_each(|id| group.create(config(id, size, &group.knobs)));
        group
    }

    pub fn create(&self, config: Config) {
        let ip = config.listen.peers.ip();
        self.world.create(&config.name.clone(), ip, move || {
            let disk = world::disk::control(&config.name);
            let wiped = disk.is_some_and(|disk| disk.counters().wipes > 0);
            let start = if wiped { Start::Again } else { config.start };
            let config = Config { start, ..config.clone() };
            async move { member::run(config).await.map_err(|error| error.to_string()) }
        });
    }

    /// Starts a member that was added: it knows its addresses, and asks the first three who it is.
    pub fn join(&self, id: u64) {
        let me = config(id, id, &self.knobs);
        let ip = me.listen.peers.ip();
        let ask = (1..=3).map(|id| config(id, id, &self.knobs).listen.peers.into()).collect();
        let join = Join {
            name: me.name.clone(),
            data_dir: me.data_dir,
            peer: Url::plain(me.listen.peers),
            listen: me.listen,
            ask,
            knobs: me.knobs,
        };
        self.world.create(&name(id), ip, move || {
            let join = join.clone();
            async move { member::join(join).await.map_err(|error| error.to_string()) }
        });
    }

    /// A group in which nobody has started yet.
    pub fn empty(world: World, size: u64, knobs: Knobs) -> Self {
        let seen = Arc::new(Mutex::new(Seen { members: size as usize, ..Seen::default() }));
        let listener = seen.clone();
        world::set_note_sink(Box::new(move |_, _, note| listener.lock().unwrap().hear(&note)));
        Self { world, seen, knobs, size, flags: Arc::default() }
    }

    /// Starts a member by etcd's flags, or starts it again by others.
    pub fn boot(&self, boot: Boot) {
        let (name, ip, flags) = (boot.name.clone(), boot.listen.peers.ip(), self.flags.clone());
        if flags.lock().unwrap().insert(name.clone(), boot).is_some() {
            assert!(self.world.restart(&name), "{name} was not down");
            return;
        }
        self.world.create(&name.clone(), ip, move || {
            let boot = flags.lock().unwrap()[&name].clone();
            async move { member::boot(boot).await.map_err(|error| error.to_string()) }
        });
    }

    /// Acknowledgements are not counted: members come and go.
    pub fn members_change(&self) {
        self.seen.lock().unwrap().members = 0;
    }

    pub fn endpoints(&self) -> Vec<SocketAddr> {
        (1..=self.size).map(client_of).collect()
    }

    /// Runs a future as a client, in a process of its own, and gives what it gave.
    pub async fn client<T, F>(&self, id: u8, act: impl FnOnce(Client) -> F + Send + 'static) -> T
    where
        T: Send + 'static,
        F: Future<Output = T> + Send + 'static,
    {
        let client = Client::new(self.endpoints(), &self.knobs);
        let (answer, result) = rt::sync::oneshot::channel();
        let once = Arc::new(Mutex::new(Some((act, answer))));
        self.world.create(&format!("client-{id}"), [10, 0, 1, id].into(), move || {
            let (once, client) = (once.lock().unwrap().take(), client.clone());
            async move {
                if let Some((act, answer)) = once {
                    let _ = answer.send(act(client).await);
                }
                Ok(())
            }
        });
        result.await.expect("a client that runs to its end")
    }

    pub fn leader(&self) -> Option<String> {
        self.seen.lock().unwrap().leader().map(|leader| name(leader.0))
    }

    /// Kills a member, and starts it again after a while.
    pub async fn bounce(&self, name: &str, death: Death, down: Duration) {
        self.world.kill(name, death);
        madsim::time::sleep(down).await;
        self.world.restart(name);
    }

    pub fn assert_no_faults(&self) {
        let seen = self.seen.lock().unwrap();
        assert!(seen.faults.is_empty(), "{:#?}", seen.faults);
        assert!(seen.acknowledged > Index(0), "nothing was acknowledged");
    }
}

pub fn put(key: impl Into<String>, value: impl Into<String>) -> pb::PutRequest {
    pb::PutRequest { key: key.into().into(), value: value.into().into(), ..Default::default() }
}

pub fn all() -> pb::RangeRequest {
    pb::RangeRequest { key: vec![0].into(), range_end: vec![0].into(), ..Default::default() }
}

/// Puts new keys for a while; gives those that were acknowledged, and those of unknown outcome.
pub async fn put_for(client: Client, prefix: String, time: Duration) -> (BTreeSet<String>, BTreeSet<String>) {
    let (mut done, mut unknown) = (BTreeSet::new(), BTreeSet::new());
    let end = rt::now() + time;
    for count in 0.. {
        if rt::now() > end {
            break;
        }
        let key = format!("{prefix}-{count:05}");
        match client.put(put(key.clone(), "value")).await {
            Ok(_) => done.insert(key),
            Err(_) => unknown.insert(key),
        };
        rt::sleep(ms(5)).await;
    }
    (done, unknown)
}

/// All keys with their versions, once the store answers.
pub async fn read_all(client: Client) -> BTreeMap<String, i64> {
    loop {
        match client.range(all()).await {
            Err(_) => rt::sleep(ms(200)).await,
            Ok(answer) => {
                let key = |kv: pb::KeyValue| (String::from_utf8_lossy(&kv.key).into_owned(), kv.version);
                return answer.kvs.into_iter().map(key).collect();
            }
        }
    }
}
