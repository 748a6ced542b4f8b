//! Marks in the product for whoever tests it: `invariant!` stops a process that is about to do wrong,
//! `reached!` counts situations, `bug!` re-creates a historical bug at one decision point.
//!
//! `reached!` and `bug!` cost nothing in the real build: there they are a no-op and the constant `false`.

/// Panics, naming the promise, unless the condition holds. On in every build.
/// `invariant!(cond, "name")` or `invariant!(cond, "name", "format {}", args)`.
#[macro_export]
macro_rules! invariant {
    ($cond:expr, $name:literal) => {
        if !$cond {
            panic!(concat!("invariant broken: ", $name));
        }
    };
    ($cond:expr, $name:literal, $($arg:tt)+) => {
        if !$cond {
            panic!(concat!("invariant broken: ", $name, ": {}"), format_args!($($arg)+));
        }
    };
}

/// Counts that a situation was reached; the argument names the situation, not the line. With a condition: counts it
/// if that holds, which is asked only where anything is counted.
#[macro_export]
macro_rules! reached {
    ($name:literal) => {
        $crate::marks::reach($name)
    };
    ($name:literal, $when:expr $(,)?) => {
        if $crate::marks::COUNTED && $when {
            $crate::marks::reach($name)
        }
    };
}

/// True when the named bug of the museum is switched on, so that the wrong branch is taken.
#[macro_export]
macro_rules! bug {
    ($name:literal) => {
        $crate::marks::bug_is_on($name)
    };
}

/// Whether situations are counted in this build.
pub const COUNTED: bool = cfg!(madsim);

#[cfg(madsim)]
mod state {
    use std::{cell::Cell, cell::RefCell, collections::BTreeMap};

    thread_local! {
        static BUG: Cell<Option<&'static str>> = const { Cell::new(None) };
        static REACHED: RefCell<BTreeMap<&'static str, u64>> = const { RefCell::new(BTreeMap::new()) };
    }

    /// Switches one bug of the museum on for this thread (a simulation is one thread), or all off.
    pub fn plant(bug: Option<&'static str>) {
        BUG.with(|cell| cell.set(bug));
    }

    pub fn bug_is_on(name: &str) -> bool {
        BUG.with(|cell| cell.get() == Some(name))
    }

    pub fn reach(name: &'static str) {
        REACHED.with(|map| *map.borrow_mut().entry(name).or_insert(0) += 1);
    }

    /// Every mark reached on this thread since the last call, with how often.
    pub fn take_reached() -> BTreeMap<&'static str, u64> {
        REACHED.with(|map| std::mem::take(&mut *map.borrow_mut()))
    }
}
#[cfg(madsim)]
pub use state::{bug_is_on, plant, reach, take_reached};

#[cfg(not(madsim))]
#[inline(always)]
pub const fn bug_is_on(_: &str) -> bool {
    false
}

#[cfg(not(madsim))]
#[inline(always)]
pub const fn reach(_: &'static str) {}

/// No bug can be planted in the real build.
#[cfg(not(madsim))]
pub fn plant(_: Option<&'static str>) {}

/// Nothing is counted in the real build.
#[cfg(not(madsim))]
pub fn take_reached() -> std::collections::BTreeMap<&'static str, u64> {
    std::collections::BTreeMap::new()
}
