//! What a scenario file says. Everything that varies is still a [`Draw`] here: the seed decides in the plan.
//!
//! | module | promise |
//! |---|---|
//! | `yaml` | a tree in which every node knows its line and column; mistakes that point there |
//! | `units` | quantities as words |
//! | `target` | who is meant |
//! | `loads` | who asks how often, for what, how patiently |
//! | `members`, `users` | members of the store that come and go; users who may more or less, and space |
//! | `operators` | those who see to it |
//! | `processes` | other knobs, other machines, slow CPUs |
//! | `clients` | clients written out, operation by operation |
//! | `disks` | how a disk may be harmed, and how much a cluster survives |
//! | `read` | file to [`Scenario`], or one mistake |
//! | `schema` | the grammar as JSON schema, for editors |

pub mod clients;
pub mod deeds;
pub mod disks;
pub mod harms;
pub mod loads;
pub mod members;
pub mod moment;
pub mod operators;
mod processes;
pub mod read;
pub mod schema;
pub mod target;
pub mod units;
pub mod users;
pub mod yaml;

pub use moment::Moment;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;
pub use target::{Amount, Process, Role, Target};
pub use units::Draw;

#[derive(Clone, Debug)]
pub struct Scenario {
    /// The claim, as a sentence.
    pub name: String,
    /// The seed whose outcome is recorded in `snapshots/`.
    pub seed: u64,
    pub cluster: Cluster,
    pub network: Network,
    /// Knobs of the product, by their snake_case names.
    pub knobs: BTreeMap<String, Draw>,
    pub timeline: Vec<Timed>,
    pub deliveries: Option<Deliveries>,
    pub load: Vec<Load>,
    /// Written out instead of drawn.
    pub clients: clients::Clients,
    pub harm: Vec<Repeated>,
    /// When all harm and load end, in microseconds from the start.
    pub heal: Draw,
    /// How long the system may take to converge after that.
    pub settle: u64,
    pub expect: Vec<Expect>,
    /// More is harmed than can be made good: safety alone is judged.
    pub unavailable: bool,
    /// Empty: all.
    pub check: Vec<String>,
    /// Resident bytes at which a run of it has failed.
    pub memory: u64,
}

/// What a run may take of memory unless its scenario says more: it comes of a leak, as a rule.
pub const MEMORY: u64 = 6 << 30;

/// How many of each role.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Cluster {
    pub members: Draw,
    /// Machines that stand ready to become members.
    pub spares: u64,
    pub apiservers: Draw,
    pub managers: Draw,
    pub schedulers: Draw,
    pub nodes: Draw,
}

/// Times in microseconds, loss in parts per million.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Network {
    pub latency: Draw,
    pub loss: Draw,
}

/// Something that happens at a time.
#[derive(Clone, Debug)]
pub struct Timed {
    pub at: Draw,
    pub what: Deed,
    pub line: u64,
}

/// Who hears what it is told one by one, in this order, and of what.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Deliveries {
    /// One manager, scheduler or node.
    pub to: Target,
    pub from: u64,
    /// Plurals of kinds.
    pub of: Vec<String>,
    pub order: Vec<String>,
    pub most: u64,
}

/// A harm that comes again and again, or in only some seeds.
#[derive(Clone, Debug)]
pub struct Repeated {
    pub harm: Harm,
    /// None: once, somewhere in the safety phase.
    pub every: Option<Draw>,
    /// Parts per million of the seeds in which it comes at all.
    pub chance: u64,
    pub line: u64,
}

#[derive(Clone, Debug)]
pub enum Deed {
    Harm(Harm),
    Kube(KubeDeed),
}

/// What an operator does by hand.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum KubeDeed {
    /// The manifest as JSON text.
    Apply(String),
    Scale {
        deployment: String,
        replicas: u64,
    },
    SetImage {
        deployment: String,
        image: String,
    },
    Delete {
        deployment: String,
        /// Its dependents go first, and it waits for them; else they follow it.
        foreground: bool,
    },
}

#[derive(Clone, Debug)]
pub struct Harm {
    pub kind: HarmKind,
    pub of: Vec<Target>,
    /// None: until the heal.
    pub lasting: Option<Draw>,
    /// Waits for the next such moment, and strikes this long after it.
    pub upon: Option<(Moment, Draw)>,
    /// One target after the other, at this distance, instead of all at once.
    pub rolling: Option<Draw>,
}

