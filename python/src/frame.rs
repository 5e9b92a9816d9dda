//! Frames between the dictionaries of Python and files: what [`crate::files::write_frame`] writes and `read_frame` reads.

use crate::arrays::{integers, numbers, to_numpy};
use crate::error::{Raise, input};
use crate::preproc::Preproc;
use crate::tables::{edit_header, header_dict, table_dict, table_of};
use crate::work::released;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use serde::{Deserialize, Serialize};
use spextral::extract::{CutRows, Dark, Fit, Summary, fibermap_of_numbers, fibermap_rows, note_run};
use spextral::fits;
use spextral::frame::{Frame, Header, Scores, Spectra, SpectraParts, Table};
use spextral::plan::Groups;
use spextral::solver::{Excess, Record};
use std::path::PathBuf;

/// Name of the entry that becomes the attribute of a Python `Frame`.
const HEAD: &str = "_head";

/// Cards and tables of a frame, kept whole beside the dictionaries that show them.
#[derive(Default, Serialize, Deserialize)]
pub struct Head {
    header: Header,
    fibermap: Option<Table>,
}

impl Head {
    /// The head of a frame's own: the header of its image, and the rows of its fibermap, or a sentence why it has none. Without a
    /// fibermap numbers that do not follow one another become one.
    pub fn of_image(preproc: &fits::Preproc, numbers: &[i64]) -> (Self, Option<String>) {
        let mut header = preproc.header.clone();
        header.remove_image_axes();
        let camera = header.get_str("CAMERA");
        let rows = |table| fibermap_rows(table, numbers, camera.as_deref()).map(|rows| rows.table);
        let follow = numbers.windows(2).all(|pair| pair[1] == pair[0] + 1);
        match preproc.fibermap.as_ref().map(rows).transpose() {
            Ok(None) if !follow => (Self { header, fibermap: Some(fibermap_of_numbers(numbers)) }, None),
            Ok(fibermap) => (Self { header, fibermap }, None),
            Err(what) => (Self { header, fibermap: None }, Some(what)),
        }
    }

    /// Sets the entries `header` and `fibermap` of a dictionary, and the whole for the attribute.
    pub fn into_entries(self, dict: &Bound<PyDict>) -> PyResult<()> {
        let py = dict.py();
        dict.set_item("header", header_dict(py, &self.header)?)?;
        dict.set_item("fibermap", self.fibermap.as_ref().map(|table| table_dict(py, table)).transpose()?)?;
        let mut bytes = Vec::new();
        ciborium::into_writer(&self, &mut bytes).map_err(|error| input(format!("cannot keep a header: {error}")))?;
        dict.set_item(HEAD, PyBytes::new(py, &bytes))
    }

    fn of_bytes(bytes: &[u8]) -> PyResult<Self> {
        ciborium::from_reader(bytes).map_err(|error| input(format!("the frame's header is damaged: {error}")))
    }

    /// The head that a frame of `nspec` spectra brings, as its entries `header` and `fibermap` have become. A plain dictionary has
    /// these alone.
    fn of_frame(frame: &Bound<PyDict>, nspec: usize) -> PyResult<Self> {
        let py = frame.py();
        let mut head = match frame.getattr_opt(HEAD)?.filter(|bytes| !bytes.is_none()) {
            Some(bytes) => Self::of_bytes(bytes.cast_into::<PyBytes>()?.as_bytes())?,
            None => Self::default(),
        };
        if let Some(cards) = frame.get_item("header")?.filter(|cards| !cards.is_none()) {
            let was = header_dict(py, &head.header)?;
            edit_header(
                &mut head.header,
                &was,
                &cards
                    .cast_into::<PyDict>()
                    .map_err(|_| input("the frame's header is no dict: give cards by keyword"))?,
            )?;
        }
        let columns = frame.get_item("fibermap")?.filter(|columns| !columns.is_none());
        let columns = columns.map(|columns| {
            columns.cast_into::<PyDict>().map_err(|_| input("the frame's fibermap is no dict: give columns by name"))
        });
        head.fibermap = match columns.transpose()? {
            None => None,
            Some(columns) => Some(table_of(&columns, head.fibermap.take(), nspec)?),
        };
        Ok(head)
    }
}

/// Rows of the header and fibermap of a frame: the entries `header`, `fibermap` and the whole for the attribute.
#[pyfunction]
pub fn head_of_rows<'py>(py: Python<'py>, head: &[u8], rows: Vec<usize>) -> PyResult<Bound<'py, PyDict>> {
    let Head { header, fibermap } = Head::of_bytes(head)?;
    if let Some(row) = fibermap.as_ref().and_then(|table| rows.iter().find(|row| **row >= table.nrows())) {
        return Err(input(format!("the fibermap has no row {row}")));
    }
    let entries = PyDict::new(py);
    Head { header, fibermap: fibermap.map(|table| table.take_rows(&rows)) }.into_entries(&entries)?;
    Ok(entries)
}

