//! Flux of random instruments, grids and defects on the GPU in f64.

use spextral::gpu::OpenOptions;
use testkit::reported::{DEFAULT, Outcome, outcomes, spectrograph, survey};
use testkit::worlds::{Defect, Light};
use testkit::{on, open_with_f64};

#[test]
fn flux_of_any_instrument_is_exact_to_the_tolerance_or_told_in_f64() {
    note!("{}", survey(1, 12, DEFAULT, &on(&open_with_f64(&OpenOptions::default()))).passed());
}

/// These worlds were 1.4e-5 to 2.6e-5 sigma off without a warning, as estimates were taken for errors.
#[test]
fn flux_of_worlds_with_large_errors_for_their_estimates_is_exact_to_the_tolerance_or_told_in_f64() {
    let worlds = [
        spectrograph(
            15763891938411839677,
            (2, [1.2298453995174734, 0.9964967121985404], 3.742117989739379, 1.5924494175877484),
            (1.2816945740302583, 61),
            Light::Decades(0.6351739833115719),
            vec![Defect::Amplifier(2), Defect::Rows(0.2149887516532763, 37)],
        ),
        spectrograph(
            6818216966280253036,
            (8, [0.9066283020083356, 0.9018832342806766], 6.3278047298880065, 0.8246874641964099),
            (1.261279789063562, 45),
            Light::Decades(2.13619069526123),
            vec![Defect::Fibre(4)],
        ),
    ];
    assert_eq!(outcomes(&worlds, DEFAULT, &on(&open_with_f64(&OpenOptions::default()))), [Outcome::Kept; 2].map(Ok));
}
