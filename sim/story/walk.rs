//! A walk over a story: forward, back, to an event, a time, or a broken promise; and at each place what is known of
//! every process, and what the event changed. Pure: a line in, lines out.

use super::{Story, place, state};
use crate::history::seconds;
use base::words::nearest;

pub struct Walk<'a> {
    story: &'a Story,
    /// The event this walk stands at.
    here: usize,
    /// Only events of this process are stepped on.
    only: Option<String>,
}

pub const HELP: &str = "\
next [N], back [N]     the next or the last event, or the N-th
goto N                 event number N
at 12.5s               the first event at or after a time
violation [N]          where a broken promise points: the last place, or the N-th
find TEXT              the next event whose line contains this
only PROCESS           step on events of this process only; `only` alone: on all again
state [PROCESS]        what is known of a process here; without a name, of every one
changed                what this event changed in its process
objects [PART]         keys of the store that contain this
object KEY             one object whole
places                 every place a broken promise points at
help, quit";

const COMMANDS: [&str; 14] = [
    "next",
    "back",
    "goto",
    "at",
    "violation",
    "find",
    "only",
    "state",
    "changed",
    "objects",
    "object",
    "places",
    "help",
    "quit",
];

impl<'a> Walk<'a> {
    pub fn new(story: &'a Story) -> Self {
        Walk { story, here: 0, only: None }
    }

    /// What a command answers; None to leave.
    pub fn command(&mut self, line: &str) -> Option<String> {
        let (word, rest) = line.trim().split_once(' ').unwrap_or((line.trim(), ""));
        let rest = rest.trim();
        Some(match word {
            "" | "n" | "next" => self.steps(rest, 1),
            "b" | "back" => self.steps(rest, -1),
            "g" | "goto" => self.goto(rest),
            "at" => self.at(rest),
            "v" | "violation" => self.violation(rest),
            "f" | "find" => self.find(rest),
            "only" => self.only(rest),
            "s" | "state" => self.state(rest),
            "c" | "changed" => self.changed(),
            "objects" => self.objects(rest),
            "object" => self.object(rest),
            "places" => self.places(),
            "h" | "help" | "?" => HELP.to_string(),
            "q" | "quit" | "exit" => return None,
            _ => {
                let hint = nearest(word, COMMANDS.iter().copied());
                let hint = hint.map_or(String::new(), |word| format!("; did you mean `{word}`?"));
                format!("there is no command `{word}`{hint} `help` shows those there are")
            }
        })
    }

    /// The event here, and what it changed.
    pub fn show(&self) -> String {
        let Some(event) = self.story.events.get(self.here) else { return "the story is empty".into() };
        let mut lines = vec![format!(
            "{} {} {} {} {}",
            event.number,
            seconds(event.at),
            event.process,
            event.kind,
            shortened(&event.detail)
        )];
        lines.extend(self.difference().into_iter().map(|line| format!("  {line}")));
        lines.join("\n")
    }

    fn difference(&self) -> Vec<String> {
        let process = &self.story.events[self.here].process;
        let after = state::known(self.story, process, self.here);
        match self.here.checked_sub(1) {
            Some(before) => state::difference(&state::known(self.story, process, before), &after),
            None => vec![],
        }
    }

    fn wanted(&self, event: usize) -> bool {
        self.only.as_ref().is_none_or(|only| self.story.events[event].process == *only)
    }

    fn steps(&mut self, rest: &str, way: isize) -> String {
        let Ok(mut left) = (if rest.is_empty() { Ok(1) } else { rest.parse::<usize>() }) else {
            return format!("`{rest}` is not a number of events");
        };
        let mut at = self.here;
        while left > 0 {
            let Some(next) = at.checked_add_signed(way).filter(|next| *next < self.story.events.len()) else {
                break;
            };
            at = next;
            left -= usize::from(self.wanted(at));
        }
        if !self.wanted(at) || at == self.here {
            return format!("there is nothing {}", if way > 0 { "behind this" } else { "before this" });
        }
        self.here = at;
        self.show()
    }

