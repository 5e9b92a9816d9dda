//! A grid per fibre: wavelengths of its own for every bin of every fibre.
//!
//! All stages work on one scale that the fibres have in common. A table makes a new scale, with bins at equal steps, and the series
//! of the PSF become series on it. So bins of any spacing cost nothing, on any device, with any solver.

use super::legendre::{legendre, legendre_fit, polynomials, unit};
pub use super::wave_table_error::WaveTableError;
use crate::geometry::WaveGrid;
use crate::psf::{LegendreSeries, Psf, PsfError};
use nalgebra::DMatrix;
use rayon::prelude::*;
use std::ops::Range;

/// Bins may lie off a smooth function of their number by this part of a bin: what is written is that function.
const LARGEST_STRAY: f64 = 2e-3;
/// Below this part of a bin a function is as good as the table.
const NO_STRAY: f64 = 1e-6;
/// Largest degree of wavelength as a function of the bin.
const MOST_WAVE_DEGREE: usize = 16;
/// Largest degree of a trace as a function of the bin, and the error that it may have, pixels.
const MOST_DEGREE: usize = 56;
const TRACE_ERROR: f64 = 1e-7;
/// Bins beyond both ends for which the series serve, too.
const MARGIN: f64 = 24.0;

/// Wavelengths of bins, `[nfibre, nwave]`, Angstrom.
#[derive(Clone, Debug, PartialEq)]
pub struct WaveTable {
    nwave: usize,
    wave: Vec<f64>,
    /// Numbers of the fibres of the rows, where the table names them.
    numbers: Option<Vec<i64>>,
}

/// A PSF on the scale of a table.
#[derive(Clone, Debug)]
pub struct OnTable {
    /// The PSF.
    pub psf: Psf,
    /// The bins of the scale.
    pub grid: WaveGrid,
    /// The wavelengths extracted on: those of the table, or of the smooth functions where it strays from them.
    pub table: WaveTable,
    /// The largest distance of a wavelength of the table from that extracted on, Angstrom.
    pub stray: f64,
}

impl OnTable {
    /// Returns a sentence about a table that strays from smooth functions.
    pub fn sentence(&self) -> Option<String> {
        (self.stray > 0.0).then(|| {
            format!(
                "wavelengths stray by up to {:.2e} Angstrom from smooth functions of their bins; the frame has those of the functions",
                self.stray
            )
        })
    }
}

impl WaveTable {
    /// Checks wavelengths `[rows, nwave]`.
    ///
    /// # Errors
    /// [`WaveTableError::Shape`] or [`WaveTableError::Order`].
    pub fn new(nwave: usize, wave: Vec<f64>) -> Result<Self, WaveTableError> {
        if nwave < 2 || wave.is_empty() || !wave.len().is_multiple_of(nwave) {
            return Err(WaveTableError::Shape { found: wave.len(), nwave });
        }
        for (row, bins) in wave.chunks_exact(nwave).enumerate() {
            let sound =
                |bin: usize| bins[bin] > 0.0 && bins[bin].is_finite() && (bin == 0 || bins[bin] > bins[bin - 1]);
            if let Some(bin) = (0..nwave).find(|bin| !sound(*bin)) {
                return Err(WaveTableError::Order { row, bin, value: bins[bin] });
            }
        }
        Ok(Self { nwave, wave, numbers: None })
    }

    /// Names the fibres of the rows, by their numbers.
    #[must_use]
    pub fn of_fibres(self, numbers: Vec<i64>) -> Self {
        Self { numbers: Some(numbers), ..self }
    }

