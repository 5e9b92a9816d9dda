//! model.wgsl against its twin.

use super::case::Case;
use spextral::geometry::{Patch, Rectangle};
use spextral::gpu::model::{self as device, Unknowns};
use spextral::gpu::patch::Patches;
use spextral::stages::model::add_model;
use testkit::{allowed, in_each_precision, largest, worst};

/// The CPU's model images of `x`, one after another.
pub fn twin(case: &Case, x: &[f64]) -> Vec<f64> {
    let mut all = Vec::new();
    for (patch, x) in case.batch.patches.iter().zip(x.chunks(case.batch.n())) {
        let mut image = vec![0.0; patch.npix()];
        add_model(&case.view(patch), &Rectangle::of(patch), x, &mut image);
        all.extend(image);
    }
    all
}

#[test]
fn model_images_are_within_1e_6_of_the_twin() {
    for gpu in in_each_precision() {
        let others = [[2, 2], [40, 6]].map(Case::with_spots);
        for case in [false, true].map(Case::synthetic).into_iter().chain(others) {
            let is_cut = |patch: &Patch| !patch.rows.len().is_multiple_of(4);
            assert!(case.batch.patches.iter().any(is_cut), "a patch must end within a strip");
            let x = case.flux();
            let spots = case.spots_on(&gpu);
            let patches = Patches::new(&case.batch, &spots).unwrap();
            let found = device::model(&patches, &gpu.upload_reals("x", &x).unwrap(), Unknowns::OfPatches).unwrap();
            let expected = twin(&case, &x);
            let error = worst(&found.download().unwrap(), &expected) / largest(&expected);
            note!("{error:.1e}");
            assert!(error < allowed(&gpu, 1e-6, 1e-14), "{error:e}");
        }
    }
}
