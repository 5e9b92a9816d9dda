//! Measured spots and plain traces read: tables as CSV or FITS, and images of Legendre coefficients.

use super::error::FitsError;
use super::hdu::Kind;
use super::line_list::not_angstrom;
use super::reader::FitsFile;
use super::table::read_table;
use crate::frame::Header;
use crate::psf::{Dispersion, Form, LegendreSeries, MOST_HALF_SIZE, Psf, PsfParts, in_range};
use crate::stages::trace_fit::{Residual, Spots, TraceFit, TraceFitError, fit_traces};
use std::io::Read;
use std::path::Path;

/// Columns by their names, of which the first counts in messages.
const COLUMNS: [&[&str]; 6] = [
    &["fibre", "fiber", "fiberid", "fibreid"],
    &["wavelength", "wave", "lambda"],
    &["x", "xcen"],
    &["y", "ycen"],
    &["sigma_x", "sigmax", "sigx", "xsig"],
    &["sigma_y", "sigmay", "sigy", "ysig"],
];

/// The PSF of a file of spots or traces.
#[derive(Clone, Debug)]
pub struct FittedPsf {
    /// The PSF.
    pub psf: Psf,
    /// How far the spots are from it; none of traces that are series already.
    pub residuals: Vec<Residual>,
    /// Remarks, in sentences.
    pub notes: Vec<String>,
}

/// Makes a Gauss-Hermite PSF from a file of measured spots or plain traces.
///
/// Spots are a table, as CSV or FITS. Its columns are fibre, wavelength, x, y, sigma_x and sigma_y, and perhaps Gauss-Hermite
/// terms GH-i-j. Traces are images XTRACE and YTRACE of Legendre coefficients with WAVEMIN and WAVEMAX, as desispec writes
/// them. XSIG and YSIG are widths, `sigma` where they are missing.
///
/// # Errors
/// [`FitsError::Invalid`] with the line, column or HDU at fault; other [`FitsError`] if the file cannot be read.
pub fn psf_from_spots(path: impl AsRef<Path>, how: &TraceFit, sigma: [f64; 2]) -> Result<FittedPsf, FitsError> {
    let path = path.as_ref();
    let mut start = [0; 6];
    let read = std::fs::File::open(path).and_then(|mut file| file.read(&mut start));
    read.map_err(|source| FitsError::Read { path: path.into(), source })?;
    let is_fits = start == *b"SIMPLE" || start.starts_with(&[0x1f, 0x8b]);
    let spots = if is_fits {
        let file = FitsFile::open(path)?;
        if file.find("XTRACE").is_some() {
            return of_traces(&file, how, sigma);
        }
        spots_of_table(&file)?
    } else {
        spots_of_csv(path)?
    };
    in_angstrom(spots.wave.iter().copied(), path)?;
    let (psf, residuals) = fit_traces(&spots, how).map_err(|error| refused(path, &error))?;
    Ok(FittedPsf { psf, residuals, notes: Vec::new() })
}

fn refused(path: &Path, error: &TraceFitError) -> FitsError {
    FitsError::Invalid { path: path.into(), hdu: "spots".into(), what: error.to_string() }
}

/// Refuses wavelengths in another unit than Angstrom.
fn in_angstrom(waves: impl Iterator<Item = f64>, path: &Path) -> Result<(), FitsError> {
    let invalid = |what| FitsError::Invalid { path: path.into(), hdu: "spots".into(), what };
    not_angstrom(waves).map_or(Ok(()), |what| Err(invalid(what)))
}

/// Returns the orders of a column GH-i-j.
fn orders(name: &str) -> Option<[usize; 2]> {
    let (i, j) = name.strip_prefix("gh-").or_else(|| name.strip_prefix("gh_"))?.split_once(['-', '_'])?;
    Some([i.parse().ok()?, j.parse().ok()?]).filter(|orders| orders.iter().all(|n| *n <= 16))
}

