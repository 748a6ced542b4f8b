//! Every historical bug, planted, must be found by the ordinary swarm: by a promise it is known to break, within
//! its budget. No check is trusted until a planted bug has made it fail.

use super::{args::Museum, args::Run, load, results::Ran, sweep};
use crate::run::Outcome;

/// A bug, the swarms that look for it in turn, and the promises it is known to break.
struct Piece {
    id: &'static str,
    what: &'static str,
    swarms: &'static [&'static str],
    breaks: &'static [&'static str],
}

const RAFT: &[&str] = &[
    "one leader a term",
    "votes are on disk before they count",
    "log matching",
    "leader completeness",
    "committed stays committed",
    "commit and revision never go back",
    "equal state at equal index",
    "acknowledged is on a quorum of disks",
    "linearizable",
    "watch: reliable",
    "watch: resumable",
    "no process dies by itself",
];
const READS: &[&str] = &["linearizable"];
const KV: &[&str] = &["kv-swarm", "elections-swarm"];
const BOTH: &[&str] = &["swarm"];

const fn piece(
    id: &'static str,
    what: &'static str,
    swarms: &'static [&'static str],
    breaks: &'static [&'static str],
) -> Piece {
    Piece { id, what, swarms, breaks }
}

const PIECES: &[Piece] = &[
    piece("CANARY", "a client that lies about what it read", KV, READS),
    piece("R03", "votes compared by index alone", KV, RAFT),
    piece("R06", "an entry of an earlier term counted as committed", KV, RAFT),
    piece("R08", "a vote answered before it is on disk", KV, RAFT),
    piece("R15", "a read served before the first commit of the term", KV, READS),
    piece("R18", "a leader reads locally without proof of leadership", KV, READS),
    piece("R10", "appending truncates what was acknowledged", KV, RAFT),
    piece("S01", "a single member acknowledges before its disk does", KV, RAFT),
    piece(
        "M02",
        "compaction at a tombstone drops the deletion",
        KV,
        &["watch: reliable", "watch: resumable"],
    ),
    piece(
        "W03",
        "a progress notice overtakes events",
        KV,
        &["watch: bookmark", "watch: reliable", "watch: resumable"],
    ),
    piece("L01", "a deposed leader ends leases", KV, &["lease: not before its time"]),
    piece("T07", "a write is sent twice", KV, READS),
    piece(
        "A01",
        "a list is served from a cache that lags",
        BOTH,
        &["resourceVersion never goes back", "API watch: no gap after a list"],
    ),
    piece(
        "C01",
        "pods are created again before the first are seen",
        BOTH,
        &["surge", "no hot loop", "settles"],
    ),
    piece("P01", "a rollout trusts a count from before a set was scaled", BOTH, &["unavailable"]),
    piece("P03", "a rollout forgets that new pods may not be ready yet", BOTH, &["unavailable"]),
    piece("I07", "a namesake seen after a gap is taken for the one before", BOTH, &["settles", "owners"]),
    piece(
        "E01",
        "a manager that lost its lock goes on writing",
        BOTH,
        &["no write by one that lost its lock"],
    ),
];

pub fn museum(asked: &Museum) -> Result<i32, String> {
    let wanted = |piece: &&Piece| asked.bug.as_ref().is_none_or(|bug| bug == piece.id);
    let pieces: Vec<&Piece> = PIECES.iter().filter(wanted).collect();
    if pieces.is_empty() {
        let ids: Vec<&str> = PIECES.iter().map(|piece| piece.id).collect();
        let bug = asked.bug.as_deref().unwrap_or_default();
        let hint = crate::scenario::words::nearest(bug, ids.iter().copied());
        let hint = hint.map_or(String::new(), |id| format!("; did you mean {id}?"));
        return Err(format!("there is no bug {bug} in the museum{hint}\nit holds {}", ids.join(", ")));
    }
    println!("{:<7} {:>6} {:>9}  {:<40} bug", "", "runs", "wall s", "found by");
    let mut missed = 0;
    for piece in pieces {
        missed += i32::from(!hunt(piece, asked)?);
    }
    let only = asked.bug.as_ref().map_or(String::new(), |bug| format!(" --bug {bug}"));
    println!("again: cargo tank museum{only}");
    Ok(i32::from(missed > 0))
}

/// True when the bug was found by a promise it is known to break.
fn hunt(piece: &Piece, asked: &Museum) -> Result<bool, String> {
    for swarm in piece.swarms {
        load::find(swarm)?;
    }
    let runs = (1..).flat_map(|seed| {
        piece.swarms.iter().map(move |swarm| Run {
            scenario: swarm.to_string(),
            seed: Some(seed),
            bug: Some(piece.id.into()),
            no_twin: true,
            ..Run::default()
        })
    });
    let (mut count, mut wall_ms, mut by_others) = (0, 0, 0);
    let mut found: Option<(String, u64, String)> = None;
    let budget = asked.budget.as_millis() as u64;
    sweep::pool(
        asked.jobs.unwrap_or_else(sweep::cores),
        runs,
        |Ran { scenario, seed, outcome: result, .. }| {
            if found.is_some() {
                return true;
            }
            count += 1;
            if let Ok(outcome) = &result {
                wall_ms += outcome.wall_ms;
                match broken_as_known(outcome, piece) {
                    Some(promise) => found = Some((scenario, seed, promise)),
                    None => by_others += usize::from(outcome.broken().next().is_some()),
                }
            } else {
                wall_ms += 1_000;
            }
            found.is_some() || wall_ms > budget
        },
    );
    let wall = wall_ms as f64 / 1e3;
    match &found {
        Some((scenario, seed, promise)) => {
            println!("{:<7} {count:>6} {wall:>9.1}  {promise:<40} {}", piece.id, piece.what);
            println!("{:<25}cargo tank run {scenario} --seed {seed} --bug {}", "", piece.id);
        }
        None => {
            let others = if by_others > 0 {
                format!(" ({by_others} runs broke other promises)")
            } else {
                String::new()
            };
            println!(
                "{:<7} {count:>6} {wall:>9.1}  {:<40} {}",
                piece.id,
                format!("NOT FOUND{others}"),
                piece.what
            );
        }
    }
    Ok(found.is_some())
}

fn broken_as_known(outcome: &Outcome, piece: &Piece) -> Option<String> {
    let mut broken = outcome.broken().map(|finding| finding.promise.clone());
    broken.find(|promise| piece.breaks.contains(&promise.as_str()))
}
