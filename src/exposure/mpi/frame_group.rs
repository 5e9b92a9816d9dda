//! A frame over the ranks of a group: the leader sends each member its bundles and the pixels under them, and joins
//! the results.

use super::wire::{NUMBERS, ORDER, PIXELS, SHARE, receive, receive_numbers, send, send_numbers, world};
use crate::backend::{Engine, EngineError};
use crate::error_chain;
use crate::exposure::extractor::{ExtractorError, FrameExtractor};
use crate::exposure::in_flight::InFlight;
use crate::exposure::run_log::Phase;
use crate::extract::{
    ExtractError, Extraction, Inputs, Job, LastRung, Options, Request, Share, ShareHead, extract_share, join, part,
    warnings,
};
use crate::geometry::{Ccd, WaveGrid};
use crate::plan::Bundle;
use crate::psf::Psf;
use crate::solver::Reason;
use crate::solver::ladder::or_cpu_for_all;
use mpi::traits::Communicator;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// A member's work. Image and ivar of its columns follow.
#[derive(Serialize, Deserialize)]
struct Order<'a> {
    output: Cow<'a, Path>,
    psf: Cow<'a, Psf>,
    options: Cow<'a, Options>,
    grid: Cow<'a, WaveGrid>,
    bundles: Cow<'a, [Bundle]>,
    columns: Range<usize>,
    largest_weights: Cow<'a, [f64]>,
    on_cpu: bool,
}

/// Failure of a member.
#[derive(Debug, Serialize, Deserialize)]
struct Failure {
    message: String,
    device: bool,
    cancelled: bool,
}

impl From<ExtractError> for Failure {
    fn from(error: ExtractError) -> Self {
        let cancelled = matches!(&error, ExtractError::Engine(EngineError::Cancelled));
        Self { message: error_chain(&error), device: error.device_failure().is_some(), cancelled }
    }
}

/// A leader and the members of its group.
pub struct FrameGroup<'a> {
    engine: &'a Engine,
    members: Range<usize>,
}

impl<'a> FrameGroup<'a> {
    /// A leader with its device and the ranks that follow it.
    pub fn new(engine: &'a Engine, members: Range<usize>) -> Self {
        Self { engine, members }
    }

    /// Sends the members home.
    pub fn dismiss(&self) {
        self.members.clone().for_each(|rank| send(rank, ORDER, &None::<Order>));
    }

    /// Extracts a frame with all members, each on its device, or with `on_cpu` each on its CPU.
    fn together(
        &self,
        request: &Request,
        inputs: &Inputs,
        engine: &Engine,
        on_cpu: bool,
    ) -> Result<Extraction, ExtractorError> {
        let failed = |source| ExtractorError::from(inputs.failed(request, source));
        let options = inputs.options(request);
        let job = inputs.job(&options).map_err(failed)?;
        if !on_cpu {
            warnings(&job).iter().for_each(|warning| tracing::warn!("{warning}"));
        }
        let bundles = job.bundles().map_err(|error| failed(error.into()))?;
        let ranks = self.members.len() + 1;
        let busy = |k: &usize| !part(&bundles, *k, ranks).is_empty();
        // The leader takes the last share: where there are fewer bundles than ranks, that one is never empty.
        for (k, rank) in (0..ranks - 1).zip(self.members.clone()).filter(|(k, _)| busy(k)) {
            let bundles = part(&bundles, k, ranks);
            let columns = job.columns(bundles[0].fibres.start..bundles[bundles.len() - 1].fibres.end);
            let order = Order {
                output: Cow::Borrowed(&request.output),
                psf: Cow::Borrowed(job.psf),
                options: Cow::Borrowed(&options),
                grid: Cow::Borrowed(inputs.grid()),
                bundles: Cow::Borrowed(bundles),
                columns: columns.clone(),
                largest_weights: Cow::Borrowed(job.largest_weights()),
                on_cpu,
            };
            send(rank, ORDER, &Some(order));
            job.ccd.columns(&columns).iter().for_each(|stripe| send_numbers(rank, PIXELS, stripe));
        }
        let own = extract_share(&job, part(&bundles, ranks - 1, ranks), engine, LastRung::Caller, &|_, _| {});
        // All members are heard before anything is given up: no message is left lying.
        let others: Vec<Result<Share, ExtractorError>> = (0..ranks - 1)
            .zip(self.members.clone())
            .filter(|(k, _)| busy(k))
            .map(|(_, rank)| share_of(rank, job.ccd.ny()))
            .collect();
        let own = own.map(|share| share.retried_by(&this_rank())).map_err(failed);
        let shares = others.into_iter().chain([own]).collect::<Result<Vec<_>, _>>()?;
        Ok(join(shares, &job))
    }
}

