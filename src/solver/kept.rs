//! Facts that are measured of a PSF, a grid and options, kept for the frames that come next: those of a night share PSFs.

use super::Options;
use super::grouping::{Grouping, grouping};
use super::padding::Correlation;
use super::sampling::half_diagonals;
use crate::backend::HostWindow;
use crate::geometry::WaveGrid;
use crate::gpu::Precision;
use crate::gpu::banded::Accuracy;
use crate::plan::Bundle;
use crate::psf::Psf;
use crate::stages::spot_weight::SpotPlaces;
use std::collections::VecDeque;
use std::ops::Range;
use std::sync::{Arc, Mutex, OnceLock, PoisonError};

/// Most PSFs, grids and options whose facts are kept: a night of DESI has 30 cameras.
const MOST: usize = 32;

/// Those used last come last.
static KEPT: Mutex<VecDeque<Arc<Facts>>> = Mutex::new(VecDeque::new());

/// A bundle with its selected fibres, and on which device it is solved.
type PlanKey = (Bundle, bool, Precision);

/// A bundle, or a window of a long one, before any attempt.
#[derive(Clone, Debug)]
pub(super) struct PlannedWindow {
    /// Half bandwidth of K, bins.
    pub reach: usize,
    /// Rows and columns of the CCD that its spots reach.
    pub pixels: (Range<usize>, Range<usize>),
    /// Its fibres, rows of the PSF.
    pub fibres: Range<usize>,
    /// The CPU's measurements of it.
    pub window: HostWindow,
    /// A GPU's bands to be tried, from the narrowest.
    pub bands: &'static [usize],
}

/// Facts of one PSF, grid and options.
#[derive(Debug)]
pub(super) struct Facts {
    psf: Psf,
    wave: Vec<f64>,
    options: Options,
    /// How fibres are grouped.
    pub grouping: Grouping,
    /// How far bins are correlated, and how many are added beyond each end of the grid.
    pub correlation: Correlation,
    /// Diagonals of R to each side of its main one.
    pub half_diagonals: usize,
    /// Why f32 does not serve, if it does not.
    pub beyond_f32: OnceLock<Option<String>>,
    spot_places: OnceLock<SpotPlaces>,
    accuracy: Mutex<Vec<(Precision, Accuracy)>>,
    plans: Mutex<Vec<(PlanKey, Arc<Vec<PlannedWindow>>)>>,
}

impl Facts {
    /// Returns the facts, measured at the first call.
    pub fn of(psf: &Psf, grid: &WaveGrid, options: &Options) -> Arc<Self> {
        let is = |facts: &Arc<Self>| facts.options == *options && facts.wave == grid.wave() && facts.psf == *psf;
        let known = {
            let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
            kept.iter().position(is).and_then(|at| kept.remove(at)).inspect(|facts| kept.push_back(facts.clone()))
        };
        known.unwrap_or_else(|| {
            let facts = Arc::new(Self::measure(psf, grid, options));
            let mut kept = KEPT.lock().unwrap_or_else(PoisonError::into_inner);
            kept.push_back(facts.clone());
            if kept.len() > MOST {
                kept.pop_front();
            }
            facts
        })
    }

    fn measure(psf: &Psf, grid: &WaveGrid, options: &Options) -> Self {
        let half_diagonals = half_diagonals(psf, grid);
        let (correlation, grouping) =
            rayon::join(|| Correlation::measure(psf, grid, options), || grouping(psf, options));
        // R's diagonals stay on the padded grid.
        let [beyond_ends, most_beyond_ends] =
            [correlation.beyond_ends, correlation.most_beyond_ends].map(|bins| bins.max(half_diagonals));
        let correlation = Correlation { beyond_ends, most_beyond_ends, ..correlation };
        Self {
            psf: psf.clone(),
            wave: grid.wave().to_vec(),
            options: options.clone(),
            grouping,
            correlation,
            half_diagonals,
            beyond_f32: OnceLock::new(),
            spot_places: OnceLock::new(),
            accuracy: Mutex::default(),
            plans: Mutex::default(),
        }
    }

    /// Returns where the spots of the PSF lie, found at the first call.
    pub fn spot_places(&self) -> &SpotPlaces {
        self.spot_places.get_or_init(|| SpotPlaces::new(&self.psf))
    }

