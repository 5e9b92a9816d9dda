//! A share of a frame: some of its bundles, extracted by themselves and put together with the others. The result has the same
//! bits for any division, as a bundle's results depend on that bundle only.

use super::{ExtractError, Extraction, Fit, Summary, assemble};
use crate::backend::{Engine, Stage};
use crate::plan::Bundle;
use crate::solver::ladder::{self, LastRung, Progress, Solved};
use crate::solver::{BundleSpectra, ForcedCut, Job, Record, Stripe};
use serde::{Deserialize, Serialize};
use std::time::Duration;

/// Bundles extracted.
#[derive(Debug)]
pub struct Share(Solved);

/// All of a share but its numbers.
#[derive(Clone, Debug, Serialize, Deserialize)]
pub struct ShareHead {
    bundles: Vec<Bundle>,
    nwave: usize,
    ndiag: usize,
    record: Record,
    device: String,
    device_memory: Option<crate::gpu::MemoryUse>,
    stage_time: Vec<(Stage, Duration)>,
    /// First column and columns of each stripe of the model.
    stripes: Vec<(usize, usize)>,
}

/// Returns the bundles of share `k` of `n`: consecutive ones with about as many fibres as any other share. No share is empty
/// unless there are fewer bundles than shares; then it is one of the first.
pub fn part(bundles: &[Bundle], k: usize, n: usize) -> &[Bundle] {
    if bundles.len() < n {
        return &bundles[k * bundles.len() / n..(k + 1) * bundles.len() / n];
    }
    let total: usize = bundles.iter().map(|bundle| bundle.selected.len()).sum();
    let start = |k: usize| {
        let mut fibres = 0;
        // A bundle belongs to the share that its middle falls into.
        let before = bundles.iter().take_while(|bundle| {
            let middle = 2 * fibres + bundle.selected.len();
            fibres += bundle.selected.len();
            middle * n < 2 * k * total
        });
        before.count().clamp(k, bundles.len() - (n - k))
    };
    &bundles[start(k)..start(k + 1)]
}

/// Extracts the selected fibres of a job, on the CPU if the device fails and smaller parts do not help.
///
/// # Errors
/// [`ExtractError::Job`] if the selection reaches beyond the PSF, [`ExtractError::Coupling`] if the banded solver is requested
/// and cannot serve, [`ExtractError::Engine`] for cancellation.
pub fn extract(job: &Job, engine: &Engine, progress: Progress) -> Result<Extraction, ExtractError> {
    let bundles = job.bundles()?;
    let whole = extract_share(job, &bundles, engine, LastRung::Cpu, progress)?;
    Ok(engine.region(|| "assemble".into(), || join(vec![whole], job)))
}

/// Extracts some of the bundles of a job, consecutive ones. Of the CCD only their [`Job::columns`] count.
///
/// # Errors
/// [`ExtractError::Coupling`] if the banded solver is requested and cannot serve, [`ExtractError::Engine`] for cancellation, and
/// for a device that fails with [`LastRung::Caller`].
///
/// # Panics
/// If `bundles` is empty.
pub fn extract_share(
    job: &Job,
    bundles: &[Bundle],
    engine: &Engine,
    last: LastRung,
    progress: Progress,
) -> Result<Share, ExtractError> {
    Ok(Share(ladder::solve(job, bundles, engine, last, progress)?))
}

/// Joins shares in the order of their bundles.
///
/// # Panics
/// If there is none.
pub fn join(shares: Vec<Share>, job: &Job) -> Extraction {
    let mut shares = shares.into_iter();
    let Share(mut all) = shares.next().expect("a frame has a share");
    let mut spectra = vec![all.spectra];
    for Share(more) in shares {
        spectra.push(more.spectra);
        all.record.join(more.record);
        if !all.device.contains(&more.device) {
            all.device = format!("{}; {}", all.device, more.device);
        }
        for (stage, time) in more.stage_time {
            match all.stage_time.iter_mut().find(|(known, _)| *known == stage) {
                Some((_, sum)) => *sum += time,
                None => all.stage_time.push((stage, time)),
            }
        }
    }
    let spectra = BundleSpectra::joined(spectra);
    let model = job.options.model.map(|_| Stripe::sum(&spectra.stripes, [job.ccd.ny(), job.ccd.nx()]));
    let assembled = assemble::assemble(spectra, job);
    let summary = Summary {
        device: all.device,
        device_memory: all.device_memory,
        record: all.record,
        groups: job.grouping().groups.clone(),
        overlap: job.grouping().overlap,
        forced_cut: job.grouping().forced.as_ref().map(ForcedCut::fact),
        cut_rows: assembled.cut_rows,
        no_information: assembled.no_information,
        dark: assembled.dark,
        no_result: assembled.no_result,
        fit: assembled.chi2pix.map(|chi2pix| Fit::new(chi2pix, job.psferr())),
        stage_time: all.stage_time,
    };
    Extraction { spectra: assembled.spectra, model, summary }
}

