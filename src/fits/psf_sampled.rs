//! PSF files of sampled spots read: SPOTGRID, MONOSPOT and PCA-PIX.
//!
//! Their common part are cards of the primary HDU and traces as images XCOEFF and YCOEFF, which may also be called XTRACE and
//! YTRACE.

use super::error::FitsError;
use super::hdu::Hdu;
use super::psf_axes::oriented;
use super::psf_fibres::FibreFacts;
use super::psf_irregular::{ImageKind, irregular};
use super::psf_table::{DEFAULT_PSFERR, camera};
use super::reader::FitsFile;
use super::table::read_table;
use crate::frame::{Header, Table};
use crate::psf::{
    Defects, Dispersion, Form, LegendreSeries, PixelPolynomial, PolynomialImages, PolynomialParts, Psf, PsfError,
    PsfParts, Remainder, SpotGrid, SpotImages, SpotImagesParts, SpotNorm, in_range,
};
use crate::stages::psf_check::judged;
use crate::stages::spot_widths::with_measured_widths;
use std::sync::Arc;

/// A quotient of pixel sizes is whole within this.
const WHOLE: f64 = 1e-6;

/// Reads images on a grid of slit positions and wavelengths.
pub(super) fn spot_grid(file: &FitsFile) -> Result<Psf, FitsError> {
    let common = Common::read(file)?;
    let spots = file.hdu("SPOTS")?;
    if let Some(other) = text(file, spots, "SPOTINTR").filter(|word| !word.trim().eq_ignore_ascii_case("LINEAR")) {
        return Err(file.invalid(spots, format!("SPOTINTR is {other}, and only LINEAR is known; make the PSF so")));
    }
    let norm = norm(file, spots)?;
    let shape = file.image_shape(spots)?;
    if let Some(at) = file.find("SPOTAT") {
        let [.., ny, nx] = shape[..] else {
            return Err(file.invalid(spots, format!("has shape {shape:?}, not images x rows x columns; write it so")));
        };
        let kind = ImageKind { oversampling: oversampling(file, spots)?, centre: centre(file, spots, [ny, nx]), norm };
        let of_fibres = (common.nfibre, common.fibermin()?);
        let (parts, fibres) = irregular(file, [spots, at], &common.facts, of_fibres, kind)?;
        return common.with_images(spots, parts, fibres, true);
    }
    let [npos, nwave, ny, nx] = shape[..] else {
        return Err(file.invalid(
            spots,
            format!("has shape {shape:?}, not slit positions x wavelengths x rows x columns; is it a SPOTGRID?"),
        ));
    };
    if npos < 2 || nwave < 2 {
        return Err(file.invalid(
            spots,
            format!("has {npos} x {nwave} images: at least 2 slit positions x 2 wavelengths are needed"),
        ));
    }
    let positions = numbers(file, "SPOTPOS", npos, "slit positions of SPOTS")?;
    let waves = numbers(file, "SPOTWAVE", nwave, "wavelengths of SPOTS")?;
    let fibres = match common.facts.positions.clone() {
        Some(positions) => positions,
        None => numbers(file, "FIBERPOS", common.nfibre, "fibres of the traces")?,
    };
    let oversampling = oversampling(file, spots)?;
    let parts = SpotImagesParts {
        positions,
        waves: vec![waves; npos],
        breaks: Vec::new(),
        ny,
        nx,
        samples: file.image_f64(spots)?,
        oversampling,
        centre: centre(file, spots, [ny, nx]),
        remainder: Remainder::Linear,
        norm,
    };
    common.with_images(spots, parts, fibres, false)
}

/// Reads one image for all fibres and wavelengths.
pub(super) fn mono_spot(file: &FitsFile) -> Result<Psf, FitsError> {
    let common = Common::read(file)?;
    let spot = file.hdu("SPOT")?;
    let [ny, nx] = file.image_shape_2d(spot)?;
    let scale = file.need(spot, "SCALE", Header::get_f64)?;
    let parts = SpotImagesParts {
        positions: vec![0.0],
        waves: vec![vec![0.5 * (common.trace_y.domain[0] + common.trace_y.domain[1])]],
        breaks: Vec::new(),
        ny,
        nx,
        samples: file.image_f64(spot)?,
        oversampling: whole(file, spot, "SCALE", scale)?,
        centre: centre(file, spot, [ny, nx]),
        remainder: Remainder::Sinc,
        norm: norm(file, spot)?,
    };
    let fibres = vec![0.0; common.nfibre];
    common.with_images(spot, parts, fibres, false)
}

