//! Quantities of resources ("100m", "1.5Gi", "2e3"): exact to a billionth of a unit.
//!
//! The value is kept in billionths, so every suffix from `n` to `E` is exact; what is finer is rounded up.

use std::cmp::Ordering;
use std::fmt;

const NANO: i128 = 1_000_000_000;
const MILLI: i128 = 1_000_000;
/// No quantity is larger (upstream caps at 2^63 - 1 units).
const MAX: i128 = i64::MAX as i128 * NANO;

const BAD_FORMAT: &str =
    "quantities must match the regular expression '^([+-]?[0-9.]+)([eEinumkKMGTP]*[-+]?[0-9]*)$'";
const BAD_SUFFIX: &str = "unable to parse quantity's suffix";

/// How the author wrote it, and how it is printed.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Format {
    Decimal,
    Binary,
    Exponent,
}

#[derive(Clone, Copy, Debug)]
pub struct Quantity {
    nanos: i128,
    format: Format,
}

const BINARY: [(&str, u32); 6] = [("Ki", 10), ("Mi", 20), ("Gi", 30), ("Ti", 40), ("Pi", 50), ("Ei", 60)];
const DECIMAL: [(&str, i32); 10] =
    [("n", -9), ("u", -6), ("m", -3), ("", 0), ("k", 3), ("M", 6), ("G", 9), ("T", 12), ("P", 15), ("E", 18)];

impl Quantity {
    pub const ZERO: Quantity = Quantity { nanos: 0, format: Format::Decimal };

    pub fn from_milli(milli: i64) -> Quantity {
        Quantity { nanos: i128::from(milli) * MILLI, format: Format::Decimal }
    }

    pub fn from_units(units: i64) -> Quantity {
        Quantity { nanos: i128::from(units) * NANO, format: Format::Decimal }
    }

    /// So many bytes, printed with binary suffixes.
    pub fn from_bytes(bytes: i64) -> Quantity {
        Quantity { nanos: i128::from(bytes) * NANO, format: Format::Binary }
    }

    pub fn parse(text: &str) -> Result<Quantity, &'static str> {
        let (negative, rest) = match text.as_bytes().first() {
            None => return Err(BAD_FORMAT),
            Some(b'-') => (true, &text[1..]),
            Some(b'+') => (false, &text[1..]),
            Some(_) => (false, text),
        };
        let end = rest.find(|c: char| !c.is_ascii_digit() && c != '.').unwrap_or(rest.len());
        let (number, suffix) = rest.split_at(end);
        let (whole, fraction) = number.split_once('.').unwrap_or((number, ""));
        if (whole.is_empty() && fraction.is_empty()) || fraction.contains('.') {
            return Err(BAD_FORMAT);
        }
        let (scale, format) = scale_of(suffix)?;
        let nanos = scaled(whole, fraction, scale);
        Ok(Quantity { nanos: if negative { -nanos } else { nanos }, format })
    }

    /// A JSON string or number.
    pub fn from_value(value: &serde_json::Value) -> Result<Quantity, &'static str> {
        match value {
            serde_json::Value::String(text) => Quantity::parse(text),
            serde_json::Value::Number(number) => Quantity::parse(&number.to_string()),
            _ => Err(BAD_FORMAT),
        }
    }

    /// Thousandths, rounded up.
    pub fn milli(self) -> i64 {
        clamp(div_up(self.nanos, MILLI))
    }

    /// Whole units, rounded up.
    pub fn units(self) -> i64 {
        clamp(div_up(self.nanos, NANO))
    }

    pub fn is_zero(self) -> bool {
        self.nanos == 0
    }

    pub fn is_negative(self) -> bool {
        self.nanos < 0
    }

    /// Whether it is a whole number of units.
    pub fn is_whole(self) -> bool {
        self.nanos % NANO == 0
    }

    /// Keeps the format of the left side, unless that is zero.
    #[must_use]
    pub fn plus(self, other: Quantity) -> Quantity {
        let format = if self.is_zero() { other.format } else { self.format };
        Quantity { nanos: (self.nanos + other.nanos).clamp(-MAX, MAX), format }
    }

    #[must_use]
    pub fn minus(self, other: Quantity) -> Quantity {
        self.plus(Quantity { nanos: -other.nanos, format: other.format })
    }
}

enum Scale {
    Tens(i32),
    Shift(u32),
}

