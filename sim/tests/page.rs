//! The page of a run in a real browser: it loads without a complaint, and does what it is asked with more than a
//! hundred thousand events. Without a browser the test says so and is skipped, unless
//! `WAVETANK_CHROMIUM=required`; any other value of that variable is the browser to use.
#![cfg(madsim)]

use serde_json::Value;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

const LONG: &str = "
name: a long run
seed: 1
cluster: { members: 3 }
network: { latency: 1ms..5ms }
load:
  - { kv: { clients: 8, keys: 6, pause: 5ms..20ms, watchers: 1 }, for: 25s }
harm:
  - { crash: leader, for: 1s..2s, every: 8s..12s }
  - { partition: one, for: 1s..3s, every: 8s..12s }
heal: 27s
settle: 30s
";

/// A leader that loses power answers a read it must not, with the bug R15.
const BROKEN: &str = include_str!("../story/read-too-early.yaml");

fn folder(name: &str) -> PathBuf {
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(format!("page-{name}-{}", std::process::id()));
    std::fs::create_dir_all(&folder).expect("a folder to work in");
    folder
}

fn tank(folder: &Path, words: &[&str]) -> Output {
    let mut command = Command::new(env!("CARGO_BIN_EXE_tank"));
    command.current_dir(folder).args(words).output().expect("the tank can be run")
}

fn said(output: &Output) -> String {
    format!("{}{}", String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr))
}

/// Makes a page; its last words are how to make it again.
fn page(folder: &Path, words: &[&str], name: &str) -> PathBuf {
    let output = tank(folder, &[words, &["-o", name]].concat());
    let said = said(&output);
    assert_eq!(output.status.code(), Some(0), "{said}");
    let lines: Vec<&str> = said.lines().collect();
    assert!(
        matches!(lines[..], [path, again] if path == name && again.starts_with("again: cargo tank report ")),
        "{said}"
    );
    folder.join(name)
}

fn browser() -> Option<PathBuf> {
    const NAMES: [&str; 4] = ["chromium", "chromium-browser", "google-chrome", "chrome"];
    let wanted = std::env::var("WAVETANK_CHROMIUM").unwrap_or_default();
    if !wanted.is_empty() && wanted != "required" {
        return Some(wanted.into());
    }
    let folders = std::env::var_os("PATH").unwrap_or_default();
    let mut found = std::env::split_paths(&folders).flat_map(|folder| NAMES.map(|name| folder.join(name)));
    let found = found.find(|path| path.is_file());
    assert!(found.is_some() || wanted != "required", "WAVETANK_CHROMIUM=required, but there is none in PATH");
    if found.is_none() {
        println!("skipped: there is no Chromium in PATH (Debian: chromium)");
    }
    found
}

/// Opens a page in which the test of itself is asked for, and gives what it wrote down.
fn tested(browser: &Path, folder: &Path, page: &Path) -> Value {
    let profile = format!("--user-data-dir={}", folder.join("profile").display());
    let address = format!("file://{}#selftest", page.display());
    let quiet =
        ["--headless=new", "--no-sandbox", "--disable-gpu", "--disable-dev-shm-usage", "--no-first-run"];
    let output = Command::new(browser)
        .args(quiet)
        .args(["--enable-logging=stderr", "--window-size=1600,1000", "--dump-dom", &profile, &address])
        .output()
        .expect("the browser can be run");
    let (dom, log) = (String::from_utf8_lossy(&output.stdout), String::from_utf8_lossy(&output.stderr));
    let complaints: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(complaints.is_empty(), "the page complains: {complaints:?}");
    let result = dom.split_once("<pre id=\"selftest\">").and_then(|(_, rest)| rest.split_once("</pre>"));
    let result = result.unwrap_or_else(|| panic!("the page did not test itself: {log}")).0;
    serde_json::from_str(result).unwrap_or_else(|error| panic!("{error}: {result}"))
}

fn right(told: &Value) {
    for what in ["violation", "alone", "again", "fragment", "key", "wheel", "drag", "tip", "click"] {
        assert_eq!(told[what], true, "{what}: {told}");
    }
    assert_eq!(told["wrong"], Value::Array(vec![]), "{told}");
    assert!(told["matches"].as_u64() > Some(0) && told["rows"].as_u64() > Some(0), "{told}");
}

