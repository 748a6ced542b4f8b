//! Clients that are written out, operation by operation: what a plan draws from a load, said in a scenario. Any plan
//! can so be written as a scenario, and what was shrunk is one.

use super::{
    KubeDeed,
    deeds::{DEEDS, deed_keys, kube_deed},
    loads::PATIENCE,
    operators::{self, Operator, OperatorOp},
    read::one,
    target::ROLES,
    units::{count, size, time},
    yaml::{Mistake, Node, Table},
};
use serde::{Deserialize, Serialize};
use std::collections::BTreeSet;

/// All of them, in the order of the file.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Clients {
    pub store: Vec<KvClient>,
    pub watchers: Vec<Watcher>,
    pub users: Vec<KubeClient>,
    pub crowds: Vec<Crowd>,
    pub operators: Vec<Operator>,
    /// Clients that list and watch at the API server.
    pub readers: u64,
}

/// One client of the store: it does one operation after the other.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvClient {
    pub name: String,
    pub from: u64,
    pub until: u64,
    /// How long it waits for an answer.
    #[serde(default = "patient")]
    pub patience: u64,
    /// How often it then asks again, at once.
    #[serde(default)]
    pub retries: u64,
    pub ops: Vec<KvOp>,
}

fn patient() -> u64 {
    PATIENCE
}

/// When an operation of a client begins; never before the answer to the one before.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum When {
    /// So long after that answer.
    After(u64),
    /// At this time of the run, or with that answer if it comes later.
    At(u64),
}

