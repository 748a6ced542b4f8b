//! The same operations, from one seed, against our member and a real etcd: every answer must be the same, field for
//! field, but for ids, terms and sizes; every error, code and text.
//!
//! `WAVETANK_DIFFERENTIAL=100000` sets how many operations; without it there are few. What is known to differ, and why,
//! is in `differs`.

mod differs;
mod draw;
mod pair;
mod watches;

use draw::Drawer;
use pair::Pair;

/// Operations when nothing else is said.
const FEW: usize = 3_000;
/// Operations after which history is compared.
const HISTORY: usize = 1_000;

fn operations() -> usize {
    let said = std::env::var("WAVETANK_DIFFERENTIAL").ok();
    said.map_or(FEW, |count| count.parse().expect("WAVETANK_DIFFERENTIAL: expected a number of operations"))
}

#[test]
fn our_member_answers_as_etcd_does() {
    let pair = Pair::start();
    rt::run(async {
        let seed = std::env::var("WAVETANK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1);
        let (mut drawer, clients) = (Drawer::new(seed), pair.clients().await);
        let mut kinds = std::collections::BTreeMap::new();
        for n in 0..operations() {
            let op = drawer.next();
            *kinds.entry(op.name()).or_insert(0) += 1;
            let said =
                clients.ask(&op).await.unwrap_or_else(|why| panic!("seed {seed}, operation {n}: {why}"));
            drawer.learn(said);
            if n % HISTORY == HISTORY - 1 {
                watches::compare(&clients, &mut drawer)
                    .await
                    .unwrap_or_else(|why| panic!("seed {seed}, after operation {n}: {why}"));
            }
        }
        println!("{} operations answered alike: {kinds:?}", operations());
    });
}
