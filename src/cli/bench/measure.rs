//! Rates and times.

use std::time::Duration;

/// What came of one load at one store.
#[derive(Clone, Debug, Default)]
pub struct Measured {
    /// Done in a second, and in all.
    pub rate: f64,
    pub done: u64,
    /// Half, and 99 of 100, took no longer.
    pub p50: Duration,
    pub p99: Duration,
    pub usage: Usage,
}

/// What the processes of a store used.
#[derive(Clone, Copy, Debug, Default)]
pub struct Usage {
    pub cpu: Duration,
    /// Memory in use at the end, all members together.
    pub memory: u64,
    /// Bytes given to the disk.
    pub written: u64,
}

impl Usage {
    pub fn since(self, before: &Usage) -> Usage {
        Usage {
            cpu: self.cpu.saturating_sub(before.cpu),
            memory: self.memory,
            written: self.written.saturating_sub(before.written),
        }
    }
}

/// How long each of many things took.
#[derive(Default)]
pub struct Times(Vec<Duration>);

impl Times {
    pub fn add(&mut self, time: Duration) {
        self.0.push(time);
    }

    pub fn join(&mut self, other: Times) {
        self.0.extend(other.0);
    }

    /// As they came within so long.
    pub fn measured(mut self, within: Duration) -> Measured {
        self.0.sort_unstable();
        let at = |percent: usize| {
            let last = self.0.len().saturating_sub(1);
            self.0.get(last * percent / 100).copied().unwrap_or_default()
        };
        let rate = self.0.len() as f64 / within.as_secs_f64();
        Measured { rate, done: self.0.len() as u64, p50: at(50), p99: at(99), usage: Usage::default() }
    }
}

/// One load, in all rounds, at both stores.
#[derive(Clone, Debug)]
pub struct Row {
    pub load: &'static str,
    pub members: u16,
    ours: Vec<Measured>,
    theirs: Vec<Measured>,
}

impl Row {
    pub fn new(load: &'static str, members: u16) -> Self {
        Self { load, members, ours: vec![], theirs: vec![] }
    }

    pub fn add(&mut self, ours: bool, measured: Measured) {
        if ours { self.ours.push(measured) } else { self.theirs.push(measured) }
    }

    /// The middle one, by its rate.
    pub fn ours(&self) -> Measured {
        middle(&self.ours)
    }

    pub fn theirs(&self) -> Measured {
        middle(&self.theirs)
    }
}

fn middle(all: &[Measured]) -> Measured {
    let mut sorted = all.to_vec();
    sorted.sort_by(|a, b| a.rate.total_cmp(&b.rate));
    sorted.get(sorted.len() / 2).cloned().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn times_are_counted_and_ordered() {
        let mut times = Times::default();
        (1..=200).rev().for_each(|n| times.add(Duration::from_millis(n)));
        let measured = times.measured(Duration::from_secs(2));
        assert_eq!(measured.rate, 100.0);
        assert_eq!((measured.p50, measured.p99), (Duration::from_millis(100), Duration::from_millis(198)));
        assert_eq!(Times::default().measured(Duration::from_secs(1)).p99, Duration::ZERO);
    }

    #[test]
    fn the_middle_round_counts() {
        let mut row = Row::new("put", 1);
        for rate in [1.0, 9.0, 5.0] {
            row.add(true, Measured { rate, ..Measured::default() });
        }
        assert_eq!((row.ours().rate, row.theirs().rate), (5.0, 0.0));
    }
}
