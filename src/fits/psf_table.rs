//! The table of a Gauss-Hermite PSF: one row per parameter, Legendre coefficients of every fibre. Cards that PSF files share.

use super::error::FitsError;
use super::hdu::Hdu;
use super::reader::FitsFile;
use super::table::read_table;
use crate::frame::Header;
use crate::psf::{LegendreSeries, MOST_DEGREE, Tails};
use std::collections::HashMap;

/// PSFERR of a file that has none, as specter assumes.
pub(super) const DEFAULT_PSFERR: f64 = 0.01;
/// Most rows of the table: every order of two cores up to the largest, traces, widths, tails, and additions of other programs.
const MOST_PARAMS: usize = 2 * (MOST_DEGREE + 1).pow(2);

/// The PSF table, one row per parameter.
pub(super) struct ParamTable<'a> {
    file: &'a FitsFile,
    hdu: &'a Hdu,
    pub nfibre: usize,
    ncoeff: usize,
    /// Row of each PARAM.
    row: HashMap<String, usize>,
    /// PARAMs of more than one row.
    pub twice: Vec<String>,
    /// COEFF, `[row, nfibre, ncoeff]`.
    coeff: Vec<f64>,
    /// WAVEMIN, WAVEMAX of each row.
    domains: Vec<[f64; 2]>,
    /// Whether LEGDEGX and LEGDEGW of each row are 0; None in a table without them.
    constant: Option<Vec<bool>>,
}

impl<'a> ParamTable<'a> {
    /// Reads the table of an HDU.
    pub fn read(file: &'a FitsFile, hdu: &'a Hdu) -> Result<Self, FitsError> {
        let table = read_table(file, hdu, &mut Vec::new())?;
        let no_column =
            |name: &str| file.invalid(hdu, format!("has no column {name} of the right type; is it a PSF file?"));
        if table.nrows() > MOST_PARAMS {
            let what = format!(
                "has {} rows, more than the {MOST_PARAMS} parameters of a PSF; is it a PSF file?",
                table.nrows()
            );
            return Err(file.invalid(hdu, what));
        }
        let params = table.column_str("PARAM").ok_or_else(|| no_column("PARAM"))?;
        let coeff = table.column_f64("COEFF").ok_or_else(|| no_column("COEFF"))?;
        let first = file.need(hdu, "FIBERMIN", Header::get_i64)?;
        let last = file.need(hdu, "FIBERMAX", Header::get_i64)?;
        let nfibre = last.checked_sub(first).and_then(|n| usize::try_from(n).ok()).and_then(|n| n.checked_add(1));
        let width = coeff.len().checked_div(params.len()).unwrap_or(0);
        let Some(nfibre) = nfibre.filter(|&n| width > 0 && width.is_multiple_of(n)) else {
            return Err(file.invalid(hdu, format!("COEFF has {width} numbers per row, which FIBERMIN {first} to FIBERMAX {last} do not divide; make the PSF file anew")));
        };
        let ncoeff = width / nfibre;
        let degree = hdu.header.get_i64("LEGDEG").unwrap_or(ncoeff as i64 - 1);
        if degree != ncoeff as i64 - 1 {
            let what = format!(
                "COEFF has {ncoeff} terms per fibre, LEGDEG {degree} asks for another number; make the PSF file anew"
            );
            return Err(file.invalid(hdu, what));
        }
        let domains = match (table.column_f64("WAVEMIN"), table.column_f64("WAVEMAX")) {
            (Some(low), Some(high)) if [low.len(), high.len()] != [params.len(); 2] => {
                let what = "columns WAVEMIN and WAVEMAX have not one number per row; make the PSF file anew";
                return Err(file.invalid(hdu, what));
            }
            (Some(low), Some(high)) => low.into_iter().zip(high).map(|(a, b)| [a, b]).collect(),
            _ => {
                let domain = [file.need(hdu, "WAVEMIN", Header::get_f64)?, file.need(hdu, "WAVEMAX", Header::get_f64)?];
                vec![domain; params.len()]
            }
        };
        let degrees = ["LEGDEGX", "LEGDEGW"].map(|name| table.column_i64(name).filter(|n| n.len() == params.len()));
        let constant = match degrees {
            [Some(x), Some(wave)] => Some(x.iter().zip(&wave).map(|degrees| degrees == (&0, &0)).collect()),
            _ => None,
        };
        let (mut row, mut twice) = (HashMap::new(), Vec::new());
        for (i, name) in params.into_iter().enumerate() {
            if row.insert(name.trim().to_string(), i).is_some() {
                twice.push(name.trim().to_string());
            }
        }
        Ok(Self { file, hdu, nfibre, ncoeff, row, twice, coeff, domains, constant })
    }