/// Reads the spots of the first table.
fn spots_of_table(file: &FitsFile) -> Result<Spots, FitsError> {
    let Some(hdu) = file.hdus.iter().find(|hdu| hdu.kind == Kind::Table) else {
        let what = "is not followed by a table of spots or an image XTRACE; is it the right kind of file?";
        return Err(file.invalid(&file.hdus[0], what));
    };
    let table = read_table(file, hdu, &mut Vec::new())?;
    let column = |wanted: &str| {
        let found = table.columns().iter().find(|column| column.name.eq_ignore_ascii_case(wanted));
        found.and_then(|column| table.column_f64(&column.name))
    };
    let names = table.columns().iter().map(|column| column.name.to_lowercase());
    let terms: Vec<([usize; 2], String)> = names.filter_map(|name| Some((orders(&name)?, name))).collect();
    let lists = COLUMNS.map(|names| {
        names.iter().find_map(|name| column(name)).filter(|values| values.len() == table.nrows()).ok_or_else(|| {
            file.invalid(hdu, format!("has no column {} of one number per row; name the columns fibre, wavelength, x, y, sigma_x, sigma_y", names[0]))
        })
    });
    let [fibre, wave, x, y, sigma_x, sigma_y] = lists;
    let terms = terms.into_iter().filter_map(|(orders, name)| Some((orders, column(&name)?))).collect();
    let fibre = fibre?.into_iter().map(|fibre| fibre as i64).collect();
    Ok(Spots { fibre, wave: wave?, x: x?, y: y?, sigma_x: sigma_x?, sigma_y: sigma_y?, terms })
}

/// Reads spots from text: a header row, then one spot per line; empty lines and those that begin with # do not count.
fn spots_of_csv(path: &Path) -> Result<Spots, FitsError> {
    let failed = |line: u64, what: String| FitsError::Invalid { path: path.into(), hdu: format!("line {line}"), what };
    let mut builder = csv::ReaderBuilder::new();
    let builder = builder.trim(csv::Trim::All).comment(Some(b'#'));
    let mut reader = builder.from_path(path).map_err(|error| failed(1, error.to_string()))?;
    let header = reader.headers().map_err(|error| failed(1, error.to_string()))?.clone();
    let names: Vec<String> = header.iter().map(|name| name.trim_start_matches('\u{feff}').to_lowercase()).collect();
    let find = |wanted: &[&str]| {
        let index = wanted.iter().find_map(|wanted| names.iter().position(|name| name == wanted));
        index.ok_or_else(|| {
            let what = "give a header row fibre,wavelength,x,y,sigma_x,sigma_y, separated by commas";
            failed(1, format!("no column is called {}; {what}", wanted[0]))
        })
    };
    let mut columns = COLUMNS.iter().map(|names| find(names)).collect::<Result<Vec<usize>, _>>()?;
    let terms: Vec<[usize; 2]> = names.iter().filter_map(|name| orders(name)).collect();
    columns.extend(names.iter().enumerate().filter(|(_, name)| orders(name).is_some()).map(|(k, _)| k));
    let mut lists = vec![Vec::new(); columns.len()];
    for record in reader.records() {
        let record =
            record.map_err(|error| failed(error.position().map_or(1, csv::Position::line), error.to_string()))?;
        let line = record.position().map_or(1, csv::Position::line);
        for (list, &column) in lists.iter_mut().zip(&columns) {
            let cell = &record[column];
            let number = cell.parse::<f64>();
            list.push(number.map_err(|_| failed(line, format!("{} is `{cell}`: give a number", &names[column])))?);
        }
        let fibre = lists[0].last().copied().unwrap_or(0.0);
        if fibre.fract() != 0.0 || !(-1e15..1e15).contains(&fibre) {
            return Err(failed(line, format!("fibre is `{}`: give a whole number", &record[columns[0]])));
        }
    }
    let mut lists = lists.into_iter();
    let mut next = || lists.next().unwrap_or_default();
    let fibre = next().into_iter().map(|fibre| fibre as i64).collect();
    let spots =
        Spots { fibre, wave: next(), x: next(), y: next(), sigma_x: next(), sigma_y: next(), terms: Vec::new() };
    Ok(Spots { terms: terms.into_iter().zip(std::iter::from_fn(|| Some(next()))).collect(), ..spots })
}