/// Receives the share of a member.
fn share_of(rank: usize, ny: usize) -> Result<Share, ExtractorError> {
    let head: Result<ShareHead, Failure> = receive(rank, SHARE);
    match head {
        Ok(head) => {
            let numbers: Vec<f64> = receive_numbers(rank, NUMBERS);
            Ok(Share::unpack(head, &numbers, ny).expect("a share is sent as it was packed"))
        }
        Err(failure) if failure.cancelled => Err(ExtractorError::Stopped),
        Err(Failure { message, device, .. }) => Err(ExtractorError::Member { rank, message, device }),
    }
}

impl FrameExtractor for FrameGroup<'_> {
    fn extract(&self, request: &Request, inputs: &Inputs) -> Result<Extraction, ExtractorError> {
        if self.members.is_empty() {
            return Ok(inputs.extract(request, self.engine, &|_, _| {})?);
        }
        // A device that fails for good in a frame brings the whole of it to the CPU: it is of one precision. In later ones a rank
        // without its device does its own share there, which is said: the others' devices are worth more.
        let on_cpu = |engine: &Engine| !std::ptr::eq(engine, self.engine);
        let work = |engine: &Engine| self.together(request, inputs, engine, on_cpu(engine));
        let (mut extraction, moved) =
            or_cpu_for_all(self.engine, work, |error| error.is_of_device().then_some(Reason::Device))?;
        if let Some(reason) = moved {
            extraction.summary.record.note_cpu_for_all(reason);
        }
        Ok(extraction)
    }
}

/// A member's work: orders from its leader, until it is sent home.
pub fn serve(leader: usize, engine: &Engine) {
    while let Some(order) = receive::<Option<Order>>(leader, ORDER) {
        let output: PathBuf = order.output.to_path_buf();
        let _in_hand = InFlight::new(Phase::Compute, &output);
        let share = carry_out(leader, &order, engine);
        let packed = share.as_ref().map(Share::pack);
        match packed {
            Ok((head, numbers)) => {
                send(leader, SHARE, &Ok::<_, Failure>(head));
                send_numbers(leader, NUMBERS, &numbers);
            }
            Err(failure) => send(leader, SHARE, &Err::<ShareHead, _>(failure)),
        }
    }
}

fn carry_out(leader: usize, order: &Order, engine: &Engine) -> Result<Share, Failure> {
    let (psf, columns) = (&order.psf, &order.columns);
    let [image, ivar]: [Vec<f32>; 2] = [receive_numbers(leader, PIXELS), receive_numbers(leader, PIXELS)];
    let ccd = &Ccd::from_columns(
        [psf.npix_y, psf.npix_x],
        columns.clone(),
        [&image, &ivar],
        Some(order.largest_weights.to_vec()),
    )
    .expect("columns are received as they were sent")
    .with_dispersion(psf.dispersion);
    let cpu = engine.cpu_instead();
    let job = Job::new(psf, ccd, &order.grid, &order.options).map_err(ExtractError::from)?;
    let engine = if order.on_cpu { &cpu } else { engine };
    let share = extract_share(&job, &order.bundles, engine, LastRung::Caller, &|_, _| {})?;
    Ok(share.retried_by(&this_rank()))
}

fn this_rank() -> String {
    format!("rank {}", world().rank())
}
