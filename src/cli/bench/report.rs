//! The table, line by line, and the plot: a pair of bars for each load.

use super::{
    loads::Setting,
    measure::{Measured, Row},
};
use std::{fmt::Write, time::Duration};

/// What stands above the lines.
pub fn head(setting: &Setting, rounds: u32, version: String) -> String {
    let Setting { clients, connections, keys, value_bytes, time } = setting;
    format!(
        "{version}; {clients} clients over {connections} connections, {keys} keys, values of {value_bytes} bytes; the middle one \
         of {rounds} rounds of {} s\n\n\
         | members | load | ours a s | etcd's a s | times as many | p50, etcd's | p99, etcd's | CPU µs each, etcd's | memory, etcd's | written, etcd's |\n\
         |---|---|---|---|---|---|---|---|---|---|\n",
        time.as_secs()
    )
}

pub fn line(row: &Row) -> String {
    let (ours, theirs) = (row.ours(), row.theirs());
    format!(
        "| {} | {} | {:.0} | {:.0} | {:.2} | {}, {} | {}, {} | {:.0}, {:.0} | {}, {} | {}, {} |\n",
        row.members,
        row.load,
        ours.rate,
        theirs.rate,
        ours.rate / theirs.rate,
        time(ours.p50),
        time(theirs.p50),
        time(ours.p99),
        time(theirs.p99),
        each(&ours),
        each(&theirs),
        bytes(ours.usage.memory),
        bytes(theirs.usage.memory),
        bytes(ours.usage.written),
        bytes(theirs.usage.written),
    )
}

/// CPU time of the store for one of what was done, in microseconds.
fn each(measured: &Measured) -> f64 {
    measured.usage.cpu.as_secs_f64() * 1e6 / measured.done.max(1) as f64
}

fn time(time: Duration) -> String {
    match time.as_micros() {
        micros @ 0..1_000 => format!("{micros} µs"),
        micros => format!("{:.1} ms", micros as f64 / 1e3),
    }
}

fn bytes(bytes: u64) -> String {
    match bytes {
        0..1_000_000 => format!("{} kB", bytes / 1_000),
        _ => format!("{} MB", bytes / 1_000_000),
    }
}

/// Height of a pair of bars, and of each of them; the widest bar; room for names.
const PAIR: usize = 34;
const BAR: usize = 12;
const WIDEST: f64 = 420.0;
const NAMES: usize = 170;

/// How many times as much of etcd's rate ours is, and etcd's own as 1.
pub fn plot(rows: &[Row]) -> String {
    let most = rows.iter().map(|row| row.ours().rate / row.theirs().rate).fold(1.0, f64::max);
    let (width, height) = (NAMES as f64 + WIDEST + 70.0, rows.len() * PAIR + 30);
    let mut svg = format!(
        "<svg xmlns=\"http://www.w3.org/2000/svg\" width=\"{width:.0}\" height=\"{height}\" font-family=\"sans-serif\" \
         font-size=\"12\">\n<rect width=\"100%\" height=\"100%\" fill=\"#fff\"/>\n\
         <text x=\"{NAMES}\" y=\"16\" fill=\"#2f6fb7\">ours</text><text x=\"{}\" y=\"16\" fill=\"#888\">etcd</text>\n",
        NAMES + 40
    );
    for (n, row) in rows.iter().enumerate() {
        let (ratio, top) = (row.ours().rate / row.theirs().rate, 26 + n * PAIR);
        let members = if row.members == 1 { "1 member".into() } else { format!("{} members", row.members) };
        let bar = |ratio: f64| ratio / most * WIDEST;
        let _ = write!(
            svg,
            "<text x=\"{}\" y=\"{}\" text-anchor=\"end\">{}, {members}</text>\n\
             <rect x=\"{NAMES}\" y=\"{top}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"#2f6fb7\"/>\n\
             <text x=\"{:.1}\" y=\"{}\">{ratio:.2}</text>\n\
             <rect x=\"{NAMES}\" y=\"{}\" width=\"{:.1}\" height=\"{BAR}\" fill=\"#bbb\"/>\n",
            NAMES - 8,
            top + BAR + 4,
            row.load,
            bar(ratio),
            NAMES as f64 + bar(ratio) + 6.0,
            top + BAR - 2,
            top + BAR,
            bar(1.0),
        );
    }
    svg + "</svg>\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    fn row() -> Row {
        let mut row = Row::new("put", 3);
        let measured = |rate, micros| Measured {
            rate,
            p50: Duration::from_micros(micros),
            p99: Duration::from_micros(micros * 10),
            ..Measured::default()
        };
        row.add(true, measured(3_000.0, 150));
        row.add(false, measured(1_500.0, 300));
        row
    }

    #[test]
    fn a_line_has_both_and_how_they_compare() {
        let line = line(&row());
        assert!(
            line.starts_with("| 3 | put | 3000 | 1500 | 2.00 | 150 µs, 300 µs | 1.5 ms, 3.0 ms |"),
            "{line}"
        );
        let columns = |text: &str| text.matches('|').count();
        let head = head(
            &Setting { clients: 1, connections: 1, keys: 1, value_bytes: 1, time: Duration::from_secs(1) },
            1,
            "etcd".into(),
        );
        assert_eq!(columns(&line), columns(head.lines().last().expect("the rule")));
    }

    #[test]
    fn the_plot_is_a_picture_with_a_pair_of_bars_for_each_load() {
        let svg = plot(&[row(), row()]);
        assert_eq!(svg.matches("<rect").count(), 1 + 2 * 2);
        assert!(svg.contains(">2.00<") && svg.ends_with("</svg>\n"));
    }
}
