//! One frame: its plan, shares of its bundles, and the dictionary that they make. `spextral._frame` drives them.

use crate::arrays::{numbers, to_numpy, wave_table};
use crate::device::{choice, engine, forget, open};
use crate::error::{Kind, Raise, exception, input};
use crate::frame::Head;
use crate::preproc::Preproc;
use crate::psf::Psf;
use crate::work::{released, watched};
use numpy::PyArrayDyn;
use pyo3::exceptions::PyKeyboardInterrupt;
use pyo3::prelude::*;
use pyo3::types::{PyBytes, PyDict};
use spextral::backend::EngineError;
use spextral::base::cancel::CancelToken;
use spextral::base::transpose::transposed;
use spextral::base::word_enum::UnknownWord;
use spextral::extract::{self, ExtractError, Extraction, Job, JobError, LastRung, Options, Summary};
use spextral::fits;
use spextral::geometry::{WaveGrid, WaveRange};
use spextral::gpu::Device;
use spextral::plan::{Bundle, PatchOptions, WeightScale};
use spextral::psf::Dispersion;
use spextral::solver::Excess;
use spextral::stages::wave_table::WaveTable;
use std::sync::{Arc, Mutex, PoisonError};

/// A checked request: inputs, grid, options and bundles of one frame.
#[pyclass(frozen, module = "spextral._spextral")]
pub struct Plan {
    psf: Arc<spextral::psf::Psf>,
    preproc: Arc<fits::Preproc>,
    grid: WaveGrid,
    /// Wavelengths of the bins, where fibres have a table of them: the barycentric factor is in it.
    table: Option<WaveTable>,
    barycentric: Option<f64>,
    options: Options,
    bundles: Vec<Bundle>,
    warnings: Vec<String>,
}

/// Bundles extracted.
#[pyclass(frozen, module = "spextral._spextral")]
pub struct Share(
    /// None once it is part of a frame.
    Mutex<Option<extract::Share>>,
);

impl Share {
    fn new(share: extract::Share) -> Self {
        Self(Mutex::new(Some(share)))
    }

    fn take(&self) -> PyResult<extract::Share> {
        let share = self.0.lock().unwrap_or_else(PoisonError::into_inner).take();
        share.ok_or_else(|| input("this share is part of a frame already"))
    }
}

/// The exception for a word that a keyword does not take.
fn unknown(keyword: &str) -> impl Fn(UnknownWord) -> PyErr {
    move |error| input(format!("{keyword} is {:?}: give {}", error.word, error.choice()))
}