/// Makes the PSF of traces that are Legendre series already.
fn of_traces(file: &FitsFile, how: &TraceFit, sigma: [f64; 2]) -> Result<FittedPsf, FitsError> {
    let image = |name: &str| {
        let hdu = file.hdu(name)?;
        let [nfibre, ncoeff] = file.image_shape_2d(hdu)?;
        let end = |keyword| file.need(hdu, keyword, Header::get_f64);
        let series = LegendreSeries { domain: [end("WAVEMIN")?, end("WAVEMAX")?], ncoeff, coeff: file.image_f64(hdu)? };
        Ok::<_, FitsError>((nfibre, series))
    };
    let ((nfibre, trace_x), (_, trace_y)) = (image("XTRACE")?, image("YTRACE")?);
    let domain = trace_y.domain;
    in_angstrom(domain.into_iter(), &file.path)?;
    let mut notes = Vec::new();
    let constant = |value: f64| LegendreSeries { domain, ncoeff: 1, coeff: vec![value; nfibre] };
    let mut width = |name: &str, default: f64| match file.find(name) {
        Some(_) => image(name).map(|(_, series)| series),
        None => {
            notes.push(format!("it has no {name}: spots are taken as {default} pixels wide along that axis"));
            Ok(constant(default))
        }
    };
    let (sigma_x, sigma_y) = (width("XSIG", sigma[0])?, width("YSIG", sigma[1])?);
    // PSFVER 3 has one range for the whole table.
    let differs = [&sigma_x, &sigma_y].into_iter().find(|series| series.domain != domain);
    if let (Some(series), Some(hdu)) = (differs, file.find("XSIG").or_else(|| file.find("YSIG"))) {
        let what =
            format!("XSIG and YSIG have wavelengths {:?}, YTRACE {domain:?}: give all the same range", series.domain);
        return Err(file.invalid(hdu, what));
    }
    let half = |given: Option<usize>, widths: &LegendreSeries| {
        let bound = |of_fibre: &[f64]| of_fibre.iter().map(|c| c.abs()).sum::<f64>();
        let largest = widths.coeff.chunks(widths.ncoeff).map(bound).fold(0.0, f64::max);
        given.unwrap_or(((5.0 * largest).ceil() as usize).clamp(2, MOST_HALF_SIZE))
    };
    let hdu = file.hdu("XTRACE")?;
    let refuse = |source| FitsError::Psf { path: file.path.clone(), hdu: hdu.label(), source };
    let fibermin = hdu.header.get_i64("FIBERMIN").unwrap_or(0);
    in_range("FIBERMIN", fibermin).map_err(refuse)?;
    let parts = PsfParts {
        nfibre,
        fibermin,
        dispersion: Dispersion::AlongY,
        half_x: half(how.half[0], &sigma_x),
        half_y: half(how.half[1], &sigma_y),
        trace_x,
        trace_y,
        form: Form::GaussHermite,
        sigma_x,
        sigma_y,
        gh: vec![constant(1.0)],
        gh_degree_x: 0,
        gh_degree_y: 0,
        tails: None,
        npix_x: how.npix[0],
        npix_y: how.npix[1],
        ranges: None,
        numbers: None,
        waves: None,
        wave_min: domain[0],
        wave_max: domain[1],
        psferr: 0.01,
        camera: how.camera.clone(),
    };
    Ok(FittedPsf { psf: Psf::new(parts).map_err(refuse)?.turned_by_traces(), residuals: Vec::new(), notes })
}
