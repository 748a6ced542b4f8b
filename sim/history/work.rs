//! What the queues of the last seconds were busy with: whoever does not come to rest is found among them.

use super::Nanos;
use base::Note;
use std::collections::{BTreeMap, VecDeque};

/// How far back is remembered.
const WINDOW: Nanos = 10_000_000_000;
/// A key that is worked on less often than this in the window is no reason for anything: leases are renewed.
const OFTEN: usize = 20;
/// Unless it was in vain so many times.
const IN_VAIN: usize = 3;

#[derive(Debug)]
struct Piece {
    at: Nanos,
    process: String,
    queue: String,
    key: String,
    failed: bool,
}

/// The last ten seconds of every queue.
#[derive(Debug, Default)]
pub struct Work(VecDeque<Piece>);

impl Work {
    pub fn see(&mut self, at: Nanos, process: &str, note: &Note) {
        let Note::Worked { queue, key, failed, .. } = note else { return };
        let (process, queue, key) = (process.to_string(), queue.clone(), key.clone());
        self.0.push_back(Piece { at, process, queue, key, failed: *failed });
        while self.0.front().is_some_and(|piece| piece.at + WINDOW < at) {
            self.0.pop_front();
        }
    }

    /// The keys worked on most often in the ten seconds before `now`, the most frequent first, as lines.
    pub fn hot(&self, now: Nanos) -> Vec<String> {
        let mut counts: BTreeMap<(&str, &str, &str), (usize, usize)> = BTreeMap::new();
        for piece in self.0.iter().filter(|piece| piece.at + WINDOW >= now) {
            let count = counts.entry((&piece.process, &piece.queue, &piece.key)).or_default();
            count.0 += 1;
            count.1 += usize::from(piece.failed);
        }
        let mut hot: Vec<_> =
            counts.into_iter().filter(|(_, (all, failed))| *all >= OFTEN || *failed >= IN_VAIN).collect();
        hot.sort_by_key(|(_, (all, _))| std::cmp::Reverse(*all));
        let line = |((process, queue, key), (all, failed))| {
            let failed = if failed > 0 { format!(", {failed} times in vain") } else { String::new() };
            format!("{process}: its queue “{queue}” worked on {key} {all} times in 10 s{failed}")
        };
        hot.into_iter().map(line).take(3).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn see(work: &mut Work, at: Nanos, key: &str, failed: bool) {
        let (queue, key) = ("deployment".to_string(), key.to_string());
        work.see(at, "manager-1", &Note::Worked { queue, key, failed, waiting: 0 });
    }

    #[test]
    fn what_is_worked_on_again_and_again_is_named_with_its_failures() {
        let mut work = Work::default();
        for n in 0..8 {
            see(&mut work, n * 1_000_000_000, "default/a", n < 3);
            see(&mut work, n * 1_000_000_000, "default/b", false);
        }
        let told = work.hot(8_000_000_000);
        assert_eq!(
            told,
            ["manager-1: its queue “deployment” worked on default/a 8 times in 10 s, 3 times in vain"]
        );
        assert!(work.hot(18_000_000_000).is_empty(), "what is long past is not hot");
        (0..20).for_each(|n| see(&mut work, 30_000_000_000 + n, "default/b", false));
        let told = work.hot(30_000_000_100);
        assert_eq!(told, ["manager-1: its queue “deployment” worked on default/b 20 times in 10 s"]);
    }
}
