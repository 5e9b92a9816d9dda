//! PSF files written: Gauss-Hermite as PSFVER 3, traces as images and one row of the table per parameter; spot grids.

use super::error::FitsError;
use super::psf_axes::DISPAXIS;
use super::psf_fibres::write_fibres;
use super::writer::{Image, Pixels, write_file};
use crate::base::atomic_file::PendingFile;
use crate::frame::{ColumnData, Header, Table};
use crate::psf::{Dispersion, Form, LegendreSeries, Psf, SpotGrid, SpotNorm};
use std::borrow::Cow;
use std::path::Path;

/// Writes a PSF file: a Gauss-Hermite PSF as PSFVER 3 (XTRACE, YTRACE and the PSF table), images on a grid as SPOTGRID or
/// MONOSPOT.
///
/// # Errors
/// [`FitsError::Invalid`] if the series of the table differ in their domain, as PSFVER 3 has one for all, or the PSF is of
/// another kind. [`FitsError::Write`] if the file exists and may not be replaced, or cannot be written.
pub fn write_psf(path: impl AsRef<Path>, psf: &Psf, overwrite: bool) -> Result<PendingFile, FitsError> {
    // Stand-ins must not pass for fits.
    let bad = &psf.defects().fibres;
    let status =
        (!bad.is_empty()).then(|| (0..psf.nfibre).map(|f| f64::from(u8::from(psf.defects().has(f)))).collect());
    write_psf_with(path, psf, &PsfExtras { status, ..PsfExtras::default() }, overwrite)
}

/// Contents of a PSF file beside the PSF.
#[derive(Clone, Debug, Default)]
pub struct PsfExtras {
    /// STATUS of every fibre: 0 where its PSF is fitted.
    pub status: Option<Vec<f64>>,
    /// Cards of the PSF table.
    pub cards: Header,
    /// Further tables.
    pub tables: Vec<(&'static str, Table)>,
}

/// Writes a PSF file with more in it than the PSF; images on a grid have no place for it. There traces of fibres that are not
/// fitted are -1, as other programs fill them.
///
/// # Errors
/// [`FitsError::Invalid`] if the series of the table differ in their domain, or the PSF is of a kind that is not written.
/// [`FitsError::Write`] if the file exists and may not be replaced, or cannot be written.
pub fn write_psf_with(
    path: impl AsRef<Path>,
    psf: &Psf,
    extras: &PsfExtras,
    overwrite: bool,
) -> Result<PendingFile, FitsError> {
    // Files have x along the columns of the CCD.
    let (axis, psf) = (psf.dispersion, &*as_in_file(psf));
    match &psf.form {
        Form::GaussHermite => {}
        Form::Grid(grid) => return write_grid(path.as_ref(), psf, grid, axis, (extras, overwrite)),
        other => {
            let what =
                format!("PSFs of kind {} are not written; convert it to SPOTGRID or GAUSS-HERMITE", other.name());
            return Err(FitsError::Invalid { path: path.as_ref().into(), hdu: "HDU 2 (PSF)".into(), what });
        }
    }
    let rows = psf.table_rows();
    let domain = psf.sigma_x.domain;
    if let Some((name, series)) = rows.iter().find(|(_, s)| s.domain != domain) {
        let what = format!(
            "{name} has wavelengths {:?}, GHSIGX {domain:?}, but PSFVER 3 has one range for all; refit them to one",
            series.domain
        );
        return Err(FitsError::Invalid { path: path.as_ref().into(), hdu: "HDU 2 (PSF)".into(), what });
    }
    let table = param_table(psf, &rows, axis, extras);
    write_file(path.as_ref(), overwrite, |out| {
        for (name, trace) in [("XTRACE", &psf.trace_x), ("YTRACE", &psf.trace_y)] {
            let image =
                Image { name, unit: "", shape: vec![psf.nfibre, trace.ncoeff], pixels: Pixels::F64(&trace.coeff) };
            out.image(&image, &common_cards(psf, axis, trace.domain))?;
        }
        out.table("PSF", &table)?;
        write_fibres(out, psf, None)?;
        extras.tables.iter().try_for_each(|(name, table)| out.table(name, table))
    })
}

/// Returns a PSF as its file has it.
fn as_in_file(psf: &Psf) -> Cow<'_, Psf> {
    match psf.dispersion {
        Dispersion::AlongY => Cow::Borrowed(psf),
        Dispersion::AlongX => Cow::Owned(psf.clone().as_in_file()),
    }
}

