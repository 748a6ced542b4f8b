//! The composition root: which roles run in this process, and where they find each other.
//!
//! `wavetank serve` starts a whole control plane on loopback; every role also runs as a process of its own.
//! This is the real build; `cargo tank` is the simulator.

mod cli;

use std::process::ExitCode;

fn main() -> ExitCode {
    let command = cli::command();
    // as a task: what runs on this thread itself is woken from the others by the kernel each time
    let run =
        async { rt::spawn(cli::run(command)).await.unwrap_or_else(|died| Err(died.to_string().into())) };
    match rt::run(run) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("wavetank: {error}");
            ExitCode::FAILURE
        }
    }
}