fn scale_of(suffix: &str) -> Result<(Scale, Format), &'static str> {
    if let Some((_, shift)) = BINARY.iter().find(|(name, _)| *name == suffix) {
        return Ok((Scale::Shift(*shift), Format::Binary));
    }
    if let Some((_, tens)) = DECIMAL.iter().find(|(name, _)| *name == suffix) {
        return Ok((Scale::Tens(*tens), Format::Decimal));
    }
    match suffix.as_bytes() {
        [b'e' | b'E', ..] => {
            let exponent = suffix[1..].parse::<i32>().map_err(|_| BAD_SUFFIX)?;
            Ok((Scale::Tens(exponent.clamp(-100, 100)), Format::Exponent))
        }
        bytes if bytes.iter().all(|b| b"eEinumkKMGTP+-0123456789".contains(b)) => Err(BAD_SUFFIX),
        _ => Err(BAD_FORMAT),
    }
}

/// whole.fraction times the scale, in billionths, rounded up, capped.
fn scaled(whole: &str, fraction: &str, scale: Scale) -> i128 {
    let digits: Vec<u8> = whole.bytes().chain(fraction.bytes()).skip_while(|b| *b == b'0').collect();
    if digits.is_empty() {
        return 0;
    }
    let exponent = match scale {
        Scale::Tens(tens) => tens + 9,
        Scale::Shift(_) => 9,
    } - fraction.len() as i32;
    let magnitude = digits.len() as i32 + exponent;
    if magnitude > 29 {
        return MAX;
    }
    // Digits finer than what can matter only round up.
    let kept = digits.len().min(30);
    let lost = digits.len() - kept;
    let rounded_off = digits[kept..].iter().any(|b| *b != b'0');
    let number =
        digits[..kept].iter().fold(0i128, |sum, b| sum * 10 + i128::from(b - b'0')) + i128::from(rounded_off);
    let mut exponent = exponent + lost as i32;
    let mut number = number;
    while exponent < -38 {
        number = div_up(number, 10);
        exponent += 1;
    }
    let shift = if let Scale::Shift(shift) = scale { shift } else { 0 };
    let shifted = |value: i128| value.checked_mul(1i128 << shift).unwrap_or(i128::MAX);
    let value = if exponent >= 0 {
        number.checked_mul(10i128.pow(exponent as u32)).map_or(i128::MAX, shifted)
    } else {
        fraction_times(number, 10i128.pow(exponent.unsigned_abs()), shift)
    };
    value.min(MAX)
}

/// number * 2^shift / divisor, rounded up, without overflow of the product.
fn fraction_times(number: i128, divisor: i128, shift: u32) -> i128 {
    let (mut quotient, mut rest) = (number / divisor, number % divisor);
    for _ in 0..shift {
        quotient = quotient.saturating_mul(2);
        // rest < divisor <= 10^38 < 2^127 / 1.7: doubling is compared, not computed, when it would overflow
        if rest > divisor - rest {
            quotient = quotient.saturating_add(1);
            rest -= divisor - rest;
        } else if rest == divisor - rest {
            quotient = quotient.saturating_add(1);
            rest = 0;
        } else {
            rest *= 2;
        }
    }
    quotient.saturating_add(i128::from(rest > 0))
}

/// Division rounded away from zero.
fn div_up(value: i128, by: i128) -> i128 {
    let quotient = value / by;
    if value % by == 0 { quotient } else { quotient + value.signum() }
}

fn clamp(value: i128) -> i64 {
    value.clamp(i128::from(i64::MIN), i128::from(i64::MAX)) as i64
}

impl PartialEq for Quantity {
    fn eq(&self, other: &Quantity) -> bool {
        self.nanos == other.nanos
    }
}

impl Eq for Quantity {}

