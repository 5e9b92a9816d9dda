//! Whether the fibres of a PSF have spots at all: widths above 0, light within the stamp, traces that disperse.

use super::legendre::{legendre, unit};
use crate::psf::{BadFibre, Defects, Form, LegendreSeries, Psf, PsfError};
use std::f64::consts::{FRAC_1_SQRT_2, PI};

/// Wavelengths at which a PSF is judged, evenly over its range: far more than its polynomials have turns.
const SAMPLES: usize = 129;
/// Smallest width of a spot, pixels; no optics are as sharp.
const MIN_SIGMA: f64 = 0.05;
/// Fewest rows that a trace crosses, pixels.
const MIN_SPAN: f64 = 1.0;
/// Values that programs fill the coefficients of a failed fit with.
const FILLS: [f64; 2] = [-1.0, 0.0];
/// Fractions of light outside the stamp that are reported, and that leave no spot.
const CUT_TOLD: f64 = 0.01;
const CUT_BAD: f64 = 0.5;
/// Negative light of a spot over its positive light, which clipping takes away: what is reported, and what leaves no spot.
const NEGATIVE_TOLD: f64 = 0.1;
const NEGATIVE_BAD: f64 = 0.5;
/// Of so many wavelengths one is judged for negative light.
const NEGATIVE_STEP: usize = 32;
/// Deviation of GH-0-0 from 1 that is reported; specex's files have up to 0.15.
const GH00_TOLD: f64 = 0.25;

/// Judges the fibres of a PSF, beside those known already, and puts stand-ins in the place of bad ones.
///
/// # Errors
/// [`PsfError::NoFibre`] if no fibre is usable.
pub fn judged(psf: Psf, known: Defects) -> Result<Psf, PsfError> {
    let mut defects = known;
    let step = (psf.wave_max - psf.wave_min) / (SAMPLES - 1) as f64;
    let waves: Vec<f64> = (0..SAMPLES).map(|k| psf.wave_min + step * k as f64).collect();
    let (mut most_cut, mut gh00) = (None::<(f64, usize)>, [f64::MAX, f64::MIN]);
    let mut most_negative = (0.0, 0);
    for fibre in 0..psf.nfibre {
        if defects.has(fibre) {
            continue;
        }
        match judge(&psf, fibre, &waves) {
            Err(bad) => defects.fibres.push(bad),
            Ok(Found { cut, negative, gh00: found }) => {
                if negative > most_negative.0 {
                    most_negative = (negative, fibre);
                }
                if most_cut.is_none_or(|(most, _)| cut > most) {
                    most_cut = Some((cut, fibre));
                }
                gh00 = [gh00[0].min(found[0]), gh00[1].max(found[1])];
            }
        }
    }
    defects.fibres.sort_by_key(|bad| bad.fibre);
    if let Some((cut, fibre)) = most_cut.filter(|(cut, _)| *cut > CUT_TOLD) {
        let [nx, ny] = psf.dispersion.in_file([2 * psf.half_x + 1, 2 * psf.half_y + 1]);
        defects.notes.push(format!(
            "its spots are wider than their stamps of {nx} x {ny} pixels (HSIZEX, HSIZEY), which cut off up to {:.1} % of the \
             light (fibre {fibre}): flux is too low by as much; make the PSF with larger stamps",
            100.0 * cut
        ));
    }
    if let (negative, fibre) = most_negative
        && negative > NEGATIVE_TOLD
    {
        defects.notes.push(format!(
            "its Hermite terms make spots negative by up to {:.0} % of their light (fibre {fibre}), which is clipped: they are not \
             spots of a lens",
            100.0 * negative
        ));
    }
    if gh00[0] < 1.0 - GH00_TOLD || gh00[1] > 1.0 + GH00_TOLD {
        let [low, high] = gh00;
        defects.notes.push(format!("its GH-0-0 is {low:.3} to {high:.3} where 1 is meant; spots follow the file"));
    }
    psf.with_defects(defects)
}

/// Figures of a fibre that is usable.
struct Found {
    /// Largest fraction of light outside the stamp.
    cut: f64,
    /// Largest negative light over positive light.
    negative: f64,
    /// Smallest and largest GH-0-0.
    gh00: [f64; 2],
}