/// Writes images on a grid in specter's layout; what specter does not know has cards of its own.
fn write_grid(
    path: &Path,
    psf: &Psf,
    grid: &SpotGrid,
    axis: Dispersion,
    (extras, overwrite): (&PsfExtras, bool),
) -> Result<PendingFile, FitsError> {
    let parts = grid.images.parts();
    let mut common = Header::new();
    common.set("PSFTYPE", psf.form.name(), "");
    common.set("NPIX_X", psf.npix_x, "columns of the CCD");
    common.set("NPIX_Y", psf.npix_y, "rows of the CCD");
    common.set("NSPEC", psf.nfibre, "number of fibres");
    common.set(DISPAXIS, axis.dispaxis(), "axis of dispersion: 1 x, 2 y");
    common.set("FIBERMIN", psf.fibermin, "first fibre");
    common.set("PSFERR", psf.psferr, "fractional error of the PSF");
    common.set("CAMERA", psf.camera.clone().unwrap_or_default(), "camera");
    common.set("CCDPIXSZ", parts.oversampling, "size of a CCD pixel, in samples");
    common.set("PIXSIZE", 1i64, "size of a sample");
    let mut spots = Header::new();
    spots.set("OVERSAMP", parts.oversampling, "samples per CCD pixel");
    spots.set("SCALE", parts.oversampling, "samples per CCD pixel");
    spots.set("SPOTCENX", parts.centre[1], "column of an image that falls on the trace");
    spots.set("SPOTCENY", parts.centre[0], "row of an image that falls on the trace");
    let fibres: Vec<f64> = (0..psf.nfibre).map(|fibre| grid.position.of(fibre)[0]).collect();
    let image =
        |name, shape: &[usize], values| Image { name, unit: "", shape: shape.to_vec(), pixels: Pixels::F64(values) };
    write_file(path, overwrite, |out| {
        for (name, trace) in [("XCOEFF", &psf.trace_x), ("YCOEFF", &psf.trace_y)] {
            let mut cards = common.clone();
            cards.set("WAVEMIN", trace.domain[0], "Angstrom, where the Legendre variable is -1");
            cards.set("WAVEMAX", trace.domain[1], "Angstrom, where the Legendre variable is 1");
            let mut coeff = trace.coeff.clone();
            let fibres = coeff.chunks_mut(trace.ncoeff).zip(extras.status.iter().flatten());
            fibres.filter(|(_, status)| **status != 0.0).for_each(|(coeff, _)| coeff.fill(-1.0));
            let shape = vec![psf.nfibre, trace.ncoeff];
            out.image(&Image { name, unit: "", shape, pixels: Pixels::F64(&coeff) }, &cards)?;
        }
        let bundle = |from: &dyn Fn(&(usize, f64)) -> bool| parts.breaks.iter().filter(|b| from(b)).count() as i64;
        let of_fibres = || fibres.iter().map(|at| bundle(&|(_, from)| from <= at)).collect();
        write_fibres(out, psf, (!parts.breaks.is_empty()).then(of_fibres))?;
        match parts.norm {
            SpotNorm::Window => spots.set("SPOTNORM", "WINDOW", "a spot is normalised to sum 1"),
            SpotNorm::Total => spots.set("SPOTNORM", "TOTAL", "the sum is the part of all light"),
        }
        if grid.images.is_single() {
            return out.image(&image("SPOT", &[parts.ny, parts.nx], &parts.samples), &spots);
        }
        spots.set("SPOTINTR", "LINEAR", "between slit positions and wavelengths");
        if parts.is_regular() && on_scale(psf, grid) {
            let shape = [parts.positions.len(), parts.waves[0].len(), parts.ny, parts.nx];
            out.image(&image("SPOTS", &shape, &parts.samples), &spots)?;
            out.image(&image("SPOTPOS", &shape[..1], &parts.positions), &Header::new())?;
            out.image(&image("SPOTWAVE", &shape[1..2], &parts.waves[0]), &Header::new())?;
        } else {
            out.image(&image("SPOTS", &[parts.count(), parts.ny, parts.nx], &parts.samples), &spots)?;
            let places = parts.positions.iter().zip(&parts.waves).enumerate();
            let rows = places.flat_map(|(k, (at, waves))| waves.iter().map(move |wave| (k, *at, *wave)));
            let rows: Vec<(usize, f64, f64)> = rows.collect();
            let mut table = Table::new(rows.len())
                .with_column("SLITPOS", "", &ColumnData::F64(rows.iter().map(|row| row.1).collect()))
                .with_column("WAVELENGTH", "Angstrom", &ColumnData::F64(rows.iter().map(|row| row.2).collect()));
            if !parts.breaks.is_empty() {
                let bundles = rows.iter().map(|row| bundle(&|(first, _)| *first <= row.0)).collect();
                table = table.with_column("BUNDLE", "", &ColumnData::I64(bundles));
            }
            out.table("SPOTAT", &table)?;
        }
        out.image(&image("FIBERPOS", &[psf.nfibre], &fibres), &Header::new())
    })
}