    /// Puts rows that are named into the order of the PSF's fibres, or of the selected ones where others have none.
    fn by_number(self, psf: &Psf, selected: Range<usize>) -> Result<Self, WaveTableError> {
        let Some(numbers) = &self.numbers else { return Ok(self) };
        let row = |fibre: usize| numbers.iter().position(|number| *number == psf.number(fibre));
        let all: Vec<Option<usize>> = (0..psf.nfibre).map(row).collect();
        let ends = |fibres: Range<usize>| [fibres.start, fibres.end.max(1) - 1].map(|fibre| psf.number(fibre));
        if let Some(k) = (0..numbers.len()).find(|k| !all.contains(&Some(*k))) {
            let [first, last] = ends(0..psf.nfibre);
            return Err(WaveTableError::UnknownFibre { number: numbers[k], first, last });
        }
        // Fibres that the PSF does not have are refused with the rows.
        let chosen = selected.start.min(psf.nfibre)..selected.end.min(psf.nfibre);
        if let Some(fibre) = chosen.clone().find(|fibre| all[*fibre].is_none()) {
            let [first, last] = ends(chosen);
            return Err(WaveTableError::NoRow { number: psf.number(fibre), first, last });
        }
        let fibres = if all.iter().all(Option::is_some) { 0..psf.nfibre } else { chosen };
        let wave = all[fibres].iter().flatten().flat_map(|row| self.row(*row).to_vec()).collect();
        Ok(Self { wave, numbers: None, ..self })
    }

    /// Returns the wavelengths of a grid on the scale of a PSF.
    ///
    /// # Errors
    /// [`WaveTableError::Shape`] of a grid of a single bin.
    pub fn of_grid(psf: &Psf, grid: &WaveGrid) -> Result<Self, WaveTableError> {
        let of_fibre = |fibre: usize| grid.wave().iter().map(move |&wave| psf.wavelength(fibre, wave));
        Self::new(grid.nwave(), (0..psf.nfibre).flat_map(of_fibre).collect())
    }

    /// Number of bins.
    pub fn nwave(&self) -> usize {
        self.nwave
    }

    /// Number of rows.
    pub fn rows(&self) -> usize {
        self.wave.len() / self.nwave
    }

    /// Returns a row, `[nwave]`.
    pub fn row(&self, row: usize) -> &[f64] {
        &self.wave[row * self.nwave..(row + 1) * self.nwave]
    }

    /// Returns some rows, `[rows, nwave]`.
    pub fn of(&self, rows: Range<usize>) -> &[f64] {
        &self.wave[rows.start * self.nwave..rows.end * self.nwave]
    }

    /// Returns the wavelengths of some fibres, `[nwave]` or, where they differ, `[fibres, nwave]`.
    pub fn wave(&self, fibres: Range<usize>) -> Vec<f64> {
        if fibres.clone().all(|fibre| self.row(fibre) == self.row(fibres.start)) {
            return self.row(fibres.start).to_vec();
        }
        self.of(fibres).to_vec()
    }

    /// Returns the table with wavelengths times `factor`.
    #[must_use]
    pub fn times(&self, factor: f64) -> Self {
        Self { wave: self.wave.iter().map(|w| w * factor).collect(), ..self.clone() }
    }

    /// Gives every fibre of a PSF a row: those of the selected fibres have theirs, others that of the nearest one.
    fn for_all(self, nfibre: usize, selected: Range<usize>) -> Result<Self, WaveTableError> {
        let (rows, nwave) = (self.rows(), self.nwave);
        let of = |fibre: usize| match rows {
            1 => 0,
            _ if rows == nfibre => fibre,
            _ => fibre.clamp(selected.start, selected.end - 1) - selected.start,
        };
        if selected.is_empty() || selected.end > nfibre || ![1, nfibre, selected.len()].contains(&rows) {
            return Err(WaveTableError::Rows { found: rows, selected: selected.len(), nfibre });
        }
        let wave = (0..nfibre).flat_map(|fibre| self.row(of(fibre)).to_vec()).collect();
        Ok(Self { nwave, wave, numbers: None })
    }
}

