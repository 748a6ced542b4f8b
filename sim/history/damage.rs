//! What became of damage on disks: every damaged file that a process read, it must have named.

use base::Note;
use std::collections::BTreeMap;

/// Damaged files that processes have read.
#[derive(Default)]
pub struct Damage {
    /// What a process said it has put right, since it started last.
    repaired: BTreeMap<String, Vec<String>>,
    /// Files that it put right, and said so.
    pub put_right: u64,
    /// Files that a process named when it ended for them.
    pub ended_for: Vec<(String, String)>,
    /// Files that a process read, and went on as if nothing were wrong with them.
    pub served: Vec<String>,
}

impl Damage {
    pub fn see(&mut self, process: &str, note: &Note) {
        match note {
            Note::Repaired { what, .. } => {
                self.repaired.entry(process.into()).or_default().push(what.clone());
            }
            Note::MemberStarted { .. } => {
                let said = self.repaired.remove(process).unwrap_or_default();
                for path in met(process) {
                    match said.iter().any(|what| what.contains(&path) && what.contains("is damaged")) {
                        true => self.put_right += 1,
                        false => self.served.push(format!("{process} started from {path}, which is damaged")),
                    }
                }
            }
            _ => {}
        }
    }

    /// A process ended by itself. True when it named a damaged file that it had read.
    pub fn ended(&mut self, process: &str, why: &str) -> bool {
        let named = met(process).into_iter().find(|path| why.contains(path));
        let is_named = named.is_some();
        self.ended_for.extend(named.map(|path| (process.to_string(), path)));
        is_named
    }

    /// Whether an end is excused by damage.
    pub fn excuses(&self, process: &str, why: &str) -> bool {
        self.ended_for.iter().any(|(name, path)| name == process && why.contains(path))
    }
}

/// Damaged files that a process has read in this life, or in its last.
fn met(process: &str) -> Vec<String> {
    world::disk_harm::control(process).map(|disk| disk.met()).unwrap_or_default()
}
