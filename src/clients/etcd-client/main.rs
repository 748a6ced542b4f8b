//! What the etcd-client crate's own examples and tests do, in our words, against the members at the addresses given.
//! Prints each flow that went as it should, and fails at the first that did not.
//!
//! `everyday` is what every etcd since 3.4 does; `newer`, what has come since: it wants `--auth-token-ttl 2`; `learner
//! URL` adds the member that will have that peer URL, waits until it can be promoted, and removes it again.

mod elections;
mod keys;
mod leases;
mod locks;
mod members;
mod newer;
mod upkeep;
mod users;
mod watches;

use etcd_client::Client;
use std::{env, error::Error};

pub type Outcome = Result<(), Box<dyn Error>>;

const USAGE: &str = "etcd-client-flows everyday|newer|learner=URL ADDRESS...";

/// Runs one flow after the other.
macro_rules! run {
    ($($flow:path),+; $with:expr) => {{
        $(
            $flow($with).await.map_err(|error| format!("{}: {error}", stringify!($flow)))?;
            println!("ok {}", stringify!($flow));
        )+
    }};
}

async fn everyday(addresses: &[String]) -> Outcome {
    let mut client = Client::connect(addresses, None).await?;
    run!(
        keys::put_and_read, keys::delete, keys::decide, keys::forget_history, keys::keep_to_a_prefix,
        watches::see_one_key, watches::share_a_stream, watches::choose_what_to_see, watches::look_back,
        leases::keep_alive, leases::list, leases::end, locks::take_turns, elections::lead,
        upkeep::raise_alarms, upkeep::look_at, upkeep::back_up, members::list, users::give_roles,
        users::give_permissions;
        &mut client
    );
    run!(upkeep::move_leader, users::tell_apart; addresses);
    Ok(())
}

#[tokio::main(flavor = "current_thread")]
async fn main() -> Outcome {
    let args: Vec<String> = env::args().skip(1).collect();
    let (flows, addresses) = args.split_first().filter(|(_, rest)| !rest.is_empty()).ok_or(USAGE)?;
    match flows.as_str() {
        "everyday" => everyday(addresses).await?,
        "newer" => run!(newer::read_in_pieces, newer::outlive_a_token; addresses),
        other => {
            let url = other.strip_prefix("learner=").ok_or(USAGE)?;
            members::come_and_go(addresses, url).await?;
        }
    }
    Ok(())
}