impl When {
    /// When it begins if the one before it had its answer then.
    pub fn begins(self, answered: u64) -> u64 {
        match self {
            When::After(pause) => answered + pause,
            When::At(time) => answered.max(time),
        }
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KvOp {
    pub when: When,
    pub deed: KvDeed,
    /// Bytes up to which its value is filled.
    #[serde(default)]
    pub size: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KvDeed {
    Put {
        key: String,
        value: String,
    },
    Get {
        key: String,
        serializable: bool,
    },
    List,
    /// Put if the key is as this client last saw it.
    Txn {
        key: String,
        value: String,
    },
    /// Two keys in one revision.
    Transfer {
        keys: [String; 2],
        values: [String; 2],
    },
    Delete {
        key: String,
    },
    /// Grant, put under it, renew so often, then revoke it or leave it to end.
    Lease {
        key: String,
        value: String,
        ttl: i64,
        renewals: u64,
        revoke: bool,
    },
    /// Waits for a lock on a lease of its own, holds it for so long, and lets it go. The lease is not renewed.
    Lock {
        name: String,
        ttl: i64,
        hold: u64,
    },
    /// At the revision this client saw so many revisions ago; 0 is the newest it saw.
    Compact {
        back: i64,
    },
    /// Watch from the revision of this client's last compaction, or last write, until all of it has come.
    History,
}

impl KvDeed {
    /// Whether it carries a value.
    pub fn writes(&self) -> bool {
        matches!(
            self,
            KvDeed::Put { .. } | KvDeed::Txn { .. } | KvDeed::Transfer { .. } | KvDeed::Lease { .. }
        )
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Watcher {
    pub name: String,
    pub from: u64,
    /// Between one answer and the reading of the next.
    pub pause: u64,
    /// It drops its stream and resumes after so long.
    pub lives: u64,
    pub prev_kv: bool,
    pub no_put: bool,
    pub no_delete: bool,
    /// Asks for progress after each pause of this length, or never.
    pub progress: Option<u64>,
}

/// Many watches that few connections share: one process of so many watchers, each with a stream of its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Crowd {
    pub name: String,
    pub from: u64,
    pub size: u64,
    /// Of the API server, for deployments; else of the store, for all keys of the load.
    pub of_api: bool,
}

/// One client of the API server. Its deployments are its own.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubeClient {
    pub name: String,
    pub from: u64,
    pub until: u64,
    pub ops: Vec<KubeOp>,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct KubeOp {
    pub when: When,
    pub deed: KubeDeed,
}

const KINDS: [&str; 6] = ["store", "watcher", "user", "crowd", "operator", "readers"];
/// What a client of the store may do, as a scenario says it.
pub const STORE_DEEDS: [&str; 10] =
    ["put", "get", "list", "txn", "transfer", "delete", "lease", "compact", "history", "lock"];
/// What is said beside a deed.
pub const STORE_WORDS: [&str; 10] =
    ["value", "values", "size", "serializable", "ttl", "renewals", "revoke", "hold", "after", "at"];

/// Reads the entries of `clients`.
pub fn clients(
    entries: &[Node],
    include: &dyn Fn(&str) -> Result<String, String>,
) -> Result<Clients, Mistake> {
    let mut clients = Clients::default();
    let mut taken = BTreeSet::new();
    for node in entries {
        let keys = [
            "from", "until", "ops", "patience", "retries", "pause", "lives", "prevKv", "only", "progress",
            "size", "of",
        ];
        let table = node.table("a client", &[&KINDS[..], &keys].concat())?;
        let named: Vec<&str> = KINDS.into_iter().filter(|kind| table.get(kind).is_some()).collect();
        match named[..] {
            ["store"] => clients.store.push(store_client(&table, &mut taken)?),
            ["watcher"] => clients.watchers.push(watcher(&table, &mut taken)?),
            ["crowd"] => clients.crowds.push(crowd(&table, &mut taken)?),
            ["operator"] => clients.operators.push(operator(&table, &mut taken)?),
            ["user"] => clients.users.push(user(&table, &mut taken, include)?),
            ["readers"] => clients.readers += one(table.need("readers")?, count)?,
            _ => {
                let expected = format!("one of {}", KINDS.join(", "));
                return Err(Mistake::new(table.place, "a client is of one kind", expected));
            }
        }
    }
    Ok(clients)
}

/// A name that no process of a cluster and no drawn client has; two of one name would be one process.
fn name(table: &Table<'_>, kind: &str, taken: &mut BTreeSet<String>) -> Result<String, Mistake> {
    let node = table.need(kind)?;
    let name = node.word("the name of a client, such as client-1")?.to_string();
    let of_the_tank = ["judge", "observer", "operator"].contains(&name.as_str());
    let role = name.rsplit_once('-').map_or("", |(role, _)| role);
    if of_the_tank || role == "reader" || ROLES.iter().any(|(word, _)| *word == role) {
        return Err(Mistake::new(node.place, format!("`{name}` is another process's name"), "client-1, say"));
    }
    if !taken.insert(name.clone()) {
        return Err(Mistake::new(node.place, format!("two clients are called `{name}`"), "a name for each"));
    }
    Ok(name)
}

fn window(table: &Table<'_>) -> Result<(u64, u64), Mistake> {
    Ok((one(table.need("from")?, time)?, one(table.need("until")?, time)?))
}

fn ops<'a>(table: &Table<'a>) -> Result<&'a [Node], Mistake> {
    table.need("ops")?.list("a list of operations, each beginning with `-`")
}

fn when(table: &Table<'_>) -> Result<When, Mistake> {
    match (table.get("after"), table.get("at")) {
        (Some(_), Some(at)) => {
            let message = "an operation begins at a time or some time after the one before, not both";
            Err(Mistake::new(at.place, message, "`after` or `at`".to_string()))
        }
        (None, Some(at)) => one(at, time).map(When::At),
        (after, None) => after.map_or(Ok(0), |node| one(node, time)).map(When::After),
    }
}

fn flag(table: &Table<'_>, key: &str) -> Result<bool, Mistake> {
    match table.get(key) {
        None => Ok(false),
        Some(node) if node.is_word("true") => Ok(true),
        Some(node) if node.is_word("false") => Ok(false),
        Some(node) => Err(node.wrong("true or false")),
    }
}

fn store_client(table: &Table<'_>, taken: &mut BTreeSet<String>) -> Result<KvClient, Mistake> {
    let (from, until) = window(table)?;
    let ops = ops(table)?.iter().map(|node| {
        let table = node.table("an operation", &[&STORE_DEEDS[..], &STORE_WORDS].concat())?;
        let size = table.get("size").map_or(Ok(0), |node| one(node, size))?;
        Ok(KvOp { when: when(&table)?, deed: store_deed(&table)?, size })
    });
    Ok(KvClient {
        name: name(table, "store", taken)?,
        from,
        until,
        patience: table.get("patience").map_or(Ok(PATIENCE), |node| one(node, time))?,
        retries: table.get("retries").map_or(Ok(0), |node| one(node, count))?,
        ops: ops.collect::<Result<_, Mistake>>()?,
    })
}

fn store_deed(table: &Table<'_>) -> Result<KvDeed, Mistake> {
    let named: Vec<&str> = STORE_DEEDS.into_iter().filter(|deed| table.get(deed).is_some()).collect();
    let [deed] = named[..] else {
        let message = if named.is_empty() { "nothing is done here" } else { "an operation does one thing" };
        return Err(Mistake::new(table.place, message, format!("one of {}", STORE_DEEDS.join(", "))));
    };
    let node = table.need(deed)?;
    let key = || node.word("a key").map(str::to_string);
    let value = || table.need("value")?.word("a value").map(str::to_string);
    let ttl = || Ok((one(table.need("ttl")?, time)? / 1_000_000).max(1) as i64);
    Ok(match deed {
        "put" => KvDeed::Put { key: key()?, value: value()? },
        "txn" => KvDeed::Txn { key: key()?, value: value()? },
        "get" => KvDeed::Get { key: key()?, serializable: flag(table, "serializable")? },
        "delete" => KvDeed::Delete { key: key()? },
        "transfer" => KvDeed::Transfer { keys: two(node)?, values: two(table.need("values")?)? },
        "lease" => KvDeed::Lease {
            key: key()?,
            value: value()?,
            ttl: ttl()?,
            renewals: table.get("renewals").map_or(Ok(0), |node| one(node, count))?,
            revoke: flag(table, "revoke")?,
        },
        "lock" => KvDeed::Lock {
            name: node.word("the name of a lock")?.to_string(),
            ttl: ttl()?,
            hold: one(table.need("hold")?, time)?,
        },
        "compact" => KvDeed::Compact { back: one(node, count)? as i64 },
        "list" => KvDeed::List,
        _ => KvDeed::History,
    })
}

fn two(node: &Node) -> Result<[String; 2], Mistake> {
    match node.list("two words in a list")? {
        [one, other] => Ok([one.word("a word")?.to_string(), other.word("a word")?.to_string()]),
        _ => Err(node.wrong("two words in a list")),
    }
}

fn watcher(table: &Table<'_>, taken: &mut BTreeSet<String>) -> Result<Watcher, Mistake> {
    let only = table.get("only").map(|node| match node.word("puts or deletes")? {
        word @ ("puts" | "deletes") => Ok(word),
        word => Err(Mistake::word(node.place, "a kind of event", word, &["puts", "deletes"])),
    });
    let only = only.transpose()?;
    Ok(Watcher {
        name: name(table, "watcher", taken)?,
        from: one(table.need("from")?, time)?,
        pause: table.get("pause").map_or(Ok(0), |node| one(node, time))?,
        lives: one(table.need("lives")?, time)?,
        prev_kv: flag(table, "prevKv")?,
        no_put: only == Some("deletes"),
        no_delete: only == Some("puts"),
        progress: table.get("progress").map(|node| one(node, time)).transpose()?,
    })
}

fn crowd(table: &Table<'_>, taken: &mut BTreeSet<String>) -> Result<Crowd, Mistake> {
    let of = table.need("of")?;
    let of_api = match of.word("store or api")? {
        "store" => false,
        "api" => true,
        word => return Err(Mistake::word(of.place, "what a crowd watches", word, &["store", "api"])),
    };
    Ok(Crowd {
        name: name(table, "crowd", taken)?,
        from: one(table.need("from")?, time)?,
        size: one(table.need("size")?, count)?,
        of_api,
    })
}

fn operator(table: &Table<'_>, taken: &mut BTreeSet<String>) -> Result<Operator, Mistake> {
    let (from, until) = window(table)?;
    let ops = ops(table)?.iter().map(|node| {
        let keys: Vec<&str> = operators::deeds().chain(["after", "at"]).collect();
        let table = node.table("an operator's wish", &keys)?;
        Ok(OperatorOp { when: when(&table)?, deed: operators::deed(&table)? })
    });
    let ops = ops.collect::<Result<_, Mistake>>()?;
    Ok(Operator { name: name(table, "operator", taken)?, from, until, ops })
}

fn user(
    table: &Table<'_>,
    taken: &mut BTreeSet<String>,
    include: &dyn Fn(&str) -> Result<String, String>,
) -> Result<KubeClient, Mistake> {
    let (from, until) = window(table)?;
    let keys = [deed_keys(), vec!["after", "at"]].concat();
    let ops = ops(table)?.iter().map(|node| {
        let table = node.table("a user's wish", &keys)?;
        let deed = DEEDS.iter().find_map(|deed| table.get(deed).map(|node| (*deed, node)));
        let Some((deed, node)) = deed else {
            let expected = format!("one of {}", DEEDS.join(", "));
            return Err(Mistake::new(table.place, "nothing is wished here", expected));
        };
        Ok(KubeOp { when: when(&table)?, deed: kube_deed(deed, node, &table, include)? })
    });
    Ok(KubeClient {
        name: name(table, "user", taken)?,
        from,
        until,
        ops: ops.collect::<Result<_, Mistake>>()?,
    })
}