/// Returns a PSF on the scale of a table, whose rows are of all fibres, of the `selected` ones, or one for all.
///
/// # Errors
/// [`WaveTableError`] of the first row that cannot be.
pub fn on_table(psf: &Psf, table: WaveTable, selected: Range<usize>) -> Result<OnTable, WaveTableError> {
    let table = table.by_number(psf, selected.clone())?;
    let (first, given) = (if table.rows() == selected.len() { selected.start } else { 0 }, table.rows());
    let row_of = |fibre: usize| fibre.saturating_sub(first).min(given - 1);
    let table = table.for_all(psf.nfibre, selected)?;
    let n = table.nwave();
    for fibre in 0..psf.nfibre {
        for value in [table.row(fibre)[0], table.row(fibre)[n - 1]] {
            if !psf.reaches(psf.on_scale(fibre, value)) {
                return Err(WaveTableError::Beyond { row: row_of(fibre), value, range: psf.range(fibre) });
            }
        }
    }
    let middle = table.row(psf.nfibre / 2);
    let step = (middle[n - 1] - middle[0]) / (n - 1) as f64;
    let grid = WaveGrid::new(middle[0], middle[n - 1], step)?;
    // The scale serves a little beyond the table: patches and their light reach there.
    let domain = [grid.wave()[0] - MARGIN * step, grid.wave()[grid.nwave() - 1] + MARGIN * step];
    let of_fibre = |fibre: usize| wavelengths(&grid, domain, table.row(fibre));
    let fits: Vec<(Vec<f64>, f64, usize)> = (0..psf.nfibre).into_par_iter().map(of_fibre).collect();
    let farthest = (0..psf.nfibre).max_by(|a, b| fits[*a].1.total_cmp(&fits[*b].1)).unwrap_or(0);
    let (_, stray, bin) = fits[farthest];
    if stray > LARGEST_STRAY {
        return Err(WaveTableError::Uneven { row: row_of(farthest), bin, stray });
    }
    let ncoeff = fits.iter().map(|fit| fit.0.len()).max().unwrap_or(1);
    let padded = |fit: &(Vec<f64>, f64, usize)| {
        let mut coeff = fit.0.clone();
        coeff.resize(ncoeff, 0.0);
        coeff
    };
    let waves = LegendreSeries { domain, ncoeff, coeff: fits.iter().flat_map(padded).collect() };
    let composed = compose(psf, &waves)?;
    let smooth: Vec<f64> =
        (0..psf.nfibre).flat_map(|fibre| composed.wavelengths(fibre..fibre + 1, grid.wave())).collect();
    let far = table.wave.iter().zip(&smooth).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
    let (table, stray) =
        if stray <= NO_STRAY { (table, 0.0) } else { (WaveTable { nwave: n, wave: smooth, numbers: None }, far) };
    Ok(OnTable { psf: composed, grid, table, stray })
}

/// Fits wavelength as a function of the scale. Returns coefficients, the farthest bin and its distance in bins.
fn wavelengths(grid: &WaveGrid, domain: [f64; 2], wave: &[f64]) -> (Vec<f64>, f64, usize) {
    let u: Vec<f64> = grid.wave().iter().map(|&s| unit(domain, s)).collect();
    let width = |bin: usize| if bin == 0 { wave[1] - wave[0] } else { wave[bin] - wave[bin - 1] };
    let mut best = (Vec::new(), f64::INFINITY, 0);
    for degree in 1..=MOST_WAVE_DEGREE.min(wave.len() - 1) {
        let coeff = legendre_fit(&u, wave, degree + 1);
        let stray = |bin: usize| ((legendre(&coeff, u[bin]) - wave[bin]) / width(bin)).abs();
        let bin = (0..wave.len()).max_by(|a, b| stray(*a).total_cmp(&stray(*b))).unwrap_or(0);
        // A higher degree must be worth it: it turns back beyond the ends.
        if stray(bin) < 0.5 * best.1 {
            best = (coeff.clone(), stray(bin), bin);
        }
        if best.1 < 1e-3 * NO_STRAY {
            break;
        }
    }
    best
}

