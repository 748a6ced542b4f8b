//! What a harm did, in numbers: the difference between the world's counters before and after.

use super::claims::Link;
use crate::scenario::units::{say_size, say_time};
use std::{collections::BTreeMap, time::Duration};
use world::{disk_harm, memory::Over, net};

/// The counters of disks before a harm.
pub struct Meter {
    disks: BTreeMap<String, disk_harm::Counters>,
}

impl Meter {
    pub fn start(hit: &[String]) -> Self {
        let counters =
            hit.iter().filter_map(|name| Some((name.clone(), disk_harm::control(name)?.counters())));
        Meter { disks: counters.collect() }
    }

    fn since(&self, count: fn(&disk_harm::Counters) -> u64) -> u64 {
        let now = |name: &str| disk_harm::control(name).map_or(0, |disk| count(&disk.counters()));
        self.disks.iter().map(|(name, before)| now(name).saturating_sub(count(before))).sum()
    }

    /// Those whose process or power was taken, and those that were started again at the end. Who was down already
    /// may have been kept down for longer.
    pub fn deaths(&self, felled: usize, raised: usize) -> String {
        let lost = self.since(|counters| counters.bytes_lost);
        let who = match (felled, raised) {
            (0, 0) => return String::new(),
            (0, raised) => format!("{} kept down", many(raised)),
            (felled, _) => format!("{} down", many(felled)),
        };
        if lost > 0 { format!("{who}, {lost} bytes lost") } else { who }
    }

    pub fn disks(&self) -> String {
        let failed = self.since(|c| c.failed_reads + c.failed_writes + c.failed_syncs);
        let full = self.since(|c| c.no_space);
        let stalled = self.since(|c| c.stalled);
        let slowed = self.since(|c| c.slowed.as_millis() as u64);
        let said = [
            (failed, "operations failed"),
            (full, "writes refused"),
            (stalled, "operations waited"),
            (slowed, "ms added"),
            (self.since(|c| c.bits_flipped), "bits flipped"),
            (self.since(|c| c.writes_short), "writes short"),
            (self.since(|c| c.writes_misdirected), "writes misdirected"),
            (self.since(|c| c.wiped_files), "files lost"),
        ];
        let said = said.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        said.collect::<Vec<_>>().join(", ")
    }
}

fn many(processes: usize) -> String {
    if processes == 1 { "1 process".to_string() } else { format!("{processes} processes") }
}

/// Packets that met a cut on these links so far.
pub fn dropped(links: &[Link]) -> u64 {
    let counters = links.iter().map(|(from, to)| net().link_counters(from, to));
    counters.map(|counters| counters.segments_cut + counters.datagrams_cut).sum()
}

/// Packets sent over these links so far.
pub fn sent(links: &[Link]) -> u64 {
    let counters = links.iter().map(|(from, to)| net().link_counters(from, to));
    counters.map(|counters| counters.segments + counters.datagrams).sum()
}

/// Steps of tasks that took time, how much together, and the longest that one was late.
pub fn steps(steps: u64, busy: Duration, longest: Duration) -> String {
    if steps == 0 {
        return String::new();
    }
    let us = |time: Duration| say_time(time.as_micros() as u64);
    format!("{steps} steps took {}, one was late by {}", us(busy), us(longest))
}

/// How often a process was killed for its memory, and what it held the last time.
pub fn out_of_memory(name: &str, kills: &[Over]) -> String {
    let Some(last) = kills.last() else { return String::new() };
    let parts = last.parts.iter().take(3).map(|(part, bytes)| format!("{} of {part}", say_size(*bytes)));
    let parts = parts.collect::<Vec<_>>().join(", ");
    match kills.len() {
        1 => format!("{name} was killed with {}: {parts}", say_size(last.held)),
        many => {
            format!("{name} was killed {many} times, the last time with {}: {parts}", say_size(last.held))
        }
    }
}

pub fn packets(dropped: u64) -> String {
    if dropped == 0 { String::new() } else { format!("{dropped} packets dropped") }
}

pub fn clocks(moved: usize, shift: i64) -> String {
    if moved == 0 { String::new() } else { format!("{moved} clocks moved by {:+.1} s", shift as f64 / 1e6) }
}