#[pymethods]
impl Plan {
    #[new]
    #[pyo3(signature = (psf, preproc, *, specmin, nspec, wavelength, table = None, barycentric, model, regularize, psferr, psf_tails,
        decorrelate, solver, tolerance, precision, max_device_memory, bundlesize, nsubbundles, nwavestep, wavepad, wavepad_frac, pixpad_frac))]
    fn new(
        py: Python,
        psf: &Bound<Psf>,
        preproc: &Bound<Preproc>,
        specmin: usize,
        nspec: Option<usize>,
        wavelength: Option<&str>,
        table: Option<&Bound<PyAny>>,
        barycentric: Option<f64>,
        model: Option<&str>,
        regularize: f64,
        psferr: Option<f64>,
        psf_tails: bool,
        decorrelate: &str,
        solver: &str,
        tolerance: Option<f64>,
        precision: &str,
        max_device_memory: Option<u64>,
        bundlesize: Option<usize>,
        nsubbundles: Option<usize>,
        nwavestep: usize,
        wavepad: usize,
        wavepad_frac: f64,
        pixpad_frac: f64,
    ) -> PyResult<Self> {
        let (psf, preproc) = (psf.get().0.clone(), preproc.get().0.clone());
        // Here alone: everything behind has dispersion along y.
        let preproc = match preproc.ccd.dispersion() == psf.dispersion {
            true => preproc,
            false => Arc::new(fits::Preproc { mask: None, readnoise: None, ..(*preproc).clone() }.turned()),
        };
        if let Some(factor) = barycentric.filter(|f| !(0.99..=1.01).contains(f)) {
            return Err(input(format!("barycentric is {factor}: give a factor from 0.99 to 1.01")));
        }
        let options = Options {
            specmin,
            nspec,
            regularize,
            psferr,
            psf_tails,
            decorrelate: decorrelate.parse().map_err(unknown("decorrelate"))?,
            solver: solver.parse().map_err(unknown("solver"))?,
            tolerance,
            precision: extract::precision_of(precision).map_err(unknown("precision"))?,
            max_device_memory,
            patches: PatchOptions {
                bundlesize,
                nsubbundles,
                nwavestep,
                wavepad,
                wavepad_frac,
                pixpad_frac,
                weight_scale: WeightScale::Patch,
            },
            model: model.map(str::parse).transpose().map_err(unknown("model_flux"))?,
            barycentric,
        };
        let range = wavelength.map(str::parse::<WaveRange>).transpose().map_err(|error| input(error.to_string()))?;
        let default = || extract::default_wavelength(&psf, specmin, nspec).into();
        let grid = range.unwrap_or_else(default).grid().map_err(Raise::raise)?;
        let table = table.map(|table| wave_table("wavelength", table)).transpose()?;
        let own = || extract::own_grid(&psf, &options, &grid, table, barycentric);
        let own = released(py, None, own)?.map_err(|error| input(format!("wavelength: {error}")))?;
        let note = own.as_ref().and_then(|on| on.sentence()).map(|sentence| format!("wavelength: {sentence}"));
        let (psf, grid, table) = match own {
            Some(on) => (Arc::new(on.psf), on.grid, Some(on.table)),
            None => (psf, grid, None),
        };
        let options = Options { barycentric: barycentric.filter(|_| table.is_none()), ..options };
        let plan = || {
            let job = Job::new(&psf, &preproc.ccd, &grid, &options)?;
            Ok::<_, JobError>((job.bundles()?, extract::warnings(&job)))
        };
        let (bundles, mut warnings) = released(py, None, plan)?.map_err(|error| ExtractError::from(error).raise())?;
        warnings.extend(note);
        Ok(Self { psf, preproc, grid, table, barycentric, options, bundles, warnings })
    }

    /// Warnings before the work, a sentence each.
    #[getter]
    fn warnings(&self) -> Vec<String> {
        self.warnings.clone()
    }

    /// Bundles of the frame.
    #[getter]
    fn nbundle(&self) -> usize {
        self.bundles.len()
    }

    /// Extracts part ``k`` of ``n``; ``process`` of this machine's processes takes its turn among the GPUs that fit. With ``gpu``
    /// a CPU is an error.
    #[pyo3(signature = (k, n, *, device, gpu = false, process = None, threads = None, progress = None))]
    fn run(
        &self,
        py: Python,
        k: usize,
        n: usize,
        device: &str,
        gpu: bool,
        process: Option<usize>,
        threads: Option<usize>,
        progress: Option<&Bound<PyAny>>,
    ) -> PyResult<Share> {
        if k >= n || n > self.bundles.len() {
            return Err(input(format!("part {k} of {n}: the frame has {} bundles", self.bundles.len())));
        }
        let wanted = choice(device);
        let is_cpu = || released(py, None, || open(&wanted).map(|device| matches!(device, Device::Cpu)));
        if gpu && is_cpu()?.map_err(Raise::raise)? {
            let sentence =
                "there is no GPU: leave out gpu=True for the CPU, or name a device that spextral.devices() lists";
            return Err(exception(Kind::Device, sentence));
        }
        let stop = CancelToken::default();
        let done = watched(py, threads, &stop, progress, |progress| -> Result<_, ExtractError> {
            let wanted = process.map_or_else(|| wanted.clone(), |process| wanted.for_process(process));
            let engine = engine(open(&wanted).map_err(EngineError::from)?).with_cancel(stop.clone());
            let bundles = extract::part(&self.bundles, k, n);
            let job = Job::new(&self.psf, &self.preproc.ccd, &self.grid, &self.options)?;
            let share = extract::extract_share(&job, bundles, &engine, LastRung::Cpu, &|done, of| progress(done, of));
            if !share.as_ref().is_ok_and(|share| share.retried().is_none()) {
                forget(&wanted);
            }
            let share = share?;
            Ok(Share::new(if n == 1 { share } else { share.retried_by(&format!("rank {k}")) }))
        })?;
        done.map_err(|error| match error {
            ExtractError::Engine(EngineError::Cancelled) => PyKeyboardInterrupt::new_err(()),
            other => other.raise(),
        })
    }

    /// The dictionary of the shares of all bundles, in order.
    fn assemble<'py>(&self, py: Python<'py>, shares: Vec<Bound<'py, Share>>) -> PyResult<Bound<'py, PyDict>> {
        if shares.is_empty() {
            return Err(input("a frame has at least one share"));
        }
        let taken = shares.iter().map(|share| share.get().take()).collect::<PyResult<Vec<_>>>()?;
        let join =
            || Job::new(&self.psf, &self.preproc.ccd, &self.grid, &self.options).map(|job| extract::join(taken, &job));
        let extraction = released(py, None, join)?.map_err(|error| ExtractError::from(error).raise())?;
        self.frame(py, extraction)
    }

    /// A share of what :meth:`Share.pack` made of it.
    fn unpack(&self, head: &Bound<PyBytes>, packed: &Bound<PyAny>) -> PyResult<Share> {
        let damaged = || exception(Kind::Input, "a share of the frame came damaged from another rank");
        let head = ciborium::from_reader(head.as_bytes()).map_err(|_| damaged())?;
        let packed = numbers::<f64>("numbers", packed, "")?;
        let share = extract::Share::unpack(head, &packed.values, self.preproc.ccd.ny());
        Ok(Share::new(share.ok_or_else(damaged)?))
    }
}

