//! A plan: every load and every harm of a run, drawn and timed before it begins. It is a file that can be saved,
//! edited and run again; nothing is invented during a run. Times are microseconds from the start.

mod atlas;
mod draw;
mod loads;
mod vary;
mod write;

pub use draw::plan;
pub use vary::vary;
pub use write::{knob_table, scenario};

pub use crate::scenario::clients::{Crowd, KubeClient, KubeOp, KvClient, KvDeed, KvOp, Watcher, When};
use crate::scenario::members::FOUNDERS;
pub use crate::scenario::members::MemberDeed;
pub use crate::scenario::operators::{Operator, OperatorDeed, OperatorOp};
pub use crate::scenario::users::UserDeed;
use crate::scenario::{DiskHarm, Expect, KubeDeed, Moment, Process, Role, Way};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, fmt};

/// Changes whenever an older plan file can no longer be read.
pub const FORMAT: u32 = 5;

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Plan {
    pub format: u32,
    pub scenario: String,
    pub seed: u64,
    pub cluster: Counts,
    pub latency: (u64, u64),
    /// Parts per million.
    pub loss: u64,
    pub knobs: BTreeMap<String, u64>,
    pub harms: Vec<PlannedHarm>,
    /// Somebody hears what it is told in a chosen order.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub deliveries: Option<Deliveries>,
    pub deeds: Vec<PlannedDeed>,
    pub kv: Vec<KvClient>,
    pub watchers: Vec<Watcher>,
    pub kube: Vec<KubeClient>,
    #[serde(default)]
    pub operators: Vec<Operator>,
    #[serde(default)]
    pub crowds: Vec<Crowd>,
    pub api_watchers: u64,
    pub heal: u64,
    pub settle: u64,
    pub expect: Vec<Expect>,
    /// Safety alone is judged.
    #[serde(default)]
    pub unavailable: bool,
    pub check: Vec<String>,
    #[serde(default = "memory")]
    pub memory: u64,
}

fn memory() -> u64 {
    crate::scenario::MEMORY
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Counts {
    pub members: u64,
    /// Machines that stand ready to become members.
    #[serde(default)]
    pub spares: u64,
    pub apiservers: u64,
    pub managers: u64,
    pub schedulers: u64,
    pub nodes: u64,
}

impl Counts {
    pub fn of(&self, role: Role) -> u64 {
        match role {
            Role::Member => self.members,
            Role::ApiServer => self.apiservers,
            Role::Manager => self.managers,
            Role::Scheduler => self.schedulers,
            Role::Node => self.nodes,
        }
    }

    /// True when someone may be there to be hit.
    pub fn has(&self, aim: &Aim) -> bool {
        match aim {
            Aim::Process(process) if process.role == Role::Member && process.number > FOUNDERS => {
                process.number <= FOUNDERS + self.spares
            }
            Aim::Process(process) => (1..=self.of(process.role)).contains(&process.number),
            Aim::Leader => self.members > 0,
            Aim::Active(role) => self.of(*role) > 0,
            Aim::NodeRunning(_) => self.nodes > 0,
        }
    }

    pub fn processes(&self, role: Role) -> impl Iterator<Item = Process> + use<> {
        (1..=self.of(role)).map(move |number| Process { role, number })
    }

    /// Machines that stand ready to become members.
    pub fn ready(&self) -> impl DoubleEndedIterator<Item = Process> + use<> {
        (1..=self.spares).map(|n| Process { role: Role::Member, number: FOUNDERS + n })
    }

    /// All of a role, or that may come to be.
    pub fn all(&self, role: Role) -> Vec<Process> {
        match role {
            Role::Member => self.all_members().collect(),
            role => self.processes(role).collect(),
        }
    }

    /// All that are members, or may become one.
    pub fn all_members(&self) -> impl Iterator<Item = Process> + use<> {
        self.processes(Role::Member).chain(self.ready())
    }
}

impl fmt::Display for Counts {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let named = [
            (self.members, "member"),
            (self.spares, "spare"),
            (self.apiservers, "API server"),
            (self.managers, "manager"),
            (self.schedulers, "scheduler"),
            (self.nodes, "node"),
        ];
        let said = named.iter().filter(|(count, _)| *count > 0);
        let said = said.map(|(count, word)| format!("{count} {word}{}", if *count == 1 { "" } else { "s" }));
        f.write_str(&said.collect::<Vec<_>>().join(", "))
    }
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedHarm {
    pub at: u64,
    /// When it is healed.
    pub until: u64,
    /// Waits, at its time, for the next such moment, and strikes this long after it.
    pub upon: Option<(Moment, u64)>,
    pub of: Vec<Aim>,
    pub blow: Blow,
    /// The line of the scenario it comes from.
    pub line: u64,
    pub owed: Owed,
}

/// What a harm owes its scenario; the run is vacuous if it stays that.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Owed {
    /// To touch something: the timeline says so.
    Touch,
    /// That it or another of its kind touches something: they are drawn.
    SomeTouch,
    /// Nothing: a seed may as well have drawn none.
    Nothing,
}