#[derive(Clone, Debug)]
pub enum HarmKind {
    /// The process dies; its machine lives.
    Crash,
    /// The machine loses power: what was not synced is gone, connections hang half-open.
    PowerCut,
    /// The process stands still.
    Pause,
    /// The process dies and comes back at once.
    Restart,
    /// It comes back with other knobs, and with the old ones once more at the end.
    RestartWith {
        knobs: BTreeMap<String, Draw>,
    },
    /// The machine is gone for good; another of its name comes in its place.
    Replace,
    /// Each step of the process's tasks takes so long.
    SlowCpu(Draw),
    /// Who holds more bytes is killed, as often as it does.
    MemoryLimit(Draw),
    Partition {
        from: Option<Vec<Target>>,
        way: Way,
        flapping: Option<Draw>,
    },
    Link {
        latency: Draw,
        loss: Draw,
    },
    /// The wall clock is off by this.
    ClockSkew(Draw),
    /// The wall clock jumps by this.
    ClockStep(Draw),
    Disk(DiskHarm),
    /// The process dies between two of its writes to the API.
    Midway {
        after: Draw,
    },
    /// What the targets say on connections that are open is kept from those.
    Hold {
        from: Option<Vec<Target>>,
    },
    /// What the store says reaches these API servers so much later.
    Lag {
        by: Draw,
    },
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Way {
    Both,
    /// The targets hear nothing.
    In,
    /// The targets are not heard.
    Out,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum DiskHarm {
    /// EIO on the named operation.
    Fail(DiskOp),
    /// ENOSPC.
    Full,
    /// Nothing moves.
    Stall,
    /// Each sync takes this much longer.
    Slow(Draw),
    /// A bit of a file that nobody writes to flips.
    Rot,
    /// Writes that said they succeeded land in part only.
    Short,
    /// Writes that said they succeeded land at another place.
    Misdirected,
    /// The machine loses power, and comes back with an empty disk.
    Wipe,
}

impl DiskHarm {
    /// Whether it takes away, unseen or for good, what had been written and synced.
    pub fn destroys(&self) -> bool {
        match self {
            DiskHarm::Rot | DiskHarm::Short | DiskHarm::Misdirected | DiskHarm::Wipe => true,
            DiskHarm::Fail(_) | DiskHarm::Full | DiskHarm::Stall | DiskHarm::Slow(_) => false,
        }
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum DiskOp {
    Read,
    Write,
    Sync,
}

/// A load with its window.
#[derive(Clone, Debug)]
pub struct Load {
    pub from: u64,
    pub lasting: u64,
    pub kind: LoadKind,
    pub chance: u64,
    pub line: u64,
}

#[derive(Clone, Debug)]
pub enum LoadKind {
    Kv(KvLoad),
    Kube(KubeLoad),
    Members(members::MembersLoad),
    Users(users::UsersLoad),
    Space(users::SpaceLoad),
}

/// Clients of the store's own protocol.
#[derive(Clone, Debug)]
pub struct KvLoad {
    pub clients: Draw,
    pub keys: Draw,
    /// Between one operation of a client and its next.
    pub pause: Draw,
    /// Operations that follow each other at once before there is a pause.
    pub burst: Draw,
    /// The share of operations, in parts per million, that all go to one key.
    pub hot: Draw,
    /// Bytes up to which values are filled.
    pub size: Draw,
    /// How long a client waits for an answer, and how often it then asks again, at once.
    pub patience: Draw,
    pub retries: Draw,
    pub mix: BTreeMap<String, u64>,
    pub watchers: Draw,
    /// Of the watchers, those that read slowly.
    pub slow: Draw,
    /// Watches of all keys that a few processes share.
    pub crowd: Draw,
    /// Seconds a lease lasts.
    pub ttl: Draw,
}

/// Clients of the API server.
#[derive(Clone, Debug)]
pub struct KubeLoad {
    pub clients: Draw,
    pub deployments: Draw,
    pub replicas: Draw,
    pub pause: Draw,
    /// Wishes that follow each other at once before there is a pause.
    pub burst: Draw,
    /// Bytes that each pod's template carries along.
    pub size: Draw,
    pub mix: BTreeMap<String, u64>,
    pub watchers: Draw,
    /// Watches of deployments that one process shares.
    pub crowd: Draw,
}

/// What must be so at the end.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Expect {
    Deployment {
        name: String,
        ready: Option<u64>,
        image: Option<String>,
    },
    /// How many of a Job's pods, or indexes, have succeeded; how it ended: Complete or Failed.
    Job {
        name: String,
        succeeded: Option<u64>,
        ends: Option<String>,
    },
    Absent {
        deployment: String,
    },
    /// A `reached!` mark of the product or of the tank.
    Reached(String),
}

pub const KV_OPS: [&str; 10] =
    ["put", "get", "list", "txn", "delete", "lease", "compact", "transfer", "history", "lock"];
pub const KUBE_OPS: [&str; 4] = ["scale", "rollout", "delete", "delete-foreground"];
