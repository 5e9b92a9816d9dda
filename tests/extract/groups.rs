//! Groups of fibres by the overlap of their spots, of any size, and the diagonals of R on any grid.

use spextral::extract::{Extraction, Job, ModelFlux, Options, Solver, default_wavelength, warnings};
use spextral::frame::Spectra;
use spextral::geometry::WaveGrid;
use spextral::psf::Psf;
use spextral::simulate::synthetic::Synthetic;
use testkit::{Small, cpu};

/// Fibres at one pitch, but for gaps around the fourth: groups of 3, 1 and 5.
fn unequal() -> Psf {
    let synthetic =
        Synthetic { nfibre: 9, bundlesize: 9, npix_y: Some(220), npix_x: Some(220), ..Synthetic::default() };
    let mut psf = synthetic.build().unwrap();
    psf.update(|parts| {
        let ncoeff = parts.trace_x.ncoeff;
        (0..3).for_each(|fibre| parts.trace_x.coeff[fibre * ncoeff] -= 20.0);
        (4..9).for_each(|fibre| parts.trace_x.coeff[fibre * ncoeff] += 20.0);
    })
    .unwrap();
    psf
}

fn options(solver: Solver) -> Options {
    let mut options = Options { solver, ..Options::default() };
    options.patches.nwavestep = 40;
    options
}

/// Returns flux, ivar and R of a fibre, as bits.
fn bits(spectra: &Spectra, fibre: usize) -> Vec<u64> {
    let (n, size) = (spectra.nwave, spectra.nwave * spectra.ndiag);
    let bins = fibre * n..(fibre + 1) * n;
    let spectra_of = spectra.flux[bins.clone()].iter().chain(&spectra.ivar[bins]).copied();
    spectra_of.chain(spectra.resolution.part(fibre * size..(fibre + 1) * size).iter()).map(f64::to_bits).collect()
}

#[test]
fn groups_of_any_size_are_solved_and_a_fibre_does_not_depend_on_the_selection() {
    let small = Small::on(unequal(), 3);
    for solver in [Solver::Banded, Solver::Patches] {
        let whole = small.extract(&options(solver), &cpu());
        assert_eq!(whole.summary.groups.to_string(), "3,1,5");
        assert!(whole.spectra.ivar.iter().filter(|w| **w > 0.0).count() > 880, "{solver:?}");
        for (specmin, nspec) in [(2, 3), (3, 1), (5, 2)] {
            let some = small.extract(&Options { specmin, nspec: Some(nspec), ..options(solver) }, &cpu());
            assert_eq!(some.summary.groups, whole.summary.groups);
            for k in 0..nspec {
                assert!(
                    bits(&some.spectra, k) == bits(&whole.spectra, specmin + k),
                    "{solver:?}, fibre {}",
                    specmin + k
                );
            }
        }
    }
}

#[test]
fn groups_and_their_size_give_the_same_bits() {
    let small = Small::new(2);
    let by_psf = small.extract(&options(Solver::Banded), &cpu());
    let by_size = small.extract(&Small::banded(), &cpu());
    assert_eq!(by_psf.summary.groups.to_string(), "5,3");
    assert!(by_psf.spectra == by_size.spectra);
}

#[test]
fn sub_bundles_need_not_divide_a_group_nor_concern_the_bands() {
    let small = Small::on(unequal(), 3);
    let with = |solver, nsubbundles| {
        let mut options = Options { model: Some(ModelFlux::Deconvolved), ..options(solver) };
        options.patches.nsubbundles = Some(nsubbundles);
        small.extract(&options, &cpu())
    };
    let closest = |a: &Extraction, b: &Extraction| {
        let sigmas =
            (0..a.spectra.flux.len()).map(|k| (a.spectra.flux[k] - b.spectra.flux[k]).abs() * b.spectra.ivar[k].sqrt());
        sigmas.fold(0.0, f64::max)
    };
    let banded = with(Solver::Banded, 1);
    assert!(with(Solver::Banded, 7).spectra == banded.spectra);
    for nsubbundles in [2, 3, 7] {
        let patches = with(Solver::Patches, nsubbundles);
        assert_eq!((patches.summary.failed, patches.summary.banded), (0, 0));
        assert!(closest(&patches, &banded) < 0.3, "{nsubbundles}: {}", closest(&patches, &banded));
    }
}

#[test]
fn a_forced_cut_little_padding_and_a_step_that_does_not_suit_are_said_before_the_work() {
    let small = Small::on(unequal(), 3);
    let ccd = small.ccd();
    let warnings = |options: &Options, grid: &WaveGrid| warnings(&Job::new(&small.psf, &ccd, grid, options).unwrap());
    assert!(warnings(&Options::default(), &small.grid).is_empty());
    let mut forced = Options::default();
    forced.patches.bundlesize = Some(2);
    let said = warnings(&forced, &small.grid);
    assert!(said.len() == 1 && said[0].contains("cut between fibres"), "{said:?}");
    for (wavepad, is_little) in [(0, true), (4, true), (10, false)] {
        let mut patches = options(Solver::Patches);
        (patches.patches.bundlesize, patches.patches.wavepad) = (None, wavepad);
        let said = warnings(&patches, &small.grid);
        assert_eq!(said.iter().any(|said| said.contains("wavepad 10 suits")), is_little, "{wavepad}: {said:?}");
    }
    let middle = small.grid.wave()[50];
    for (step, sides) in [(0.3, true), (0.41, false), (1.59, false), (2.0, true)] {
        let grid = WaveGrid::new(middle - 20.0, middle + 20.0, step).unwrap();
        assert_eq!(warnings(&Options::default(), &grid).len(), usize::from(sides), "{step}");
    }
    let (low, high, step) = default_wavelength(&small.psf, 0, None);
    assert!(warnings(&Options::default(), &WaveGrid::new(low, high, step).unwrap()).is_empty());
}

#[test]
fn rows_of_r_are_whole_on_any_grid_that_bands_serve() {
    let small = Small::on(unequal(), 3);
    let middle = small.grid.wave()[50];
    for (step, ndiag) in [(1.6, 11), (0.8, 11), (0.4, 17)] {
        let grid = WaveGrid::new(middle - 30.0, middle + 30.0, step).unwrap();
        let ccd = small.ccd();
        let extraction = testkit::extract(&small.psf, &ccd, &grid, &options(Solver::Auto), &cpu());
        assert!(
            extraction.spectra.ndiag >= 11 && extraction.spectra.ndiag <= ndiag,
            "{step}: {}",
            extraction.spectra.ndiag
        );
        assert!(extraction.summary.cut_rows.is_empty(), "{step}: {:?}", extraction.summary.cut_rows);
    }
}