impl PlannedHarm {
    /// A harm of nobody, or between somebody and nobody.
    pub fn hits_nobody(&self) -> bool {
        let from = match &self.blow {
            Blow::Partition { from: Some(from), .. } | Blow::Hold { from: Some(from) } => from.is_empty(),
            _ => false,
        };
        from || self.of.is_empty()
    }
}

/// Whom a harm hits. Who leads and who runs a pod is known only when the time comes.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Aim {
    Process(Process),
    Leader,
    Active(Role),
    NodeRunning(String),
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Blow {
    Crash,
    PowerCut,
    Pause,
    Restart,
    /// Starts again with other knobs, and with the old ones once more if the harm ends before the heal.
    RestartWith {
        knobs: BTreeMap<String, u64>,
    },
    /// Another machine comes in the place of each.
    Replace,
    /// What each step of a task takes.
    SlowCpu((u64, u64)),
    /// Bytes; who holds more is killed, and started again.
    MemoryLimit(u64),
    /// `from` None: from all others. `flapping`: the cut comes and goes at this pace.
    Partition {
        from: Option<Vec<Aim>>,
        way: Way,
        flapping: Option<u64>,
    },
    Link {
        latency: (u64, u64),
        loss: u64,
    },
    Skew(i64),
    Step(i64),
    Disk(DiskHarm),
    /// Dies when it is about to do the write after so many, counted from the harm's time on.
    Midway {
        after: u64,
    },
    /// `from` None: from all others.
    Hold {
        from: Option<Vec<Aim>>,
    },
    Lag {
        by: u64,
    },
}

/// From a time on a process hears what it is told of these kinds one by one: as long as the order says, of that kind;
/// then whatever has waited longest.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Deliveries {
    pub to: Aim,
    pub from: u64,
    pub of: Vec<String>,
    pub order: Vec<String>,
    /// After so many it hears everything as it comes.
    pub most: u64,
}

#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct PlannedDeed {
    pub at: u64,
    pub deed: KubeDeed,
}

impl Plan {
    /// The same run in which no harm is done.
    pub fn without_harm(mut self) -> Plan {
        self.harms.clear();
        self.deliveries = None;
        self
    }

    /// Nothing is done to anybody.
    pub fn is_calm(&self) -> bool {
        self.harms.is_empty() && self.deliveries.is_none()
    }

    /// Whether clients are users, each of its own name.
    pub fn has_users(&self) -> bool {
        let ops = self.operators.iter().flat_map(|operator| &operator.ops);
        ops.into_iter().any(|op| matches!(op.deed, OperatorDeed::User(deed) if deed != UserDeed::Free))
    }

    pub fn has_kube(&self) -> bool {
        self.cluster.apiservers > 0
    }

    pub fn knobs(&self) -> base::Knobs {
        // Clients ping at whatever pace was drawn for them, and nobody minds unless the scenario says so.
        let mut knobs = base::Knobs { keepalive_min_ms: 0, ..base::Knobs::default() };
        for (name, value) in &self.knobs {
            knobs.set(name, *value);
        }
        knobs
    }

    pub fn to_text(&self) -> String {
        serde_json::to_string_pretty(self).unwrap_or_default()
    }

    pub fn from_text(text: &str) -> Result<Plan, String> {
        let plan: Plan =
            serde_json::from_str(text).map_err(|error| format!("this is not a plan: {error}"))?;
        if plan.format != FORMAT {
            return Err(format!("the plan has format {}; this build reads format {FORMAT}", plan.format));
        }
        Ok(plan)
    }
}

impl fmt::Display for Aim {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Aim::Process(process) => process.fmt(f),
            Aim::Leader => f.write_str("the leader"),
            Aim::Active(role) => write!(f, "the active {}", role.word()),
            Aim::NodeRunning(pod) => write!(f, "the node running {pod}"),
        }
    }
}
