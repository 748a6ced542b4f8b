//! A crowd: thousands of watchers, each with a watch of its own, over the few connections of one process.

use super::{Ground, apiwatch, watch};
use crate::history::{LOAD, Span, Watch};
use crate::nemesis::{now, until};
use crate::plan::Crowd;
use objects::kinds;
use std::time::Duration;

/// Watchers that share a connection.
const TOGETHER: u64 = 500;
/// They come one after the other.
const APART: Duration = Duration::from_micros(200);
/// Until one that lost its watch comes back.
const AGAIN: Duration = Duration::from_millis(300);

pub async fn run(plan: Crowd, ground: Ground) -> Result<(), String> {
    until(plan.from).await;
    let mut first = 1;
    while first <= plan.size {
        let last = plan.size.min(first + TOGETHER - 1);
        match plan.of_api {
            true => at_the_api(&plan.name, first..=last, &ground).await,
            false => at_the_store(&plan.name, first..=last, &ground).await,
        }
        first = last + 1;
    }
    std::future::pending().await
}

async fn at_the_store(crowd: &str, numbers: std::ops::RangeInclusive<u64>, ground: &Ground) {
    let client = ground.root();
    for number in numbers {
        let (client, seen, name) = (client.clone(), ground.seen.clone(), format!("{crowd}/{number}"));
        rt::spawn(async move {
            let mut start = 0;
            loop {
                let watch = Watch::new(&name, Span::prefix(LOAD), start, now());
                start = watch::follow(&client, &seen, watch, watch::Manner::default()).await.next;
                rt::sleep(AGAIN).await;
            }
        });
        rt::sleep(APART).await;
    }
}

async fn at_the_api(crowd: &str, numbers: std::ops::RangeInclusive<u64>, ground: &Ground) {
    let mut servers = ground.apiservers.clone();
    let turns = (*numbers.start() / TOGETHER) as usize % servers.len().max(1);
    servers.rotate_left(turns);
    let client = client::Client::new(servers, crowd, &ground.knobs);
    for number in numbers {
        let (client, seen, name) = (client.clone(), ground.seen.clone(), format!("{crowd}/{number}"));
        rt::spawn(async move {
            loop {
                apiwatch::follow(&name, &kinds::deployment::KIND, &client, &seen).await;
                rt::sleep(AGAIN).await;
            }
        });
        rt::sleep(APART).await;
    }
}