    fn goto(&mut self, rest: &str) -> String {
        match rest.parse::<usize>().ok().filter(|number| *number < self.story.events.len()) {
            Some(number) => {
                self.here = number;
                self.show()
            }
            None => format!("events have numbers from 0 to {}", self.story.events.len().saturating_sub(1)),
        }
    }

    fn at(&mut self, rest: &str) -> String {
        match rest.trim_end_matches('s').trim().parse::<f64>() {
            Ok(time) if time >= 0.0 => {
                self.here = self.story.event_at((time * 1e9) as u64);
                self.show()
            }
            _ => format!("`{rest}` is not a time, such as 12.5s"),
        }
    }

    fn violation(&mut self, rest: &str) -> String {
        let places = place::places(self.story);
        // what comes last in the evidence is what should not have been
        let number = if rest.is_empty() { Ok(places.len()) } else { rest.parse::<usize>() };
        match number.ok().and_then(|number| places.get(number.checked_sub(1)?)) {
            Some(place) => {
                self.here = self.story.event_at(place.at);
                format!("{}: {}\n{}", place.promise, place.evidence, self.show())
            }
            None if places.is_empty() => "every promise held".into(),
            None => format!("there are {} places; `places` shows them", places.len()),
        }
    }

    fn places(&self) -> String {
        let places = place::places(self.story);
        if places.is_empty() {
            return "every promise held".into();
        }
        let line = |(n, place): (usize, &place::Place)| {
            format!("{:>3}  {:>10}  {}: {}", n + 1, seconds(place.at), place.promise, place.evidence)
        };
        places.iter().enumerate().map(line).collect::<Vec<_>>().join("\n")
    }

    fn find(&mut self, text: &str) -> String {
        if text.is_empty() {
            return "find what?".into();
        }
        let holds = |event: usize| {
            let one = &self.story.events[event];
            format!("{} {} {}", one.process, one.kind, one.detail).contains(text)
        };
        match (self.here + 1..self.story.events.len()).find(|event| self.wanted(*event) && holds(*event)) {
            Some(event) => {
                self.here = event;
                self.show()
            }
            None => format!("no event behind this contains `{text}`"),
        }
    }

    fn only(&mut self, name: &str) -> String {
        if name.is_empty() {
            self.only = None;
            return "on every event again".into();
        }
        if !self.story.events.iter().any(|event| event.process == name) {
            let names = self.story.processes();
            let hint = nearest(name, names.iter().map(String::as_str));
            let hint = hint.map_or(String::new(), |name| format!("; did you mean `{name}`?"));
            return format!("there is no process `{name}`{hint}");
        }
        self.only = Some(name.to_string());
        format!("on events of {name} only")
    }

    fn state(&self, name: &str) -> String {
        let names = if name.is_empty() { self.story.processes() } else { vec![name.to_string()] };
        let mut lines = vec![];
        for name in names {
            lines.push(name.clone());
            let known = state::known(self.story, &name, self.here);
            lines.extend(known.iter().map(|(aspect, text)| format!("  {aspect}: {}", shortened(text))));
        }
        lines.join("\n")
    }

    fn changed(&self) -> String {
        let lines = self.difference();
        if lines.is_empty() { "nothing that is known".into() } else { lines.join("\n") }
    }

    fn objects(&self, part: &str) -> String {
        let objects = state::objects(self.story, part, self.here);
        let line = |(key, (revision, value)): (&&str, &(i64, &str))| {
            format!("{key} at revision {revision}, {} bytes", value.len())
        };
        let lines: Vec<String> = objects.iter().map(line).collect();
        if lines.is_empty() { "none".into() } else { lines.join("\n") }
    }

    fn object(&self, key: &str) -> String {
        match state::objects(self.story, key, self.here).get(key) {
            Some((revision, value)) => format!("revision {revision}\n{value}"),
            None => format!("there is no {key} here; `objects` shows what there is"),
        }
    }
}

/// Lines fit on a terminal; `object` shows things whole.
fn shortened(text: &str) -> String {
    const MOST: usize = 160;
    match text.char_indices().nth(MOST) {
        Some((at, _)) => format!("{}…", &text[..at]),
        None => text.to_string(),
    }
}
