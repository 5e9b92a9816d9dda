//! Large arrays that are used again. Memory that is new to a process costs several times what it takes to fill it. The system
//! zeros it page by page, at the first touch.

use super::real_array::RealArray;
use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Fewest values of an array that is kept: the allocator keeps smaller ones.
const LEAST: usize = 1 << 17;

/// Most values of a kind that are kept: those of a frame of 500 fibres and more.
const MOST: usize = 48 << 20;

/// Values that a thread zeros at a time.
const PART: usize = 1 << 16;

/// Arrays given back, those given last at the end.
type Kept<T> = Mutex<Vec<Vec<T>>>;

/// A kind of values.
pub(crate) trait Recycled: Copy + Default + Send + Sync + 'static {
    /// Arrays of this kind.
    fn kept() -> &'static Kept<Self>;
}

macro_rules! recycled {
    ($($kind:ty),*) => {
        $(impl Recycled for $kind {
            fn kept() -> &'static Kept<Self> {
                static KEPT: Kept<$kind> = Mutex::new(Vec::new());
                &KEPT
            }
        })*
    };
}

recycled!(f32, f64, u32, bool);

/// Returns `len` zeros, in memory of an array given back if one is not much longer.
pub(crate) fn zeros<T: Recycled>(len: usize) -> Vec<T> {
    let Some(mut values) = known(len) else { return vec![T::default(); len] };
    values.par_chunks_mut(PART).for_each(|part| part.fill(T::default()));
    values
}

/// Returns `len` values that the caller overwrites: those of an array given back if one is not much longer, else zeros.
pub(crate) fn any<T: Recycled>(len: usize) -> Vec<T> {
    known(len).unwrap_or_else(|| vec![T::default(); len])
}

/// Returns the first `len` values of an array given back if one is not much longer.
fn known<T: Recycled>(len: usize) -> Option<Vec<T>> {
    let fits = |kept: &Vec<T>| (len..=len + len / 8).contains(&kept.len());
    let known = (len >= LEAST).then(|| {
        let mut all = T::kept().lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rposition(fits).map(|at| all.remove(at))
    });
    let mut values = known.flatten()?;
    values.truncate(len);
    Some(values)
}

/// Gives back an array that nobody needs.
pub(crate) fn give_array(values: RealArray) {
    match values {
        RealArray::F32(values) => give(values),
        RealArray::F64(values) => give(values),
    }
}

/// Gives back values that nobody needs.
pub(crate) fn give<T: Recycled>(values: Vec<T>) {
    if values.len() < LEAST {
        return;
    }
    let mut all = T::kept().lock().unwrap_or_else(PoisonError::into_inner);
    all.push(values);
    while all.iter().map(Vec::capacity).sum::<usize>() > MOST {
        all.remove(0);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_array_that_comes_again_is_zeros_in_the_same_memory_where_it_is_not_much_longer() {
        // Lengths of its own: other tests give arrays, too.
        let len = 5 * LEAST + 77;
        let place = |values: &Vec<f64>| values.as_ptr();
        let mut first = zeros::<f64>(len);
        first.fill(3.0);
        let at = place(&first);
        give(first);
        let shorter = zeros::<f64>(len - LEAST / 2);
        assert!(place(&shorter) == at && shorter.len() == len - LEAST / 2 && shorter.iter().all(|v| *v == 0.0));
        give(shorter);
        // Of its own length, too.
        give(vec![2.5; 3 * LEAST + 13]);
        assert_eq!(any::<f64>(3 * LEAST + 13)[1], 2.5);
        assert_ne!(place(&zeros(len / 2)), at);
        assert_ne!(place(&zeros(len)), at, "it is too short now");
        give(vec![1.0; 10]);
        assert_eq!(zeros::<f32>(10), [0.0; 10]);
    }
}
