//! What a harm did, in numbers: the difference between the world's counters before and after.

use std::collections::BTreeMap;
use world::{disk_harm, net};

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

    pub fn deaths(&self, felled: usize) -> String {
        let lost = self.since(|counters| counters.bytes_lost);
        let who = if felled == 1 { "1 process down".to_string() } else { format!("{felled} processes down") };
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
        ];
        let said = said.iter().filter(|(count, _)| *count > 0).map(|(count, what)| format!("{count} {what}"));
        said.collect::<Vec<_>>().join(", ")
    }
}

/// Packets that met a cut on these links so far.
pub fn dropped(links: &[(String, String)]) -> u64 {
    let counters = links.iter().map(|(from, to)| net().link_counters(from, to));
    counters.map(|counters| counters.segments_cut + counters.datagrams_cut).sum()
}

/// Packets sent over these links so far.
pub fn sent(links: &[(String, String)]) -> u64 {
    let counters = links.iter().map(|(from, to)| net().link_counters(from, to));
    counters.map(|counters| counters.segments + counters.datagrams).sum()
}

pub fn packets(dropped: u64) -> String {
    if dropped == 0 { String::new() } else { format!("{dropped} packets dropped") }
}

pub fn clocks(moved: usize, shift: i64) -> String {
    if moved == 0 { String::new() } else { format!("{moved} clocks moved by {:+.1} s", shift as f64 / 1e6) }
}
