//! The containers of a hollow node. They outlive the kubelet's process and end with the machine's power: the
//! table is a file that carries the boot id, and a table of another boot is empty. It is never synced: what a
//! power cut takes from it, the new boot id would have emptied anyway.

use crate::Config;
use base::{Note, reached};
use serde::{Deserialize, Serialize};
use std::{collections::BTreeMap, io, path::PathBuf};

/// The containers of one pod.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Container {
    pub namespace: String,
    pub pod: String,
    /// RFC 3339.
    pub started: String,
    pub restarts: u64,
    pub ip: String,
    /// How they end by themselves; those that are always restarted never do.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fate: Option<Fate>,
}

/// How containers end by themselves.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Fate {
    /// Milliseconds they run.
    pub runs: u64,
    pub code: i32,
}

/// Containers that have ended by themselves, and are kept for what is to be said of them.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Remains {
    pub container: Container,
    pub code: i32,
    /// RFC 3339.
    pub finished: String,
}

#[derive(Debug, Default, Serialize, Deserialize)]
struct Table {
    boot: String,
    /// By the pod's uid.
    running: BTreeMap<String, Container>,
    /// By the pod's uid too; they outlive the machine's power.
    #[serde(default)]
    ended: BTreeMap<String, Remains>,
    /// How often each pod's containers have been started in all, across boots.
    starts: BTreeMap<String, u64>,
    addresses: u64,
}

pub struct Machine {
    node: String,
    file: PathBuf,
    table: Table,
}

impl Machine {
    /// Finds the containers that still run.
    pub async fn open(config: &Config) -> io::Result<Self> {
        rt::fs::create_dir_all(&config.data_dir).await?;
        let file = config.data_dir.join("containers.json");
        let mut table = match rt::fs::read(&file).await {
            Ok(bytes) => serde_json::from_slice(&bytes).unwrap_or_else(|_| {
                reached!("kubelet: its table of containers was torn by a power cut");
                Table::default() // another boot
            }),
            Err(error) if error.kind() == io::ErrorKind::NotFound => Table::default(),
            Err(error) => return Err(error),
        };
        let boot = rt::boot_id();
        if table.boot != boot {
            reached!("kubelet: a reboot ended its containers", !table.running.is_empty());
            table.running.clear();
            table.boot = boot;
        }
        let machine = Machine { node: config.node.clone(), file, table };
        for (uid, container) in &machine.table.running {
            machine.note(uid, container, true);
        }
        machine.save().await?;
        Ok(machine)
    }

    pub fn get(&self, uid: &str) -> Option<&Container> {
        self.table.running.get(uid)
    }

    pub fn running(&self) -> &BTreeMap<String, Container> {
        &self.table.running
    }

    pub fn ended(&self) -> &BTreeMap<String, Remains> {
        &self.table.ended
    }

    /// Starts the containers of a pod.
    pub async fn start(
        &mut self,
        uid: &str,
        (namespace, pod): (&str, &str),
        fate: Option<Fate>,
    ) -> io::Result<()> {
        self.table.addresses += 1;
        let starts = self.table.starts.entry(uid.to_string()).or_insert(0);
        let restarts = *starts;
        reached!("kubelet: the containers of a pod are started again", restarts > 0);
        *starts += 1;
        let container = Container {
            namespace: namespace.to_string(),
            pod: pod.to_string(),
            started: rt::wall().rfc3339(),
            restarts,
            ip: address(&self.node, self.table.addresses),
            fate,
        };
        self.note(uid, &container, true);
        self.table.running.insert(uid.to_string(), container);
        self.save().await
    }

    /// Stops the containers of a pod, if they run.
    pub async fn stop(&mut self, uid: &str) -> io::Result<()> {
        let Some(container) = self.table.running.remove(uid) else { return Ok(()) };
        self.note(uid, &container, false);
        self.save().await
    }

    /// The containers of a pod have ended by themselves, with this code.
    pub async fn expire(&mut self, uid: &str, code: i32) -> io::Result<()> {
        let Some(container) = self.table.running.remove(uid) else { return Ok(()) };
        self.note(uid, &container, false);
        let remains = Remains { container, code, finished: rt::wall().rfc3339() };
        self.table.ended.insert(uid.to_string(), remains);
        self.save().await
    }

    /// The pod is gone for good.
    pub async fn forget(&mut self, uid: &str) -> io::Result<()> {
        self.stop(uid).await?;
        self.table.ended.remove(uid);
        self.table.starts.remove(uid);
        self.save().await
    }

    fn note(&self, uid: &str, container: &Container, running: bool) {
        rt::note(Note::Container {
            node: self.node.clone(),
            namespace: container.namespace.clone(),
            pod: container.pod.clone(),
            uid: uid.to_string(),
            running,
        });
    }

    async fn save(&self) -> io::Result<()> {
        let aside = self.file.with_extension("new");
        let bytes = serde_json::to_vec(&self.table)?;
        let file = rt::fs::File::create(&aside).await?;
        file.append(&bytes).await?;
        rt::fs::rename(&aside, &self.file).await
    }
}

/// An address in 10.128.0.0/9, of the node's own /24 as far as names hash apart.
fn address(node: &str, count: u64) -> String {
    let hash = node.bytes().fold(5381u64, |hash, byte| hash.wrapping_mul(33) ^ u64::from(byte));
    format!("10.{}.{}.{}", 128 + hash % 127, (hash >> 8) % 256, 1 + count % 254)
}
