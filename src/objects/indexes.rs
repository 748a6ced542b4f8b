//! Sets of completion indexes in the compressed form of a Job's status: "1,3-5,7".

use std::collections::BTreeSet;

/// The indexes below `limit` that the text names; why not, in upstream's words, when the text is not in that form.
pub fn parse(text: &str, limit: i64) -> Result<BTreeSet<i64>, String> {
    let mut all = BTreeSet::new();
    for interval in text.split(',').filter(|_| !text.is_empty()) {
        let (first, last) = bounds(interval, limit)?;
        if let Some(previous) = all.last().filter(|previous| **previous >= first) {
            return Err(not_increasing(*previous, first));
        }
        all.extend(first..=last);
    }
    Ok(all)
}

/// As `parse`, and what cannot be read or is too large is left out.
pub fn known(text: &str, limit: i64) -> BTreeSet<i64> {
    let limits = |interval: &str| bounds(interval, i64::MAX).ok();
    let intervals = text.split(',').filter_map(limits);
    intervals.flat_map(|(first, last)| first..=last.min(limit - 1)).collect()
}

fn bounds(interval: &str, limit: i64) -> Result<(i64, i64), String> {
    let parts: Vec<&str> = interval.split('-').collect();
    let number = |text: &str| {
        let index: i64 =
            text.parse().map_err(|_| format!("cannot convert string to integer for index: {text:?}"))?;
        if index >= limit { Err(format!("too large index: {text:?}")) } else { Ok(index) }
    };
    match parts.as_slice() {
        [one] => number(one).map(|index| (index, index)),
        [first, last] => {
            let (first, last) = (number(first)?, number(last)?);
            if first < last { Ok((first, last)) } else { Err(not_increasing(first, last)) }
        }
        _ => Err(format!(
            "the fragment {interval:?} violates the requirement that an index interval can have at most two parts separated by '-'"
        )),
    }
}

fn not_increasing(previous: i64, current: i64) -> String {
    format!("non-increasing order, previous: {previous}, current: {current}")
}

/// Three and more in a row are written as a range.
pub fn show(indexes: &BTreeSet<i64>) -> String {
    let mut runs: Vec<(i64, i64)> = Vec::new();
    for index in indexes {
        match runs.last_mut() {
            Some((_, last)) if *last + 1 == *index => *last = *index,
            _ => runs.push((*index, *index)),
        }
    }
    let texts = runs.iter().map(|(first, last)| match last - first {
        0 => format!("{first}"),
        1 => format!("{first},{last}"),
        _ => format!("{first}-{last}"),
    });
    texts.collect::<Vec<_>>().join(",")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn there_and_back() {
        for (text, indexes) in [
            ("", vec![]),
            ("0", vec![0]),
            ("0,1", vec![0, 1]),
            ("0-2", vec![0, 1, 2]),
            ("1,3-5,7", vec![1, 3, 4, 5, 7]),
        ] {
            let set: BTreeSet<i64> = indexes.into_iter().collect();
            assert_eq!(show(&set), text);
            assert_eq!(parse(text, 8), Ok(set.clone()), "{text}");
            assert_eq!(known(text, 8), set);
        }
    }

    #[test]
    fn what_is_wrong_is_said_and_what_is_known_is_kept() {
        for (text, wrong, kept) in [
            ("8", "too large index: \"8\"", vec![]),
            ("1-9", "too large index: \"9\"", vec![1, 2, 3, 4, 5, 6, 7]),
            ("2,1", "non-increasing order, previous: 2, current: 1", vec![1, 2]),
            ("3-3", "non-increasing order, previous: 3, current: 3", vec![]),
            ("x,2", "cannot convert string to integer for index: \"x\"", vec![2]),
            (
                "1-2-3",
                "the fragment \"1-2-3\" violates the requirement that an index interval can have at most two parts separated by '-'",
                vec![],
            ),
        ] {
            assert_eq!(parse(text, 8).unwrap_err(), wrong);
            assert_eq!(known(text, 8), kept.into_iter().collect(), "{text}");
        }
    }
}
