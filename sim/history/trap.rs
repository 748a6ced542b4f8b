//! Death at an exact place of a process's work: between one of its writes to the API and the next. A process says
//! each write right before it leaves (`Note::FencedWrite` under a lock, else `Note::Write`), in its own context; it is
//! killed while it says so, and what a dead process still does has no effect: the write it named never leaves.

use base::Note;
use futures::channel::oneshot;

/// The write that was the last, if any was counted, and the one that never left.
pub type Between = (Option<String>, String);

pub struct Trap {
    process: String,
    left: u64,
    last: Option<String>,
    next: String,
    /// Kills the process.
    kill: Box<dyn FnOnce() + Send>,
    tell: oneshot::Sender<Between>,
}

impl Trap {
    /// Springs before the write that comes after `after` more. Whoever drops the receiver takes the trap away.
    pub fn new(
        process: &str,
        after: u64,
        kill: impl FnOnce() + Send + 'static,
    ) -> (Trap, oneshot::Receiver<Between>) {
        let (tell, told) = oneshot::channel();
        let (process, kill) = (process.to_string(), Box::new(kill));
        (Trap { process, left: after, last: None, next: String::new(), kill, tell }, told)
    }

    /// Counts a write of a process; gives the traps that spring.
    pub fn count(traps: &mut Vec<Trap>, process: &str, note: &Note) -> Vec<Trap> {
        let what = match note {
            Note::FencedWrite { what, .. } | Note::Write { what } => what,
            _ => return vec![],
        };
        traps.retain(|trap| !trap.tell.is_canceled());
        let due = |trap: &mut Trap| {
            if trap.process != process {
                return false;
            }
            if trap.left == 0 {
                trap.next = what.clone();
                return true;
            }
            trap.left -= 1;
            trap.last = Some(what.clone());
            false
        };
        traps.extract_if(.., due).collect()
    }

    /// Not to be called while what was seen is locked: a death is itself seen.
    pub fn spring(self) {
        (self.kill)();
        // nobody waits for it when the harm is over: then it does no more harm than that
        let _ = self.tell.send((self.last, self.next));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn count(traps: &mut Vec<Trap>, process: &str, what: &str) -> Vec<Trap> {
        let write = Note::FencedWrite { identity: "i".into(), lock: "l".into(), what: what.into() };
        Trap::count(traps, process, &write)
    }

    #[test]
    fn a_trap_springs_at_the_write_after_so_many_of_its_process() {
        let (trap, _told) = Trap::new("manager-1", 2, || {});
        let mut traps = vec![trap];
        for (process, what) in [("manager-1", "A"), ("manager-2", "B"), ("manager-1", "C")] {
            assert!(count(&mut traps, process, what).is_empty());
        }
        let sprung = count(&mut traps, "manager-1", "D");
        assert_eq!((sprung[0].last.as_deref(), sprung[0].next.as_str()), (Some("C"), "D"));
        assert!(traps.is_empty());
    }

    #[test]
    fn writes_under_no_lock_count_for_the_process_that_makes_them() {
        let (trap, _told) = Trap::new("node-1", 1, || {});
        let mut traps = vec![trap];
        let write = |what: &str| Note::Write { what: what.into() };
        assert!(Trap::count(&mut traps, "node-1", &write("A")).is_empty());
        assert!(Trap::count(&mut traps, "node-2", &write("B")).is_empty());
        let sprung = Trap::count(&mut traps, "node-1", &write("C"));
        assert_eq!((sprung[0].last.as_deref(), sprung[0].next.as_str()), (Some("A"), "C"));
    }

    #[test]
    fn a_trap_nobody_waits_at_is_taken_away() {
        let (trap, told) = Trap::new("manager-1", 0, || {});
        let mut traps = vec![trap];
        drop(told);
        assert!(count(&mut traps, "manager-1", "A").is_empty());
        assert!(traps.is_empty());
    }
}
