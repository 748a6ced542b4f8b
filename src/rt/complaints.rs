//! What goes wrong again and again with other machines, said to whoever runs this one: each thing once in a while, however
//! often it happens.

use crate::Mono;
use std::{
    collections::BTreeMap,
    sync::{Mutex, MutexGuard},
    time::Duration,
};

/// Until the same is said again, and different things remembered at a time.
const SILENT: Duration = Duration::from_secs(30);
const REMEMBERED: usize = 256;

#[derive(Default)]
pub(crate) struct Complaints {
    said: Mutex<BTreeMap<String, Mono>>,
}

impl Complaints {
    fn said(&self) -> MutexGuard<'_, BTreeMap<String, Mono>> {
        self.said.lock().unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn say(&self, text: String) {
        let now = crate::now();
        let mut said = self.said();
        if said.len() >= REMEMBERED {
            said.retain(|_, at| at.elapsed() < SILENT);
        }
        let silent = said.get(&text).is_some_and(|at| at.elapsed() < SILENT);
        if !silent && said.len() < REMEMBERED {
            said.insert(text.clone(), now);
            crate::note(base::Note::Said { text });
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_thing_is_said_once_in_a_while_and_no_more_things_than_there_is_room_for() {
        crate::run(async {
            let complaints = Complaints::default();
            complaints.say("0".into());
            let first = complaints.said()["0"];
            crate::sleep(Duration::from_millis(5)).await;
            complaints.say("0".into());
            assert_eq!(complaints.said()["0"], first, "not again");
            (0..2 * REMEMBERED).for_each(|n| complaints.say(n.to_string()));
            assert_eq!(complaints.said().len(), REMEMBERED);
        });
    }
}
