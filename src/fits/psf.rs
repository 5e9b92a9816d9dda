//! PSF files read: Gauss-Hermite models of PSFVER 3 (traces as images) and PSFVER 2 (traces as rows of the table).

use super::error::FitsError;
use super::hdu::{Hdu, Kind};
use super::reader::FitsFile;
use super::table::read_table;
use crate::base::option_name::{OptionName, Remedy};
use crate::frame::Header;
use crate::psf::{BadFibre, Defects, Gh00, LegendreSeries, MOST_DEGREE, Psf, PsfError, PsfParts, Tails, in_range};
use crate::stages::gh00::gh00_effect;
use crate::stages::psf_check::judged;
use std::collections::HashMap;
use std::path::Path;

/// PSFERR of a file that has none, as specter assumes.
const DEFAULT_PSFERR: f64 = 0.01;
/// Reduced chi2 of a bundle's fit, from which on it is called poor; those of good fits are 1 to 2.
const POOR_CHI2: f64 = 10.0;
/// Most rows of the table: every order up to the largest, traces, widths, tails, and additions of other programs.
const MOST_PARAMS: usize = 2 * (MOST_DEGREE + 1).pow(2);

/// Reads a PSF file of PSFTYPE GAUSS-HERMITE, PSFVER 3 or 2, with its own GH-0-0.
///
/// Defects of the file are in [`Psf::defects`] and the log: fibres whose fit failed or whose spots cannot be, and remarks.
///
/// # Errors
/// [`FitsError::UnsupportedPsf`] if it is of another PSFTYPE, [`FitsError::Psf`] if [`Psf::new`] refuses it; other
/// [`FitsError`] if it cannot be read or lacks a part.
pub fn read_psf(path: impl AsRef<Path>) -> Result<Psf, FitsError> {
    read_psf_with(path, Gh00::File)
}

/// Reads a PSF file as [`read_psf`] does, with a choice of GH-0-0.
///
/// # Errors
/// [`FitsError`] as of [`read_psf`].
pub fn read_psf_with(path: impl AsRef<Path>, gh00: Gh00) -> Result<Psf, FitsError> {
    let path = path.as_ref();
    let psf = psf_of(&FitsFile::open(path)?, gh00)?;
    psf.defects().sentences().iter().for_each(|defect| tracing::warn!("{}: {defect}", path.display()));
    Ok(psf)
}

/// Reads the PSF of an open file.
pub(crate) fn psf_of(file: &FitsFile, gh00: Gh00) -> Result<Psf, FitsError> {
    let psftype = file.hdus.iter().find_map(|h| h.header.get_str("PSFTYPE"));
    if let Some(other) = psftype.filter(|t| t.trim() != "GAUSS-HERMITE") {
        return Err(FitsError::UnsupportedPsf { path: file.path.clone(), psftype: other });
    }
    let hdu = table_hdu(file)?;
    let refuse = |at: &Hdu, source: PsfError| FitsError::Psf { path: file.path.clone(), hdu: at.label(), source };
    let rows = ParamTable::read(file, hdu)?;
    let integer = |keyword: &'static str| {
        let value = file.need(hdu, keyword, Header::get_i64)?;
        in_range(keyword, value).map_err(|source| refuse(hdu, source))
    };
    let (gh_degree_x, gh_degree_y) = (integer("GHDEGX")?, integer("GHDEGY")?);
    let mut gh = Vec::new();
    for i in 0..=gh_degree_x {
        for j in 0..=gh_degree_y {
            gh.push(rows.series(&format!("GH-{i}-{j}"))?);
        }
    }
    let [wave_min, wave_max] = rows.table_domain()?;
    let mut parts = PsfParts {
        nfibre: rows.nfibre,
        fibermin: integer("FIBERMIN")? as i64,
        trace_x: trace(file, &rows, "XTRACE", "X")?,
        trace_y: trace(file, &rows, "YTRACE", "Y")?,
        sigma_x: rows.series("GHSIGX")?,
        sigma_y: rows.series("GHSIGY")?,
        gh,
        gh_degree_x,
        gh_degree_y,
        tails: rows.tails()?,
        half_x: integer("HSIZEX")?,
        half_y: integer("HSIZEY")?,
        npix_x: integer("NPIX_X")?,
        npix_y: integer("NPIX_Y")?,
        wave_min,
        wave_max,
        psferr: match hdu.header.contains("PSFERR") {
            true => file.need(hdu, "PSFERR", Header::get_f64)?,
            false => DEFAULT_PSFERR,
        },
        camera: camera(&hdu.header),
    };
    let mut defects = Defects { fibres: failed_fibres(&mut parts, &rows), notes: notes_of(file, hdu, &rows) };
    defects.fibres.dedup_by_key(|bad| bad.fibre);
    let constant = rows.is_constant("GH-0-0");
    let built = Psf::new(parts).and_then(|psf| judged(with_gh00(psf, gh00, constant, &mut defects)?, defects));
    built.map_err(|source| {
        let traces = ["XTRACE", "YTRACE"].into_iter().find(|name| *name == source.parameter());
        refuse(traces.and_then(|name| file.find(name)).unwrap_or(hdu), source)
    })
}

