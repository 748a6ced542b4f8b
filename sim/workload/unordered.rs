//! What must never be in a simulation, planted so that `same` is seen to find it: a process that walks a table hashed
//! by where its entries are in memory, which no seed decides. (A `HashMap` would not do: inside a simulation madsim
//! answers for the system's randomness.) It runs only when the bug UNORDERED is planted.

use base::Note;
use std::{collections::BTreeMap, time::Duration};

/// Says the entries of the table in the order they come in, from a while after the start on.
pub async fn run() -> Result<(), String> {
    rt::sleep(Duration::from_secs(3)).await;
    let entries: Vec<Box<u64>> = (0..32).map(Box::new).collect();
    let place = |entry: &u64| world::record::hash(&(std::ptr::from_ref(entry) as usize).to_le_bytes());
    let table: BTreeMap<u64, u64> = entries.iter().map(|entry| (place(entry), **entry)).collect();
    for entry in table.values() {
        rt::note(Note::Said { text: format!("number {entry}") });
        rt::sleep(Duration::from_millis(1)).await;
    }
    std::future::pending().await
}