/// Reads a frame file, of spextral or desispec.
///
/// Parameters
/// ----------
/// path : str or path
///     ``.fits`` or ``.fits.gz``.
///
/// Returns
/// -------
/// dict
///     The entries of a Frame.
#[pyfunction]
pub fn read_frame(py: Python, path: PathBuf) -> PyResult<Bound<PyDict>> {
    let Frame { spectra, wave, header, fibermap, .. } =
        released(py, None, || fits::read_frame(&path))?.map_err(Raise::raise)?;
    let s = spectra.into_parts();
    let (bins, matrix, nwave) = ([s.nspec, s.nwave], [s.nspec, s.ndiag, s.nwave], s.nwave);
    let chi2pix = (!s.chi2pix.is_empty()).then(|| to_numpy(py, s.chi2pix, &bins)).transpose()?;
    let frame = PyDict::new(py);
    frame.set_item("specflux", to_numpy(py, s.flux, &bins)?)?;
    frame.set_item("specivar", to_numpy(py, s.ivar, &bins)?)?;
    frame.set_item("specmask", to_numpy(py, s.mask, &bins)?)?;
    let of_waves = if wave.len() == nwave { &bins[1..] } else { &bins[..] };
    frame.set_item("wave", to_numpy(py, wave, of_waves)?)?;
    frame.set_item("Rdiags", to_numpy(py, s.resolution.into_f64(), &matrix)?)?;
    frame.set_item("pixmask_fraction", py.None())?;
    frame.set_item("chi2pix", chi2pix)?;
    frame.set_item("modelimage", py.None())?;
    frame.set_item("summary", py.None())?;
    Head { header, fibermap }.into_entries(&frame)?;
    Ok(frame)
}

/// The frame of a dictionary, with the header and fibermap of `preproc`, else with its own. Scores are made if wanted.
pub fn frame_of(dict: &Bound<PyDict>, preproc: Option<&Preproc>, scores: bool) -> PyResult<Frame> {
    let (spectra, wave) = spectra_of(dict)?;
    let run = Run::of(dict)?;
    let Head { mut header, fibermap } = match (preproc, &run) {
        (Some(preproc), Some(run)) => {
            let (head, refusal) = Head::of_image(&preproc.0, &run.fibres);
            if let Some(what) = refusal {
                return Err(input(format!("the fibermap of preproc {what}")));
            }
            head
        }
        (Some(_), None) => return Err(input("the frame has a header of its own: leave out preproc")),
        (None, _) => Head::of_frame(dict, spectra.nspec)?,
    };
    if let Some(fibres) = run.as_ref().map(|run| run.fibres.len()).filter(|fibres| *fibres != spectra.nspec) {
        let nspec = spectra.nspec;
        return Err(input(format!(
            "the summary is of {fibres} fibres, specflux has {nspec} spectra: take rows of a frame by frame.select(rows)"
        )));
    }
    if let Some(run) = run {
        let smallest = fibermap.as_ref().and_then(|t| t.column_i64("FIBER")).and_then(|f| f.into_iter().min());
        let fibermin = smallest.or_else(|| run.fibres.first().copied()).unwrap_or_default();
        note_run(&mut header, &wave, run.step, spectra.nspec, fibermin, run.barycentric, &run.summary);
    } else {
        correct_cards(&mut header, [spectra.nspec, spectra.nwave], &wave, fibermap.as_ref());
    }
    let targets = || fibermap.as_ref().and_then(|t| t.column_i64("TARGETID"));
    let scores = scores.then(|| Scores::of(&spectra, &wave, targets())).flatten();
    Ok(Frame { spectra, wave, header, fibermap, scores })
}

/// Makes the cards of a frame that was read those of the spectra that are left of it.
fn correct_cards(header: &mut Header, [nspec, nwave]: [usize; 2], wave: &[f64], fibermap: Option<&Table>) {
    let smallest = fibermap.and_then(|table| table.column_i64("FIBER")).and_then(|fibres| fibres.into_iter().min());
    for (keyword, now) in [("NSPEC", Some(nspec as i64)), ("FIBERMIN", smallest)] {
        if let (Some(was), Some(now)) = (header.get_i64(keyword), now)
            && was != now
        {
            header.set(keyword, now, "");
        }
    }
    // Where fibres have wavelengths of their own, the cards are of the grid that was asked for.
    if wave.len() != nwave {
        return;
    }
    let [first, last] = [wave.iter().copied().fold(f64::INFINITY, f64::min), wave.iter().copied().fold(0.0, f64::max)];
    for (keyword, now) in [("WAVEMIN", first), ("WAVEMAX", last)] {
        if header.get_f64(keyword).is_some_and(|was| (was - now).abs() > 1e-6) {
            header.set(keyword, now, "");
        }
    }
}