fn judge(psf: &Psf, fibre: usize, waves: &[f64]) -> Result<Found, BadFibre> {
    let at = |series: &LegendreSeries, wave: f64| legendre(series.of(fibre), unit(series.domain, wave));
    let bad = |trace: bool, reason: String| BadFibre { fibre, reason, trace };
    let in_file = |name: &str| psf.dispersion.name_in_file(name);
    for (name, series) in [("XTRACE", &psf.trace_x), ("YTRACE", &psf.trace_y)] {
        let coeff = series.of(fibre);
        let filled = FILLS.iter().find(|fill| coeff.len() > 1 && coeff.iter().all(|c| c == *fill));
        if let Some(fill) = filled {
            return Err(bad(true, format!("{} has nothing but {fill}", in_file(name))));
        }
    }
    let rows = waves.iter().map(|&wave| at(&psf.trace_y, wave));
    let ends = rows.fold([f64::MAX, f64::MIN], |[low, high], y| [low.min(y), high.max(y)]);
    if ends[1] - ends[0] < MIN_SPAN {
        let name = in_file("YTRACE");
        return Err(bad(true, format!("{name} is {:.2} to {:.2} from end to end, no dispersion", ends[0], ends[1])));
    }
    let half_y = psf.half_y as f64;
    let on_ccd = |wave: &&f64| (-0.5 - half_y..psf.npix_y as f64 - 0.5 + half_y).contains(&at(&psf.trace_y, **wave));
    let mut found = Found { cut: 0.0, negative: 0.0, gh00: [f64::MAX, f64::MIN] };
    for (k, &wave) in waves.iter().filter(on_ccd).enumerate() {
        let widths = [("GHSIGX", &psf.sigma_x, MIN_SIGMA), ("GHSIGY", &psf.sigma_y, MIN_SIGMA)];
        let shapes = widths.into_iter().chain(psf.gh.first().map(|gh00| ("GH-0-0", gh00, 0.0)));
        for (name, series, least) in shapes {
            let value = at(series, wave);
            if value.is_nan() || value <= least {
                let name = in_file(name);
                let wave = psf.wavelength(fibre, wave);
                return Err(bad(false, format!("{name} is {value:.3} at {wave:.1} Angstrom, not above {least}")));
            }
        }
        if psf.form != Form::GaussHermite {
            continue;
        }
        let gh00 = at(&psf.gh[0], wave);
        found.gh00 = [found.gh00[0].min(gh00), found.gh00[1].max(gh00)];
        let widths = [at(&psf.sigma_x, wave), at(&psf.sigma_y, wave)];
        if k.is_multiple_of(NEGATIVE_STEP) {
            let negative = negative(psf, widths, |k| at(&psf.gh[k], wave));
            // Written so that a NaN is bad.
            let good = negative <= NEGATIVE_BAD;
            if !good {
                let (percent, wave) = (100.0 * negative, psf.wavelength(fibre, wave));
                let reason =
                    format!("its Hermite terms make {percent:.0} % of its light negative at {wave:.1} Angstrom");
                return Err(bad(false, reason));
            }
            found.negative = found.negative.max(negative);
        }
        let cut = cut_off(psf, widths, |k| at(&psf.gh[k], wave));
        if cut > CUT_BAD {
            let (percent, wave) = (100.0 * cut, psf.wavelength(fibre, wave));
            return Err(bad(
                false,
                format!("its stamp cuts off {percent:.0} % of the light at {wave:.1} Angstrom (GHSIGX, GHSIGY)"),
            ));
        }
        found.cut = found.cut.max(cut);
    }
    Ok(found)
}

/// Returns the fraction of a spot's light outside its stamp, for a spot at the centre of a pixel; `gh` returns a term.
fn cut_off(psf: &Psf, [sigma_x, sigma_y]: [f64; 2], gh: impl Fn(usize) -> f64) -> f64 {
    let along_x = within(psf.half_x, sigma_x, psf.gh_degree_x);
    let along_y = within(psf.half_y, sigma_y, psf.gh_degree_y);
    let mut light = 0.0;
    // Odd orders have as much light on one side as they lack on the other.
    for (i, x) in along_x.iter().enumerate().step_by(2) {
        for (j, y) in along_y.iter().enumerate().step_by(2) {
            light += x * y * gh(i * (psf.gh_degree_y + 1) + j);
        }
    }
    // Over the whole plane only GH-0-0 has light.
    (1.0 - light / gh(0)).clamp(0.0, 1.0)
}

