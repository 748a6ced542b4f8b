//! Quantities as words: `8s`, `1ms..10ms`, `±2s`, `0.1%`, `3..5`. Times become microseconds.

use super::yaml::{Mistake, Node, Value};
use rand::Rng;
use serde::{Deserialize, Serialize};

/// A quantity that is fixed, lies in a range (both ends included), or is one of a list. Drawn once, by the plan.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub enum Draw {
    Between(i64, i64),
    OneOf(Vec<i64>),
}

impl Draw {
    pub const fn fixed(value: i64) -> Self {
        Draw::Between(value, value)
    }

    pub fn draw(&self, stream: &mut base::stream::Stream) -> i64 {
        match self {
            Draw::Between(low, high) => stream.gen_range(*low..=*high),
            Draw::OneOf(values) => values[stream.gen_range(0..values.len())],
        }
    }

    pub fn bounds(&self) -> (i64, i64) {
        match self {
            Draw::Between(low, high) => (*low, *high),
            Draw::OneOf(values) => {
                (values.iter().copied().min().unwrap_or(0), values.iter().copied().max().unwrap_or(0))
            }
        }
    }
}

const TIME: &str = "a time, such as 8s, 250ms, 2m or 10s..20s";
const COUNT: &str = "a number, such as 3 or 1..5";
const SIZE: &str = "a number of bytes, such as 300, 64KiB or 100KiB..1MiB";
const PERCENT: &str = "a share, such as 0.1% or 1%..5%";
const UNITS: [(&str, f64); 5] = [("us", 1.0), ("ms", 1e3), ("s", 1e6), ("m", 60e6), ("h", 3600e6)];

/// A time or a range of times; never negative.
pub fn time(node: &Node) -> Result<Draw, Mistake> {
    draw(node, TIME, &|word| unit(word, &UNITS), 0)
}

/// A time with a sign, or `±2s` for both ways.
pub fn shift(node: &Node) -> Result<Draw, Mistake> {
    const EXPECTED: &str = "a shift of time, such as 2s, -2s or ±2s";
    let word = node.word(EXPECTED)?;
    match word.strip_prefix('±').or(word.strip_prefix("+-")) {
        Some(size) => {
            let size = unit(size, &UNITS).ok_or_else(|| node.wrong(EXPECTED))?;
            Ok(Draw::Between(-size, size))
        }
        None => draw(node, EXPECTED, &|word| unit(word, &UNITS), i64::MIN),
    }
}

pub fn count(node: &Node) -> Result<Draw, Mistake> {
    draw(node, COUNT, &|word| word.parse().ok(), 0)
}

/// Bytes.
pub fn size(node: &Node) -> Result<Draw, Mistake> {
    draw(
        node,
        SIZE,
        &|word| unit(word, &[("", 1.0), ("KiB", 1024.0), ("MiB", 1_048_576.0), ("GiB", 1_073_741_824.0)]),
        0,
    )
}

/// A share in parts per million.
pub fn percent(node: &Node) -> Result<Draw, Mistake> {
    let share = draw(node, PERCENT, &|word| unit(word, &[("%", 1e4)]), 0)?;
    if share.bounds().1 > 1_000_000 {
        return Err(Mistake::new(node.place, "more than all of it", "at most 100%"));
    }
    Ok(share)
}

fn draw(
    node: &Node,
    expected: &str,
    parse: &dyn Fn(&str) -> Option<i64>,
    least: i64,
) -> Result<Draw, Mistake> {
    let one = |node: &Node, word: &str| -> Result<i64, Mistake> {
        let value = parse(word.trim()).ok_or_else(|| node.wrong(expected))?;
        if value < least {
            return Err(Mistake::new(node.place, format!("`{word}` is negative"), expected));
        }
        Ok(value)
    };
    if let Value::List(nodes) = &node.value {
        let values: Result<Vec<i64>, _> = nodes.iter().map(|node| one(node, node.word(expected)?)).collect();
        let values = values?;
        return if values.is_empty() {
            Err(node.wrong("at least one value"))
        } else {
            Ok(Draw::OneOf(values))
        };
    }
    let word = node.word(expected)?;
    let (low, high) = match word.split_once("..") {
        // a range may name its unit once: 10..20s
        Some((low, high)) => {
            let suffix = high.trim_start_matches(|c: char| c.is_ascii_digit() || c == '.' || c == '-');
            let low = if low.ends_with(|c: char| c.is_ascii_digit()) {
                format!("{low}{suffix}")
            } else {
                low.into()
            };
            (one(node, &low)?, one(node, high)?)
        }
        None => (one(node, word)?, one(node, word)?),
    };
    if low > high {
        return Err(Mistake::new(node.place, format!("`{word}` begins behind its end"), expected));
    }
    Ok(Draw::Between(low, high))
}

fn unit(word: &str, units: &[(&str, f64)]) -> Option<i64> {
    let digits = word.trim_end_matches(|c: char| c.is_alphabetic() || c == '%');
    let (_, scale) = units.iter().find(|(name, _)| *name == &word[digits.len()..])?;
    let value: f64 = digits.trim().parse().ok()?;
    value.is_finite().then_some((value * scale).round() as i64)
}

/// Microseconds as a person says them.
pub fn say_time(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} us"),
        1_000..1_000_000 => format!("{} ms", us / 1_000),
        _ => format!("{:.1} s", us as f64 / 1e6),
    }
}

/// Bytes as a person says them.
pub fn say_size(bytes: u64) -> String {
    match bytes {
        0..1_024 => format!("{bytes} bytes"),
        1_024..1_048_576 => format!("{} KiB", bytes >> 10),
        _ => format!("{:.1} MiB", bytes as f64 / 1_048_576.0),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read<T>(text: &str, with: fn(&Node) -> Result<T, Mistake>) -> Result<T, String> {
        with(&Node::read(text).unwrap())
            .map_err(|mistake| format!("{}; {}", mistake.message, mistake.expected))
    }

    #[test]
    fn quantities_are_read() {
        assert_eq!(read("8s", time), Ok(Draw::fixed(8_000_000)));
        assert_eq!(read("1ms..10ms", time), Ok(Draw::Between(1_000, 10_000)));
        assert_eq!(read("10..20s", time), Ok(Draw::Between(10_000_000, 20_000_000)));
        assert_eq!(read("1.5m", time), Ok(Draw::fixed(90_000_000)));
        assert_eq!(read("64..100KiB", size), Ok(Draw::Between(65_536, 102_400)));
        assert_eq!(read("300", size), Ok(Draw::fixed(300)));
        assert!(read("8KB", size).is_err());
        assert_eq!(read("±2s", shift), Ok(Draw::Between(-2_000_000, 2_000_000)));
        assert_eq!(read("-2s", shift), Ok(Draw::fixed(-2_000_000)));
        assert_eq!(read("0.1%", percent), Ok(Draw::fixed(1_000)));
        assert_eq!(read("[1, 3, 5]", count), Ok(Draw::OneOf(vec![1, 3, 5])));
    }

    #[test]
    fn what_makes_no_sense_is_refused_with_the_reason() {
        assert!(read("-8s", time).unwrap_err().contains("negative"));
        assert!(read("8", time).unwrap_err().contains("cannot stand here; a time"));
        assert!(read("9s..2s", time).unwrap_err().contains("begins behind its end"));
        assert!(read("120%", percent).unwrap_err().contains("more than all"));
    }
}