#[test]
fn a_page_of_a_long_run_does_what_it_is_asked() {
    let Some(browser) = browser() else { return };
    let folder = folder("long");
    std::fs::write(folder.join("long.yaml"), LONG).expect("a scenario");
    let page = page(&folder, &["report", "long.yaml"], "long.html");
    let told = tested(&browser, &folder, &page);
    right(&told);
    assert!(told["events"].as_u64() >= Some(100_000), "{told}");
    // measured and told, not asserted: machines are shared
    println!("milliseconds of frames over {} events: {told}", told["events"]);
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}

#[test]
fn a_page_of_a_broken_promise_goes_to_its_place() {
    let Some(browser) = browser() else { return };
    let folder = folder("broken");
    std::fs::write(folder.join("broken.yaml"), BROKEN).expect("a scenario");
    let asked = ["report", "broken.yaml", "--bug", "R15"];
    right(&tested(&browser, &folder, &page(&folder, &asked, "broken.html")));
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}

#[test]
fn a_page_comes_of_a_run_and_of_a_story_too() {
    let folder = folder("ways");
    std::fs::write(folder.join("x.yaml"), BROKEN).expect("a scenario");
    let run = ["run", "x.yaml", "--bug", "R15", "--report", "run.html", "--story", "x.story"];
    let output = tank(&folder, &run);
    assert_eq!(output.status.code(), Some(1), "{}", said(&output));
    let last = said(&output).lines().last().map(str::to_string);
    assert_eq!(last.as_deref(), Some("  again: cargo tank run x.yaml --seed 10 --bug R15"));
    let of_run = std::fs::read_to_string(folder.join("run.html")).expect("a page");
    let read =
        |words: &[&str], name: &str| std::fs::read_to_string(page(&folder, words, name)).expect("a page");
    assert_eq!(read(&["report", "x.yaml", "--bug", "R15"], "same.html"), of_run);
    assert!(
        of_run.contains("The same seed without harm") && of_run.contains("a &lt;b&gt;broken&lt;/b&gt; run")
    );
    assert!(of_run.contains("cargo tank shrink x.yaml --seed 10 --bug R15"));
    let beside = read(&["report", "x.story", "--beside", "x.yaml"], "beside.html");
    assert!(beside.contains("\"title\":\"x.yaml\"") && !beside.contains("The same seed without harm"));
    assert!(beside.contains("cargo tank step x.story"));
    let default = tank(&folder, &["report", "x.yaml", "--seed", "3"]);
    assert!(said(&default).starts_with("target/reports/x-3.html\n"), "{}", said(&default));
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}

#[test]
fn a_page_that_cannot_be_written_leaves_what_was_there() {
    let folder = folder("full");
    std::fs::write(folder.join("x.yaml"), BROKEN).expect("a scenario");
    std::fs::write(folder.join("x.html"), "before").expect("a page");
    std::fs::create_dir(folder.join("x.part")).expect("a folder in the way");
    let output = tank(&folder, &["report", "x.yaml", "-o", "x.html"]);
    assert_eq!(output.status.code(), Some(2));
    assert!(said(&output).contains("nothing was written, and what was there before is as it was"));
    assert_eq!(std::fs::read_to_string(folder.join("x.html")).expect("still there"), "before");
    // a device that is full says so, and is still a device: a link, so that a mistake harms the link alone
    if std::os::unix::fs::symlink("/dev/full", folder.join("device.html")).is_ok()
        && Path::new("/dev/full").exists()
    {
        let output = tank(&folder, &["report", "x.yaml", "-o", "device.html"]);
        assert!(
            output.status.code() == Some(2) && said(&output).contains("No space left"),
            "{}",
            said(&output)
        );
        assert!(folder.join("device.html").is_symlink());
        let output = tank(&folder, &["run", "x.yaml", "--report", "device.html"]);
        let said = said(&output);
        assert!(output.status.code() == Some(2) && said.contains("No space left"), "{said}");
        assert!(said.contains("promises held"), "the verdict is not lost: {said}");
    }
    std::fs::remove_dir_all(folder).expect("the folder can be removed");
}
