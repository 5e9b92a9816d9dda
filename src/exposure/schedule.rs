//! The order of frames: longest first, so that no long frame is left for the end of a run.

use crate::extract::Request;
use std::cmp::Reverse;

/// Fibres and bins assumed where the request names none: those of a DESI r camera.
const DEFAULT_SIZE: [usize; 2] = [500, 2326];

/// Returns the indices of `requests`, longest first; ties keep the given order.
pub fn longest_first(requests: &[Request]) -> Vec<usize> {
    let mut order: Vec<usize> = (0..requests.len()).collect();
    order.sort_by_cached_key(|&i| Reverse(cost(&requests[i])));
    order
}

/// Estimates the cost of a frame: bins to extract, then bytes of the input.
fn cost(request: &Request) -> (usize, u64) {
    let nwave = request.wavelength.map_or(DEFAULT_SIZE[1], |range| range.steps().max(0.0) as usize);
    let nspec = request.options.nspec.unwrap_or(DEFAULT_SIZE[0]);
    let bytes = std::fs::metadata(&request.input).map_or(0, |file| file.len());
    (nspec.saturating_mul(nwave), bytes)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn frames_of_more_bins_come_first_and_equal_ones_stay_in_order() {
        let request = |nspec, wmax| {
            let mut request = Request::new("none.fits", "psf.fits", "frame.fits");
            request.options.nspec = nspec;
            request.wavelength = Some((5000.0, wmax, 1.0).into());
            request
        };
        let requests = [request(Some(25), 6000.0), request(None, 5100.0), request(None, 6000.0), request(None, 5100.0)];
        assert_eq!(longest_first(&requests), [2, 1, 3, 0]);
    }
}
