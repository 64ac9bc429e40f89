//! Durations as people write them: a whole number and a unit, as in `10m`, `5s`, `250ms`, `14d`.

use std::time::Duration;

const UNITS: [(&str, u64); 5] = [("d", 86_400_000), ("h", 3_600_000), ("m", 60_000), ("s", 1000), ("ms", 1)];

/// Reads `250ms`, `5s`, `10m`, `2h` or `14d`. `None` for anything else, also for what does not fit.
pub(crate) fn parse(text: &str) -> Option<Duration> {
    let digits = text.bytes().take_while(u8::is_ascii_digit).count();
    let (number, unit) = text.split_at_checked(digits)?;
    let (_, millis) = UNITS.iter().find(|(name, _)| *name == unit)?;
    number.parse::<u64>().ok()?.checked_mul(*millis).map(Duration::from_millis)
}

/// Writes a duration in the largest unit that it is a whole number of. What is finer than a millisecond is lost.
pub(crate) fn format(duration: Duration) -> String {
    let total = u64::try_from(duration.as_millis()).unwrap_or(u64::MAX);
    let unit = UNITS.iter().find(|(_, millis)| total > 0 && total.is_multiple_of(*millis));
    unit.map_or_else(|| "0s".to_owned(), |(name, millis)| format!("{}{name}", total / millis))
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn the_forms_that_the_documentation_names() {
        let of = |text| parse(text).map(|duration| duration.as_millis());
        assert_eq!(of("250ms"), Some(250));
        assert_eq!(of("5s"), Some(5_000));
        assert_eq!(of("10m"), Some(600_000));
        assert_eq!(of("2h"), Some(7_200_000));
        assert_eq!(of("14d"), Some(1_209_600_000));
        assert_eq!(of("0s"), Some(0));
    }

    #[test]
    fn other_forms_are_refused() {
        for wrong in
            ["", "10", "m", "10 m", " 10m", "10m ", "-1s", "+1s", "1.5s", "1h30m", "10M", "10min", "١s", "1e3s"]
        {
            assert_eq!(parse(wrong), None, "{wrong:?}");
        }
        assert_eq!(parse("99999999999999999999s"), None);
        assert_eq!(parse("18446744073709551615d"), None);
    }

    proptest! {
        #[test]
        fn what_is_written_is_read_back(millis in any::<u64>()) {
            let duration = Duration::from_millis(millis);
            prop_assert_eq!(parse(&format(duration)), Some(duration));
        }

        #[test]
        fn a_number_and_a_unit_are_their_product(number in 0_u64..1_000_000_000, unit in 0_usize..UNITS.len()) {
            let (name, millis) = UNITS[unit];
            prop_assert_eq!(parse(&format!("{number}{name}")), Some(Duration::from_millis(number * millis)));
        }

        #[test]
        fn no_text_makes_it_panic_and_only_the_form_is_read(text in "\\PC{0,12}") {
            if parse(&text).is_some() {
                prop_assert!(text.starts_with(|c: char| c.is_ascii_digit()) && text.is_ascii());
            }
        }
    }
}