/// Returns the negative light of a spot over its positive light, as its middle is sampled at pixels; `gh` returns a term.
fn negative(psf: &Psf, [sigma_x, sigma_y]: [f64; 2], gh: impl Fn(usize) -> f64) -> f64 {
    // Hermite polynomials times the Gaussian at every pixel.
    let along = |half: usize, sigma: f64, degree: usize| -> Vec<Vec<f64>> {
        let of_pixel = |k: usize| {
            let e = (k as f64 - half as f64) / sigma;
            let (mut before, mut current) = (0.0, (-0.5 * e * e).exp());
            let mut next = |order: usize| {
                let value = current;
                (before, current) = (current, e * current - order as f64 * before);
                value
            };
            (0..=degree).map(&mut next).collect()
        };
        (0..=2 * half).map(of_pixel).collect()
    };
    let [x, y] = [(psf.half_x, sigma_x, psf.gh_degree_x), (psf.half_y, sigma_y, psf.gh_degree_y)]
        .map(|(half, sigma, degree)| along(half, sigma, degree));
    let terms: Vec<f64> = (0..(psf.gh_degree_x + 1) * (psf.gh_degree_y + 1)).map(gh).collect();
    let (mut below, mut above) = (0.0, 0.0);
    for y in &y {
        let of_row = |terms: &[f64]| -> f64 { terms.iter().zip(y).map(|(term, y)| term * y).sum() };
        let of_row: Vec<f64> = terms.chunks_exact(y.len()).map(of_row).collect();
        for x in &x {
            let pixel: f64 = of_row.iter().zip(x).map(|(term, x)| term * x).sum();
            if pixel < 0.0 { below -= pixel } else { above += pixel }
        }
    }
    below / above
}

