//! Harms that lie in wait for a moment, and strike in the very step in which it comes: whatever that step says after
//! it is said under the harm already.

use crate::scenario::Moment;

/// Who waits for the next moment of which kind.
#[derive(Default)]
pub struct Moments(Vec<(Moment, Ambush)>);

/// Harm that waits.
pub struct Ambush(Box<dyn FnOnce() + Send>);

impl Ambush {
    /// Not to be called while what was seen is locked: harm is itself seen.
    pub fn strike(self) {
        (self.0)();
    }
}

impl Moments {
    /// The next such moment is met with this.
    pub fn wait(&mut self, moment: Moment, harm: impl FnOnce() + Send + 'static) {
        self.0.push((moment, Ambush(Box::new(harm))));
    }

    /// It is there; gives those that waited for it.
    pub fn come(&mut self, moment: Moment) -> Vec<Ambush> {
        self.0.extract_if(.., |(waited, _)| *waited == moment).map(|(_, ambush)| ambush).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    };

    #[test]
    fn the_next_such_moment_is_met_and_no_other() {
        let struck = Arc::new(AtomicU64::new(0));
        let mut moments = Moments::default();
        assert!(moments.come(Moment::Change).is_empty());
        let count = struck.clone();
        moments.wait(Moment::Change, move || {
            count.fetch_add(1, Relaxed);
        });
        moments.come(Moment::Joint).into_iter().for_each(Ambush::strike);
        assert_eq!(struck.load(Relaxed), 0, "for that nobody waited");
        for _ in 0..2 {
            moments.come(Moment::Change).into_iter().for_each(Ambush::strike);
            assert_eq!(struck.load(Relaxed), 1);
        }
    }
}