    /// Returns the windows of a bundle, which `plan` finds at the first call.
    ///
    /// # Errors
    /// The error of `plan`, which is called again then.
    pub fn plan<E>(
        &self,
        key: PlanKey,
        plan: impl FnOnce() -> Result<Vec<PlannedWindow>, E>,
    ) -> Result<Arc<Vec<PlannedWindow>>, E> {
        let lock = || self.plans.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, planned)) = lock().iter().find(|(known, _)| *known == key) {
            return Ok(planned.clone());
        }
        let planned = Arc::new(plan()?);
        lock().push((key, planned.clone()));
        Ok(planned)
    }

    /// Returns the accuracy of a device in one precision, which `measure` finds at the first call. Of one job it has one tolerance.
    ///
    /// # Errors
    /// The error of `measure`.
    pub fn accuracy<E>(
        &self,
        precision: Precision,
        measure: impl FnOnce() -> Result<Accuracy, E>,
    ) -> Result<Accuracy, E> {
        let lock = || self.accuracy.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some((_, accuracy)) = lock().iter().find(|(known, _)| *known == precision) {
            return Ok(accuracy.clone());
        }
        let accuracy = measure()?;
        lock().push((precision, accuracy.clone()));
        Ok(accuracy)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::synthetic::Synthetic;

    #[test]
    fn facts_are_measured_once_for_each_psf_grid_and_options() {
        let of_seed =
            |seed: u64| Synthetic { nfibre: 3, bundlesize: 3, npix_y: Some(120), seed, ..Synthetic::default() };
        let (psf, other) = (of_seed(1).build().unwrap(), of_seed(2).build().unwrap());
        let grid = |first: f64| WaveGrid::new(psf.wave_min + first, psf.wave_min + first + 16.0, 0.8).unwrap();
        let (options, strict) = (Options::default(), Options { tolerance: Some(1e-6), ..Options::default() });
        let first = Facts::of(&psf, &grid(20.0), &options);
        assert!(Arc::ptr_eq(&first, &Facts::of(&psf.clone(), &grid(20.0), &options)));
        for facts in [
            Facts::of(&other, &grid(20.0), &options),
            Facts::of(&psf, &grid(21.0), &options),
            Facts::of(&psf, &grid(20.0), &strict),
        ] {
            assert!(!Arc::ptr_eq(&first, &facts));
        }
        assert!(Arc::ptr_eq(&first, &Facts::of(&psf, &grid(20.0), &options)), "others do not displace it");
    }

    #[test]
    fn a_bundle_is_planned_once_for_each_device_and_selection() {
        let psf = Synthetic { nfibre: 3, bundlesize: 3, npix_y: Some(120), ..Synthetic::default() }.build().unwrap();
        let grid = WaveGrid::new(psf.wave_min + 20.0, psf.wave_min + 36.0, 0.8).unwrap();
        let facts = Facts::of(&psf, &grid, &Options { regularize: 2e-7, ..Options::default() });
        let bundle = |selected| Bundle { fibres: 0..3, selected };
        let key = |on_gpu| (bundle(0..3), on_gpu, Precision::F32);
        assert_eq!(facts.plan(key(true), || Err("it fails")).unwrap_err(), "it fails");
        let planned = facts.plan(key(true), || Ok::<_, &str>(vec![])).unwrap();
        assert!(Arc::ptr_eq(&planned, &facts.plan(key(true), || Err("it is not called")).unwrap()));
        assert!(facts.plan(key(false), || Err("its own")).is_err());
        assert!(facts.plan((bundle(1..3), true, Precision::F32), || Err("its own")).is_err());
    }

    #[test]
    fn a_failed_measurement_of_accuracy_is_repeated() {
        let psf = Synthetic { nfibre: 3, bundlesize: 3, npix_y: Some(120), ..Synthetic::default() }.build().unwrap();
        let grid = WaveGrid::new(psf.wave_min + 20.0, psf.wave_min + 36.0, 0.8).unwrap();
        let facts = Facts::of(&psf, &grid, &Options { regularize: 1e-7, ..Options::default() });
        let found = Accuracy::of(Precision::F32, 1e-3, 36);
        assert_eq!(facts.accuracy(Precision::F32, || Err("it fails")), Err("it fails"));
        assert_eq!(facts.accuracy(Precision::F32, || Ok::<_, &str>(found.clone())), Ok(found.clone()));
        assert_eq!(facts.accuracy(Precision::F32, || Err("it is not called")), Ok(found));
        assert!(facts.accuracy(Precision::F64, || Err("its own")).is_err());
    }
}