impl Plan {
    fn frame<'py>(&self, py: Python<'py>, extraction: Extraction) -> PyResult<Bound<'py, PyDict>> {
        let Extraction { spectra, model, summary } = extraction;
        let s = spectra.into_parts();
        let (bins, matrix) = ([s.nspec, s.nwave], [s.nspec, s.ndiag, s.nwave]);
        let (axis, shape) = (self.psf.dispersion, [self.preproc.ccd.ny(), self.preproc.ccd.nx()]);
        let in_file = |pixels: Vec<f32>| match axis {
            Dispersion::AlongX => transposed(&pixels, shape),
            Dispersion::AlongY => pixels,
        };
        let model = model.map(|pixels| to_numpy(py, in_file(pixels), &axis.in_file(shape))).transpose()?;
        let frame = PyDict::new(py);
        frame.set_item("specflux", to_numpy(py, s.flux, &bins)?)?;
        frame.set_item("specivar", to_numpy(py, s.ivar, &bins)?)?;
        frame.set_item("specmask", to_numpy(py, s.mask, &bins)?)?;
        let fibres = self.options.specmin..self.options.specmin + s.nspec;
        let wave = match &self.table {
            Some(table) => table.wave(fibres.clone()),
            None => self.psf.wavelengths(fibres.clone(), self.grid.wave()),
        };
        let of_waves = if wave.len() == s.nwave { &bins[1..] } else { &bins[..] };
        frame.set_item("wave", to_numpy(py, wave, of_waves)?)?;
        frame.set_item("Rdiags", to_numpy(py, s.resolution.into_f64(), &matrix)?)?;
        frame.set_item("pixmask_fraction", to_numpy(py, s.pixmask_fraction, &bins)?)?;
        frame.set_item("chi2pix", to_numpy(py, s.chi2pix, &bins)?)?;
        frame.set_item("modelimage", model)?;
        let numbers: Vec<i64> = fibres.map(|fibre| self.psf.number(fibre)).collect();
        let of_run = self.summary(py, &summary)?;
        of_run.set_item("fibres", &numbers)?;
        frame.set_item("summary", of_run)?;
        let (head, refusal) = Head::of_image(&self.preproc, &numbers);
        head.into_entries(&frame)?;
        frame.set_item("_refusal", refusal)?;
        Ok(frame)
    }

    fn summary<'py>(&self, py: Python<'py>, summary: &Summary) -> PyResult<Bound<'py, PyDict>> {
        let dict = PyDict::new(py);
        dict.set_item("specmin", self.options.specmin)?;
        dict.set_item("fibermin", self.psf.number(self.options.specmin))?;
        dict.set_item("wavestep", self.grid.step())?;
        dict.set_item("dispaxis", self.psf.dispersion.dispaxis())?;
        dict.set_item("barycentric", self.barycentric)?;
        dict.set_item("device", &summary.device)?;
        dict.set_item("retried", &summary.retried)?;
        dict.set_item("solver", summary.solver())?;
        dict.set_item("banded", summary.banded)?;
        dict.set_item("bundles", summary.groups.ranges().map(|fibres| fibres.len()).collect::<Vec<_>>())?;
        dict.set_item("forced_cut", &summary.forced_cut)?;
        let cut = summary.cut_rows.iter().map(|cut| (cut.fibre, cut.rows, cut.least));
        dict.set_item("resolution_cut_rows", cut.collect::<Vec<_>>())?;
        dict.set_item("patches", summary.patches)?;
        dict.set_item("in_patches", &summary.in_patches)?;
        dict.set_item("redone", summary.redone)?;
        dict.set_item("flux_error", summary.flux_error)?;
        let above = summary.above_tolerance.iter();
        let wave = |excess: &Excess, end: usize| self.psf.wavelength(excess.fibre, excess.wave[end]);
        let above = above.map(|excess| (excess.fibre, wave(excess, 0), wave(excess, 1), excess.bins, excess.error));
        dict.set_item("above_tolerance", above.collect::<Vec<_>>())?;
        dict.set_item("information", summary.information)?;
        dict.set_item("noise_gain", summary.noise_gain)?;
        dict.set_item("failed", summary.failed)?;
        dict.set_item("chi2pix", summary.fit.map(|fit| fit.chi2pix))?;
        dict.set_item("chi2pix_is_odd", summary.fit.is_some_and(|fit| fit.is_odd))?;
        let misfit = summary.fit.and_then(|fit| fit.sentence(self.options.regularize > 0.0));
        dict.set_item("misfit", misfit)?;
        dict.set_item("no_information", summary.no_information)?;
        dict.set_item("no_result", summary.no_result)?;
        dict.set_item("dark_fibres", summary.dark.fibres())?;
        dict.set_item("dark", summary.dark.sentence(self.bundles.iter().map(|bundle| bundle.selected.len()).sum()))?;
        let times = PyDict::new(py);
        for (stage, time) in &summary.stage_time {
            times.set_item(stage.name(), time.as_secs_f64())?;
        }
        dict.set_item("stage_seconds", times)?;
        Ok(dict)
    }
}

#[pymethods]
impl Share {
    /// Head and numbers, to be sent to another process.
    fn pack<'py>(&self, py: Python<'py>) -> PyResult<(Bound<'py, PyBytes>, Bound<'py, PyArrayDyn<f64>>)> {
        let (head, numbers) = self.take()?.pack();
        let mut bytes = Vec::new();
        ciborium::into_writer(&head, &mut bytes).map_err(|error| input(format!("cannot pack a share: {error}")))?;
        let length = numbers.len();
        Ok((PyBytes::new(py, &bytes), to_numpy(py, numbers, &[length])?))
    }
}
