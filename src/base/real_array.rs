//! Arrays of reals in the precision that they were computed in: those of a device in f32 stay so up to the file.

use std::borrow::Cow;
use std::ops::Range;

/// An array of reals in f32 or f64. Two are equal if their values are.
#[derive(Clone, Debug)]
pub enum RealArray {
    /// In 32 bits.
    F32(Vec<f32>),
    /// In 64 bits.
    F64(Vec<f64>),
}

/// A part of a [`RealArray`].
#[derive(Clone, Copy, Debug)]
pub enum RealSlice<'a> {
    /// In 32 bits.
    F32(&'a [f32]),
    /// In 64 bits.
    F64(&'a [f64]),
}

/// A part of a [`RealArray`] that can be written.
#[derive(Debug)]
pub enum RealSliceMut<'a> {
    /// In 32 bits.
    F32(&'a mut [f32]),
    /// In 64 bits.
    F64(&'a mut [f64]),
}

/// Evaluates an expression with the values of either precision.
macro_rules! of_either {
    ($kind:ident, $this:expr, $values:ident => $body:expr) => {
        match $this {
            $kind::F32($values) => $body,
            $kind::F64($values) => $body,
        }
    };
}
pub(crate) use of_either;

impl RealArray {
    /// Returns the number of values.
    pub fn len(&self) -> usize {
        of_either!(Self, self, v => v.len())
    }

    /// Whether there are no values.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Returns the value at an index.
    ///
    /// # Panics
    /// If there is none.
    pub fn at(&self, index: usize) -> f64 {
        self.all().at(index)
    }

    /// Returns all values.
    pub fn all(&self) -> RealSlice<'_> {
        match self {
            Self::F32(v) => RealSlice::F32(v),
            Self::F64(v) => RealSlice::F64(v),
        }
    }

    /// Returns all values, to be written.
    pub fn all_mut(&mut self) -> RealSliceMut<'_> {
        match self {
            Self::F32(v) => RealSliceMut::F32(v),
            Self::F64(v) => RealSliceMut::F64(v),
        }
    }

    /// Returns some values.
    ///
    /// # Panics
    /// If `range` reaches beyond them.
    pub fn part(&self, range: Range<usize>) -> RealSlice<'_> {
        self.all().part(range)
    }

    /// Returns some values, to be written.
    pub(crate) fn part_mut(&mut self, range: Range<usize>) -> RealSliceMut<'_> {
        match self {
            Self::F32(v) => RealSliceMut::F32(&mut v[range]),
            Self::F64(v) => RealSliceMut::F64(&mut v[range]),
        }
    }

    /// Whether the values are in f32.
    pub fn is_f32(&self) -> bool {
        matches!(self, Self::F32(_))
    }

    /// Returns the values in f64, copied if they are in f32.
    pub fn to_f64(&self) -> Cow<'_, [f64]> {
        self.all().to_f64()
    }

    /// Returns the values in order.
    pub fn iter(&self) -> impl ExactSizeIterator<Item = f64> + Clone + '_ {
        self.all().iter()
    }

    /// Returns the values in f64, which they are from now on.
    pub fn make_f64(&mut self) -> &mut Vec<f64> {
        if let Self::F32(values) = self {
            *self = Self::F64(values.iter().map(|&value| value.into()).collect());
        }
        match self {
            Self::F64(values) => values,
            Self::F32(_) => unreachable!("they were converted"),
        }
    }

    /// Returns the values in f64.
    pub fn into_f64(mut self) -> Vec<f64> {
        std::mem::take(self.make_f64())
    }
}

impl Default for RealArray {
    fn default() -> Self {
        Self::F64(Vec::new())
    }
}

impl FromIterator<f64> for RealArray {
    fn from_iter<I: IntoIterator<Item = f64>>(values: I) -> Self {
        Self::F64(values.into_iter().collect())
    }
}

impl From<Vec<f32>> for RealArray {
    fn from(values: Vec<f32>) -> Self {
        Self::F32(values)
    }
}

impl From<Vec<f64>> for RealArray {
    fn from(values: Vec<f64>) -> Self {
        Self::F64(values)
    }
}

impl PartialEq for RealArray {
    fn eq(&self, other: &Self) -> bool {
        self.all() == other.all()
    }
}

impl<'a> RealSlice<'a> {
    /// Returns the number of values.
    pub fn len(self) -> usize {
        of_either!(Self, self, v => v.len())
    }

    /// Whether there are no values.
    pub fn is_empty(self) -> bool {
        self.len() == 0
    }

    /// Returns the value at an index.
    ///
    /// # Panics
    /// If there is none.
    pub fn at(self, index: usize) -> f64 {
        match self {
            Self::F32(v) => v[index].into(),
            Self::F64(v) => v[index],
        }
    }

