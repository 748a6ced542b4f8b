//! Tells a process what it hears in a chosen order: while it is kept, one delivery of one kind at a time is let
//! through, and the next only when all is still. What could have been chosen is written down, so that every order can
//! be tried, one run each.

use crate::history::{
    Choice,
    seen::{Effect, Seen},
};
use crate::nemesis::{Nemesis, now, until};
use crate::plan::Deliveries;
use std::time::Duration;
use world::order;

/// Longer than an answer takes, and what follows from it: after so long nothing more comes of the last delivery.
const STILL: Duration = Duration::from_millis(200);
const LOOK: Duration = Duration::from_millis(10);
/// When nothing has come for so long, nothing will.
const PATIENCE: Duration = Duration::from_secs(5);

/// Chooses until the order is at its end, then lets everything through.
pub async fn choose(deliveries: Deliveries, nemesis: Nemesis, seen: Seen) {
    until(deliveries.from).await;
    let Some(process) = nemesis.resolve(&deliveries.to) else { return };
    let at = now();
    order::keep(&process, &deliveries.of);
    for n in 0..deliveries.most as usize {
        let of = still(&process).await;
        let Some(first) = of.first().cloned() else { break };
        let took = deliveries.order.get(n).filter(|kind| of.contains(kind)).cloned().unwrap_or(first);
        order::pass(&process, &took);
        seen.lock().choices.push(Choice { of, took });
    }
    still(&process).await;
    order::open(&process);
    let what = format!("{} come one by one to {process}", deliveries.of.join(", "));
    let mut state = seen.lock();
    let did: Vec<String> = state.choices.iter().map(|choice| choice.took.clone()).collect();
    let (did, of) = (did.join(", "), vec![process]);
    state.harms.push(Effect { at, until: now(), of, line: 0, required: false, what, did });
}

/// What waits once nothing more has come for a while.
async fn still(process: &str) -> Vec<String> {
    let (mut came, mut since) = (order::came(process), rt::now());
    loop {
        rt::sleep(LOOK).await;
        let now = order::came(process);
        if now != came {
            (came, since) = (now, rt::now());
        }
        let waiting = order::waiting(process);
        let patience = if waiting.is_empty() { PATIENCE } else { STILL };
        if rt::now() - since >= patience {
            return waiting;
        }
    }
}
