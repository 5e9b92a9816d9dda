//! The PSF model and its check.

use super::defects::{Defects, stand_in};
use super::dispersion::Dispersion;
use super::error::{PsfError, in_range};
use super::form::Form;
use super::series::{LegendreSeries, check_domain};
use serde::{Deserialize, Serialize};
use std::ops::Deref;

/// Power-law tail of the PSF (specter's definition): at pixel distance (dx, dy) from the trace
/// `amplitude r^2 / (core^2 + r^2)^(1 + index/2)`, `r^2 = (dx x_scale)^2 + (dy y_scale)^2`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Tails {
    /// TAILAMP.
    pub amplitude: LegendreSeries,
    /// TAILCORE, in pixels.
    pub core: LegendreSeries,
    /// TAILXSCA.
    pub x_scale: LegendreSeries,
    /// TAILYSCA.
    pub y_scale: LegendreSeries,
    /// TAILINDE.
    pub index: LegendreSeries,
}

impl Tails {
    /// FITS names of the parameters, in the order of [`Tails::series`].
    pub const NAMES: [&str; 5] = ["TAILAMP", "TAILCORE", "TAILXSCA", "TAILYSCA", "TAILINDE"];

    /// Returns the series of all parameters.
    pub fn series(&self) -> [&LegendreSeries; 5] {
        [&self.amplitude, &self.core, &self.x_scale, &self.y_scale, &self.index]
    }

    /// Returns the series of all parameters, to be changed.
    pub(crate) fn series_mut(&mut self) -> [&mut LegendreSeries; 5] {
        [&mut self.amplitude, &mut self.core, &mut self.x_scale, &mut self.y_scale, &mut self.index]
    }
}

/// How far wavelengths may reach beyond the PSF's range, as a fraction of its width. Further out the polynomials turn back,
/// and traces return to the CCD where the fibre has no light.
const MAX_EXTRAPOLATION: f64 = 0.05;

/// A PSF of all fibres of one camera, checked by [`Psf::new`].
///
/// Its parts are read through `Deref`; [`Psf::update`] changes them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(try_from = "Wire", into = "Wire")]
pub struct Psf {
    parts: PsfParts,
    defects: Defects,
}

/// A [`Psf`] as it is sent to another process.
#[derive(Serialize, Deserialize)]
struct Wire {
    #[serde(flatten)]
    parts: PsfParts,
    #[serde(default)]
    defects: Defects,
}

/// The parts of a [`Psf`].
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct PsfParts {
    /// Number of fibres.
    pub nfibre: usize,
    /// Number of the first fibre (FIBERMIN).
    pub fibermin: i64,
    /// Number of each fibre (FIBER), ascending, where they do not follow one another from `fibermin` on.
    #[serde(default)]
    pub numbers: Option<Vec<i64>>,
    /// The axis of dispersion of the CCD's files. Along x the other parts have rows and columns exchanged against the file.
    #[serde(default)]
    pub dispersion: Dispersion,
    /// Trace along CCD columns, across the dispersion, pixels; pixel 0's centre is at 0.
    pub trace_x: LegendreSeries,
    /// Trace along CCD rows, along the dispersion, pixels.
    pub trace_y: LegendreSeries,
    /// The kind of the PSF, and what it alone has.
    #[serde(default)]
    pub form: Form,
    /// GHSIGX, pixels; of sampled spots their standard deviation along x.
    pub sigma_x: LegendreSeries,
    /// GHSIGY, pixels; of sampled spots their standard deviation along y.
    pub sigma_y: LegendreSeries,
    /// GH-i-j, index `i * (gh_degree_y + 1) + j`; i along x, j along y. Sampled spots have none.
    pub gh: Vec<LegendreSeries>,
    /// GHDEGX.
    pub gh_degree_x: usize,
    /// GHDEGY.
    pub gh_degree_y: usize,
    /// The tails, if the file has all five of their parameters.
    pub tails: Option<Tails>,
    /// HSIZEX: a spot is `2 half_x + 1` columns wide.
    pub half_x: usize,
    /// HSIZEY: a spot is `2 half_y + 1` rows high.
    pub half_y: usize,
    /// Columns of the CCD (NPIX_X).
    pub npix_x: usize,
    /// Rows of the CCD (NPIX_Y).
    pub npix_y: usize,
    /// The range of every fibre, Angstrom (WAVERANGE), where they differ; wavelengths of series and grids are on the scale of
    /// `wave_min` to `wave_max` then.
    #[serde(default)]
    pub ranges: Option<Vec<[f64; 2]>>,
    /// Wavelengths of every fibre along the scale, Angstrom, of a PSF on the scale of a table; no file has them.
    #[serde(default)]
    pub waves: Option<LegendreSeries>,
    /// WAVEMIN of the PSF table, Angstrom.
    pub wave_min: f64,
    /// WAVEMAX of the PSF table, Angstrom.
    pub wave_max: f64,
    /// PSFERR, the fractional error of the PSF for chi2pix; 0.01 if the file has none.
    pub psferr: f64,
    /// CAMERA, trimmed of blanks and quotes; None if absent or blank.
    pub camera: Option<String>,
}

