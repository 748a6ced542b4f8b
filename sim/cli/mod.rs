//! The command line.
//!
//! | module | promise |
//! |---|---|
//! | `args` | what may be asked |
//! | `load` | scenarios and plans from files, or what is wrong with them |
//! | `child` | one run in a process of its own |
//! | `run` | one run and its verdict; `replay` |
//! | `sweep` | many seeds, many processes; `merge` |
//! | `guide` | what a guided sweep tries next |
//! | `results` | what a sweep came to, on disk and summed up |
//! | `marks` | situations: all there are, and those a sweep must reach |
//! | `enumerate` | every crash point of a process, every order of deliveries |
//! | `junit` | results of a sweep as JUnit XML |
//! | `same` | determinism: two processes, and the first event that differs |
//! | `shrink` | a failure made small |
//! | `stories` | stories that are asked for |
//! | `step` | a walk over a run |
//! | `report` | a run as one page of HTML |
//! | `museum` | every historical bug, found again |
//! | `bench` | how far: one table |

pub mod args;
mod bench;
mod child;
mod enumerate;
mod guide;
mod junit;
mod load;
mod marks;
mod museum;
mod report;
pub mod results;
mod run;
mod same;
mod shrink;
mod step;
mod stories;
mod sweep;

use args::{Args, Command};

/// Exit codes: 0 every promise held; 1 one broke; 2 wrong usage or scenario; 3 vacuous; 4 not deterministic;
/// 5 the run itself failed.
pub const USAGE: i32 = 2;
pub const DIFFERENT: i32 = 4;
pub const FAILED: i32 = 5;

/// 128 and the number of SIGPIPE: what a shell says of one that ended so.
const NOBODY_READS: i32 = 141;

/// Who reads what we print may go (`| head`): then we end too, and without a word.
pub fn end_with_the_reader() {
    let hook = std::panic::take_hook();
    std::panic::set_hook(Box::new(move |info| {
        let said = info.payload_as_str().unwrap_or_default();
        if said.starts_with("failed printing to ") && said.contains("Broken pipe") {
            std::process::exit(NOBODY_READS);
        }
        hook(info);
    }));
}

/// Does what is asked; gives the exit code.
pub fn main(args: Args) -> i32 {
    let done = match args.command {
        Command::Run(asked) => run::run(&asked),
        Command::Replay(asked) => run::replay(&asked),
        Command::Sweep(asked) => sweep::sweep(&asked),
        Command::Enumerate(asked) => enumerate::enumerate(&asked),
        Command::Merge(asked) => sweep::merge(&asked),
        Command::Same(asked) => same::same(&asked),
        Command::Shrink(asked) => shrink::shrink(&asked),
        Command::Step(asked) => step::step(&asked),
        Command::Report(asked) => report::report(&asked),
        Command::Museum(asked) => museum::museum(&asked),
        Command::Bench(asked) => bench::bench(&asked),
        Command::List => load::list(),
        Command::Schema => {
            println!("{}", crate::scenario::schema::schema());
            Ok(0)
        }
    };
    done.unwrap_or_else(|wrong| {
        eprintln!("{wrong}");
        USAGE
    })
}
