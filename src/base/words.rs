//! The nearest valid word to a misspelt one.

/// The candidate that takes the fewest edits, if it is near enough to be what was meant.
pub fn nearest<'a>(word: &str, candidates: impl IntoIterator<Item = &'a str>) -> Option<&'a str> {
    let word = word.to_lowercase();
    let scored =
        candidates.into_iter().map(|candidate| (distance(&word, &candidate.to_lowercase()), candidate));
    let (edits, best) = scored.min_by_key(|(edits, _)| *edits)?;
    (edits <= 1 + best.len() / 3).then_some(best)
}

/// Levenshtein's distance: insertions, deletions and substitutions.
pub fn distance(a: &str, b: &str) -> usize {
    let b: Vec<char> = b.chars().collect();
    let mut row: Vec<usize> = (0..=b.len()).collect();
    for (i, x) in a.chars().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, y) in b.iter().enumerate() {
            let substituted = diagonal + usize::from(x != *y);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(row[j] + 1).min(diagonal + 1);
        }
    }
    row[b.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_slip_is_understood_and_another_word_is_not() {
        assert_eq!(distance("kitten", "sitting"), 3);
        let words = ["crash", "pause", "partition"];
        assert_eq!(nearest("crsh", words), Some("crash"));
        assert_eq!(nearest("Partitoin", words), Some("partition"));
        assert_eq!(nearest("elephant", words), None);
    }
}