impl PsfParts {
    /// Lists the rows of the PSF table, by their FITS names in the order of specex's files.
    pub(crate) fn table_rows(&self) -> Vec<(String, &LegendreSeries)> {
        let mut rows = vec![("GHSIGX".to_string(), &self.sigma_x), ("GHSIGY".to_string(), &self.sigma_y)];
        for j in 0..=self.gh_degree_y {
            for i in 0..=self.gh_degree_x {
                let series = self.gh.get(i * (self.gh_degree_y + 1) + j);
                rows.extend(series.map(|series| (format!("GH-{i}-{j}"), series)));
            }
        }
        rows.extend(self.form.named_series());
        if let Some(tails) = &self.tails {
            rows.extend(Tails::NAMES.map(String::from).into_iter().zip(tails.series()));
        }
        rows
    }

    /// Lists all series by their FITS names, and whether each is one of the trace.
    pub(crate) fn named_series_mut(&mut self) -> Vec<(String, bool, &mut LegendreSeries)> {
        let names: Vec<String> =
            (0..=self.gh_degree_x).flat_map(|i| (0..=self.gh_degree_y).map(move |j| format!("GH-{i}-{j}"))).collect();
        let PsfParts { trace_x, trace_y, sigma_x, sigma_y, gh, tails, form, .. } = self;
        let widths = ["GHSIGX", "GHSIGY"].map(String::from).into_iter().zip([sigma_x, sigma_y]);
        let tails = Tails::NAMES.map(String::from).into_iter().zip(tails.iter_mut().flat_map(Tails::series_mut));
        let shapes = widths.chain(names.into_iter().zip(gh)).chain(tails).chain(form.named_series_mut());
        let traces = [("XTRACE".to_string(), true, trace_x), ("YTRACE".to_string(), true, trace_y)];
        traces.into_iter().chain(shapes.map(|(name, series)| (name, false, series))).collect()
    }

    /// Lists all series of the PSF, but for the wavelengths of fibres.
    pub(crate) fn all_series_mut(&mut self) -> Vec<&mut LegendreSeries> {
        let PsfParts { trace_x, trace_y, sigma_x, sigma_y, gh, tails, form, .. } = self;
        let tails = tails.iter_mut().flat_map(Tails::series_mut);
        let own = form.series_mut();
        [trace_x, trace_y, sigma_x, sigma_y].into_iter().chain(gh).chain(tails).chain(own).collect()
    }

    fn check(&self) -> Result<(), PsfError> {
        let counts = [
            ("NFIBRE", self.nfibre),
            ("GHDEGX", self.gh_degree_x),
            ("GHDEGY", self.gh_degree_y),
            ("HSIZEX", self.half_x),
            ("HSIZEY", self.half_y),
            ("NPIX_X", self.npix_x),
            ("NPIX_Y", self.npix_y),
        ];
        for (keyword, count) in counts {
            in_range(keyword, i64::try_from(count).unwrap_or(i64::MAX))?;
        }
        in_range("FIBERMIN", self.fibermin)?;
        let degrees = [self.gh_degree_x, self.gh_degree_y];
        let is_sampled = matches!(self.form, Form::Grid(_) | Form::Polynomial(_));
        let terms = if is_sampled { 0 } else { (degrees[0] + 1) * (degrees[1] + 1) };
        if self.gh.len() != terms {
            return Err(PsfError::Terms { found: self.gh.len(), degrees });
        }
        self.trace_x.check("XTRACE", self.nfibre)?;
        self.trace_y.check("YTRACE", self.nfibre)?;
        self.check_form()?;
        self.table_rows().into_iter().try_for_each(|(name, series)| series.check(&name, self.nfibre))?;
        check_domain("PSF", [self.wave_min, self.wave_max])?;
        self.check_ranges()?;
        self.check_numbers()?;
        match self.psferr.is_finite() && self.psferr >= 0.0 {
            true => Ok(()),
            false => Err(PsfError::Psferr(self.psferr)),
        }
    }
}

