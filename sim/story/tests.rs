//! A run of a few hundred events, told, saved, damaged and walked through.

use super::walk::Walk;
use super::*;
use crate::plan;
use crate::run::simulate::{Manner, simulate};
use crate::scenario::read;

/// A leader that loses power answers a read it must not: the bug R15, as `shrink` found it.
const TEXT: &str = include_str!("read-too-early.yaml");

/// A process runs one simulation at a time: planted bugs and marks are its own.
static ONE: std::sync::Mutex<()> = std::sync::Mutex::new(());

pub(crate) fn story(bug: Option<&str>) -> Story {
    let scenario = read::scenario(TEXT, &|_| Err(String::new())).unwrap();
    let _one = ONE.lock().unwrap_or_else(std::sync::PoisonError::into_inner);
    let manner = Manner { bug: bug.map(str::to_string), story: true, ..Manner::default() };
    simulate(&plan::plan(&scenario, scenario.seed), &manner).1.story.expect("a story was asked for")
}

fn folder(name: &str) -> std::path::PathBuf {
    std::env::temp_dir().join(format!("tank-story-{}-{name}", std::process::id()))
}

#[test]
fn a_story_holds_every_event_and_survives_its_file() {
    let told = story(None);
    assert_eq!(told.events.len() as u64, told.outcome.events);
    assert!(told.events.iter().enumerate().all(|(n, event)| event.number == n as u64));
    assert!(told.notes.keys().all(|number| told.events[*number as usize].kind == "note"));
    let path = folder("whole.story");
    file::save(&told, &path).unwrap();
    assert!(file::load(&path).unwrap() == told);
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_story_that_is_damaged_says_how_and_a_save_that_fails_loses_nothing() {
    let (told, path) = (story(None), folder("damaged.story"));
    file::save(&told, &path).unwrap();
    let text = std::fs::read_to_string(&path).unwrap();
    let wrong = |text: &str| {
        std::fs::write(&path, text).unwrap();
        file::load(&path).unwrap_err().split_once(": ").unwrap().1.to_string()
    };
    assert!(wrong(&text[..text.len() / 2]).contains("cut short in line"));
    let cut = text.lines().take(9).collect::<Vec<_>>().join("\n");
    assert!(wrong(&cut).contains("cut short: line 10 is not there"));
    assert!(
        wrong(&text.replacen("{\"story\":1", "{\"story\":99", 1))
            .contains("format 99; this build reads format 1")
    );
    assert!(wrong("name: x\n").contains("is not a story"));
    std::fs::write(&path, "before").unwrap();
    std::fs::create_dir_all(path.with_extension("part")).unwrap();
    assert!(file::save(&told, &path).unwrap_err().contains("nothing was written"));
    assert_eq!(std::fs::read_to_string(&path).unwrap(), "before");
    std::fs::remove_dir(path.with_extension("part")).unwrap();
    std::fs::remove_file(path).unwrap();
}

#[test]
fn a_walk_goes_to_the_violation_and_knows_who_was_what() {
    let told = story(Some("R15"));
    let places = place::places(&told);
    assert_eq!(places[0].promise, "linearizable");
    let mut walk = Walk::new(&told);
    let shown = walk.command("violation").unwrap();
    assert!(shown.starts_with("linearizable: "), "{shown}");
    let state = walk.command("state").unwrap();
    assert!(state.contains("client-3\n") && state.contains("operation: get load/1"), "{state}");
    // the member was leader, lost power, and came back
    walk.command("at 2.4s").unwrap();
    assert!(walk.command("state member-1").unwrap().contains("raft: leader of term"));
    walk.command("find kill").unwrap();
    assert!(walk.command("changed").unwrap().contains("process: up -> down: its machine has no power"));
    let down = walk.command("state member-1").unwrap();
    assert!(!down.contains("raft"), "a dead process knows nothing: {down}");
    assert!(walk.command("find restart").unwrap().contains("-> up"));
}

#[test]
fn a_walk_goes_both_ways_and_on_one_process_alone() {
    let told = story(None);
    let mut walk = Walk::new(&told);
    let first = walk.show();
    let next = walk.command("next").unwrap();
    assert_eq!(walk.command("back").unwrap(), first);
    assert_eq!(walk.command("goto 1").unwrap(), next);
    assert!(walk.command("only client-3").unwrap().contains("client-3 only"));
    let own = walk.command("next").unwrap();
    assert!(own.lines().next().unwrap().contains(" client-3 "), "{own}");
    walk.command("only");
    walk.command("at 3.5s").unwrap();
    assert!(walk.command("objects load/").unwrap().starts_with("load/0 at revision 2"));
    assert!(walk.command("object load/0").unwrap().ends_with("\na"));
    assert_eq!(walk.command("quit"), None);
}

#[test]
fn a_walk_says_what_it_did_not_understand() {
    let told = story(None);
    let mut walk = Walk::new(&told);
    let mut said = |line: &str| walk.command(line).unwrap();
    assert!(said("nxt").contains("did you mean `next`?"));
    assert!(said("goto 99999999").starts_with("events have numbers from 0 to"));
    assert!(said("at noon").contains("is not a time"));
    assert_eq!(said("violation"), "every promise held");
    assert!(said("only membr-1").contains("did you mean `member-1`?"));
    assert!(said("object nowhere").contains("there is no nowhere here"));
    assert!(said("next x").contains("is not a number"));
}