    /// Returns some values.
    ///
    /// # Panics
    /// If `range` reaches beyond them.
    pub fn part(self, range: Range<usize>) -> Self {
        match self {
            Self::F32(v) => Self::F32(&v[range]),
            Self::F64(v) => Self::F64(&v[range]),
        }
    }

    /// Returns the values in order.
    pub fn iter(self) -> impl ExactSizeIterator<Item = f64> + Clone + 'a {
        (0..self.len()).map(move |index| self.at(index))
    }

    /// Returns the values in f64.
    pub fn to_f64(self) -> Cow<'a, [f64]> {
        match self {
            Self::F32(v) => v.iter().map(|&value| value.into()).collect(),
            Self::F64(v) => Cow::Borrowed(v),
        }
    }

    /// Returns a copy in the same precision.
    pub fn to_array(self) -> RealArray {
        of_either!(Self, self, v => v.to_vec().into())
    }

    /// Copies the values to f64.
    ///
    /// # Panics
    /// If `to` has another length.
    pub(crate) fn copy_to(self, to: &mut [f64]) {
        match self {
            Self::F32(v) => {
                assert_eq!(v.len(), to.len(), "as many places as values");
                to.iter_mut().zip(v).for_each(|(to, from)| *to = (*from).into());
            }
            Self::F64(v) => to.copy_from_slice(v),
        }
    }
}

impl PartialEq for RealSlice<'_> {
    fn eq(&self, other: &Self) -> bool {
        match (self, other) {
            (Self::F32(a), Self::F32(b)) => a == b,
            (Self::F64(a), Self::F64(b)) => a == b,
            _ => self.iter().eq(other.iter()),
        }
    }
}

impl<'a> RealSliceMut<'a> {
    /// Returns the number of values.
    pub(crate) fn len(&self) -> usize {
        of_either!(Self, self, v => v.len())
    }

    /// Copies values.
    ///
    /// # Panics
    /// If there are more or fewer, or if values in f64 are to become f32.
    pub(crate) fn copy_from(self, from: RealSlice) {
        match (self, from) {
            (Self::F32(to), RealSlice::F32(from)) => to.copy_from_slice(from),
            (Self::F64(to), from) => from.copy_to(to),
            (Self::F32(_), RealSlice::F64(_)) => panic!("values in f64 would be rounded"),
        }
    }

    /// Takes the first `n` from the values; the rest stays.
    pub(crate) fn take_first(&mut self, n: usize) -> Self {
        match self {
            Self::F32(v) => Self::F32(v.split_off_mut(..n).expect("there are so many")),
            Self::F64(v) => Self::F64(v.split_off_mut(..n).expect("there are so many")),
        }
    }

    /// Cuts the values into parts of `n`, the last of which may be shorter.
    pub(crate) fn parts(mut self, n: usize) -> Vec<Self> {
        let count = self.len().div_ceil(n);
        (0..count).map(|_| self.take_first(n.min(self.len()))).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn values_are_the_same_in_either_precision() {
        let values = [1.5, -0.25, 3e20, 0.0];
        let (narrow, wide) = (
            RealArray::from(values.map(|v| v as f32).to_vec()),
            RealArray::from(values.map(|v| f64::from(v as f32)).to_vec()),
        );
        assert_eq!(narrow, wide);
        assert_ne!(narrow, RealArray::from(vec![1.5, -0.25, 3e20, 1e-30]));
        assert_ne!(wide, RealArray::from(vec![1.5f32]));
        for array in [&narrow, &wide] {
            assert_eq!((array.len(), array.at(1)), (4, -0.25));
            assert_eq!(array.part(1..3).to_f64()[..], [-0.25, f64::from(3e20f32)]);
            let mut copy = [0.0; 2];
            array.part(0..2).copy_to(&mut copy);
            assert_eq!(copy, [1.5, -0.25]);
        }
        assert_eq!(narrow.clone().into_f64(), wide.iter().collect::<Vec<_>>());
        assert!(RealArray::from(vec![f64::NAN]) != RealArray::from(vec![f32::NAN]));
    }

    #[test]
    fn parts_cover_all_values_in_order() {
        let mut array = RealArray::from((0..7).map(|v| v as f32).collect::<Vec<_>>());
        let mut parts = array.all_mut().parts(3);
        assert_eq!(parts.iter().map(RealSliceMut::len).collect::<Vec<_>>(), [3, 3, 1]);
        if let RealSliceMut::F32(part) = &mut parts[2] {
            part[0] = 60.0;
        }
        assert_eq!(array.iter().collect::<Vec<_>>(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0, 60.0]);
        array.make_f64()[0] = 0.1;
        assert_eq!(array.at(0), 0.1);
    }
}
