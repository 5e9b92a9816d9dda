//! Beside a star a million times brighter than its neighbours, these are as they should be.

use super::residuals::chi;
use spextral::extract::{Options, Solver};
use testkit::cpu;
use testkit::worlds::{Light, Sky, World};

/// Seven fibres, of which the fourth sees a star, `times` as bright as the sky of the others.
fn star(seed: u64, times: f64) -> Sky {
    World { light: Light::Star(3, times), ..World::plain(seed, 400, 140) }.make()
}

#[test]
fn neighbours_of_a_star_are_unbiased() {
    for solver in [Solver::Banded, Solver::Patches] {
        for times in [1.0, 1e3, 1e6] {
            let (mut near, mut own) = (Vec::new(), Vec::new());
            for seed in 1..=8 {
                let sky = star(seed, times);
                let s = sky.try_extract(&Options { solver, ..sky.options.clone() }, &cpu()).unwrap().spectra;
                near.extend(chi(&sky, &s, [2, 4].into_iter()));
                own.extend(chi(&sky, &s, 3..4));
            }
            let n = near.len() as f64;
            let mean = near.iter().sum::<f64>() / n;
            let scatter = (near.iter().map(|c| c * c).sum::<f64>() / n).sqrt();
            println!(
                "{solver:?}, star {times:e}: {n} bins, mean {mean:.4}, scatter {scatter:.4}; star {:.3}",
                own.iter().sum::<f64>() / own.len() as f64
            );
            assert!(mean.abs() < 0.1 && (scatter - 1.0).abs() < 0.07);
        }
    }
}
