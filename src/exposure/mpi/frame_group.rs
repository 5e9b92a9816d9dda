//! A frame over the ranks of a group: the leader sends each member its bundles and the pixels under them, and puts
//! together what comes back.

use super::wire::{NUMBERS, ORDER, PIXELS, SHARE, receive, receive_numbers, send, send_numbers, world};
use crate::backend::{Again, Engine, EngineError};
use crate::error_chain;
use crate::exposure::extractor::{ExtractorError, FrameExtractor};
use crate::exposure::in_flight::InFlight;
use crate::exposure::run_log::Phase;
use crate::extract::{
    ExtractError, Extraction, Inputs, Options, Request, Share, ShareHead, assemble, columns, extract_share, part, plan,
};
use crate::geometry::Ccd;
use crate::geometry::WaveGrid;
use crate::plan::Bundle;
use crate::psf::Psf;
use mpi::traits::Communicator;
use serde::{Deserialize, Serialize};
use std::borrow::Cow;
use std::ops::Range;
use std::path::{Path, PathBuf};

/// What a member is to do. Image and ivar of the columns follow.
#[derive(Serialize, Deserialize)]
struct Order<'a> {
    output: Cow<'a, Path>,
    psf: Cow<'a, Psf>,
    options: Cow<'a, Options>,
    grid: Cow<'a, WaveGrid>,
    bundles: Cow<'a, [Bundle]>,
    columns: Range<usize>,
    on_cpu: bool,
}

/// Why a member could not.
#[derive(Debug, Serialize, Deserialize)]
struct Failure {
    message: String,
    device: bool,
    stopped: bool,
}

impl From<ExtractError> for Failure {
    fn from(error: ExtractError) -> Self {
        let (device, stopped) = match &error {
            ExtractError::Engine(EngineError::Stopped) => (false, true),
            other => (other.of_device().is_some(), false),
        };
        Self { message: error_chain(&error), device, stopped }
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

    fn together(
        &self,
        request: &Request,
        inputs: &Inputs,
        engine: &Engine,
        on_cpu: bool,
    ) -> Result<Extraction, ExtractorError> {
        let failed = |source| ExtractorError::from(inputs.failed(request, source));
        let (psf, ccd, grid, options) = (inputs.psf(), inputs.ccd(), inputs.grid(), inputs.options(request));
        let bundles = plan(psf, ccd, grid, &options).map_err(failed)?;
        let ranks = self.members.len() + 1;
        let busy = |k: &usize| !part(&bundles, *k, ranks).is_empty();
        // The leader takes the last share: where there are fewer bundles than ranks, that one is never empty.
        for (k, rank) in (0..ranks - 1).zip(self.members.clone()).filter(|(k, _)| busy(k)) {
            let bundles = part(&bundles, k, ranks);
            let fibres = bundles[0].fibres.start..bundles[bundles.len() - 1].fibres.end;
            let columns = columns(psf, fibres, grid, &options);
            let order = Order {
                output: Cow::Borrowed(&request.output),
                psf: Cow::Borrowed(psf),
                options: Cow::Borrowed(&options),
                grid: Cow::Borrowed(grid),
                bundles: Cow::Borrowed(bundles),
                columns: columns.clone(),
                on_cpu,
            };
            send(rank, ORDER, &Some(order));
            ccd.columns(&columns).iter().for_each(|stripe| send_numbers(rank, PIXELS, stripe));
        }
        let last = part(&bundles, ranks - 1, ranks);
        let own = engine.persist(
            |engine| extract_share(psf, ccd, grid, &options, engine, last, &|_, _| {}),
            ExtractError::of_device,
        );
        // All members are heard before anything is given up: no message is left lying.
        let others: Vec<Result<Share, ExtractorError>> = (0..ranks - 1)
            .zip(self.members.clone())
            .filter(|(k, _)| busy(k))
            .map(|(_, rank)| share_of(rank, [ccd.ny(), ccd.nx()]))
            .collect();
        let mut shares: Vec<Share> = Vec::new();
        let own = own.map(|(share, again)| share.retried(said(again))).map_err(failed);
        for share in others.into_iter().chain([own]) {
            shares.push(share?);
        }
        Ok(assemble(shares, grid, &options))
    }
}

/// What a member has made of its order.
fn share_of(rank: usize, ccd: [usize; 2]) -> Result<Share, ExtractorError> {
    let head: Result<ShareHead, Failure> = receive(rank, SHARE);
    match head {
        Ok(head) => {
            let numbers: Vec<f64> = receive_numbers(rank, NUMBERS);
            Ok(Share::unpack(head, &numbers, ccd).expect("a share is sent as it was packed"))
        }
        Err(failure) if failure.stopped => Err(ExtractorError::Stopped),
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
        match self.together(request, inputs, self.engine, false) {
            Err(error) if error.is_of_device() => {
                let reason = error.to_string();
                tracing::warn!("{reason}; the CPU does it");
                let mut extraction = self.together(request, inputs, &self.engine.cpu_instead(), true)?;
                extraction.summary.retried = Some(reason);
                Ok(extraction)
            }
            result => result,
        }
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
    let ccd = &Ccd::from_columns([psf.npix_y, psf.npix_x], columns.clone(), &image, &ivar)
        .expect("columns are received as they were sent");
    let cpu = engine.cpu_instead();
    let (engine, bundles) = (if order.on_cpu { &cpu } else { engine }, &order.bundles);
    let work = |engine: &Engine| extract_share(psf, ccd, &order.grid, &order.options, engine, bundles, &|_, _| {});
    let (share, again) = engine.persist(work, ExtractError::of_device)?;
    Ok(share.retried(said(again)))
}

/// Why this rank has done its share again, or on the CPU.
fn said(again: Option<Again>) -> Option<String> {
    again.map(|again| format!("rank {}: {}", world().rank(), again.reason))
}
