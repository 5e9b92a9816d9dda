//! Whatever the PSF, the pixels and the options: finite numbers, and no weight without information.

use super::worlds::{Sky, config, world};
use proptest::prelude::*;
use proptest::test_runner::TestRunner;
use spextral::engine::Engine;
use spextral::extract::{ExtractError, Extraction, ModelFlux, Options};
use spextral::frame::specmask;

/// What must hold of every extraction; the first thing that does not.
pub fn sound(extraction: &Extraction) -> Result<(), String> {
    let s = &extraction.spectra;
    let fits = |what: &str, values: &[f64]| match values.iter().position(|v| !(*v as f32).is_finite()) {
        Some(k) => Err(format!("{what} is {} at bin {k}, mask {:#x}", values[k], s.mask[k % s.mask.len()])),
        None => Ok(()),
    };
    fits("flux", &s.flux)?;
    fits("ivar", &s.ivar)?;
    fits("R", &s.resolution)?;
    fits("chi2pix", &s.chi2pix)?;
    if let Some(k) = extraction.model.iter().flatten().position(|v| !v.is_finite()) {
        return Err(format!("the model is not finite at pixel {k}"));
    }
    const NONE: u32 = specmask::ALLBADPIX | specmask::NODATA | specmask::BAD2DFIT;
    for k in 0..s.flux.len() {
        let (fibre, row) = (k / s.nwave, k % s.nwave);
        let at = format!("fibre {fibre} bin {row}: flux {:e}, ivar {:e}, mask {:#x}", s.flux[k], s.ivar[k], s.mask[k]);
        let r = |d: usize| {
            let column = (row + s.ndiag / 2).checked_sub(d).filter(|&c| c < s.nwave);
            column.map_or(0.0, |c| s.resolution[(fibre * s.ndiag + d) * s.nwave + c])
        };
        let empty = (0..s.ndiag).all(|d| r(d) == 0.0);
        let masked = s.pixmask_fraction[k];
        let rule = |holds: bool, what: &str| if holds { Ok(()) } else { Err(format!("{what}; {at}, masked {masked}")) };
        rule((0.0..=1.0).contains(&masked) && s.chi2pix[k] >= 0.0, "goodness out of its range")?;
        rule(s.ivar[k] >= 0.0, "ivar is negative")?;
        rule((s.ivar[k] as f32 > 0.0) == (s.ivar[k] > 0.0), "ivar is lost in a file's f4")?;
        if s.ivar[k] == 0.0 {
            rule(s.mask[k] & NONE != 0, "ivar 0 without a mask bit")?;
            rule(s.flux[k] == 0.0 && empty, "flux or R without information")?;
        } else {
            rule(s.mask[k] & (specmask::ALLBADPIX | specmask::NODATA) == 0, "a weight without information")?;
            rule(masked <= 1.0 - 1e-4, "a weight without good pixels")?;
            rule(!empty, "a weight without resolution")?;
        }
    }
    Ok(())
}

/// Extracts, and judges what comes out.
pub fn judge(sky: &Sky, engine: &Engine) -> Result<Extraction, String> {
    let options = Options { model: Some(ModelFlux::Deconvolved), ..sky.options.clone() };
    match sky.try_extract(&options, engine) {
        Ok(extraction) => sound(&extraction).map(|()| extraction),
        Err(other) => Err(other.to_string()),
    }
}

#[test]
fn numbers_are_finite_and_no_bin_has_weight_without_information() {
    TestRunner::new(config(60))
        .run(&world(), |world| {
            let sky = world.make();
            // With `--solver banded` a PSF may be refused, in words.
            if let Err(ExtractError::Coupling(why)) = sky.try_extract(&sky.options, &Engine::cpu()) {
                prop_assert!(why.to_string().contains("banded solver"));
                return Ok(());
            }
            judge(&sky, &Engine::cpu()).map_err(TestCaseError::fail)?;
            Ok(())
        })
        .unwrap();
}
