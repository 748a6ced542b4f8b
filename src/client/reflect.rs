//! What a reflector does next, as a pure machine: list, then watch from the list's version, resume a broken
//! watch where it stopped, relist when the server has forgotten that place (client-go, tools/cache/reflector).
//!
//! It never asks for a state older than one it has seen (bug museum A02): a relist carries the last version.

use base::{bug, reached};

/// The next request.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step {
    /// List at `version`: "" is consistent; anything else means "not older than".
    List { version: String },
    /// Watch everything after `version`.
    Watch { version: String },
}

/// How the last request went.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The watch ended regularly, or broke after it worked for a while.
    Ended,
    /// It failed; what was asked for may still be there.
    Failed,
    /// 410: the version asked for is gone.
    Expired,
}

#[derive(Debug, Default)]
pub struct Reflect {
    /// The last version seen; empty before the first list.
    seen: String,
    listed: bool,
    /// The last version was refused: only a consistent list helps.
    expired: bool,
}

impl Reflect {
    pub fn next(&self) -> Step {
        if self.listed {
            return Step::Watch { version: self.seen.clone() };
        }
        if bug!("A02") && !self.seen.is_empty() {
            return Step::List { version: "0".into() };
        }
        let version = if self.expired { String::new() } else { self.seen.clone() };
        Step::List { version }
    }

    pub fn listed(&mut self, version: &str) {
        (self.listed, self.expired) = (true, false);
        self.seen = version.to_string();
    }

    /// An event or a bookmark arrived.
    pub fn saw(&mut self, version: &str) {
        self.seen = version.to_string();
    }

    pub fn failed(&mut self, outcome: Outcome) {
        match outcome {
            Outcome::Expired => {
                reached!("informer: the version to resume from is gone, relist");
                (self.listed, self.expired) = (false, true);
            }
            Outcome::Failed if bug!("A02") => self.listed = false,
            Outcome::Failed | Outcome::Ended => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn watch(version: &str) -> Step {
        Step::Watch { version: version.into() }
    }

    fn list(version: &str) -> Step {
        Step::List { version: version.into() }
    }

    #[test]
    fn a_broken_watch_resumes_where_it_stopped() {
        let mut reflect = Reflect::default();
        assert_eq!(reflect.next(), list(""));
        reflect.listed("10");
        assert_eq!(reflect.next(), watch("10"));
        reflect.saw("12");
        reflect.failed(Outcome::Failed);
        assert_eq!(reflect.next(), watch("12"));
    }

    #[test]
    fn a_forgotten_version_means_a_consistent_list() {
        let mut reflect = Reflect::default();
        reflect.listed("10");
        reflect.failed(Outcome::Expired);
        assert_eq!(reflect.next(), list(""));
        reflect.listed("30");
        assert_eq!(reflect.next(), watch("30"));
    }
}