/// Whether wavelengths of images are on the scale that all fibres have in common.
fn on_scale(psf: &Psf, grid: &SpotGrid) -> bool {
    let [low, high] = grid.wave.domain;
    let line = [0.5 * (low + high), 0.5 * (high - low)];
    psf.ranges.is_none() || (0..psf.nfibre).all(|fibre| grid.wave.of(fibre) == line)
}

/// Returns the cards of every HDU of a PSF file.
fn common_cards(psf: &Psf, axis: Dispersion, domain: [f64; 2]) -> Header {
    let mut header = Header::new();
    header.set("PSFTYPE", "GAUSS-HERMITE", "");
    header.set("PSFVER", 3i64, "");
    header.set("FIBERMIN", psf.fibermin, "first fibre");
    header.set("FIBERMAX", psf.fibermin + psf.nfibre as i64 - 1, "last fibre, included");
    header.set("WAVEMIN", domain[0], "Angstrom, where the Legendre variable is -1");
    header.set("WAVEMAX", domain[1], "Angstrom, where the Legendre variable is 1");
    header.set(DISPAXIS, axis.dispaxis(), "axis of dispersion: 1 x, 2 y");
    header
}

/// Builds the PSF table; shorter series are padded with zero coefficients.
fn param_table(psf: &Psf, rows: &[(String, &LegendreSeries)], axis: Dispersion, extras: &PsfExtras) -> Table {
    let ncoeff = rows.iter().map(|(_, s)| s.ncoeff).max().unwrap_or(1);
    let mut coeff = Vec::new();
    for (_, series) in rows {
        for fibre in 0..psf.nfibre {
            let from = coeff.len();
            coeff.extend_from_slice(series.of(fibre));
            coeff.resize(from + ncoeff, 0.0);
        }
    }
    let mut names: Vec<String> = rows.iter().map(|(name, _)| name.clone()).collect();
    if let Some(status) = &extras.status {
        names.push("STATUS".into());
        let padded = |status: &f64| [*status].into_iter().chain(std::iter::repeat(0.0)).take(ncoeff);
        coeff.extend(status.iter().flat_map(padded));
    }
    let nrows = names.len();
    let mut table = Table::new(nrows).with_column("PARAM", "", &ColumnData::Str(names)).with_column(
        "COEFF",
        "",
        &ColumnData::F64(coeff),
    );
    let header = table.header_mut();
    header.set("TDIM2", format!("({ncoeff},{})", psf.nfibre), "");
    header.append(&common_cards(psf, axis, psf.sigma_x.domain));
    header.set("CAMERA", psf.camera.clone().unwrap_or_default(), "camera");
    header.set("NPIX_X", psf.npix_x, "columns of the CCD");
    header.set("NPIX_Y", psf.npix_y, "rows of the CCD");
    header.set("HSIZEX", psf.half_x, "spots are 2 HSIZEX + 1 columns wide");
    header.set("HSIZEY", psf.half_y, "spots are 2 HSIZEY + 1 rows high");
    header.set("NPARAMS", nrows, "rows of this table");
    header.set("LEGDEG", ncoeff - 1, "degree of the Legendre series");
    header.set("GHDEGX", psf.gh_degree_x, "Gauss-Hermite degree along columns");
    header.set("GHDEGY", psf.gh_degree_y, "Gauss-Hermite degree along rows");
    header.set("PSFERR", psf.psferr, "fractional error of the PSF");
    header.append(&extras.cards);
    table
}
