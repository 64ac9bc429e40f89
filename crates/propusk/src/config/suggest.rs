//! "Did you mean": the known name that is nearest to a mistyped one.

/// The name in `known` that takes the fewest changes to get from `typed`, if that is at most a third of its letters.
pub(crate) fn nearest<'a>(typed: &str, known: impl Iterator<Item = &'a str>) -> Option<&'a str> {
    let (name, changes) = known.map(|name| (name, distance(typed, name))).min_by_key(|(_, changes)| *changes)?;
    (changes <= name.chars().count().div_ceil(3)).then_some(name)
}

/// The number of letters to insert, remove or replace (Levenshtein), a row of the table at a time.
fn distance(left: &str, right: &str) -> usize {
    let mut row: Vec<usize> = (0..=right.chars().count()).collect();
    for (index, from) in left.chars().enumerate() {
        let mut diagonal = index;
        let mut previous = index + 1;
        let mut next = vec![previous];
        for (to, above) in right.chars().zip(row.iter().skip(1)) {
            let replaced = diagonal + usize::from(from != to);
            previous = replaced.min(previous + 1).min(above + 1);
            diagonal = *above;
            next.push(previous);
        }
        row = next;
    }
    row.last().copied().unwrap_or(0)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn distances() {
        for (left, right, changes) in
            [("", "", 0), ("a", "", 1), ("", "ab", 2), ("kitten", "sitting", 3), ("ab", "ba", 2)]
        {
            assert_eq!(distance(left, right), changes, "{left} {right}");
            assert_eq!(distance(right, left), changes, "{right} {left}");
        }
    }

    #[test]
    fn only_what_is_near_is_suggested() {
        let known = ["token.access_ttl", "token.leeway", "feed.lease"];
        assert_eq!(nearest("token.acces_ttl", known.into_iter()), Some("token.access_ttl"));
        assert_eq!(nearest("feed.leese", known.into_iter()), Some("feed.lease"));
        assert_eq!(nearest("colour", known.into_iter()), None);
    }
}
