//! A PSF from measured places and widths of spots, by Legendre series of every fibre.

use super::traces::{legendre, legendre_fit, unit};
use crate::psf::{Dispersion, Form, LegendreSeries, MOST_HALF_SIZE, Psf, PsfError, PsfParts};
use std::collections::BTreeMap;

/// Half of a window in units of the largest width: what is outside is less than 1e-6 of a Gaussian.
const SIGMAS: f64 = 5.0;
/// Most terms of a series; beyond them it is no fit.
const MOST_TRACE_TERMS: usize = 21;

/// Fibres whose ranges have less than this of the longest in common get a range each.
const LEAST_COMMON: f64 = 0.5;

/// Measured spots: one per place of each list.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Spots {
    /// Numbers of the fibres.
    pub fibre: Vec<i64>,
    /// Wavelengths, Angstrom.
    pub wave: Vec<f64>,
    /// Columns of their centres, pixels; the centre of the first pixel is 0.
    pub x: Vec<f64>,
    /// Rows of their centres, pixels.
    pub y: Vec<f64>,
    /// Standard deviations along columns, pixels.
    pub sigma_x: Vec<f64>,
    /// Standard deviations along rows, pixels.
    pub sigma_y: Vec<f64>,
    /// Gauss-Hermite terms GH-i-j other than GH-0-0, which is 1.
    pub terms: Vec<([usize; 2], Vec<f64>)>,
}

/// How spots become a PSF.
#[derive(Clone, Debug, PartialEq)]
pub struct TraceFit {
    /// Columns and rows of the CCD.
    pub npix: [usize; 2],
    /// Largest degree of the traces. A fibre gets less where its spots are fewer than twice the terms.
    pub trace_degree: usize,
    /// Largest degree of widths and Gauss-Hermite terms.
    pub width_degree: usize,
    /// Half size of a window along x and y; None for five times the largest width.
    pub half: [Option<usize>; 2],
    /// CAMERA.
    pub camera: Option<String>,
}

/// How far spots are from the fit of one quantity.
#[derive(Clone, Debug, PartialEq)]
pub struct Residual {
    /// The quantity: x, y, sigma_x, sigma_y or GH-i-j.
    pub quantity: String,
    /// Root of the mean square over all spots.
    pub rms: f64,
    /// The largest one.
    pub worst: f64,
    /// Number of the fibre that has it.
    pub fibre: i64,
    /// Its wavelength, Angstrom.
    pub wave: f64,
}

/// Spots that make no PSF.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[non_exhaustive]
pub enum TraceFitError {
    /// There are none.
    #[error("there are no spots: give at least two per fibre")]
    Empty,
    /// A list has another length.
    #[error("{quantity} has {found} numbers, wavelength {expected}: give one per spot")]
    Length {
        /// The list.
        quantity: String,
        /// Its length.
        found: usize,
        /// The number of spots.
        expected: usize,
    },
    /// A number cannot be.
    #[error("spot {spot} (from 0) has {quantity} {value}: give {rule}")]
    Value {
        /// The spot.
        spot: usize,
        /// The quantity.
        quantity: String,
        /// Its value.
        value: f64,
        /// The rule.
        rule: &'static str,
    },
    /// A fibre has too few spots.
    #[error("fibre {fibre} has spots at {found} wavelengths: give at least two, or leave it out")]
    Few {
        /// The fibre.
        fibre: i64,
        /// Its different wavelengths.
        found: usize,
    },
    /// A degree is beyond its limit.
    #[error("degree {0} of a series: give at most {most}", most = MOST_TRACE_TERMS - 1)]
    Degree(usize),
    /// The series make no PSF.
    #[error(transparent)]
    Psf(#[from] PsfError),
}

impl Spots {
    /// Lists all quantities but fibre and wavelength with their names.
    fn quantities(&self) -> Vec<(String, &[f64])> {
        let named = [("x", &self.x), ("y", &self.y), ("sigma_x", &self.sigma_x), ("sigma_y", &self.sigma_y)];
        let named = named.map(|(name, values)| (name.to_string(), &values[..]));
        let terms = self.terms.iter().map(|([i, j], values)| (format!("GH-{i}-{j}"), &values[..]));
        named.into_iter().chain(terms).collect()
    }