impl PsfParts {
    /// Checks the numbers of fibres.
    fn check_numbers(&self) -> Result<(), PsfError> {
        let Some(numbers) = &self.numbers else { return Ok(()) };
        if numbers.len() != self.nfibre {
            let (found, nfibre) = (numbers.len(), self.nfibre);
            return Err(PsfError::Length { parameter: "FIBER".into(), found, ncoeff: 1, nfibre });
        }
        if let Some(pair) = numbers.windows(2).find(|pair| pair[0] >= pair[1]) {
            return Err(PsfError::Numbers { before: pair[0], after: pair[1] });
        }
        numbers.iter().try_for_each(|number| in_range("FIBER", *number).map(|_| ()))
    }

    /// Checks what the kind of the PSF alone has, but for its series.
    fn check_form(&self) -> Result<(), PsfError> {
        let window = match &self.form {
            Form::GaussHermite => return Ok(()),
            Form::TwoCores(core) => {
                in_range("GHDEGX", core.degree_x as i64)?;
                in_range("GHDEGY", core.degree_y as i64)?;
                let (found, degrees) = (core.gh.len(), [core.degree_x, core.degree_y]);
                if found != (degrees[0] + 1) * (degrees[1] + 1) {
                    return Err(PsfError::Terms { found, degrees });
                }
                return Ok(());
            }
            Form::Grid(grid) => grid.images.half_size(),
            Form::Polynomial(of) => [of.images.parts().ny / 2, of.images.parts().nx / 2],
        };
        let half = [self.half_y, self.half_x];
        match half == window {
            true => Ok(()),
            false => {
                Err(PsfError::Images(format!("windows of half size {half:?} do not fit images of {window:?} (y, x)")))
            }
        }
    }
}

impl Psf {
    /// Checks the parts. Every number must be within its range, and the Gauss-Hermite terms must be those of the degrees.
    /// Every series needs finite coefficients for every fibre, and a domain of positive length.
    ///
    /// # Errors
    /// [`PsfError`] of the first part that fails.
    pub fn new(parts: PsfParts) -> Result<Self, PsfError> {
        parts.check().map(|()| Self { parts, defects: Defects::default() })
    }

    /// Returns the parts.
    pub fn into_parts(self) -> PsfParts {
        self.parts
    }

    /// Changes the parts in a way that leaves them as good as they were.
    pub(super) fn map_parts(self, change: impl FnOnce(PsfParts) -> PsfParts) -> Self {
        Self { parts: change(self.parts), defects: self.defects }
    }

    /// Returns the defects of the PSF; none unless it was read from a file, or judged by
    /// [`crate::stages::psf_check`].
    pub fn defects(&self) -> &Defects {
        &self.defects
    }

    /// Adds defects; fibres that are not usable get stand-ins.
    ///
    /// # Errors
    /// [`PsfError::NoFibre`] if no fibre is usable.
    pub(crate) fn with_defects(mut self, defects: Defects) -> Result<Self, PsfError> {
        let (nfibre, far) = (self.parts.nfibre, 2.0 * self.parts.half_x as f64 + 1.0);
        stand_in(nfibre, far, self.parts.named_series_mut(), &defects.fibres)?;
        self.defects = defects;
        Ok(self)
    }

    /// Marks the fibres that another form of the same PSF does not give: a stand-in is no result.
    pub(crate) fn with_bad_fibres_of(self, other: &Self) -> Result<Self, PsfError> {
        self.with_defects(Defects { fibres: other.defects.fibres.clone(), notes: Vec::new() })
    }

    /// Changes the parts and checks them again; the PSF stays as it was if they fail.
    ///
    /// # Errors
    /// [`PsfError`] of the first part that fails.
    pub fn update(&mut self, change: impl FnOnce(&mut PsfParts)) -> Result<(), PsfError> {
        let mut parts = self.parts.clone();
        change(&mut parts);
        self.parts = Self::new(parts)?.parts;
        Ok(())
    }

    /// Returns the number of a fibre, a row of the PSF.
    pub fn number(&self, fibre: usize) -> i64 {
        self.numbers.as_ref().map_or(self.fibermin + fibre as i64, |numbers| numbers[fibre])
    }

    /// Returns the fibre, a row of the PSF, of a number.
    pub fn row_of(&self, number: i64) -> Option<usize> {
        match &self.numbers {
            Some(numbers) => numbers.binary_search(&number).ok(),
            None => usize::try_from(number.checked_sub(self.fibermin)?).ok().filter(|row| *row < self.nfibre),
        }
    }

