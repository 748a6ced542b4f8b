//! The same operations, from one seed, against ours and a real etcd, one member and three: every answer must be the
//! same, field for field, but for ids, terms and sizes; every error, code and text.
//!
//! `WAVETANK_DIFFERENTIAL=100000` sets how many operations; without it there are few. What is known to differ, and why,
//! is in `differs`.

mod differs;
mod draw;
mod pair;
mod users;
mod watches;

use draw::Drawer;
use pair::Pair;
use users::Office;

/// Operations when nothing else is said.
const FEW: usize = 3_000;
/// Operations after which history is compared.
const HISTORY: usize = 1_000;

fn operations() -> usize {
    let said = std::env::var("WAVETANK_DIFFERENTIAL").ok();
    said.map_or(FEW, |count| count.parse().expect("WAVETANK_DIFFERENTIAL: expected a number of operations"))
}

fn seed() -> u64 {
    std::env::var("WAVETANK_SEED").ok().and_then(|seed| seed.parse().ok()).unwrap_or(1)
}

#[test]
fn our_member_answers_as_etcd_does() {
    keys_are_answered_alike(1);
}

/// At a member that follows on both sides.
#[test]
fn our_three_members_answer_as_those_of_etcd_do() {
    keys_are_answered_alike(3);
}

fn keys_are_answered_alike(size: u16) {
    let pair = Pair::start(size);
    rt::run(async {
        let seed = seed();
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

#[test]
fn users_are_told_what_etcd_tells_them() {
    let pair = Pair::start(1);
    rt::run(async {
        let seed = seed();
        let (mut drawer, mut office) = (Drawer::new(seed), Office::new(seed, pair.clients().await));
        for n in 0..operations() {
            let asked = office.ask(&mut drawer).await;
            asked.unwrap_or_else(|why| panic!("seed {seed}, operation {n}: {why}"));
        }
        let [done, refused] = office.counts;
        assert!(done.min(refused) > operations() / 10, "{done} done, {refused} refused");
        println!("{done} operations done alike, {refused} refused alike");
    });
}
