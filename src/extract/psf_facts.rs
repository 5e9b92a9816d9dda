//! Facts about a PSF before any extraction: its kind, size, widths, and how close its fibres are.

use crate::psf::{LegendreSeries, Psf};
use crate::solver::{Options, Sampling, default_step, grouping};
use crate::stages::overlap::overlaps_across;
use crate::stages::traces::{legendre, turned, unit};
use serde::Serialize;

/// Wavelengths at which widths and pitches are looked at.
const WAVES: usize = 17;

/// Smallest, median and largest of some values.
#[derive(Clone, Copy, Debug, Default, PartialEq, Serialize)]
pub struct Spread {
    /// The smallest.
    pub least: f64,
    /// The median.
    pub median: f64,
    /// The largest.
    pub most: f64,
}

/// Facts about a PSF.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct PsfFacts {
    /// PSFTYPE.
    pub kind: &'static str,
    /// Number of fibres.
    pub nfibre: usize,
    /// Number of the first one.
    pub fibermin: i64,
    /// Number of the last one.
    pub fibermax: i64,
    /// CAMERA.
    pub camera: Option<String>,
    /// Axis of dispersion: 1 for x, 2 for y.
    pub dispaxis: i64,
    /// Columns and rows of the CCD, as of all that is along x and y here those of the file.
    pub npix: [usize; 2],
    /// Columns and rows of a spot.
    pub window: [usize; 2],
    /// Ends of the wavelength range, Angstrom; of ranges per fibre those of the scale, the middle one's.
    pub wave: [f64; 2],
    /// Ends of all ranges, where every fibre has its own.
    pub ranges: Option<[f64; 2]>,
    /// Wavelength per pixel along the dispersion, Angstrom; None where no trace is on the CCD.
    pub row: Option<f64>,
    /// Default step of an extraction, Angstrom.
    pub default_step: f64,
    /// Fractional error of the PSF.
    pub psferr: f64,
    /// Whether it has power-law tails.
    pub tails: bool,
    /// Groups of fibres that share no light, by their sizes.
    pub groups: String,
    /// Standard deviations of spots along columns, pixels.
    pub sigma_x: Spread,
    /// Standard deviations of spots along rows, pixels.
    pub sigma_y: Spread,
    /// Distances of neighbouring traces, pixels.
    pub pitch: Spread,
    /// Distances of neighbouring traces in units of the width across the dispersion.
    pub pitch_sigma: Spread,
    /// Largest relative overlaps of the spots of neighbours, `s_f . s_g / (|s_f| |s_g|)`.
    pub overlap: Spread,
    /// Oddities, in sentences.
    pub odd: Vec<String>,
}

impl Spread {
    /// Measures some values, those that are numbers; zeros of none.
    pub fn of(values: impl IntoIterator<Item = f64>) -> Self {
        let mut values: Vec<f64> = values.into_iter().filter(|v| v.is_finite()).collect();
        values.sort_by(f64::total_cmp);
        match values[..] {
            [] => Self::default(),
            _ => Self { least: values[0], median: values[values.len() / 2], most: values[values.len() - 1] },
        }
    }
}

/// Collects the facts.
pub fn psf_facts(psf: &Psf) -> PsfFacts {
    let step = (psf.wave_max - psf.wave_min) / (WAVES - 1) as f64;
    let value =
        |series: &LegendreSeries, fibre: usize, wave: f64| legendre(series.of(fibre), unit(series.domain, wave));
    let places = (0..psf.nfibre).flat_map(|fibre| (0..WAVES).map(move |k| (fibre, psf.wave_min + step * k as f64)));
    let on_ccd =
        |&(fibre, wave): &(usize, f64)| (0.0..=(psf.npix_y - 1) as f64).contains(&value(&psf.trace_y, fibre, wave));
    let places: Vec<(usize, f64)> = places.filter(on_ccd).collect();
    let width = |series: &LegendreSeries| Spread::of(places.iter().map(|&(fibre, wave)| value(series, fibre, wave)));
    let neighbours = || places.iter().filter(|(fibre, _)| fibre + 1 < psf.nfibre);
    let pitch =
        |&(fibre, wave): &(usize, f64)| (value(&psf.trace_x, fibre + 1, wave) - value(&psf.trace_x, fibre, wave)).abs();
    let relative = |place: &(usize, f64)| pitch(place) / value(&psf.sigma_x, place.0, place.1);
    let mut odd = psf.defects().sentences();
    let turned = turned(psf, 0..psf.nfibre, [psf.wave_min, psf.wave_max]);
    if let Some(first) = turned.first() {
        let count = turned.len();
        odd.push(format!("the traces of {count} fibres turn back along the dispersion, the first of them row {first}"));
    }
    let axis = psf.dispersion;
    let [sigma_x, sigma_y] = axis.in_file([width(&psf.sigma_x), width(&psf.sigma_y)]);
    PsfFacts {
        dispaxis: axis.dispaxis(),
        kind: psf.form.name(),
        nfibre: psf.nfibre,
        fibermin: psf.number(0),
        fibermax: psf.number(psf.nfibre - 1),
        camera: psf.camera.clone(),
        npix: axis.in_file([psf.npix_x, psf.npix_y]),
        window: axis.in_file([2 * psf.half_x + 1, 2 * psf.half_y + 1]),
        wave: [psf.wave_min, psf.wave_max],
        ranges: psf.ranges.as_ref().map(|ranges| {
            ranges.iter().fold([f64::MAX, f64::MIN], |all, own| [all[0].min(own[0]), all[1].max(own[1])])
        }),
        row: Sampling::measure(psf).map(|sampling| sampling.row),
        default_step: default_step(psf),
        psferr: psf.psferr,
        tails: psf.tails.is_some(),
        groups: grouping(psf, &Options::default()).groups.to_string(),
        sigma_x,
        sigma_y,
        pitch: Spread::of(neighbours().map(pitch)),
        pitch_sigma: Spread::of(neighbours().map(relative)),
        overlap: Spread::of(overlaps_across(psf, false, |_| true, f64::INFINITY).into_iter().skip(1)),
        odd,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::simulate::synthetic::Synthetic;

    #[test]
    fn the_facts_are_those_of_the_parameters() {
        let synthetic = Synthetic {
            nfibre: 12,
            bundlesize: 6,
            bundle_gap: 40.0,
            spacing: 9.0,
            sigma_x: 1.2,
            npix_y: Some(400),
            ..Synthetic::default()
        };
        let facts = psf_facts(&synthetic.build().unwrap());
        assert_eq!((facts.kind, facts.nfibre, facts.groups.as_str()), ("GAUSS-HERMITE", 12, "2x6"));
        assert!((facts.pitch.median - 9.0).abs() < 0.3 && facts.pitch.most > 35.0, "{:?}", facts.pitch);
        assert!((facts.sigma_x.median - 1.2).abs() < 0.2, "{:?}", facts.sigma_x);
        assert!(facts.overlap.least == 0.0 && facts.overlap.most < 0.01 && facts.odd.is_empty(), "{facts:?}");
    }
}