/// Notes a GH-0-0 that specex wrote wrongly, which a table with degrees declares `constant`; sets it to 1 where wanted.
fn with_gh00(mut psf: Psf, gh00: Gh00, constant: bool, defects: &mut Defects) -> Result<Psf, PsfError> {
    if let Some(row) = psf.gh00_leftover().filter(|_| constant) {
        let [median, most] = gh00_effect(&psf).map(|share| 100.0 * share);
        let (flaw, name) = ("a flaw of specex, which fitted it as 1", OptionName::PsfGh00);
        let remedy = Remedy::Set(name, Gh00::One.word());
        let effect = format!("{median:.1} % of their peak in the median, {most:.1} % at most");
        defects.notes.push(match gh00 {
            Gh00::File => format!(
                "its GH-0-0 has the higher terms of {row}, {flaw}: spots differ from the fit by {effect}; {remedy} takes it as 1"
            ),
            Gh00::One => format!(
                "its GH-0-0 has the higher terms of {row}, {flaw}; it is taken as 1 ({name}), spots change by {effect}"
            ),
        });
    }
    if gh00 == Gh00::One {
        psf.update(PsfParts::set_gh00_to_one)?;
    }
    Ok(psf)
}

/// Returns the fibres whose fit failed, by STATUS, and those with a coefficient that is no number, which becomes 0.
fn failed_fibres(parts: &mut PsfParts, rows: &ParamTable) -> Vec<BadFibre> {
    let mut failed = Vec::new();
    if let Ok(status) = rows.series("STATUS") {
        let values = (0..parts.nfibre).map(|fibre| (fibre, status.of(fibre)[0]));
        failed.extend(values.filter(|(_, value)| *value != 0.0).map(|(fibre, value)| {
            let trace = [&parts.trace_x, &parts.trace_y].iter().any(|s| s.of(fibre).iter().all(|c| *c == -1.0));
            BadFibre { fibre, reason: format!("STATUS is {value}: its fit failed"), trace }
        }));
    }
    let nfibre = parts.nfibre;
    for (name, trace, series) in parts.named_series_mut() {
        // A series of the wrong length is refused as such.
        let fibres = if series.coeff.len() == nfibre * series.ncoeff { nfibre } else { 0 };
        for fibre in 0..fibres {
            let coeff = series.of(fibre).to_vec();
            if let Some(term) = coeff.iter().position(|c| !c.is_finite()) {
                let reason = format!("{name} has coefficient {} at term {term}", coeff[term]);
                failed.push(BadFibre { fibre, reason, trace });
                let finite: Vec<f64> = coeff.iter().map(|&c| if c.is_finite() { c } else { 0.0 }).collect();
                series.set(fibre, &finite);
            }
        }
    }
    // Of the reasons of one fibre the first stands; one that takes the trace away goes before.
    failed.sort_by_key(|bad| (bad.fibre, !bad.trace));
    failed
}

/// Returns remarks on a PSF file: an unknown version, rows that occur twice, bundles with a poor fit.
fn notes_of(file: &FitsFile, hdu: &Hdu, rows: &ParamTable) -> Vec<String> {
    let mut notes = file.end_notes();
    let version = file.hdus.iter().find_map(|hdu| hdu.header.get_f64("PSFVER"));
    if let Some(version) = version.filter(|v| !(1.0..4.0).contains(v)) {
        notes.push(format!("its PSFVER is {version}, which this program does not know; it is read as version 3"));
    }
    if !rows.twice.is_empty() {
        notes.push(format!("{} twice among its PARAM, of which the last counts", rows.twice.join(", ")));
    }
    let poor = |keyword: &str| {
        let bundle = keyword.strip_prefix('B')?.strip_suffix("RCHI2")?;
        let chi2 = hdu.header.get_f64(keyword).filter(|_| bundle.parse::<usize>().is_ok())?;
        (chi2.is_nan() || chi2 >= POOR_CHI2).then(|| format!("{keyword} = {chi2}"))
    };
    let poor: Vec<String> = hdu.header.keywords().filter_map(poor).collect();
    if !poor.is_empty() {
        notes.push(format!("the fit of some bundles is poor by its reduced chi2: {}", poor.join(", ")));
    }
    notes
}

