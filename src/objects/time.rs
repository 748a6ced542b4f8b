//! Points in time as RFC 3339, from and to nanoseconds since 1970. No clock is read here.

const SECOND: u64 = 1_000_000_000;
const DAY: u64 = 86_400;

/// (year, month, day) of a day since 1970, in the proleptic Gregorian calendar.
fn civil(days: i64) -> (i64, u64, u64) {
    let shifted = days + 719_468;
    let era = shifted.div_euclid(146_097);
    let of_era = shifted.rem_euclid(146_097);
    let year_of_era = (of_era - of_era / 1460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = if month_from_march < 10 { month_from_march + 3 } else { month_from_march - 9 };
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    (year, month as u64, day as u64)
}

/// The day since 1970 of a date.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let era = year.div_euclid(400);
    let year_of_era = year.rem_euclid(400);
    let from_march = (month + 9) % 12;
    let of_year = (153 * from_march + 2) / 5 + day - 1;
    let of_era = year_of_era * 365 + year_of_era / 4 - year_of_era / 100 + of_year;
    era * 146_097 + of_era - 719_468
}

fn date_time(ns: u64) -> String {
    let seconds = ns / SECOND;
    let (year, month, day) = civil((seconds / DAY) as i64);
    let rest = seconds % DAY;
    format!("{year:04}-{month:02}-{day:02}T{:02}:{:02}:{:02}", rest / 3600, rest / 60 % 60, rest % 60)
}

/// "2026-01-02T03:04:05Z": metav1.Time.
pub fn rfc3339(ns: u64) -> String {
    format!("{}Z", date_time(ns))
}

/// "2026-01-02T03:04:05.000006Z": metav1.MicroTime.
pub fn rfc3339_micros(ns: u64) -> String {
    format!("{}.{:06}Z", date_time(ns), ns % SECOND / 1000)
}

/// Nanoseconds since 1970 of an RFC 3339 time with any offset; None when it is malformed or before 1970.
pub fn parse_rfc3339(text: &str) -> Option<u64> {
    let bytes = text.as_bytes();
    if bytes.len() < 20 || bytes[4] != b'-' || bytes[7] != b'-' || bytes[13] != b':' || bytes[16] != b':' {
        return None;
    }
    if !matches!(bytes[10], b'T' | b't') {
        return None;
    }
    let number = |from: usize, to: usize| digits(bytes.get(from..to)?);
    let (year, month, day) = (number(0, 4)?, number(5, 7)?, number(8, 10)?);
    let (hour, minute, second) = (number(11, 13)?, number(14, 16)?, number(17, 19)?);
    if !(1..=12).contains(&month) || day < 1 || day > month_length(year, month) {
        return None;
    }
    if hour > 23 || minute > 59 || second > 59 {
        return None;
    }
    let (nanos, rest) = fraction(&bytes[19..])?;
    let seconds = days(year, month, day) * DAY as i64 + hour * 3600 + minute * 60 + second - offset(rest)?;
    u64::try_from(seconds).ok()?.checked_mul(SECOND)?.checked_add(nanos)
}

fn month_length(year: i64, month: i64) -> i64 {
    match month {
        2 if year % 4 == 0 && (year % 100 != 0 || year % 400 == 0) => 29,
        2 => 28,
        4 | 6 | 9 | 11 => 30,
        _ => 31,
    }
}

fn digits(bytes: &[u8]) -> Option<i64> {
    bytes.iter().try_fold(0, |sum: i64, b| b.is_ascii_digit().then(|| sum * 10 + i64::from(b - b'0')))
}

/// (nanoseconds, what follows) of an optional ".123".
fn fraction(bytes: &[u8]) -> Option<(u64, &[u8])> {
    let Some(after) = bytes.strip_prefix(b".") else { return Some((0, bytes)) };
    let count = after.iter().take_while(|b| b.is_ascii_digit()).count();
    if count == 0 || count > 18 {
        return None;
    }
    let kept = count.min(9);
    let value = digits(&after[..kept])? as u64;
    Some((value * 10u64.pow(9 - kept as u32), &after[count..]))
}

