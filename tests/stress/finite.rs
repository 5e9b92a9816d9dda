//! Numbers are finite, and there is no weight without information, for any PSF, pixels and options.

use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use spextral::extract::ExtractError;
use std::cell::Cell;
use testkit::cpu;
use testkit::sound::judge;
use testkit::worlds::{config, world};

#[test]
fn numbers_are_finite_and_no_bin_has_weight_without_information() {
    // Frames by solver, refused ones, bins with weight and without.
    let seen: [Cell<usize>; 5] = Default::default();
    let count = |what: usize, n: usize| seen[what].set(seen[what].get() + n);
    TestRunner::new(config(80))
        .run(&world(), |world| {
            let sky = world.make();
            // With `--solver banded` a PSF may be refused with a message, or patches serve with one.
            if let Err(ExtractError::Coupling(why)) = sky.try_extract(&sky.options, &cpu()) {
                prop_assert!(why.to_string().contains("banded solver"));
                count(2, 1);
                return Ok(());
            }
            let done = judge(&sky, &cpu()).map_err(TestCaseError::fail)?;
            let other = done.summary.is_by(sky.options.solver);
            count(usize::from(done.summary.banded == 0), 1);
            count(2, usize::from(other.is_some()));
            count(3, done.spectra.ivar.len() - done.summary.no_information);
            count(4, done.summary.no_information);
            Ok(())
        })
        .unwrap();
    let [banded, patches, refused, with, without] = seen.map(|cell| cell.get());
    println!(
        "{banded} frames in bands, {patches} in patches, {refused} not as requested; {with} bins with weight, {without} without"
    );
    assert!(banded > 5 && patches > 5 && refused > 0 && with > 1000 && without > 300, "the worlds are all alike");
}