    fn check(&self) -> Result<(), TraceFitError> {
        let expected = self.wave.len();
        let fibre = [("fibre".to_string(), self.fibre.len())];
        let mut lengths = self.quantities().into_iter().map(|(name, values)| (name, values.len())).chain(fibre);
        if let Some((quantity, found)) = lengths.find(|(_, found)| *found != expected) {
            return Err(TraceFitError::Length { quantity, found, expected });
        }
        let wave = [("wavelength".to_string(), &self.wave[..])];
        for (quantity, values) in self.quantities().into_iter().chain(wave) {
            let positive = quantity.starts_with("sigma") || quantity == "wavelength";
            let wrong = |v: &f64| !v.is_finite() || (positive && *v <= 0.0);
            if let Some(spot) = values.iter().position(wrong) {
                let rule = if positive { "a positive number" } else { "a finite number" };
                return Err(TraceFitError::Value { spot, quantity, value: values[spot], rule });
            }
        }
        if expected == 0 { Err(TraceFitError::Empty) } else { Ok(()) }
    }

    /// Returns the spots of every fibre, by its number.
    fn by_fibre(&self) -> BTreeMap<i64, Vec<usize>> {
        let mut all = BTreeMap::<i64, Vec<usize>>::new();
        self.fibre.iter().enumerate().for_each(|(spot, fibre)| all.entry(*fibre).or_default().push(spot));
        all
    }
}

/// Fits a Gauss-Hermite PSF to spots. Fibres whose wavelengths have little in common get a range each. The PSF is turned where their traces run along x; its fibres are those of the spots, in the order of their numbers. Returns it with the
/// residuals of every quantity.
///
/// # Errors
/// [`TraceFitError`] of the first list, number, fibre or degree that cannot be.
pub fn fit_traces(spots: &Spots, how: &TraceFit) -> Result<(Psf, Vec<Residual>), TraceFitError> {
    spots.check()?;
    if let Some(degree) = [how.trace_degree, how.width_degree].into_iter().find(|degree| *degree >= MOST_TRACE_TERMS) {
        return Err(TraceFitError::Degree(degree));
    }
    let fibres = spots.by_fibre();
    for (fibre, own) in &fibres {
        let mut waves: Vec<f64> = own.iter().map(|&spot| spots.wave[spot]).collect();
        waves.sort_by(f64::total_cmp);
        waves.dedup();
        if waves.len() < 2 {
            return Err(TraceFitError::Few { fibre: *fibre, found: waves.len() });
        }
    }
    let own: Vec<[f64; 2]> = fibres.values().map(|own| ends_of(own.iter().map(|&spot| spots.wave[spot]))).collect();
    let ranges = have_little_in_common(&own).then_some(own);
    // The scale of ranges is the one in the middle.
    let ends = match &ranges {
        Some(own) => own[own.len() / 2],
        None => ends_of(spots.wave.iter().copied()),
    };
    let on_scale = |row: usize, wave: f64| unit(ranges.as_ref().map_or(ends, |own| own[row]), wave);
    let fit = |values: &[f64], degree: usize| {
        let of_fibre = |(row, own): (usize, &Vec<usize>)| {
            let u: Vec<f64> = own.iter().map(|&spot| on_scale(row, spots.wave[spot])).collect();
            let values: Vec<f64> = own.iter().map(|&spot| values[spot]).collect();
            // Half as many terms as spots, so that residuals tell of the fit.
            let terms = (degree + 1).min((own.len() / 2).max(2));
            let mut coeff = legendre_fit(&u, &values, terms);
            coeff.resize(degree + 1, 0.0);
            coeff
        };
        LegendreSeries {
            domain: ends,
            ncoeff: degree + 1,
            coeff: fibres.values().enumerate().flat_map(of_fibre).collect(),
        }
    };
    let quantities = spots.quantities();
    let is_trace = |k: usize| k < 2;
    let degree = |k: usize| if is_trace(k) { how.trace_degree } else { how.width_degree };
    let series: Vec<LegendreSeries> =
        quantities.iter().enumerate().map(|(k, (_, values))| fit(values, degree(k))).collect();
    let residuals = quantities
        .iter()
        .zip(&series)
        .map(|((name, values), series)| residual(name, values, series, spots, &fibres, &on_scale))
        .collect();
    let constant = |value: f64| {
        let ncoeff = how.width_degree + 1;
        let mut coeff = vec![0.0; ncoeff * fibres.len()];
        coeff.chunks_mut(ncoeff).for_each(|of_fibre| of_fibre[0] = value);
        LegendreSeries { domain: ends, ncoeff, coeff }
    };
    let most = |axis: usize| spots.terms.iter().map(|(orders, _)| orders[axis]).max().unwrap_or(0);
    let [gh_degree_x, gh_degree_y] = [most(0), most(1)];
    let mut gh = vec![constant(0.0); (gh_degree_x + 1) * (gh_degree_y + 1)];
    gh[0] = constant(1.0);
    for (([i, j], _), series) in spots.terms.iter().zip(&series[4..]) {
        if [*i, *j] != [0, 0] {
            gh[i * (gh_degree_y + 1) + j] = series.clone();
        }
    }
    let half = |given: Option<usize>, widths: &[f64]| {
        let largest = widths.iter().copied().fold(0.0, f64::max);
        given.unwrap_or(((SIGMAS * largest).ceil() as usize).clamp(2, MOST_HALF_SIZE))
    };
    let numbers: Vec<i64> = fibres.keys().copied().collect();
    let follow = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
    let psf = Psf::new(PsfParts {
        nfibre: numbers.len(),
        fibermin: numbers[0],
        numbers: (!follow).then(|| numbers.clone()),
        dispersion: Dispersion::AlongY,
        trace_x: series[0].clone(),
        trace_y: series[1].clone(),
        form: Form::GaussHermite,
        sigma_x: series[2].clone(),
        sigma_y: series[3].clone(),
        gh,
        gh_degree_x,
        gh_degree_y,
        tails: None,
        half_x: half(how.half[0], &spots.sigma_x),
        half_y: half(how.half[1], &spots.sigma_y),
        npix_x: how.npix[0],
        npix_y: how.npix[1],
        ranges,
        waves: None,
        wave_min: ends[0],
        wave_max: ends[1],
        psferr: 0.01,
        camera: how.camera.clone(),
    })?;
    Ok((psf.turned_by_traces(), residuals))
}

/// Returns the smallest and the largest of some wavelengths.
fn ends_of(waves: impl Iterator<Item = f64>) -> [f64; 2] {
    waves.fold([f64::MAX, f64::MIN], |[low, high], w| [low.min(w), high.max(w)])
}

/// Whether fibres need a range each: orders of an echelle, or fields that are staggered far.
fn have_little_in_common(ranges: &[[f64; 2]]) -> bool {
    let common = ranges.iter().fold([0.0, f64::MAX], |all, own| [f64::max(all[0], own[0]), f64::min(all[1], own[1])]);
    let longest = ranges.iter().map(|[low, high]| high - low).fold(0.0, f64::max);
    common[1] - common[0] < LEAST_COMMON * longest
}

/// Measures how far spots are from a series.
fn residual(
    name: &str,
    values: &[f64],
    series: &LegendreSeries,
    spots: &Spots,
    fibres: &BTreeMap<i64, Vec<usize>>,
    on_scale: &dyn Fn(usize, f64) -> f64,
) -> Residual {
    let mut found = Residual { quantity: name.into(), rms: 0.0, worst: 0.0, fibre: 0, wave: 0.0 };
    for (row, (fibre, own)) in fibres.iter().enumerate() {
        for &spot in own {
            let wave = spots.wave[spot];
            let off = (values[spot] - legendre(series.of(row), on_scale(row, wave))).abs();
            found.rms += off * off;
            if off > found.worst || found.wave == 0.0 {
                (found.worst, found.fibre, found.wave) = (off, *fibre, wave);
            }
        }
    }
    found.rms = (found.rms / values.len() as f64).sqrt();
    found
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Spots of two fibres along known series.
    fn spots() -> Spots {
        let mut spots = Spots { terms: vec![([1, 2], Vec::new())], ..Spots::default() };
        for fibre in [7, 8] {
            for k in 0..20 {
                let (u, first) = (f64::from(k) / 9.5 - 1.0, f64::from(10 * (fibre - 6)));
                spots.fibre.push(i64::from(fibre));
                spots.wave.push(5500.0 + 500.0 * u);
                spots.x.push(first + legendre(&[0.0, 1.0, 2.0], u));
                spots.y.push(legendre(&[100.0, 90.0, -3.0, 0.5], u));
                spots.sigma_x.push(1.2 + 0.1 * u);
                spots.sigma_y.push(1.4);
                spots.terms[0].1.push(0.02);
            }
        }
        spots
    }

    fn how() -> TraceFit {
        TraceFit { npix: [40, 200], trace_degree: 5, width_degree: 2, half: [None, Some(8)], camera: None }
    }

    #[test]
    fn the_psf_has_the_series_that_its_spots_lie_on() {
        let (psf, residuals) = fit_traces(&spots(), &how()).unwrap();
        assert_eq!((psf.nfibre, psf.fibermin, psf.half_x, psf.half_y), (2, 7, 7, 8));
        assert_eq!((psf.gh_degree_x, psf.gh_degree_y, psf.gh[0].of(1)), (1, 2, &[1.0, 0.0, 0.0][..]));
        let close = |found: &[f64], expected: &[f64]| {
            found.iter().zip(expected.iter().chain(&[0.0; 9])).all(|(a, b)| (a - b).abs() < 1e-10)
        };
        assert!(close(psf.trace_x.of(1), &[20.0, 1.0, 2.0]) && close(psf.trace_y.of(0), &[100.0, 90.0, -3.0, 0.5]));
        assert!(close(psf.sigma_x.of(0), &[1.2, 0.1]) && close(psf.gh[5].of(1), &[0.02]));
        let names: Vec<&str> = residuals.iter().map(|residual| &residual.quantity[..]).collect();
        assert_eq!(names, ["x", "y", "sigma_x", "sigma_y", "GH-1-2"]);
        assert!(residuals.iter().all(|residual| residual.worst < 1e-10));
    }

    #[test]
    fn a_spot_off_the_series_is_told_with_fibre_and_wavelength() {
        let mut off = spots();
        off.y[30] += 1.0;
        let (_, residuals) = fit_traces(&off, &how()).unwrap();
        let y = &residuals[1];
        assert!((0.5..1.0).contains(&y.worst) && y.fibre == 8 && y.wave == off.wave[30], "{y:?}");
    }

    #[test]
    fn spots_that_make_no_psf_are_refused_by_a_sentence() {
        type Change = fn(&mut Spots);
        let wrong: [(Change, &str); 6] = [
            (|s| *s = Spots::default(), "there are no spots"),
            (|s| s.y.truncate(3), "y has 3 numbers, wavelength 40"),
            (|s| s.x[4] = f64::NAN, "spot 4 (from 0) has x NaN"),
            (|s| s.sigma_y[2] = 0.0, "spot 2 (from 0) has sigma_y 0: give a positive number"),
            (|s| s.fibre[39] = 11, "fibre 11 has spots at 1 wavelengths"),
            (|s| s.terms[0].1.clear(), "GH-1-2 has 0 numbers"),
        ];
        for (change, expected) in wrong {
            let mut spots = spots();
            change(&mut spots);
            let error = fit_traces(&spots, &how()).unwrap_err().to_string();
            assert!(error.starts_with(expected), "{expected}: {error}");
        }
        assert!(fit_traces(&spots(), &TraceFit { trace_degree: 99, ..how() }).is_err());
    }
}
