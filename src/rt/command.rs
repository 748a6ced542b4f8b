//! The line that started this process; in the tank there is none.

/// The program and its arguments.
#[cfg(not(madsim))]
pub fn command_line() -> Vec<String> {
    std::env::args_os().map(|word| word.to_string_lossy().into_owned()).collect()
}

/// Nobody started a process of the tank by a line.
#[cfg(madsim)]
pub fn command_line() -> Vec<String> {
    vec![]
}
