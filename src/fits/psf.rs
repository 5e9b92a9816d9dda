//! Reading PSF files, by PSFTYPE. Gauss-Hermite models of PSFVER 3 (traces as images), 2 and 1 (traces as rows of the table)
//! and of two cores are here. Sampled spots are in `psf_sampled`.

use super::error::FitsError;
use super::hdu::{Hdu, Kind};
use super::psf_axes::oriented;
use super::psf_fibres::FibreFacts;
use super::psf_sampled::{mono_spot, pixel_polynomial, spot_grid};
use super::psf_table::{DEFAULT_PSFERR, ParamTable, camera};
use super::reader::FitsFile;
use crate::base::option_name::{OptionName, Remedy};
use crate::frame::Header;
use crate::psf::{
    BadFibre, Defects, Dispersion, Form, Gh00, LegendreSeries, Psf, PsfError, PsfParts, SecondCore, in_range,
};
use crate::stages::gh00::gh00_effect;
use crate::stages::psf_check::judged;
use std::path::Path;

/// Reduced chi2 of a bundle's fit, from which on it is called poor; those of good fits are 1 to 2.
const POOR_CHI2: f64 = 10.0;

/// Reads a PSF file with its own GH-0-0. PSFTYPE is GAUSS-HERMITE (PSFVER 3, 2 or 1), GAUSS-HERMITE2, SPOTGRID, MONOSPOT or
/// PCA-PIX.
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
    let psftype = psftype(file)?;
    match psftype.as_str() {
        "GAUSS-HERMITE" => gauss_hermite(file, false, gh00),
        "GAUSS-HERMITE2" => gauss_hermite(file, true, gh00),
        "SPOTGRID" => spot_grid(file),
        "MONOSPOT" => mono_spot(file),
        "PCA-PIX" => pixel_polynomial(file),
        other => Err(FitsError::UnsupportedPsf { path: file.path.clone(), psftype: other.into() }),
    }
}

/// Returns PSFTYPE, which all HDUs that have it agree about.
fn psftype(file: &FitsFile) -> Result<String, FitsError> {
    let of = |hdu: &Hdu| hdu.header.get_str("PSFTYPE").map(|name| name.trim().to_string());
    let mut stated = file.hdus.iter().filter_map(|hdu| Some((hdu, of(hdu)?)));
    let Some((first, name)) = stated.next() else { return Ok("GAUSS-HERMITE".into()) };
    match stated.find(|(_, other)| *other != name) {
        None => Ok(name),
        Some((hdu, other)) => {
            let what = format!("PSFTYPE is {other}, but {name} in {}: correct one of them", first.label());
            Err(file.invalid(hdu, what))
        }
    }
}

/// Reads a Gauss-Hermite PSF, perhaps of two cores.
fn gauss_hermite(file: &FitsFile, two_cores: bool, gh00: Gh00) -> Result<Psf, FitsError> {
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
    let form = if two_cores { second_core(&rows, &integer)? } else { Form::GaussHermite };
    // The window of two cores is even: it fits one that is odd and a pixel wider to either side.
    let half = |keyword| integer(keyword).map(|half| if two_cores { half + 1 } else { half });
    let [wave_min, wave_max] = rows.table_domain()?;
    let facts = FibreFacts::read(file, rows.nfibre)?;
    let mut parts = PsfParts {
        nfibre: rows.nfibre,
        fibermin: facts.first.map_or_else(|| integer("FIBERMIN").map(|number| number as i64), Ok)?,
        dispersion: Dispersion::AlongY,
        trace_x: trace(file, &rows, "XTRACE", "X")?,
        trace_y: trace(file, &rows, "YTRACE", "Y")?,
        form,
        sigma_x: rows.series("GHSIGX")?,
        sigma_y: rows.series("GHSIGY")?,
        gh,
        gh_degree_x,
        gh_degree_y,
        tails: rows.tails()?,
        half_x: half("HSIZEX")?,
        half_y: half("HSIZEY")?,
        npix_x: integer("NPIX_X")?,
        npix_y: integer("NPIX_Y")?,
        ranges: facts.ranges,
        numbers: facts.numbers,
        waves: None,
        wave_min,
        wave_max,
        psferr: match hdu.header.contains("PSFERR") {
            true => file.need(hdu, "PSFERR", Header::get_f64)?,
            false => DEFAULT_PSFERR,
        },
        camera: camera(&hdu.header),
    };
    let mut defects = Defects { fibres: failed_fibres(&mut parts, &rows), notes: notes_of(file, hdu, &rows) };
    let second = match &parts.form {
        Form::TwoCores(core) => Some(("GH2", "2", [core.degree_x, core.degree_y])),
        _ => None,
    };
    for (stem, suffix, degrees) in second.into_iter().chain([("GH", "", [gh_degree_x, gh_degree_y])]) {
        let (beyond, [x, y]) = (rows.beyond(stem, degrees), degrees);
        if !beyond.is_empty() {
            let names = beyond.join(", ");
            defects
                .notes
                .push(format!("its {names} are above GHDEGX{suffix} {x} and GHDEGY{suffix} {y}, and left out"));
        }
    }
    defects.fibres.dedup_by_key(|bad| bad.fibre);
    let constant = rows.is_constant("GH-0-0");
    let failed = |source: PsfError| {
        let traces = ["XTRACE", "YTRACE"].into_iter().find(|name| *name == source.parameter());
        refuse(traces.and_then(|name| file.find(name)).unwrap_or(hdu), source)
    };
    let built = Psf::new(parts).and_then(|psf| with_gh00(psf, gh00, constant, &mut defects)).map_err(failed)?;
    judged(oriented(file, built)?, defects).map_err(failed)
}

/// Reads the second core of a PSF.
fn second_core(
    rows: &ParamTable,
    integer: &impl Fn(&'static str) -> Result<usize, FitsError>,
) -> Result<Form, FitsError> {
    let [degree_x, degree_y] = [integer("GHDEGX2")?, integer("GHDEGY2")?];
    let terms = (0..=degree_x).flat_map(|i| (0..=degree_y).map(move |j| format!("GH2-{i}-{j}")));
    Ok(Form::TwoCores(Box::new(SecondCore {
        cut: rows.series("GHNSIG")?,
        sigma_x: rows.series("GHSIGX2")?,
        sigma_y: rows.series("GHSIGY2")?,
        gh: terms.map(|name| rows.series(&name)).collect::<Result<_, _>>()?,
        degree_x,
        degree_y,
    })))
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
    let mut notes = file.notes();
    // specex writes it as a string, too.
    let version = |hdu: &Hdu| hdu.header.value_text("PSFVER")?.parse::<f64>().ok();
    let mut versions: Vec<f64> = file.hdus.iter().filter_map(version).collect();
    if let Some(version) = versions.iter().find(|v| !(1.0..4.0).contains(*v)) {
        notes.push(format!("its PSFVER is {version}, which this program does not know; it is read as version 3"));
    }
    versions.dedup();
    if versions.len() > 1 {
        notes.push(format!(
            "its HDUs have different PSFVER ({versions:?}); where its traces are decides how it is read"
        ));
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

/// Reads a trace: an image in PSFVER 3, else a row of the table.
fn trace(file: &FitsFile, rows: &ParamTable, extname: &str, param: &str) -> Result<LegendreSeries, FitsError> {
    let Some(hdu) = file.find(extname) else {
        if rows.has(param) {
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
