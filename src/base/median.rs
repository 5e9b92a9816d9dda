//! The median, by numpy's definition: the mean of the middle two of an even count.

/// Returns the median of `values`, NaN if there are none. NaN sorts last.
pub fn median(values: Vec<f64>) -> f64 {
    median_of(values)
}

/// Returns the median of `values`, see [`median`].
pub fn median_of(values: impl IntoIterator<Item = f64>) -> f64 {
    let ranks: Vec<i64> = values.into_iter().map(rank).collect();
    let count = ranks.len();
    median_of_first(ranks, count)
}

/// Returns the median of the values that are not left out, see [`median`].
pub fn median_without(values: &[f64], left_out: &[bool]) -> f64 {
    // Those left out come last.
    let rank = |(value, left_out): (&f64, &bool)| if *left_out { i64::MAX } else { rank(*value) };
    let count = left_out.iter().filter(|left_out| !**left_out).count();
    median_of_first(values.iter().zip(left_out).map(rank).collect(), count)
}

/// Returns the median of the values with the `count` smallest ranks. Integers are selected two times faster than numbers.
fn median_of_first(mut ranks: Vec<i64>, count: usize) -> f64 {
    if count == 0 {
        return f64::NAN;
    }
    let (half, odd) = (count / 2, count % 2 == 1);
    let (below, &mut middle, _) = ranks.select_nth_unstable(half);
    let left = if odd { None } else { below.iter().copied().max() };
    let value = |rank: i64| f64::from_bits(ordered(rank).cast_unsigned());
    left.map_or(value(middle), |left| 0.5 * (value(left) + value(middle)))
}

/// Returns the rank of a number in the order of [`f64::total_cmp`].
fn rank(value: f64) -> i64 {
    ordered(value.to_bits().cast_signed())
}

/// Converts the bits of a number to an integer in the order of [`f64::total_cmp`], and back.
fn ordered(bits: i64) -> i64 {
    bits ^ ((bits >> 63).cast_unsigned() >> 1).cast_signed()
}

#[cfg(test)]
mod tests {
    use super::{median, median_without};

    #[test]
    fn median_is_the_middle_or_the_mean_of_the_middle_two() {
        assert_eq!(median(vec![3.0, 1.0, 2.0]), 2.0);
        assert_eq!(median(vec![4.0, 1.0, 3.0, 2.0]), 2.5);
        assert_eq!(median(vec![7.0]), 7.0);
        assert!(median(vec![]).is_nan());
        assert_eq!(median(vec![-1.5, -3.0, f64::NAN, 0.25, -0.0]), -0.0);
        assert_eq!(median(vec![-1.5, -3.0, f64::INFINITY, -2e-310]), 0.5 * (-1.5 - 2e-310));
    }

    #[test]
    fn values_left_out_have_no_part_in_the_median() {
        let values = [3.0, f64::NAN, -7.0, 1.0, f64::INFINITY, 2.0];
        assert_eq!(median_without(&values, &[false, true, true, false, true, false]), 2.0);
        assert_eq!(median_without(&values, &[false, true, false, false, true, false]), 1.5);
        assert!(median_without(&values, &[true; 6]).is_nan());
        assert!(median_without(&values, &[true, false, true, true, true, true]).is_nan());
    }
}
