//! The composition root: which roles run in this process, and where they find each other.
//!
//! `wavetank serve` starts a whole control plane on loopback; every role also runs as a process of its own.
//! This is the real build; `cargo tank` is the simulator.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    match rt::run(cli::run(cli::command())) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wavetank: {error}");
            ExitCode::FAILURE
        }
    }
}
