//! The stages of the patch solver.

use super::error::Result;
use super::{
    BundleSpots, BundleTraces, CcdField, Decorrelate, DecorrelatedField, Engine, Field, ModesField, NormalField,
    PatchStatus, Stage, cpu, gpu,
};
use crate::geometry::Ccd;
use crate::gpu::Gpu;
use crate::plan::Batch;
use crate::psf::Psf;
use crate::stages::goodness::Goodness;
use crate::stages::normal_equations::PatchPrior;
use std::ops::Range;

/// Host memory that a batch may take, bytes: some hundred patches, enough to keep all threads busy.
const HOST_BATCH_BYTES: usize = 256 << 20;

impl Engine {
    /// Returns how many patches like those of `batch` to take at once. If not even one fits, its stages fail.
    pub fn batch_size(&self, batch: &Batch, how: Decorrelate) -> usize {
        let (matrices, n) = match how {
            Decorrelate::Signal => (batch.core.len(), batch.nbin),
            Decorrelate::Noise => (1, batch.n()),
        };
        let on_host = HOST_BATCH_BYTES / (8 * (batch.band_len() + 2 * matrices * n * n));
        let on_device = self.gpu().map_or(Ok(usize::MAX), |gpu| gpu::batch_size(&gpu, batch, how)).unwrap_or(1);
        on_host.min(on_device).clamp(1, self.most_patches())
    }

    /// Returns how many bins of a bundle's spots to compute at once. If not even one fits, [`Engine::spots`] fails.
    pub fn most_spot_bins(&self, traces: &BundleTraces) -> usize {
        self.gpu().map_or(Ok(usize::MAX), |gpu| gpu::most_spot_bins(&gpu, traces)).unwrap_or(1)
    }

    /// Wraps a frame's CCD for the stages.
    pub fn load<'a>(&self, ccd: &'a Ccd<'a>) -> CcdField<'a> {
        CcdField::new(ccd)
    }

    /// Evaluates traces and spot shapes of `fibres` at `wave` (Angstrom).
    ///
    /// # Errors
    /// [`super::EngineError::Gpu`] if the device fails, [`super::EngineError::StageLimit`] if the stage is beyond its limits,
    /// [`super::EngineError::Cancelled`] for cancellation.
    pub fn traces(&self, psf: &Psf, fibres: Range<usize>, wave: &[f64], with_tails: bool) -> Result<BundleTraces> {
        let on_gpu = |gpu: &Gpu| gpu::traces(gpu, psf, fibres.clone(), wave, with_tails);
        self.run(Stage::Traces, on_gpu, || Ok(cpu::traces(psf, fibres.clone(), wave, with_tails)))
    }

    /// Evaluates the spots of the bins `bins`, `[nfibre, bins, ny, nx]`.
    ///
    /// # Errors
    /// [`super::EngineError::Gpu`] if the device fails, [`super::EngineError::StageLimit`] if the stage is beyond its limits,
    /// [`super::EngineError::Cancelled`] for cancellation.
    pub fn spots(&self, traces: &BundleTraces, bins: Range<usize>) -> Result<BundleSpots> {
        let on_gpu = |gpu: &Gpu| gpu::spots(gpu, traces, bins.clone());
        let spots = self.run(Stage::Spots, on_gpu, || cpu::spots(traces, bins.clone()))?;
        Ok(BundleSpots::new(bins, spots))
    }

    /// Forms K + prior and y of a batch.
    ///
    /// # Errors
    /// [`super::EngineError::Gpu`] if the device fails, [`super::EngineError::StageLimit`] if the stage is beyond its limits,
    /// [`super::EngineError::Cancelled`] for cancellation.
    pub fn normal_equations(
        &self,
        batch: &Batch,
        ccd: &CcdField,
        traces: &BundleTraces,
        spots: &BundleSpots,
        prior: PatchPrior,
    ) -> Result<NormalField> {
        let on_gpu = |gpu: &Gpu| gpu::normal_equations(gpu, batch, ccd, traces, spots, prior);
        self.run(Stage::NormalEquations, on_gpu, || cpu::normal_equations(batch, ccd, traces, spots, prior))
    }

    /// Solves for the deconvolved flux x = K^-1 y, `[patch, n]`, electron per bin.
    ///
    /// # Errors
    /// [`super::EngineError::Gpu`] if the device fails, [`super::EngineError::StageLimit`] if the stage is beyond its limits,
    /// [`super::EngineError::Cancelled`] for cancellation.
    pub fn solve(&self, batch: &Batch, normal: &NormalField) -> Result<(Field, PatchStatus)> {
        self.run(Stage::Cholesky, |gpu| gpu::solve(gpu, batch, normal), || cpu::solve(batch, normal))
    }

