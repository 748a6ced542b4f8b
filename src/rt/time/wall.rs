//! Wall time, and its text in the Kubernetes API (RFC 3339, UTC).

use std::{fmt, ops::Add, time::Duration};

/// A reading of a wall clock: nanoseconds since 1970, UTC.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Wall(pub u64);

const SECOND: u64 = 1_000_000_000;

impl Wall {
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds * SECOND)
    }
    pub const fn secs(self) -> u64 {
        self.0 / SECOND
    }
    /// How much later this is than `earlier`; nothing if it is not.
    pub fn since(self, earlier: Wall) -> Duration {
        Duration::from_nanos(self.0.saturating_sub(earlier.0))
    }

    /// `2026-01-02T03:04:05Z`
    pub fn rfc3339(self) -> String {
        format!("{}Z", self.date_time())
    }

    /// `2026-01-02T03:04:05.000006Z`
    pub fn rfc3339_micros(self) -> String {
        format!("{}.{:06}Z", self.date_time(), self.0 % SECOND / 1_000)
    }

    fn date_time(self) -> String {
        let (days, second) = (self.secs() / 86_400, self.secs() % 86_400);
        let (year, month, day) = date(days as i64);
        let (hour, minute, second) = (second / 3_600, second / 60 % 60, second % 60);
        format!("{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}")
    }

    /// Reads RFC 3339 with any offset and any number of decimals; `None` for other text and for years
    /// before 1970.
    pub fn parse(text: &str) -> Option<Wall> {
        let text = text.as_bytes();
        let number = |from: usize, to: usize| -> Option<i64> {
            let digits = text.get(from..to)?;
            digits.iter().all(u8::is_ascii_digit).then_some(())?;
            std::str::from_utf8(digits).ok()?.parse().ok()
        };
        let sign = |at: usize, allowed: &[u8]| allowed.contains(text.get(at)?).then_some(());
        let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
        let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
        sign(4, b"-")?;
        sign(7, b"-")?;
        sign(10, b"Tt ")?;
        sign(13, b":")?;
        sign(16, b":")?;
        let in_range = (1..=12).contains(&month) && (1..=month_days(year, month)).contains(&day);
        (in_range && hour < 24 && minute < 60 && second <= 60).then_some(())?;
        let (nanos, zone) = decimals(text, 19)?;
        let offset = match text.get(zone)? {
            b'Z' | b'z' if text.len() == zone + 1 => 0,
            plus_or_minus @ (b'+' | b'-') if text.len() == zone + 6 => {
                sign(zone + 3, b":")?;
                let minutes = number(zone + 1, zone + 3)? * 60 + number(zone + 4, zone + 6)?;
                if *plus_or_minus == b'+' { minutes } else { -minutes }
            }
            _ => return None,
        };
        let seconds = (days(year, month, day) * 24 + hour) * 3_600 + (minute - offset) * 60 + second;
        Some(Wall(u64::try_from(seconds).ok()?.checked_mul(SECOND)?.checked_add(nanos)?))
    }
}

impl Add<Duration> for Wall {
    type Output = Wall;
    fn add(self, duration: Duration) -> Wall {
        Wall(self.0.saturating_add(u64::try_from(duration.as_nanos()).unwrap_or(u64::MAX)))
    }
}

impl fmt::Display for Wall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.rfc3339_micros())
    }
}

/// The fraction of a second that may stand at `at`, in nanoseconds, and where it ends.
fn decimals(text: &[u8], at: usize) -> Option<(u64, usize)> {
    if text.get(at) != Some(&b'.') {
        return Some((0, at));
    }
    let digits = text[at + 1..].iter().take_while(|byte| byte.is_ascii_digit()).count();
    let nanos = (0..9).map(|i| if i < digits { u64::from(text[at + 1 + i] - b'0') } else { 0 });
    (digits > 0).then(|| (nanos.fold(0, |sum, digit| sum * 10 + digit), at + 1 + digits))
}

fn month_days(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

/// Days since 1970 of a date of the Gregorian calendar. Years are counted from March, so that the leap day
/// comes last; 400 of them are 146,097 days.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let (year, month) = if month > 2 { (year, month - 3) } else { (year - 1, month + 9) };
    let (era, year) = (year.div_euclid(400), year.rem_euclid(400));
    era * 146_097 + year * 365 + year / 4 - year / 100 + (month * 153 + 2) / 5 + day - 1 - 719_468
}

/// The date (year, month, day) that many days after 1970 began.
fn date(days: i64) -> (i64, i64, i64) {
    let days = days + 719_468;
    let (era, day) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year = (day - day / 1_460 + day / 36_524 - day / 146_096) / 365;
    let day = day - (year * 365 + year / 4 - year / 100);
    let month = (day * 5 + 2) / 153;
    let day = day - (month * 153 + 2) / 5 + 1;
    let month = if month < 10 { month + 3 } else { month - 9 };
    (era * 400 + year + i64::from(month <= 2), month, day)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn writes_and_reads_the_same() {
        for (seconds, text) in [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_323_045, "2026-01-02T03:04:05Z"),
            (4_107_542_399, "2100-02-28T23:59:59Z"),
        ] {
            assert_eq!(Wall::from_secs(seconds).rfc3339(), text);
            assert_eq!(Wall::parse(text), Some(Wall::from_secs(seconds)));
        }
    }

    #[test]
    fn every_day_of_eight_centuries_survives_the_round_trip() {
        for day in 0..8 * 36_525 {
            let (year, month, dom) = date(day);
            assert_eq!(days(year, month, dom), day);
            assert!((1..=month_days(year, month)).contains(&dom));
        }
    }

    #[test]
    fn fractions_and_offsets() {
        let wall = Wall(1_767_323_045_000_006_789);
        assert_eq!(wall.rfc3339_micros(), "2026-01-02T03:04:05.000006Z");
        assert_eq!(Wall::parse("2026-01-02T03:04:05.000006789Z"), Some(wall));
        assert_eq!(Wall::parse("2026-01-02T05:34:05.000006789+02:30"), Some(wall));
        assert_eq!(Wall::parse("2026-01-01T23:04:05.0000067891-04:00"), Some(wall));
    }

    #[test]
    fn refuses_what_is_no_time() {
        for text in [
            "",
            "2026-01-02",
            "2026-13-02T03:04:05Z",
            "2026-02-29T03:04:05Z",
            "2026-01-02T03:04:05",
            "2026-01-02T24:04:05Z",
            "2026-01-02T03:04:05.Z",
            "2026-01-02T03:04:05+0200",
            "1969-12-31T23:59:59Z",
        ] {
            assert_eq!(Wall::parse(text), None, "{text}");
        }
    }
}