/// Returns the integral of each order's profile over a stamp. Of order 0 it is an error function, of order k
/// `He_{k-1}(e) phi(e)` at the left edge minus at the right.
fn within(half: usize, sigma: f64, degree: usize) -> Vec<f64> {
    let edge = (half as f64 + 0.5) / sigma;
    let (mut before, mut current) = (0.0, (-0.5 * edge * edge).exp() / (2.0 * PI).sqrt());
    let mut orders = vec![libm::erf(edge * FRAC_1_SQRT_2)];
    for k in 1..=degree {
        // He_{k-1} is even or odd: at the left edge it has the same value or the opposite one.
        orders.push(if k % 2 == 0 { -2.0 * current } else { 0.0 });
        (before, current) = (current, edge * current - (k - 1) as f64 * before);
    }
    orders
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::psf::{Dispersion, PsfParts};

    /// Eight fibres, two coefficients per series.
    fn psf(change: impl FnOnce(&mut PsfParts)) -> Psf {
        let series = |coeff: &dyn Fn(f64) -> [f64; 2]| LegendreSeries {
            domain: [5000.0, 6000.0],
            ncoeff: 2,
            coeff: (0..8).flat_map(|fibre| coeff(f64::from(fibre))).collect(),
        };
        let mut parts = PsfParts {
            nfibre: 8,
            fibermin: 0,
            dispersion: Dispersion::AlongY,
            trace_x: series(&|fibre| [10.0 + 7.0 * fibre, 0.5]),
            trace_y: series(&|_| [50.0, 48.0]),
            form: Form::GaussHermite,
            sigma_x: series(&|_| [1.0, 0.1]),
            sigma_y: series(&|_| [1.1, 0.1]),
            gh: vec![
                series(&|_| [1.0, 0.0]),
                series(&|_| [0.01, 0.0]),
                series(&|_| [0.01, 0.0]),
                series(&|_| [0.0, 0.0]),
            ],
            gh_degree_x: 1,
            gh_degree_y: 1,
            tails: None,
            half_x: 5,
            half_y: 5,
            npix_x: 80,
            npix_y: 100,
            ranges: None,
            numbers: None,
            waves: None,
            wave_min: 5000.0,
            wave_max: 6000.0,
            psferr: 0.01,
            camera: None,
        };
        change(&mut parts);
        Psf::new(parts).unwrap()
    }

    fn bad(change: impl FnOnce(&mut PsfParts)) -> Vec<(usize, String)> {
        let judged = judged(psf(change), Defects::default()).unwrap();
        judged.defects().fibres.iter().map(|bad| (bad.fibre, bad.reason.clone())).collect()
    }

    #[test]
    fn a_sound_psf_stays_as_it_is() {
        let sound = psf(|_| ());
        assert_eq!(judged(sound.clone(), Defects::default()).unwrap(), sound);
    }

    #[test]
    fn nonsense_is_found_by_fibre_parameter_and_value_and_costs_no_other_fibre() {
        type Change = fn(&mut PsfParts);
        let wrong: [(Change, &str); 9] = [
            (|p| p.sigma_x.set(3, &[-1.0, 0.0]), "GHSIGX is -1.000 at 5000.0"),
            (|p| p.sigma_x.set(3, &[0.0, 0.0]), "GHSIGX is 0.000 at"),
            (|p| p.sigma_y.set(3, &[0.2, 1.0]), "GHSIGY is -0.8"),
            (|p| p.sigma_y.set(3, &[0.8, -1.0]), "GHSIGY is 0.0"),
            (|p| p.gh[0].set(3, &[-1.0, 0.0]), "GH-0-0 is -1.000 at"),
            (|p| p.sigma_x.set(3, &[30.0, 0.0]), "its stamp cuts off 8"),
            (|p| p.trace_x.set(3, &[-1.0, -1.0]), "XTRACE has nothing but -1"),
            (|p| p.trace_y.set(3, &[0.0, 0.0]), "YTRACE has nothing but 0"),
            (|p| p.trace_y.set(3, &[50.0, 0.1]), "YTRACE is 49.90 to 50.10"),
        ];
        for (change, expected) in wrong {
            let found = bad(change);
            assert!(matches!(&found[..], [(3, reason)] if reason.starts_with(expected)), "{expected}: {found:?}");
        }
    }

    #[test]
    fn what_lies_off_the_ccd_is_not_judged() {
        assert_eq!(bad(|p| (p.trace_y.set(3, &[150.0, 140.0]), p.sigma_x.set(3, &[0.45, -0.5])).0), []);
        assert_eq!(bad(|p| (p.trace_y.set(3, &[-50.0, 140.0]), p.sigma_x.set(3, &[0.45, -0.5])).0).len(), 1);
    }

    #[test]
    fn stand_ins_lie_between_the_good_neighbours_or_go_on_beyond_them() {
        let judged = judged(
            psf(|p| {
                for fibre in [0, 3, 4, 7] {
                    p.trace_x.set(fibre, &[-1.0, -1.0]);
                    p.sigma_x.set(fibre, &[-1.0, -1.0]);
                }
            }),
            Defects::default(),
        );
        let judged = judged.unwrap();
        assert_eq!(judged.defects().fibres.iter().map(|bad| bad.fibre).collect::<Vec<_>>(), [0, 3, 4, 7]);
        for fibre in 0..8 {
            let [x, sigma] = [&judged.trace_x, &judged.sigma_x].map(|series| series.of(fibre)[0]);
            assert!((x - (10.0 + 7.0 * fibre as f64)).abs() < 1e-12 && sigma == 1.0, "fibre {fibre}: {x}, {sigma}");
        }
    }

    #[test]
    fn a_psf_without_a_usable_fibre_is_refused() {
        let none = psf(|p| p.sigma_x.coeff.fill(-1.0));
        let error = judged(none, Defects::default()).unwrap_err().to_string();
        assert!(error.starts_with("none of its fibres is usable (fibre 0: GHSIGX is"), "{error}");
    }

    #[test]
    fn terms_that_make_spots_negative_are_told_or_cost_the_fibre() {
        let told = psf(|parts| parts.gh[2].coeff[8] = 1.5);
        let judged = judged(told, Defects::default()).unwrap();
        assert!(judged.defects().fibres.is_empty());
        let notes = &judged.defects().notes;
        assert!(
            notes.len() == 1 && notes[0].contains("negative by up to") && notes[0].contains("fibre 4"),
            "{notes:?}"
        );
        let bad = bad(|parts| parts.gh[2].coeff[8] = 5.0);
        assert!(bad.len() == 1 && bad[0].0 == 4 && bad[0].1.contains("light negative at"), "{bad:?}");
    }

    #[test]
    fn light_outside_the_stamp_is_told_in_percent() {
        let wide = judged(psf(|p| p.half_y = 2), Defects::default()).unwrap();
        let told = &wide.defects().notes;
        // Of a Gaussian of sigma 1.2 pixels 3.72 % lie beyond 2.5 pixels, next to nothing beyond 5.5.
        assert!(
            told.len() == 1 && told[0].contains("stamps of 11 x 5 pixels") && told[0].contains("3.7 %"),
            "{told:?}"
        );
    }

    #[test]
    fn failures_that_the_file_tells_of_are_kept() {
        let failed = BadFibre { fibre: 2, reason: "STATUS is 1".into(), trace: false };
        let defects = Defects { fibres: vec![failed], notes: vec!["a remark".into()] };
        let judged = judged(psf(|p| p.sigma_x.set(1, &[-1.0, 0.0])), defects).unwrap();
        assert_eq!(judged.defects().fibres.iter().map(|bad| bad.fibre).collect::<Vec<_>>(), [1, 2]);
        assert_eq!(judged.defects().sentences().len(), 2);
    }
}