fn spectra_of(frame: &Bound<PyDict>) -> PyResult<(Spectra, Vec<f64>)> {
    let item = |name: &str| frame.get_item(name)?.ok_or_else(|| input(format!("the frame has no {name}")));
    let (flux, [nspec, nwave]) =
        numbers("specflux", &item("specflux")?, "electron / Angstrom")?.need_axes("specflux", "[nspec, nwave]")?;
    let (bins, why) = ([nspec, nwave], "as specflux");
    let resolution = numbers::<f64>("Rdiags", &item("Rdiags")?, "")?;
    let [_, ndiag, _] = *resolution.shape.as_slice() else {
        return Err(input(format!("Rdiags has shape {:?}, [nspec, ndiag, nwave] is needed", resolution.shape)));
    };
    if resolution.values.is_empty() {
        return Err(input("the frame has no spectra"));
    }
    let of_resolution = [nspec, ndiag, nwave];
    let resolution = resolution.need_shape("Rdiags", &of_resolution, "[nspec, ndiag, nwave] of specflux")?;
    let wave = numbers("wave", &item("wave")?, "Angstrom")?;
    // Where fibres have wavelengths of their own, there is one per bin.
    let of_waves = if wave.values.len() == nwave { &bins[1..] } else { &bins[..] };
    let wave = wave.need_shape("wave", of_waves, "one per bin of specflux")?;
    let ivar = numbers("specivar", &item("specivar")?, "Angstrom2 / electron2")?.need_shape("specivar", &bins, why)?;
    let chi2pix = match item("chi2pix")? {
        // A file need not have it.
        none if none.is_none() => Vec::new(),
        given => numbers("chi2pix", &given, "")?.need_shape("chi2pix", &bins, why)?,
    };
    let mask = integers::<u32>("specmask", &item("specmask")?)?.need_shape("specmask", &bins, why)?;
    let parts = SpectraParts {
        nspec,
        nwave,
        ndiag,
        flux,
        ivar,
        resolution: resolution.into(),
        chi2pix,
        pixmask_fraction: Vec::new(),
        mask,
    };
    Ok((Spectra::new(parts).map_err(|error| input(error.to_string()))?, wave))
}

/// Parameters of the run, for the header.
struct Run {
    /// Numbers of the fibres.
    fibres: Vec<i64>,
    step: f64,
    barycentric: Option<f64>,
    summary: Summary,
}

fn cut_rows((fibre, rows, least): (usize, usize, f64)) -> CutRows {
    CutRows { fibre, rows, least }
}

fn excess((fibre, first, last, bins, error): (usize, f64, f64, usize, f64)) -> Excess {
    Excess { fibre, wave: [first, last], bins, error }
}

impl Run {
    /// None for a frame that was read: its header has them.
    fn of(frame: &Bound<PyDict>) -> PyResult<Option<Self>> {
        let missing = || input("the frame has no summary: give what extract_frame or read_frame returned");
        let summary = frame.get_item("summary")?.ok_or_else(missing)?;
        if summary.is_none() {
            return Ok(None);
        }
        let item = |name: &str| summary.get_item(name);
        Ok(Some(Self {
            fibres: item("fibres")?.extract()?,
            step: item("wavestep")?.extract()?,
            barycentric: item("barycentric")?.extract()?,
            summary: Summary {
                device: item("device")?.extract()?,
                fit: match item("chi2pix")?.extract()? {
                    None => None,
                    Some(chi2pix) => Some(Fit { chi2pix, is_odd: item("chi2pix_is_odd")?.extract()? }),
                },
                dark: Dark { masked: item("dark_fibres")?.extract()?, ..Dark::default() },
                record: Record {
                    retried: item("retried")?.extract()?,
                    banded: item("banded")?.extract()?,
                    patches: item("patches")?.extract()?,
                    in_patches: item("in_patches")?.extract()?,
                    flux_error: item("flux_error")?.extract()?,
                    above_tolerance: item("above_tolerance")?.extract::<Vec<_>>()?.into_iter().map(excess).collect(),
                    information: item("information")?.extract()?,
                    noise_gain: item("noise_gain")?.extract()?,
                    ..Record::default()
                },
                groups: Groups::of_sizes(&item("bundles")?.extract::<Vec<usize>>()?),
                forced_cut: item("forced_cut")?.extract()?,
                cut_rows: item("resolution_cut_rows")?.extract::<Vec<_>>()?.into_iter().map(cut_rows).collect(),
                ..Summary::default()
            },
        }))
    }
}
