//! Properties of shifts measured on simulated frames.

use super::*;
use crate::base::cancel::CancelToken;
use crate::fit::ArcFrame;
use crate::fits::{Preproc, night_sky_lines};
use crate::psf::{Psf, PsfParts};
use crate::simulate::synthetic::Synthetic;
use crate::simulate::{Simulation, simulate};

/// A bundle of fibres on 1200 rows.
fn psf() -> Psf {
    let small = Synthetic { nfibre: 12, bundlesize: 12, npix_y: Some(1200), gh_degree: 3, ..Synthetic::default() };
    small.build().unwrap()
}

/// The PSF with traces moved and widths scaled.
fn moved(psf: &Psf, [dx, dy]: [f64; 2], [wide, high]: [f64; 2]) -> Psf {
    let mut moved = psf.clone();
    let change = |p: &mut PsfParts| {
        for (trace, d) in [(&mut p.trace_x, dx), (&mut p.trace_y, dy)] {
            trace.coeff.iter_mut().step_by(trace.ncoeff).for_each(|c| *c += d);
        }
        p.sigma_x.coeff.iter_mut().for_each(|c| *c *= wide);
        p.sigma_y.coeff.iter_mut().for_each(|c| *c *= high);
    };
    moved.update(change).unwrap();
    moved
}

fn frame(psf: &Psf, seed: u64, fibres: std::ops::Range<usize>) -> Preproc {
    let request =
        Simulation { seed, specmin: fibres.start, nspec: Some(fibres.len()), ..Simulation::default() };
    simulate(psf, &request).unwrap().preproc.masked_by(u32::MAX).unwrap()
}

fn measure(psf: &Psf, frame: &Preproc, options: &ShiftOptions, fibres: std::ops::Range<usize>) -> Shifts {
    let arc = ArcFrame { ccd: &frame.ccd, readnoise: frame.readnoise.as_deref() };
    measure_shifts(psf, &arc, fibres, options, &CancelToken::default(), &|_, _| ()).unwrap()
}

fn options(frame: &Preproc) -> ShiftOptions {
    ShiftOptions::night_sky(&frame.header)
}

#[test]
fn desi() {
    let Ok(path) = std::env::var("DESI_PSF") else { return };
    let psf = crate::fits::read_psf(path).unwrap();
    let fibres = 250..275;
    for seed in 1..4 {
        let truth = moved(&psf, [0.1, -0.12], [1.02, 1.03]);
        let frame = frame(&truth, seed, fibres.clone());
        for (name, lines) in [("all", 0), ("third", 1), ("none", 2)] {
            let mut options = options(&frame);
            match lines {
                1 => {
                    let mut k = 0;
                    options.lines.retain(|l| { let faint = l.weight.unwrap() < 1500.0; k += usize::from(faint); !(faint && k % 3 == 0) });
                }
                2 => options.lines.clear(),
                _ => {}
            }
            let begin = std::time::Instant::now();
            let found = measure(&psf, &frame, &options, fibres.clone());
            let b = &found.bundles[0];
            let mut text = String::new();
            for (q, truth) in Quantity::ALL.into_iter().zip([0.1, -0.12, 1.02f64.ln(), 1.03f64.ln()]) {
                let mut sum = [0.0; 3];
                for f in fibres.clone() {
                    for k in 0..20 {
                        let wave = 5700.0 + 100.0 * f64::from(k);
                        if let Some([v, e]) = found.at(&psf, q, f, wave) {
                            sum[0] += (v - truth).powi(2);
                            sum[1] += e * e;
                            sum[2] += 1.0;
                        }
                    }
                }
                let d = b.departure(q).map_or(0.0, |d| d.mean - truth);
                text += &format!(" {:.4} ({:.4}; mean {:+.4})", (sum[0] / sum[2]).sqrt(), (sum[1] / sum[2]).sqrt(), d);
            }
            println!("seed {seed} {name}:{text} {:?} chunks {} {} lines {} rejected {} unlisted {} {:.1} s", b.measured, b.chunks, b.distrusted, b.lines, b.rejected, b.unlisted.len(), begin.elapsed().as_secs_f64());
            println!("   {:?}", found.sentence());
        }
    }
}
