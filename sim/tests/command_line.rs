//! The command line among other commands.
#![cfg(madsim)]

use std::process::{Command, Stdio};

/// As in `cargo tank schema | head -0`.
#[test]
fn who_is_read_no_more_ends_without_a_word() {
    let (reader, writer) = std::io::pipe().expect("a pipe");
    drop(reader); // before the tank has begun, which may be quicker than we are
    let mut tank = Command::new(env!("CARGO_BIN_EXE_tank"));
    tank.arg("schema").stdout(writer).stderr(Stdio::piped());
    let output = tank.spawn().and_then(|tank| tank.wait_with_output()).expect("the tank can be run");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(141), ""));
}