impl PartialOrd for Quantity {
    fn partial_cmp(&self, other: &Quantity) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl Ord for Quantity {
    fn cmp(&self, other: &Quantity) -> Ordering {
        self.nanos.cmp(&other.nanos)
    }
}

impl fmt::Display for Quantity {
    /// The canonical form: no fraction, the largest suffix that allows it.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.nanos == 0 {
            return f.write_str("0");
        }
        // Binary suffixes are for whole numbers of at least 1024.
        if self.format == Format::Binary && self.nanos.abs() >= 1024 * NANO && self.is_whole() {
            let units = self.nanos / NANO;
            let fits = BINARY.iter().rev().find(|(_, shift)| units % (1i128 << shift) == 0);
            return match fits {
                Some((name, shift)) => write!(f, "{}{name}", units >> shift),
                None => write!(f, "{units}"),
            };
        }
        let fits = DECIMAL.iter().rev().find(|(_, tens)| self.nanos % 10i128.pow((tens + 9) as u32) == 0);
        let (name, tens) = fits.copied().unwrap_or(("n", -9));
        let number = self.nanos / 10i128.pow((tens + 9) as u32);
        match self.format {
            Format::Exponent if tens != 0 => write!(f, "{number}e{tens}"),
            _ => write!(f, "{number}{name}"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn q(text: &str) -> Quantity {
        Quantity::parse(text).unwrap_or_else(|e| panic!("{text}: {e}"))
    }

    #[test]
    fn values() {
        let cases: [(&str, i64, i64); 17] = [
            ("0", 0, 0),
            ("1", 1000, 1),
            ("100m", 100, 1),
            ("1.5", 1500, 2),
            ("-1.5", -1500, -2),
            ("1k", 1_000_000, 1000),
            ("1Ki", 1_024_000, 1024),
            ("1.5Ki", 1_536_000, 1536),
            ("0.1Ki", 102_400, 103),
            ("1Gi", 1 << 30, 1 << 30),
            ("1n", 1, 1),
            ("1u", 1, 1),
            ("1e3", 1_000_000, 1000),
            ("1E", 0, 10i64.pow(18)),
            ("1E2", 100_000, 100),
            (".5", 500, 1),
            ("+5.", 5000, 5),
        ];
        for (text, milli, units) in cases {
            assert_eq!(q(text).units(), units, "{text}");
            if !["1Gi", "1E"].contains(&text) {
                assert_eq!(q(text).milli(), milli, "{text}");
            }
        }
    }

    #[test]
    fn canonical_form() {
        let cases = [
            ("1000m", "1"),
            ("1500m", "1500m"),
            ("0.5", "500m"),
            ("1024Ki", "1Mi"),
            ("1000Ki", "1000Ki"),
            ("1536Mi", "1536Mi"),
            ("1.5Gi", "1536Mi"),
            ("1000000", "1M"),
            ("1e6", "1e6"),
            ("1500e3", "1500e3"),
            ("0", "0"),
            ("0Gi", "0"),
            ("1023Ki", "1023Ki"),
            ("0.5Ki", "512"),
            ("-1k", "-1k"),
            ("1.0", "1"),
            ("10000n", "10u"),
            ("1024", "1024"),
        ];
        for (text, canonical) in cases {
            assert_eq!(q(text).to_string(), canonical, "{text}");
            assert_eq!(q(canonical), q(text));
        }
    }

    #[test]
    fn bad_ones() {
        for text in ["", "a", "1.1.1", "-", "1 Gi", ".", "1x", "Gi"] {
            assert_eq!(Quantity::parse(text).unwrap_err(), BAD_FORMAT, "{text}");
        }
        for text in ["1mi", "1kk", "1e", "1eM", "1i", "1ee3"] {
            assert_eq!(Quantity::parse(text).unwrap_err(), BAD_SUFFIX, "{text}");
        }
    }

    #[test]
    fn order_sums_and_caps() {
        assert!(q("1Gi") > q("1G"));
        assert_eq!(q("0.1").plus(q("200m")).to_string(), "300m");
        assert_eq!(Quantity::ZERO.plus(q("1Gi")).plus(q("1Gi")).to_string(), "2Gi");
        assert_eq!(q("1").minus(q("250m")).milli(), 750);
        assert_eq!(q("9999999999999999999999999999999999999999"), q("9223372036854775807"));
        assert_eq!(q("1e99"), q("1e30"));
        assert_eq!(q("0.0000000000000000000000000000000000000000000001").units(), 1);
        assert_eq!(q("8Ei"), q("9223372036854775808"));
        assert_eq!(q("0.333333333333Ki").units(), 342);
        assert_eq!(q(&format!("0.{}9Ei", "0".repeat(20))), q("10376294n"));
        assert_eq!(Quantity::from_bytes(3 << 30).to_string(), "3Gi");
        assert_eq!(Quantity::from_milli(1500).to_string(), "1500m");
        assert_eq!(Quantity::from_units(110).to_string(), "110");
    }
}