    /// Whether a row is a constant by its degrees, or nothing speaks against it.
    pub fn is_constant(&self, param: &str) -> bool {
        let row = self.row.get(param);
        row.is_some_and(|row| self.constant.as_ref().is_none_or(|constant| constant[*row]))
    }

    /// Whether there is a row of that PARAM.
    pub fn has(&self, param: &str) -> bool {
        self.row.contains_key(param)
    }

    /// Returns the rows of terms above these degrees that are not 0, as `STEM-i-j`.
    pub fn beyond(&self, stem: &str, [x, y]: [usize; 2]) -> Vec<String> {
        let terms = |name: &str| {
            let (i, j) = name.strip_prefix(stem)?.strip_prefix('-')?.split_once('-')?;
            Some((i.parse::<usize>().ok()?, j.parse::<usize>().ok()?))
        };
        let n = self.nfibre * self.ncoeff;
        let counts = |row: usize| self.coeff[row * n..(row + 1) * n].iter().any(|&c| c != 0.0);
        let above = |(name, &row): (&String, &usize)| {
            let (i, j) = terms(name)?;
            ((i > x || j > y) && counts(row)).then_some((row, name.clone()))
        };
        let mut rows: Vec<(usize, String)> = self.row.iter().filter_map(above).collect();
        rows.sort();
        rows.into_iter().map(|(_, name)| name).collect()
    }

    /// The error of a row that is missing.
    pub fn missing(&self, param: &str) -> FitsError {
        self.file.invalid(self.hdu, format!("has no row of PARAM {param}; make the PSF file anew"))
    }

    /// Returns the series of a PARAM.
    pub fn series(&self, param: &str) -> Result<LegendreSeries, FitsError> {
        let row = *self.row.get(param).ok_or_else(|| self.missing(param))?;
        let n = self.nfibre * self.ncoeff;
        let coeff = self.coeff[row * n..(row + 1) * n].to_vec();
        Ok(LegendreSeries { domain: self.domains[row], ncoeff: self.ncoeff, coeff })
    }

    /// Returns the tails if all five of their parameters are present.
    pub fn tails(&self) -> Result<Option<Tails>, FitsError> {
        if !Tails::NAMES.iter().all(|p| self.row.contains_key(*p)) {
            return Ok(None);
        }
        Ok(Some(Tails {
            amplitude: self.series("TAILAMP")?,
            core: self.series("TAILCORE")?,
            x_scale: self.series("TAILXSCA")?,
            y_scale: self.series("TAILYSCA")?,
            index: self.series("TAILINDE")?,
        }))
    }

    /// Returns the range of wavelengths of the whole table: the widest in PSFVER 2, where each row has its own.
    pub fn table_domain(&self) -> Result<[f64; 2], FitsError> {
        let sigma = self.series("GHSIGX")?.domain;
        let ranges = self.domains.iter().filter(|d| d[0] < d[1] && d.iter().all(|w| w.is_finite()));
        Ok(ranges.fold(sigma, |all, d| [all[0].min(d[0]), all[1].max(d[1])]))
    }
}

/// Returns CAMERA without the inner quotes of some files.
pub(super) fn camera(header: &Header) -> Option<String> {
    let text = header.get_str("CAMERA")?;
    let bare = text.trim_matches([' ', '\'', '"']);
    (!bare.is_empty()).then(|| bare.to_string())
}