    /// Computes S_f of every core fibre, `[patch, core fibre, nbin, nbin]`.
    ///
    /// # Errors
    /// [`super::EngineError::Gpu`] if the device fails, [`super::EngineError::StageLimit`] if the stage is beyond its limits,
    /// [`super::EngineError::Cancelled`] for cancellation.
    pub fn schur(&self, batch: &Batch, normal: &NormalField) -> Result<(Field, PatchStatus)> {
        self.run(Stage::Schur, |gpu| gpu::schur(gpu, batch, normal), || cpu::schur(batch, normal))
    }

    /// Returns K of every patch as full symmetric matrices, `[patch, n, n]`, for [`Decorrelate::Noise`]; runs where jacobi runs.
    ///
    /// # Errors
    /// [`super::EngineError::Gpu`] if the device fails, [`super::EngineError::StageLimit`] if the stage is beyond its limits,
    /// [`super::EngineError::Cancelled`] for cancellation.
    pub fn full_matrix(&self, batch: &Batch, normal: &NormalField) -> Result<Field> {
        let on_gpu = |gpu: &Gpu| gpu::full_matrix(gpu, batch, normal);
        self.run(Stage::Jacobi, on_gpu, || cpu::full_matrix(batch, normal))
    }

    /// Computes the eigenmodes of symmetric matrices `[n, n]`, equally many per patch.
    ///
    /// # Errors
    /// [`super::EngineError::Gpu`] if the device fails, [`super::EngineError::StageLimit`] if the stage is beyond its limits,
    /// [`super::EngineError::Cancelled`] for cancellation.
    pub fn jacobi(&self, batch: &Batch, matrices: &Field, n: usize) -> Result<(ModesField, PatchStatus)> {
        self.run(Stage::Jacobi, |gpu| gpu::jacobi(gpu, batch, matrices, n), || cpu::jacobi(batch, matrices, n))
    }

    /// Computes flux, ivar and resolution of the core fibres; R's rows `half` bins to each side.
    ///
    /// # Errors
    /// [`super::EngineError::Gpu`] if the device fails, [`super::EngineError::StageLimit`] if the stage is beyond its limits,
    /// [`super::EngineError::Cancelled`] for cancellation.
    pub fn decorrelate(
        &self,
        batch: &Batch,
        how: Decorrelate,
        modes: &ModesField,
        x: &Field,
        half: usize,
    ) -> Result<DecorrelatedField> {
        let on_gpu = |gpu: &Gpu| gpu::decorrelate(gpu, batch, modes, x, half);
        self.run(Stage::Decorrelate, on_gpu, || cpu::decorrelate(batch, how, modes, x, half))
    }

    /// Computes the model images A x, one patch after another, each `[ny, nx]` of its patch.
    ///
    /// # Errors
    /// [`super::EngineError::Gpu`] if the device fails, [`super::EngineError::StageLimit`] if the stage is beyond its limits,
    /// [`super::EngineError::Cancelled`] for cancellation.
    pub fn model(&self, batch: &Batch, traces: &BundleTraces, spots: &BundleSpots, x: &Field) -> Result<Field> {
        let on_gpu = |gpu: &Gpu| gpu::model(gpu, batch, traces, spots, x);
        self.run(Stage::Model, on_gpu, || cpu::model(batch, traces, spots, x))
    }

    /// Computes the goodness of the core bins, `[patch, core fibre, core bin]` (core bins of that patch).
    ///
    /// # Errors
    /// [`super::EngineError::Gpu`] if the device fails, [`super::EngineError::StageLimit`] if the stage is beyond its limits,
    /// [`super::EngineError::Cancelled`] for cancellation.
    pub fn goodness(
        &self,
        batch: &Batch,
        ccd: &CcdField,
        traces: &BundleTraces,
        spots: &BundleSpots,
        model: &Field,
        psferr: f64,
    ) -> Result<Vec<Vec<Goodness>>> {
        let on_gpu = |gpu: &Gpu| gpu::goodness(gpu, batch, ccd, traces, spots, model, psferr);
        self.run(Stage::Goodness, on_gpu, || cpu::goodness(batch, ccd, traces, spots, model, psferr))
    }
}
