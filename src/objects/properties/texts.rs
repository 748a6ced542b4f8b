//! Texts that are parsed and printed: quantities, selectors, times.

use base::stream::Stream;
use rand::Rng;

use super::{each_seed, pick};
use crate::quantity::Quantity;
use crate::selector::LabelSelector;
use crate::time;

/// (suffix, times, over): what a number is multiplied with and divided by.
const SCALES: [(&str, i128, i128); 13] = [
    ("n", 1, 1_000_000_000),
    ("u", 1, 1_000_000),
    ("m", 1, 1000),
    ("", 1, 1),
    ("k", 1000, 1),
    ("M", 1_000_000, 1),
    ("G", 1_000_000_000, 1),
    ("Ki", 1 << 10, 1),
    ("Mi", 1 << 20, 1),
    ("Gi", 1 << 30, 1),
    ("e3", 1000, 1),
    ("E-3", 1, 1000),
    ("e0", 1, 1),
];

/// (text, value in billionths) of a quantity, the value by plain arithmetic.
fn quantity(stream: &mut Stream) -> (String, i128) {
    let (suffix, times, over) = *pick(stream, &SCALES);
    let whole = stream.gen_range(0..100_000i128);
    let places = stream.gen_range(0..7u32);
    let fraction = if places == 0 { 0 } else { stream.gen_range(0..10i128.pow(places)) };
    let number = whole * 10i128.pow(places) + fraction;
    let divisor = over * 10i128.pow(places);
    let nanos = (number * times * 1_000_000_000 + divisor - 1) / divisor;
    let sign = *pick(stream, &["", "-", "+"]);
    let text = match places {
        0 => format!("{sign}{whole}{suffix}"),
        places => format!("{sign}{whole}.{fraction:0width$}{suffix}", width = places as usize),
    };
    (text, if sign == "-" { -nanos } else { nanos })
}

#[test]
fn quantities_are_what_arithmetic_says_and_print_as_they_are() {
    each_seed("quantities", 5000, |seed, stream| {
        let (text, nanos) = quantity(stream);
        let parsed = Quantity::parse(&text).unwrap_or_else(|e| panic!("seed {seed}: {text}: {e}"));
        let milli = nanos / 1_000_000 + (nanos % 1_000_000).signum();
        assert_eq!(i128::from(parsed.milli()), milli, "seed {seed}: {text}");
        let printed = parsed.to_string();
        let again = Quantity::parse(&printed).unwrap();
        assert_eq!(again, parsed, "seed {seed}: {text} printed as {printed}");
        assert_eq!(again.to_string(), printed, "seed {seed}: {text}");
        let (other_text, other_nanos) = quantity(stream);
        let other = Quantity::parse(&other_text).unwrap();
        assert_eq!(parsed.cmp(&other), nanos.cmp(&other_nanos), "seed {seed}: {text} and {other_text}");
        assert_eq!(parsed.plus(other).minus(other), parsed, "seed {seed}: {text} and {other_text}");
    });
}

#[test]
fn nonsense_is_refused_and_never_a_panic() {
    let alphabet: Vec<char> = "0123456789.+-eEinumkKMGTP ,=!()<>abT:Z/\u{e4}".chars().collect();
    each_seed("nonsense", 5000, |_, stream| {
        let length = stream.gen_range(0..60);
        let text: String = (0..length).map(|_| *pick(stream, &alphabet)).collect();
        let _ = Quantity::parse(&text);
        if let Ok(selector) = LabelSelector::parse(&text) {
            assert_eq!(LabelSelector::parse(&selector.to_string()), Ok(selector), "{text}");
        }
        let _ = time::parse_rfc3339(&text);
    });
}

fn selector_term(stream: &mut Stream) -> String {
    let key = pick(stream, &["a", "b-c", "x.y/z", "q_1", "inn"]);
    let value = pick(stream, &["a", "b", "1", ""]);
    match stream.gen_range(0..8) {
        0 => format!("{key}={value}"),
        1 => format!("{key} == {value}"),
        2 => format!("{key}!={value}"),
        3 => format!("{key} in ({value}, c)"),
        4 => format!("{key} notin (c,{value})"),
        5 => (*key).to_string(),
        6 => format!("!{key}"),
        _ => format!("{key}>5"),
    }
}

#[test]
fn selectors_print_as_they_parse() {
    each_seed("selectors", 2000, |seed, stream| {
        let count = stream.gen_range(0..5);
        let terms: Vec<String> = (0..count).map(|_| selector_term(stream)).collect();
        let text = terms.join(",");
        let parsed = LabelSelector::parse(&text).unwrap_or_else(|e| panic!("seed {seed}: {text}: {e}"));
        let printed = parsed.to_string();
        assert_eq!(LabelSelector::parse(&printed), Ok(parsed), "seed {seed}: {text} printed as {printed}");
    });
}

#[test]
fn times_go_there_and_back() {
    each_seed("times", 2000, |seed, stream| {
        let ns = stream.gen_range(0..4_102_444_800_000_000_000u64) / 1000 * 1000;
        assert_eq!(time::parse_rfc3339(&time::rfc3339_micros(ns)), Some(ns), "seed {seed}");
    });
}