/// Reads images with powers of the position; HDUs 3 to 5 have no names.
pub(super) fn pixel_polynomial(file: &FitsFile) -> Result<Psf, FitsError> {
    let common = Common::read(file)?;
    let numbered = |n: usize, what: &str| match file.hdus.get(n) {
        Some(hdu) => Ok(hdu),
        None => Err(file.invalid(
            &file.hdus[0],
            format!("of a PCA-PIX PSF is not followed by HDU {n}, the {what}; is the file whole?"),
        )),
    };
    let (models, scales, images) = (numbered(3, "powers")?, numbered(4, "fibres")?, numbered(5, "images")?);
    let shape = file.image_shape(images)?;
    let [_, nmodel, ny, nx] = shape[..] else {
        return Err(file.invalid(
            images,
            format!("has shape {shape:?}, not groups x models x rows x columns; is it a PCA-PIX PSF?"),
        ));
    };
    let column = |table: &Table, hdu: &Hdu, name: &str, length: usize| match table.column_f64(name) {
        Some(values) if values.len() == length => Ok(values),
        _ => Err(file.invalid(hdu, format!("has no column {name} of {length} numbers; is it a PCA-PIX PSF?"))),
    };
    let powers = read_table(file, models, &mut Vec::new())?;
    let [x, y] = [column(&powers, models, "XEXP", nmodel)?, column(&powers, models, "YEXP", nmodel)?];
    let powers = x.iter().zip(&y).map(|(x, y)| [*x as i32, *y as i32]).collect();
    let fibres = read_table(file, scales, &mut Vec::new())?;
    let of_fibres = |name: &'static str| column(&fibres, scales, name, common.nfibre);
    let series = |trace: &LegendreSeries, zero: &'static str, scale: &'static str| {
        let (zero, scale) = (of_fibres(zero)?, of_fibres(scale)?);
        let mut series = trace.clone();
        for (of_fibre, (zero, scale)) in series.coeff.chunks_exact_mut(series.ncoeff).zip(zero.iter().zip(&scale)) {
            of_fibre.iter_mut().for_each(|c| *c *= scale);
            of_fibre[0] -= scale * zero;
        }
        Ok::<_, FitsError>(series)
    };
    let images = PolynomialImages::new(PolynomialParts { powers, ny, nx, images: file.image_f64(images)? })
        .map_err(|source| common.refuse(images, source))?;
    let group = common.constant(of_fibres("IGROUP")?);
    if let Some(other) = group.coeff.iter().find(|g| !(0.0..images.groups() as f64).contains(*g)) {
        return Err(file.invalid(
            scales,
            format!("has IGROUP {other}, but the images have {} groups; make the PSF file anew", images.groups()),
        ));
    }
    let (x, y) = (series(&common.trace_x, "X0", "XSCALE")?, series(&common.trace_y, "Y0", "YSCALE")?);
    let form = Form::Polynomial(Box::new(PixelPolynomial { images: Arc::new(images), group, x, y }));
    common.build(scales, form, [ny / 2, nx / 2], Vec::new())
}

/// Parts that all sampled PSFs have.
struct Common<'a> {
    file: &'a FitsFile,
    nfibre: usize,
    trace_x: LegendreSeries,
    trace_y: LegendreSeries,
    facts: FibreFacts,
}

impl<'a> Common<'a> {
    fn read(file: &'a FitsFile) -> Result<Self, FitsError> {
        let (trace_x, trace_y) = (trace(file, ["XCOEFF", "XTRACE"])?, trace(file, ["YCOEFF", "YTRACE"])?);
        let nfibre = trace_y.coeff.len() / trace_y.ncoeff;
        let primary = &file.hdus[0];
        let stated = primary.header.get_i64("NSPEC");
        let of_x = trace_x.coeff.len() / trace_x.ncoeff;
        if of_x != nfibre || stated.is_some_and(|n| n != nfibre as i64) {
            let stated = stated.map_or_else(|| "is absent".into(), |n| format!("is {n}"));
            let what =
                format!("NSPEC {stated}, traces x and y are of {of_x} and {nfibre} fibres; make the PSF file anew");
            return Err(file.invalid(primary, what));
        }
        let facts = FibreFacts::read(file, nfibre)?;
        Ok(Self { file, nfibre, trace_x, trace_y, facts })
    }

