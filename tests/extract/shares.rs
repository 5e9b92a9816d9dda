//! A frame extracted in shares, as the ranks of an MPI job do.

use spextral::extract::{Extraction, Job, LastRung, ModelFlux, Options, Share, Solver, extract_share, join, part};
use spextral::geometry::Ccd;
use spextral::simulate::synthetic::Synthetic;
use testkit::{Small, cpu};

/// Extracts the frame in `n` shares, each from the columns that it needs alone. Each share is packed and unpacked.
fn in_shares(small: &Small, options: &Options, n: usize) -> Extraction {
    let ccd = &small.ccd();
    let job = Job::new(&small.psf, ccd, &small.grid, options).unwrap();
    let bundles = job.bundles().unwrap();
    let share = |k: usize| {
        let bundles = part(&bundles, k, n);
        let (first, last) = (bundles.first()?, bundles.last()?);
        let seen = job.columns(first.fibres.start..last.fibres.end);
        let [image, ivar] = ccd.columns(&seen);
        let part = Ccd::from_columns([ccd.ny(), ccd.nx()], seen, [&image, &ivar], Some(job.largest_weights().to_vec()))
            .unwrap();
        let job = Job::new(&small.psf, &part, &small.grid, options).unwrap();
        let share = extract_share(&job, bundles, &cpu(), LastRung::Cpu, &|_, _| {}).unwrap();
        let (head, numbers) = share.pack();
        let head = serde_json::from_slice(&serde_json::to_vec(&head).unwrap()).unwrap();
        Some(Share::unpack(head, &numbers, ccd.ny()).unwrap())
    };
    join((0..n).filter_map(share).collect(), &job)
}

#[test]
fn a_frame_is_bitwise_equal_however_it_is_shared_out() {
    // Bundles so near to each other that their spots meet.
    let psf = Synthetic { nfibre: 14, bundlesize: 5, npix_y: Some(200), bundle_gap: 10.0, ..Synthetic::default() };
    let small = Small::on(psf.build().unwrap(), 5);
    for solver in [Solver::Patches, Solver::Banded] {
        let mut options = Small::options();
        options.solver = solver;
        options.model = Some(ModelFlux::Deconvolved);
        (options.specmin, options.nspec) = (1, Some(12));
        let whole = small.extract(&options, &cpu());
        for n in [1, 2, 3, 5] {
            let shared = in_shares(&small, &options, n);
            assert!(shared.spectra == whole.spectra && shared.model == whole.model, "{solver:?}, {n} shares");
            let counts = |e: &Extraction| (e.summary.banded, e.summary.patches);
            assert_eq!(counts(&shared), counts(&whole));
            assert_eq!(shared.summary.no_information, whole.summary.no_information);
        }
    }
}

#[test]
fn shares_without_any_solution_are_sent_and_joined() {
    let small = Small::new(12);
    let options = Options { regularize: 1e300, ..Small::options() };
    let (whole, shared) = (small.extract(&options, &cpu()), in_shares(&small, &options, 2));
    assert_eq!(whole.summary.failed, whole.summary.patches);
    assert!(shared.spectra == whole.spectra && shared.spectra.resolution.iter().all(|value| value == 0.0));
}

#[test]
fn a_share_s_numbers_must_be_as_many_as_its_head_says() {
    let small = Small::new(1);
    let options = Small::options();
    let ccd = small.ccd();
    let job = Job::new(&small.psf, &ccd, &small.grid, &options).unwrap();
    let bundles = job.bundles().unwrap();
    let share = extract_share(&job, &bundles[..1], &cpu(), LastRung::Cpu, &|_, _| {});
    let (head, mut numbers) = share.unwrap().pack();
    let ny = ccd.ny();
    assert!(Share::unpack(head.clone(), &numbers, ny).is_some());
    numbers.push(0.0);
    assert!(Share::unpack(head.clone(), &numbers, ny).is_none());
    assert!(Share::unpack(head, &numbers[..10], ny).is_none());
}