impl Share {
    /// Why the share was repeated, or done by the CPU in its device's place.
    pub fn retried(&self) -> Option<&str> {
        self.0.record.retried.as_deref()
    }

    /// Names who repeated the share, or did it on the CPU, as "rank 3".
    pub fn retried_by(mut self, who: &str) -> Self {
        let retried = &mut self.0.record.retried;
        *retried = retried.take().map(|why| format!("{who}: {why}"));
        self
    }

    /// Returns its head and its numbers, to be sent.
    pub fn pack(&self) -> (ShareHead, Vec<f64>) {
        let Solved { spectra, record, device, device_memory, stage_time } = &self.0;
        let [_, nwave, ndiag] = spectra.shape();
        let head = ShareHead {
            bundles: spectra.bundles().to_vec(),
            nwave,
            ndiag,
            record: record.clone(),
            device: device.clone(),
            device_memory: *device_memory,
            stage_time: stage_time.clone(),
            stripes: spectra.stripes.iter().map(|stripe| (stripe.x0, stripe.nx)).collect(),
        };
        (head, spectra.numbers())
    }

    /// Builds the share of a head and its numbers, on a CCD of `ny` rows; None if they do not belong together.
    pub fn unpack(head: ShareHead, numbers: &[f64], ny: usize) -> Option<Self> {
        let shape = [head.nwave, head.ndiag, ny];
        let spectra = BundleSpectra::from_numbers(head.bundles, shape, &head.stripes, numbers)?;
        let ShareHead { record, device, device_memory, stage_time, .. } = head;
        Some(Self(Solved { spectra, record, device, device_memory, stage_time }))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::plan::{Groups, bundles};

    #[test]
    fn shares_cover_all_bundles_in_order_with_about_as_many_fibres_each() {
        let sizes = [vec![25; 20], vec![1, 1, 1, 40, 2], vec![48], vec![3; 7], vec![40, 1, 1, 1]];
        for (sizes, n) in sizes.iter().flat_map(|sizes| (1..=sizes.len()).map(move |n| (sizes, n))) {
            let starts: Vec<usize> = sizes.iter().scan(0, |sum, n| Some(std::mem::replace(sum, *sum + n))).collect();
            let nfibre = sizes.iter().sum();
            let all = bundles(&Groups::new(nfibre, |fibre| starts.contains(&fibre)), 0, nfibre).unwrap();
            let parts: Vec<&[Bundle]> = (0..n).map(|k| part(&all, k, n)).collect();
            assert_eq!(parts.concat(), all, "{sizes:?} in {n}");
            assert!(parts.iter().all(|part| !part.is_empty()), "{sizes:?} in {n}");
            let fibres = parts.iter().map(|part| part.iter().map(|b| b.fibres.len()).sum::<usize>());
            let largest = sizes.iter().max().unwrap();
            assert!(fibres.max().unwrap() <= nfibre / n + largest, "{sizes:?} in {n}");
        }
    }

    #[test]
    fn equal_bundles_are_shared_as_evenly_as_can_be() {
        let all = bundles(&Groups::of_size(500, 25), 0, 500).unwrap();
        for n in 1..=24 {
            let counts: Vec<usize> = (0..n).map(|k| part(&all, k, n).len()).collect();
            assert!(counts.iter().max().unwrap() - counts.iter().min().unwrap() <= 1, "{counts:?}");
            assert!(counts[n - 1] > 0);
        }
    }
}