/// Finds the HDU of the parameters: PSF, or in PSFVER 2, which has no EXTNAME, the first table with a PARAM column.
fn table_hdu(file: &FitsFile) -> Result<&Hdu, FitsError> {
    let has_param = |h: &Hdu| (1..=16).any(|n| h.header.get_str(&format!("TTYPE{n}")).as_deref() == Some("PARAM"));
    match file.find("PSF").or_else(|| file.hdus.iter().find(|h| h.kind == Kind::Table && has_param(h))) {
        Some(hdu) => Ok(hdu),
        None => file.hdu("PSF"),
    }
}

/// Returns CAMERA without the inner quotes of some files.
fn camera(header: &Header) -> Option<String> {
    let text = header.get_str("CAMERA")?;
    let bare = text.trim_matches([' ', '\'', '"']);
    (!bare.is_empty()).then(|| bare.to_string())
}

/// Reads a trace: an image in PSFVER 3, else a row of the table.
fn trace(file: &FitsFile, rows: &ParamTable, extname: &str, param: &str) -> Result<LegendreSeries, FitsError> {
    let Some(hdu) = file.find(extname) else {
        if rows.row.contains_key(param) {
            return rows.series(param);
        }
        return Err(file.hdu(extname).err().unwrap_or_else(|| rows.missing(param)));
    };
    let shape = file.image_shape_2d(hdu)?;
    let [nfibre, ncoeff] = shape;
    if nfibre != rows.nfibre {
        file.need_shape(hdu, &[rows.nfibre, ncoeff], "one row per fibre of the PSF table")?;
    }
    let domain = [file.need(hdu, "WAVEMIN", Header::get_f64)?, file.need(hdu, "WAVEMAX", Header::get_f64)?];
    Ok(LegendreSeries { domain, ncoeff, coeff: file.image_f64(hdu)? })
}

/// The PSF table, one row per parameter.
struct ParamTable<'a> {
    file: &'a FitsFile,
    hdu: &'a Hdu,
    nfibre: usize,
    ncoeff: usize,
    /// Row of each PARAM.
    row: HashMap<String, usize>,
    /// PARAMs of more than one row.
    twice: Vec<String>,
    /// COEFF, `[row, nfibre, ncoeff]`.
    coeff: Vec<f64>,
    /// WAVEMIN, WAVEMAX of each row.
    domains: Vec<[f64; 2]>,
    /// Whether LEGDEGX and LEGDEGW of each row are 0; None in a table without them.
    constant: Option<Vec<bool>>,
}

impl<'a> ParamTable<'a> {
    fn read(file: &'a FitsFile, hdu: &'a Hdu) -> Result<Self, FitsError> {
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
    fn is_constant(&self, param: &str) -> bool {
        let row = self.row.get(param);
        row.is_some_and(|row| self.constant.as_ref().is_none_or(|constant| constant[*row]))
    }

    fn missing(&self, param: &str) -> FitsError {
        self.file.invalid(self.hdu, format!("has no row of PARAM {param}; make the PSF file anew"))
    }

    fn series(&self, param: &str) -> Result<LegendreSeries, FitsError> {
        let row = *self.row.get(param).ok_or_else(|| self.missing(param))?;
        let n = self.nfibre * self.ncoeff;
        let coeff = self.coeff[row * n..(row + 1) * n].to_vec();
        Ok(LegendreSeries { domain: self.domains[row], ncoeff: self.ncoeff, coeff })
    }

    /// Returns the tails if all five of their parameters are present.
    fn tails(&self) -> Result<Option<Tails>, FitsError> {
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
    fn table_domain(&self) -> Result<[f64; 2], FitsError> {
        let sigma = self.series("GHSIGX")?.domain;
        let ranges = self.domains.iter().filter(|d| d[0] < d[1] && d.iter().all(|w| w.is_finite()));
        Ok(ranges.fold(sigma, |all, d| [all[0].min(d[0]), all[1].max(d[1])]))
    }
}
