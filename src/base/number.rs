//! Numbers in messages, short enough to read.

/// Formats a number as a person would write it: 0.8 and 1000, but 1e300.
pub(crate) fn short(value: f64) -> String {
    let plain = value == 0.0 || (1e-4..1e10).contains(&value.abs());
    if plain { value.to_string() } else { format!("{value:e}") }
}

/// Formats a measured number with three digits that count.
pub(crate) fn rounded(value: f64) -> String {
    format!("{value:.2e}").parse().map_or_else(|_| value.to_string(), short)
}

/// Lists ascending numbers, runs of them as ranges: `2`, `7-8`.
pub(crate) fn runs(numbers: &[i64]) -> Vec<String> {
    numbers
        .chunk_by(|a, b| *b == a + 1)
        .map(|run| if run.len() == 1 { run[0].to_string() } else { format!("{}-{}", run[0], run[run.len() - 1]) })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::{rounded, runs, short};

    #[test]
    fn neighbouring_numbers_are_listed_as_a_range() {
        assert_eq!(runs(&[2, 7, 8, 9, 11]), ["2", "7-9", "11"]);
        assert!(runs(&[]).is_empty());
    }

    #[test]
    fn every_number_is_short_and_reads_back_as_itself() {
        for value in [0.0, -0.8, 1000.0, 1e300, -1e-300, f64::MAX, f64::MIN_POSITIVE, 1.0 / 3.0, f64::INFINITY] {
            let text = short(value);
            assert!(text.len() <= 24 && text.parse() == Ok(value), "{text}");
        }
        assert_eq!(
            [rounded(0.123456), rounded(41.239), rounded(1.0), rounded(f64::INFINITY)],
            ["0.123", "41.2", "1", "inf"]
        );
        assert_eq!([short(0.8), short(1000.0), short(f64::NAN)], ["0.8", "1000", "NaN"]);
    }
}