    /// Returns whether the series serve at a wavelength, Angstrom: within the range, or at most 5 % of its width outside.
    pub fn reaches(&self, wave: f64) -> bool {
        let beyond = MAX_EXTRAPOLATION * (self.wave_max - self.wave_min);
        (self.wave_min - beyond..=self.wave_max + beyond).contains(&wave)
    }

    /// Number of stored diagonals of the resolution matrix, `2 HSIZEY + 1`.
    pub fn ndiag(&self) -> usize {
        2 * self.half_y + 1
    }
}

impl Deref for Psf {
    type Target = PsfParts;

    fn deref(&self) -> &PsfParts {
        &self.parts
    }
}

impl TryFrom<Wire> for Psf {
    type Error = PsfError;

    fn try_from(Wire { parts, defects }: Wire) -> Result<Self, PsfError> {
        Self::new(parts).map(|psf| Self { defects, ..psf })
    }
}

impl From<Psf> for Wire {
    fn from(Psf { parts, defects }: Psf) -> Self {
        Self { parts, defects }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parts() -> PsfParts {
        let series = |value| LegendreSeries { domain: [5000.0, 6000.0], ncoeff: 2, coeff: vec![value; 6] };
        PsfParts {
            nfibre: 3,
            fibermin: 0,
            numbers: None,
            dispersion: Dispersion::AlongY,
            trace_x: series(10.0),
            trace_y: series(20.0),
            form: Form::GaussHermite,
            sigma_x: series(1.0),
            sigma_y: series(1.0),
            gh: vec![series(0.1); 6],
            gh_degree_x: 2,
            gh_degree_y: 1,
            tails: None,
            half_x: 4,
            half_y: 3,
            npix_x: 50,
            npix_y: 40,
            ranges: None,
            waves: None,
            wave_min: 5000.0,
            wave_max: 6000.0,
            psferr: 0.01,
            camera: None,
        }
    }

    #[test]
    fn every_part_is_checked_and_named() {
        type Change = fn(&mut PsfParts);
        let wrong: [(Change, &str); 13] = [
            (|p| p.nfibre = 0, "NFIBRE is 0, not within 1 to"),
            (|p| p.nfibre = 2, "XTRACE has 6 coefficients, not 2 for each of 2 fibres"),
            (|p| p.fibermin = -1, "FIBERMIN is -1"),
            (|p| p.half_x = 65, "HSIZEX is 65, not within 1 to 64"),
            (|p| p.npix_y = usize::MAX, "NPIX_Y is 9223372036854775807"),
            (|p| p.gh_degree_y = 65, "GHDEGY is 65"),
            (|p| p.gh_degree_x = 1, "GH has 6 terms, not those of GHDEGX 1 by GHDEGY 1"),
            (|p| p.trace_y.coeff[5] = f64::NAN, "YTRACE has coefficient NaN at fibre 2, term 1"),
            (|p| p.gh[3].coeff.truncate(5), "GH-1-1 has 5 coefficients"),
            (|p| p.sigma_x.ncoeff = 0, "GHSIGX has 6 coefficients, not 0"),
            (|p| p.sigma_y.domain[0] = 6000.0, "GHSIGY has WAVEMIN 6000 and WAVEMAX 6000"),
            (|p| p.wave_max = f64::INFINITY, "PSF has WAVEMIN 5000 and WAVEMAX inf"),
            (|p| p.psferr = f64::NAN, "PSFERR is NaN"),
        ];
        for (change, expected) in wrong {
            let mut psf = Psf::new(parts()).unwrap();
            let error = psf.update(change).unwrap_err();
            assert!(error.to_string().starts_with(expected), "{expected}: {error}");
            assert!(expected.starts_with(error.parameter()), "{error:?}");
            assert_eq!(*psf, parts(), "a refused change leaves the PSF as it was");
        }
    }

    #[test]
    fn a_psf_that_cannot_be_built_cannot_be_deserialized() {
        let mut wrong = parts();
        wrong.half_y = 0;
        let [good, wrong] = [parts(), wrong].map(|parts| serde_json::to_string(&parts).unwrap());
        assert_eq!(serde_json::from_str::<Psf>(&good).unwrap(), Psf::new(parts()).unwrap());
        assert!(serde_json::from_str::<Psf>(&wrong).unwrap_err().to_string().contains("HSIZEY is 0"));
    }
}