/// Seconds east of UTC.
fn offset(bytes: &[u8]) -> Option<i64> {
    match bytes {
        b"Z" | b"z" => Some(0),
        [sign @ (b'+' | b'-'), hh @ .., b':', m1, m2] if hh.len() == 2 => {
            let (hours, minutes) = (digits(hh)?, digits(&[*m1, *m2])?);
            let seconds = hours * 3600 + minutes * 60;
            (hours < 24 && minutes < 60).then_some(if *sign == b'-' { -seconds } else { seconds })
        }
        _ => None,
    }
}

/// How long ago, for a table: "5s", "2m30s", "3h", "2d3h", "400d", "3y40d".
pub fn human_duration(seconds: u64) -> String {
    let (minutes, hours, days) = (seconds / 60, seconds / 3600, seconds / DAY);
    let two = |big: u64, unit: &str, small: u64, small_unit: &str| {
        if small == 0 { format!("{big}{unit}") } else { format!("{big}{unit}{small}{small_unit}") }
    };
    match () {
        () if seconds < 120 => format!("{seconds}s"),
        () if minutes < 10 => two(minutes, "m", seconds % 60, "s"),
        () if minutes < 180 => format!("{minutes}m"),
        () if hours < 8 => two(hours, "h", minutes % 60, "m"),
        () if hours < 48 => format!("{hours}h"),
        () if days < 8 => two(days, "d", hours % 24, "h"),
        () if days < 730 => format!("{days}d"),
        () if days < 365 * 8 => two(days / 365, "y", days % 365, "d"),
        () => format!("{}y", days / 365),
    }
}

/// The age of something made at `created` (RFC 3339), or "<unknown>".
pub fn age(created: &str, now: u64) -> String {
    match parse_rfc3339(created) {
        Some(then) => human_duration(now.saturating_sub(then) / SECOND),
        None => "<unknown>".to_string(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        let cases = [
            (0, "1970-01-01T00:00:00Z"),
            (951_782_400, "2000-02-29T00:00:00Z"),
            (1_767_323_045, "2026-01-02T03:04:05Z"),
            (4_102_444_799, "2099-12-31T23:59:59Z"),
        ];
        for (seconds, text) in cases {
            assert_eq!(rfc3339(seconds * SECOND), text);
            assert_eq!(parse_rfc3339(text), Some(seconds * SECOND));
        }
        assert_eq!(rfc3339_micros(1_000_006_999), "1970-01-01T00:00:01.000006Z");
        for day in (0..40_000).step_by(13) {
            let ns = day * DAY * SECOND + day % SECOND;
            assert_eq!(parse_rfc3339(&rfc3339(ns)), Some(ns / SECOND * SECOND));
        }
    }

    #[test]
    fn offsets_and_fractions() {
        assert_eq!(parse_rfc3339("1970-01-01T01:00:00.5+01:00"), Some(SECOND / 2));
        assert_eq!(parse_rfc3339("1970-01-01T00:00:00-00:30"), Some(1800 * SECOND));
        assert_eq!(parse_rfc3339("1970-01-01T00:00:00.000006Z"), Some(6000));
        for bad in [
            "",
            "2026-01-02",
            "2026-02-30T00:00:00Z",
            "2026-01-02T24:00:00Z",
            "2026-01-02T00:00:00",
            "2026-01-02 00:00:00Z",
            "1969-12-31T23:59:59Z",
            "2026-01-02T00:00:00.Z",
            "2026-01-02T00:00:00+1:00",
        ] {
            assert_eq!(parse_rfc3339(bad), None, "{bad}");
        }
    }

    #[test]
    fn ages() {
        let cases = [
            (0, "0s"),
            (119, "119s"),
            (120, "2m"),
            (150, "2m30s"),
            (600, "10m"),
            (10_799, "179m"),
            (10_800, "3h"),
            (11_000, "3h3m"),
            (8 * 3600, "8h"),
            (47 * 3600, "47h"),
            (48 * 3600, "2d"),
            (51 * 3600, "2d3h"),
            (8 * DAY, "8d"),
            (729 * DAY, "729d"),
            (730 * DAY, "2y"),
            (740 * DAY, "2y10d"),
            (3000 * DAY, "8y"),
        ];
        for (seconds, text) in cases {
            assert_eq!(human_duration(seconds), text);
        }
        assert_eq!(age("1970-01-01T00:00:00Z", 5 * SECOND), "5s");
        assert_eq!(age("1970-01-01T00:01:00Z", 5 * SECOND), "0s");
        assert_eq!(age("", 5), "<unknown>");
    }
}
