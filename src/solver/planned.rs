//! Bundles before any attempt: where their spots lie, how far fibres and bins are coupled, and the windows that they are solved in.

use super::kept::PlannedWindow;
use super::{Job, Unserved, extent::extent};
use crate::backend::HostWindow;
use crate::geometry::Positions;
use crate::gpu::Precision;
use crate::gpu::banded::{MOST_DISTANCES, WIDEST, kept};
use crate::plan::Bundle;
use crate::stages::banded::{Coupling, Overlaps, SolverParameters, half_bandwidth, psf_fibre_correlation};
use crate::stages::spots::SpotSource;

/// Fraction of the tolerance to which the correlation falls over the fibres around a window's core.
const DECAY_OVER_FIBRES: f64 = 1e-2;

/// Most fibres that are solved at a time, 10 MB each, and about as many of a long bundle without those around them.
const MOST_FIBRES: usize = 132;
const CORE_FIBRES: usize = 100;

/// Plans a bundle on the padded grid `wave`.
///
/// # Errors
/// [`Unserved::Coupling`] if there is no code for so far, [`Unserved::Limit`] if R is wider than a device's bands.
pub(super) fn plan(
    job: &Job,
    wave: &[f64],
    (precision, tolerance): (Precision, f64),
    on_gpu: bool,
    bundle: &Bundle,
) -> Result<Vec<PlannedWindow>, Unserved> {
    let source = SpotSource::new(job.psf, bundle.fibres.clone(), wave, job.options.psf_tails);
    let positions = source.positions();
    let nearest = half_bandwidth(&positions, 1);
    SolverParameters::check_width(nearest, job.grid.step())?;
    let half = job.half_diagonals();
    if on_gpu && half > WIDEST {
        return Err(Unserved::Limit(format!("R has {half} diagonals to each side, the device goes to {WIDEST}")));
    }
    let all = 0..bundle.fibres.len();
    let mut task = PlannedWindow {
        reach: nearest,
        pixels: (0..0, 0..0),
        fibres: bundle.fibres.clone(),
        window: HostWindow { core: all, around: None, neighbours: 1, coupling: Coupling::default() },
        bands: &[],
    };
    let overlaps = Overlaps::measure(&source, nearest);
    let neighbours = overlaps.reach(tolerance)?.max(1);
    task.window.coupling = overlaps.coupling(1);
    task.window.neighbours = neighbours;
    task.reach = if neighbours > 1 { half_bandwidth(&positions, neighbours) } else { nearest };
    SolverParameters::check_width(task.reach, job.grid.step())?;
    if on_gpu && neighbours > MOST_DISTANCES {
        let what = format!("spots of fibres {neighbours} apart overlap, the device goes to {MOST_DISTANCES}");
        return Err(Unserved::Limit(what));
    }
    task.bands = if on_gpu { kept(task.reach, neighbours, precision) } else { &[] };
    let with_pixels = |task: PlannedWindow| {
        let [first, last] = [task.fibres.start, task.fibres.end].map(|f| (f - bundle.fibres.start) * source.nbin());
        let [pixel_x, pixel_y] = [positions.pixel_x, positions.pixel_y].map(|pixels| &pixels[first..last]);
        let of_task = Positions { nfibre: task.fibres.len(), pixel_x, pixel_y, ..positions };
        PlannedWindow { pixels: extent(&of_task, [job.ccd.ny(), job.ccd.nx()]), ..task }
    };
    Ok(windows(job, wave, tolerance, bundle, task).into_iter().map(with_pixels).collect())
}

/// Cuts a long bundle into windows of fibres; those without a selected fibre are left out. Cores are fixed by the bundle alone.
fn windows(job: &Job, wave: &[f64], tolerance: f64, bundle: &Bundle, task: PlannedWindow) -> Vec<PlannedWindow> {
    let (all, neighbours) = (bundle.fibres.clone(), task.window.neighbours);
    if all.len() <= MOST_FIBRES {
        return vec![task];
    }
    let threshold = DECAY_OVER_FIBRES * tolerance;
    let measured = psf_fibre_correlation(job.psf, &all, wave, job.options.psf_tails, neighbours, threshold);
    // Beside masks and bright fibres light is correlated farther.
    let margin = (measured + measured / 2).max(2 * neighbours) + 2;
    let count = all.len().div_ceil(CORE_FIBRES);
    tracing::debug!("{bundle}: {count} windows, {margin} fibres around each");
    let window = |k: usize| {
        let [first, last] = [k, k + 1].map(|k| all.start + k * all.len() / count);
        let fibres = first.saturating_sub(margin).max(all.start)..(last + margin).min(all.end);
        let core = first - fibres.start..last - fibres.start;
        let window = HostWindow { core, around: Some(margin), ..task.window.clone() };
        (first < bundle.selected.end && last > bundle.selected.start).then(|| PlannedWindow {
            fibres,
            window,
            ..task.clone()
        })
    };
    (0..count).filter_map(window).collect()
}