    /// Returns a count by its card of the primary HDU.
    fn integer(&self, keyword: &'static str) -> Result<usize, FitsError> {
        let primary = &self.file.hdus[0];
        let value = self.file.need(primary, keyword, Header::get_i64)?;
        in_range(keyword, value).map_err(|source| self.refuse(primary, source))
    }

    /// Returns the number of the first fibre.
    fn fibermin(&self) -> Result<i64, FitsError> {
        if let Some(first) = self.facts.first {
            return Ok(first);
        }
        let stated = self.file.hdus[0].header.contains("FIBERMIN");
        if stated { self.integer("FIBERMIN").map(|number| number as i64) } else { Ok(0) }
    }

    fn refuse(&self, at: &Hdu, source: PsfError) -> FitsError {
        FitsError::Psf { path: self.file.path.clone(), hdu: at.label(), source }
    }

    /// Returns a series of one number per fibre.
    fn constant(&self, coeff: Vec<f64>) -> LegendreSeries {
        LegendreSeries { domain: self.trace_y.domain, ncoeff: 1, coeff }
    }

    /// Builds the PSF of oversampled images; `fibres` are slit positions. Where fibres have ranges of their own, wavelengths of
    /// images are on the scale that all have in common, or `own`.
    fn with_images(self, hdu: &Hdu, parts: SpotImagesParts, fibres: Vec<f64>, own: bool) -> Result<Psf, FitsError> {
        let even = |n: usize| (n / parts.oversampling.max(1)).is_multiple_of(2);
        let mut notes = Vec::new();
        if even(parts.ny) || even(parts.nx) {
            notes.push(format!(
                "its images are {} x {} pixels, and those of an even number are centred on the traces here, which specter \
                 puts half a pixel further on",
                parts.nx / parts.oversampling.max(1),
                parts.ny / parts.oversampling.max(1)
            ));
        }
        let images = SpotImages::new(parts).map_err(|source| self.refuse(hdu, source))?;
        let half = images.half_size();
        let [low, high] = self.trace_y.domain;
        let ends = |fibre: usize| match self.facts.ranges.as_ref().filter(|_| own).and_then(|ranges| ranges.get(fibre))
        {
            Some(ends) => *ends,
            None => [low, high],
        };
        let line = |[low, high]: [f64; 2]| [0.5 * (low + high), 0.5 * (high - low)];
        let wave = (0..self.nfibre).flat_map(|fibre| line(ends(fibre))).collect();
        let wave = LegendreSeries { domain: [low, high], ncoeff: 2, coeff: wave };
        let form = Form::Grid(Box::new(SpotGrid { images: Arc::new(images), position: self.constant(fibres), wave }));
        self.build(hdu, form, half, notes)
    }

    /// Builds the PSF with windows of half size `[y, x]`, and measures the widths of its spots.
    fn build(self, hdu: &Hdu, form: Form, half: [usize; 2], mut notes: Vec<String>) -> Result<Psf, FitsError> {
        let Self { file, nfibre, .. } = self;
        let header = &file.hdus[0].header;
        let (fibermin, npix_x, npix_y) = (self.fibermin()?, self.integer("NPIX_X")?, self.integer("NPIX_Y")?);
        let psferr = match header.contains("PSFERR") {
            true => file.need(&file.hdus[0], "PSFERR", Header::get_f64)?,
            false => DEFAULT_PSFERR,
        };
        let one = self.constant(vec![1.0; nfibre]);
        let [wave_min, wave_max] = self.trace_y.domain;
        let parts = PsfParts {
            nfibre,
            fibermin,
            dispersion: Dispersion::AlongY,
            trace_x: self.trace_x.clone(),
            trace_y: self.trace_y.clone(),
            form,
            sigma_x: one.clone(),
            sigma_y: one,
            gh: Vec::new(),
            gh_degree_x: 0,
            gh_degree_y: 0,
            tails: None,
            half_x: half[1],
            half_y: half[0],
            npix_x,
            npix_y,
            ranges: self.facts.ranges.clone(),
            numbers: self.facts.numbers.clone(),
            waves: None,
            wave_min,
            wave_max,
            psferr,
            camera: camera(header),
        };
        notes.extend(file.notes());
        let refuse = |source| self.refuse(hdu, source);
        let psf = oriented(file, Psf::new(parts).map_err(refuse)?)?;
        let judge = |psf| judged(psf, Defects { fibres: Vec::new(), notes });
        with_measured_widths(psf).and_then(judge).map_err(refuse)
    }
}