/// Replaces the series of a PSF by series on the scale of `waves`.
fn compose(psf: &Psf, waves: &LegendreSeries) -> Result<Psf, PsfError> {
    let domain = waves.domain;
    let most = psf.trace_x.ncoeff.max(psf.trace_y.ncoeff);
    let degrees =
        [most - 1, most + 1, most + 4, most + 8, most + 16, most + 32].map(|degree| degree.clamp(1, MOST_DEGREE));
    let mut made = None;
    for degree in degrees {
        let basis = Nodes::new(degree);
        let on_scale = |fibre: usize, u: f64| psf.on_scale(fibre, legendre(waves.of(fibre), u));
        let worst = |series: &LegendreSeries, fibre: usize| {
            let at = |u: f64| legendre(series.of(fibre), unit(series.domain, on_scale(fibre, u)));
            let coeff = basis.fit(at);
            // Between the nodes it is farthest off.
            let between = basis.u.windows(2).map(|pair| 0.5 * (pair[0] + pair[1]));
            between.map(|u| (legendre(&coeff, u) - at(u)).abs()).fold(0.0, f64::max)
        };
        let of_fibre = |fibre: usize| worst(&psf.trace_x, fibre).max(worst(&psf.trace_y, fibre));
        let off = (0..psf.nfibre).into_par_iter().map(of_fibre).reduce(|| 0.0, f64::max);
        made = Some(basis);
        if off < TRACE_ERROR {
            break;
        }
    }
    let basis = made.expect("degrees are not empty");
    let anew = |series: &mut LegendreSeries| {
        if series.ncoeff > 1 {
            let of_fibre = |fibre: usize| {
                let on_scale = |u: f64| psf.on_scale(fibre, legendre(waves.of(fibre), u));
                basis.fit(|u| legendre(series.of(fibre), unit(series.domain, on_scale(u))))
            };
            let all: Vec<Vec<f64>> = (0..psf.nfibre).into_par_iter().map(of_fibre).collect();
            (series.ncoeff, series.coeff) = (basis.terms(), all.concat());
        }
        series.domain = domain;
    };
    let mut on_scale = psf.clone();
    on_scale.update(|parts| {
        parts.all_series_mut().into_iter().for_each(anew);
        (parts.ranges, parts.waves) = (None, Some(waves.clone()));
        [parts.wave_min, parts.wave_max] = domain;
    })?;
    Ok(on_scale)
}

/// Nodes in -1..=1 and the least squares of functions on them.
struct Nodes {
    u: Vec<f64>,
    /// From values at the nodes to coefficients.
    solve: DMatrix<f64>,
}

impl Nodes {
    fn new(degree: usize) -> Self {
        let count = 2 * (degree + 1);
        let node = |k: usize| -((k as f64 + 0.5) * std::f64::consts::PI / count as f64).cos();
        let u: Vec<f64> = (0..count).map(node).collect();
        let rows: Vec<Vec<f64>> = u.iter().map(|&u| polynomials(degree + 1, u)).collect();
        let matrix = DMatrix::from_fn(count, degree + 1, |row, k| rows[row][k]);
        let solve = matrix.pseudo_inverse(1e-12).unwrap_or_else(|_| DMatrix::zeros(degree + 1, count));
        Self { u, solve }
    }

    fn terms(&self) -> usize {
        self.solve.nrows()
    }

