//! Large arrays that are used again. Memory that is new to a process costs several times what it takes to fill it. The system
//! zeros it page by page, at the first touch.

use rayon::prelude::*;
use std::sync::{Mutex, PoisonError};

/// Fewest values of an array that is kept: the allocator keeps smaller ones.
const LEAST: usize = 1 << 17;

/// Most values that are kept: two frames of 500 fibres.
const MOST: usize = 48 << 20;

/// Values that a thread zeros at a time.
const PART: usize = 1 << 16;

/// Those given back last come last.
static KEPT: Mutex<Vec<Vec<f64>>> = Mutex::new(Vec::new());

/// Returns `len` zeros, in memory of an array given back if one is not much longer.
pub(crate) fn zeros(len: usize) -> Vec<f64> {
    let fits = |kept: &Vec<f64>| (len..=len + len / 8).contains(&kept.len());
    let known = (len >= LEAST).then(|| {
        let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
        all.iter().rposition(fits).map(|at| all.remove(at))
    });
    let Some(mut values) = known.flatten() else { return vec![0.0; len] };
    values.truncate(len);
    values.par_chunks_mut(PART).for_each(|part| part.fill(0.0));
    values
}

/// Gives back an array that nobody needs.
pub(crate) fn give(values: Vec<f64>) {
    if values.len() < LEAST {
        return;
    }
    let mut all = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
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
        let mut first = zeros(len);
        first.fill(3.0);
        let at = place(&first);
        give(first);
        let shorter = zeros(len - LEAST / 2);
        assert!(place(&shorter) == at && shorter.len() == len - LEAST / 2 && shorter.iter().all(|v| *v == 0.0));
        give(shorter);
        assert_ne!(place(&zeros(len / 2)), at);
        assert_ne!(place(&zeros(len)), at, "it is too short now");
        give(vec![1.0; 10]);
        assert_eq!(zeros(10), [0.0; 10]);
    }
}