/// Reads a trace by the first of its names that is there.
fn trace(file: &FitsFile, names: [&str; 2]) -> Result<LegendreSeries, FitsError> {
    let hdu = match names.iter().find_map(|name| file.find(name)) {
        Some(hdu) => hdu,
        None => file.hdu(names[0])?,
    };
    let [_, ncoeff] = file.image_shape_2d(hdu)?;
    let domain = [file.need(hdu, "WAVEMIN", Header::get_f64)?, file.need(hdu, "WAVEMAX", Header::get_f64)?];
    Ok(LegendreSeries { domain, ncoeff, coeff: file.image_f64(hdu)? })
}

/// Reads an image of one axis.
fn numbers(file: &FitsFile, name: &str, length: usize, because: &str) -> Result<Vec<f64>, FitsError> {
    let hdu = file.hdu(name)?;
    file.need_shape(hdu, &[length], because)?;
    file.image_f64(hdu)
}

/// Returns a text from the cards of an HDU, or else from the primary HDU.
fn text(file: &FitsFile, hdu: &Hdu, keyword: &str) -> Option<String> {
    hdu.header.get_str(keyword).or_else(|| file.hdus[0].header.get_str(keyword))
}

/// Returns what sums of images mean: SPOTNORM, WINDOW where it is absent.
fn norm(file: &FitsFile, hdu: &Hdu) -> Result<SpotNorm, FitsError> {
    match text(file, hdu, "SPOTNORM").map(|word| word.trim().to_uppercase()).as_deref() {
        None | Some("WINDOW") => Ok(SpotNorm::Window),
        Some("TOTAL") => Ok(SpotNorm::Total),
        Some(other) => Err(file.invalid(hdu, format!("SPOTNORM is {other}: it is WINDOW or TOTAL; make the PSF so"))),
    }
}

/// Returns a number from the cards of an HDU, or else from the primary HDU.
fn number(file: &FitsFile, hdu: &Hdu, keyword: &str) -> Option<f64> {
    hdu.header.get_f64(keyword).or_else(|| file.hdus[0].header.get_f64(keyword))
}

/// Returns the row and column of images that fall on traces: SPOTCENY and SPOTCENX, SPOTCEN for both, or the middle.
fn centre(file: &FitsFile, hdu: &Hdu, [ny, nx]: [usize; 2]) -> [f64; 2] {
    let both = number(file, hdu, "SPOTCEN");
    let of = |keyword, n: usize| number(file, hdu, keyword).or(both).unwrap_or(0.5 * (n as f64 - 1.0));
    [of("SPOTCENY", ny), of("SPOTCENX", nx)]
}

/// Returns the samples per CCD pixel: OVERSAMP, or the quotient of the sizes CCDPIXSZ and PIXSIZE.
fn oversampling(file: &FitsFile, spots: &Hdu) -> Result<usize, FitsError> {
    if let Some(stated) = number(file, spots, "OVERSAMP") {
        return whole(file, spots, "OVERSAMP", stated);
    }
    let primary = &file.hdus[0];
    let [pixel, sample] =
        [file.need(primary, "CCDPIXSZ", Header::get_f64)?, file.need(primary, "PIXSIZE", Header::get_f64)?];
    whole(file, primary, "CCDPIXSZ / PIXSIZE", pixel / sample)
}

/// Returns a number of samples per pixel, which must be whole.
fn whole(file: &FitsFile, hdu: &Hdu, what: &str, value: f64) -> Result<usize, FitsError> {
    match value.round() {
        whole if (value - whole).abs() < WHOLE && (2.0..=4096.0).contains(&whole) => Ok(whole as usize),
        _ => Err(file.invalid(
            hdu,
            format!("{what} is {value}, not a whole number of samples per pixel from 2 on; sample the spots anew"),
        )),
    }
}