    fn fit(&self, function: impl Fn(f64) -> f64) -> Vec<f64> {
        let values: Vec<f64> = self.u.iter().map(|&u| function(u)).collect();
        (0..self.terms()).map(|k| (0..values.len()).map(|node| self.solve[(k, node)] * values[node]).sum()).collect()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::synthetic::Synthetic;

    fn psf() -> Psf {
        Synthetic { nfibre: 4, bundlesize: 4, npix_y: Some(400), ..Synthetic::default() }.build().unwrap()
    }

    /// Logarithmic bins, other ones in each fibre.
    fn logarithmic(psf: &Psf) -> Vec<f64> {
        let step = |fibre: usize| 1.2e-4 * (1.0 + 0.05 * fibre as f64);
        let first = psf.wave_min + 20.0;
        (0..psf.nfibre)
            .flat_map(|fibre| (0..120).map(move |k| (first + fibre as f64) * (step(fibre) * k as f64).exp()))
            .collect()
    }

    #[test]
    fn traces_and_shapes_on_the_scale_are_those_at_the_wavelengths_of_the_table() {
        let psf = psf();
        let wave = logarithmic(&psf);
        let found = on_table(&psf, WaveTable::new(120, wave.clone()).unwrap(), 0..4).unwrap();
        assert_eq!((found.table.of(0..4), found.stray, found.grid.nwave()), (&wave[..], 0.0, 120));
        for (fibre, bins) in wave.chunks(120).enumerate() {
            let own = found.psf.wavelengths(fibre..fibre + 1, found.grid.wave());
            assert!(own.iter().zip(bins).all(|(a, b)| (a - b).abs() < 1e-7));
            for (series, on_scale) in [
                (&psf.trace_x, &found.psf.trace_x),
                (&psf.trace_y, &found.psf.trace_y),
                (&psf.sigma_y, &found.psf.sigma_y),
                (&psf.gh[1], &found.psf.gh[1]),
            ] {
                for (&w, &s) in bins.iter().zip(found.grid.wave()) {
                    let expected = legendre(series.of(fibre), unit(series.domain, w));
                    let value = legendre(on_scale.of(fibre), unit(on_scale.domain, s));
                    assert!((value - expected).abs() < 2e-7, "fibre {fibre}, {w}: {value} {expected}");
                }
            }
        }
    }

    #[test]
    fn a_linear_table_keeps_the_degrees_and_selections_take_their_rows() {
        let psf = psf();
        let row: Vec<f64> = (0..90).map(|k| psf.wave_min + 30.0 + 0.9 * f64::from(k)).collect();
        let one = on_table(&psf, WaveTable::new(90, row.clone()).unwrap(), 1..3).unwrap();
        assert_eq!(one.psf.trace_y.ncoeff, psf.trace_y.ncoeff.max(psf.trace_x.ncoeff));
        let two: Vec<f64> = row.iter().copied().chain(row.iter().map(|w| w + 7.0)).collect();
        let found = on_table(&psf, WaveTable::new(90, two.clone()).unwrap(), 1..3).unwrap();
        assert_eq!(found.table.of(1..3), &two[..]);
        assert_eq!([found.table.row(0), found.table.row(3)], [&two[..90], &two[90..]]);
    }

    #[test]
    fn a_table_that_cannot_be_is_refused_with_its_place() {
        let psf = psf();
        let row: Vec<f64> = (0..90).map(|k| psf.wave_min + 30.0 + 0.9 * f64::from(k)).collect();
        let refused = |change: &dyn Fn(&mut Vec<f64>)| {
            let mut wave = row.clone();
            change(&mut wave);
            let made = WaveTable::new(90, wave).and_then(|table| on_table(&psf, table, 0..4));
            made.unwrap_err().to_string()
        };
        assert!(refused(&|w| w.truncate(3)).starts_with("3 wavelengths are not rows of 90 bins"));
        assert!(refused(&|w| w[5] = w[4]).starts_with("row 0, bin 5 (from 0) is"));
        assert!(refused(&|w| w[89] = 1e5).contains("has 100000 Angstrom"));
        assert!(refused(&|w| w[40] += 0.1).contains("bins off a smooth function"));
        assert!(refused(&|w| w.extend_from_within(..)).starts_with("there are rows of 2 fibres"), "rows");
        let rounded = on_table(
            &psf,
            WaveTable::new(90, row.iter().map(|w| (w * 1e4).round() / 1e4 + 1e-4 * (w * 1e3).sin()).collect()).unwrap(),
            0..4,
        );
        let rounded = rounded.unwrap();
        assert!((1e-6..1e-3).contains(&rounded.stray), "{}", rounded.stray);
    }

    #[test]
    fn rows_with_numbers_are_of_the_fibres_of_these_numbers() {
        let mut psf = psf();
        psf.update(|parts| parts.fibermin = 20).unwrap();
        let wave = logarithmic(&psf);
        let rows = |fibres: &[usize]| {
            let wave = fibres.iter().flat_map(|k| wave[k * 120..(k + 1) * 120].to_vec()).collect();
            WaveTable::new(120, wave).unwrap().of_fibres(fibres.iter().map(|k| 20 + *k as i64).collect())
        };
        let plain = on_table(&psf, WaveTable::new(120, wave.clone()).unwrap(), 0..4).unwrap().table;
        assert_eq!(on_table(&psf, rows(&[2, 0, 3, 1]), 0..4).unwrap().table, plain);
        let chosen = on_table(&psf, rows(&[2, 1]), 1..3).unwrap().table;
        assert_eq!((chosen.row(1), chosen.row(2)), (plain.row(1), plain.row(2)));
        let refused = |table: WaveTable| on_table(&psf, table, 0..4).unwrap_err();
        assert_eq!(refused(rows(&[0, 1, 3])), WaveTableError::NoRow { number: 22, first: 20, last: 23 });
        let strange = rows(&[0, 1, 2, 3]).of_fibres(vec![0, 1, 2, 3]);
        assert_eq!(refused(strange), WaveTableError::UnknownFibre { number: 0, first: 20, last: 23 });
    }
}
