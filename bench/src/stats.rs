//! Samples and their percentiles.

use std::time::Duration;

/// Durations, in the order in which they were taken until a percentile is asked for.
#[derive(Debug, Default, Clone)]
pub(crate) struct Samples(Vec<Duration>);

impl Samples {
    pub(crate) fn push(&mut self, sample: Duration) {
        self.0.push(sample);
    }

    pub(crate) fn extend(&mut self, other: Self) {
        self.0.extend(other.0);
    }

    pub(crate) fn len(&self) -> usize {
        self.0.len()
    }

    /// The samples in order of size.
    pub(crate) fn sorted(mut self) -> Sorted {
        self.0.sort_unstable();
        Sorted(self.0)
    }
}

/// Samples in order of size.
#[derive(Debug, Clone)]
pub(crate) struct Sorted(Vec<Duration>);

impl Sorted {
    /// The smallest sample that so many of a hundred do not exceed, in milliseconds; 0 of no samples.
    pub(crate) fn percentile_ms(&self, percent: usize) -> f64 {
        let rank = (self.0.len() * percent).div_ceil(100).max(1);
        self.0.get(rank - 1).copied().unwrap_or_default().as_secs_f64() * 1000.0
    }

    pub(crate) fn median_ms(&self) -> f64 {
        self.percentile_ms(50)
    }
}

/// The one in the middle; 0 of no values.
pub(crate) fn median(mut values: Vec<f64>) -> f64 {
    values.sort_by(f64::total_cmp);
    values.get(values.len() / 2).copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_median_is_the_one_in_the_middle() {
        assert_eq!(median(vec![3.0, 1.0, 100.0]), 3.0);
        assert_eq!(median(Vec::new()), 0.0);
    }

    #[test]
    fn percentiles_are_samples() {
        let mut samples = Samples::default();
        for ms in (1..=200).rev() {
            samples.push(Duration::from_millis(ms));
        }
        let sorted = samples.sorted();
        assert_eq!([1, 50, 99, 100].map(|percent| sorted.percentile_ms(percent)), [2.0, 100.0, 198.0, 200.0]);
        assert_eq!(Samples::default().sorted().percentile_ms(99), 0.0);
    }
}
