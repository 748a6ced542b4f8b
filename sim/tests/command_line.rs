//! The command line among other commands.
#![cfg(madsim)]

use std::process::{Command, Stdio};

/// As in `cargo tank schema | head -0`.
#[test]
fn who_is_read_no_more_ends_without_a_word() {
    let mut tank = Command::new(env!("CARGO_BIN_EXE_tank"))
        .arg("schema")
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn()
        .expect("the tank can be run");
    drop(tank.stdout.take());
    let output = tank.wait_with_output().expect("it ends");
    assert_eq!((output.status.code(), String::from_utf8_lossy(&output.stderr).as_ref()), (Some(141), ""));
}
