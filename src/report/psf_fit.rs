//! How far the PSF of a frame is off its image: traces and widths by the light of its bundles.

use crate::extract::Request;
use crate::fit::{ArcFrame, groups};
use crate::fits::Preproc;
use crate::frame::Frame;
use crate::psf::Psf;
use crate::shift::{Departure, Quantity, ShiftOptions, Shifts, measure_bundles};
use crate::stages::legendre::{legendre, unit};

/// Most bundles that are measured, spread over the extracted ones.
const BUNDLES: usize = 24;
/// Chunks of each that are used, and of few bundles.
const CHUNKS: usize = 8;
const CHUNKS_OF_FEW: usize = 16;
/// Bundles that are few.
const FEW: usize = 8;
/// Wavelengths at which a bundle is looked at, and their distance from the ends of the grid in parts of it.
const WAVES: usize = 5;
const MARGIN: f64 = 0.1;
/// Places that a sentence names.
const NAMED: usize = 3;

/// Traces and widths at a wavelength of a bundle.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Place {
    /// First and last fibre of the bundle.
    pub fibres: [i64; 2],
    /// Wavelength, Angstrom.
    pub wave: f64,
    /// Column and row.
    pub at: [f64; 2],
    /// Departures and their errors in the order of [`Quantity::ALL`]; None where one is not measured.
    pub off: [Option<[f64; 2]>; 4],
}

impl Place {
    /// Returns the departure in a quantity that is worth a sentence.
    pub fn significant(&self, quantity: Quantity) -> Option<f64> {
        let [mean, error] = self.off[quantity as usize]?;
        Departure { mean, error, ends: [mean; 2] }.is_significant(quantity).then_some(mean)
    }
}

/// How far a PSF is off an image. Columns and rows are those of spectra along y, as the PSF is used.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct PsfFit {
    /// The departures of the frame and of single places; None where there are none.
    pub sentence: Option<String>,
    /// The places, bundle by bundle.
    pub places: Vec<Place>,
    /// Columns and rows of the CCD.
    pub npix: [usize; 2],
    /// Mean over all bundles by quantity.
    pub means: [Option<Departure>; 4],
    /// Reason why some are not measured.
    pub unmeasured: Option<String>,
}

/// Measures traces and widths of `psf` on `image`, which is not masked yet, at the bundles of a frame. None for a frame whose PSF followed it (`--fit-traces`),
/// for lamps, and where nothing can be measured.
pub(super) fn measure(frame: &Frame, request: &Request, image: &Preproc, psf: &Psf) -> Option<PsfFit> {
    let of_sky = frame.header.get_str("OBSTYPE").is_none_or(|kind| ["SCIENCE", "SKY"].contains(&kind.trim()));
    if frame.header.contains("SPXDX") || !of_sky {
        return None;
    }
    let preproc = image.clone().masked_by(request.mask_bits).ok()?;
    let preproc = preproc.turned_for(psf.dispersion);
    let arc = ArcFrame { ccd: &preproc.ccd, readnoise: preproc.readnoise.as_deref() };
    let (first, end) = (request.options.specmin, request.options.specmin + frame.spectra.nspec);
    let extracted: Vec<_> =
        groups(psf, None).into_iter().filter(|group| group.start < end && first < group.end).collect();
    let count = extracted.len().min(BUNDLES);
    let chunks = if count > FEW { CHUNKS } else { CHUNKS_OF_FEW };
    let options = ShiftOptions { chunks, ..ShiftOptions::night_sky(&preproc.header) };
    let chosen: Vec<_> = (0..count).map(|k| extracted[(2 * k + 1) * extracted.len() / (2 * count)].clone()).collect();
    let shifts = match measure_bundles(psf, &arc, &chosen, &options) {
        Ok(shifts) if !shifts.bundles.is_empty() => shifts,
        Ok(_) => return None,
        Err(why) => {
            tracing::debug!("shifts are not measured: {why}");
            return None;
        }
    };
    let scale = frame.scale();
    Some(PsfFit::of(&shifts, psf, [scale[0], scale[scale.len() - 1]]))
}

impl PsfFit {
    /// Evaluates shifts over the wavelengths of a frame.
    fn of(shifts: &Shifts, psf: &Psf, [first, last]: [f64; 2]) -> Self {
        let wave = |k: usize| {
            let part = MARGIN + (1.0 - 2.0 * MARGIN) * k as f64 / (WAVES - 1) as f64;
            first + (last - first) * part
        };
        let place = |fibres: &std::ops::Range<usize>, wave: f64| {
            let middle = (fibres.start + fibres.end) / 2;
            let at = [&psf.trace_x, &psf.trace_y].map(|trace| legendre(trace.of(middle), unit(trace.domain, wave)));
            let off = Quantity::ALL.map(|quantity| shifts.at(psf, quantity, middle, wave));
            let fibres = [fibres.start, fibres.end - 1].map(|fibre| psf.fibermin + fibre as i64);
            Place { fibres, wave, at, off }
        };
        let of_bundle = |bundle: &crate::shift::BundleShift| {
            let fibres = bundle.fibres.clone();
            (0..WAVES).map(move |k| place(&fibres, wave(k)))
        };
        let places: Vec<Place> = shifts.bundles.iter().flat_map(of_bundle).collect();
        let means = Quantity::ALL.map(|quantity| shifts.departure(quantity));
        let local = of_places(&places, &means);
        let sentence = match (shifts.sentence(), local) {
            (Some(whole), Some(local)) => Some(format!("{whole}; in places {local}")),
            (whole, local) => whole.or(local),
        };
        let lacking: Vec<String> = shifts.unmeasured().into_iter().chain(shifts.missing()).collect();
        let unmeasured = (!lacking.is_empty()).then(|| lacking.join("; "));
        Self { sentence, places, npix: [psf.npix_x, psf.npix_y], means, unmeasured }
    }
}

/// Names the places that depart from the mean, where that is significant, or else from the PSF: the worst of each of the worst bundles.
fn of_places(places: &[Place], means: &[Option<Departure>; 4]) -> Option<String> {
    let mut off: Vec<(f64, Quantity, f64, &Place)> = Vec::new();
    for place in places {
        for quantity in Quantity::ALL {
            let mean = means[quantity as usize].filter(|mean| mean.is_significant(quantity)).map_or(0.0, |d| d.mean);
            let Some([value, error]) = place.off[quantity as usize] else { continue };
            let rest = Departure { mean: value - mean, error, ends: [value; 2] };
            if rest.is_significant(quantity) && place.significant(quantity).is_some() {
                off.push((rest.mean.abs() / error, quantity, value, place));
            }
        }
    }
    off.sort_by(|a, b| b.0.total_cmp(&a.0));
    let mut named: Vec<(&Place, String)> = Vec::new();
    for (_, quantity, value, place) in off {
        if named.len() < NAMED && named.iter().all(|(other, _)| other.fibres != place.fibres) {
            let [first, last] = place.fibres;
            let what = in_words(quantity, value);
            named.push((place, format!("{what} at fibres {first} to {last}, {:.0} Å", place.wave)));
        }
    }
    let texts: Vec<String> = named.into_iter().map(|(_, text)| text).collect();
    (!texts.is_empty()).then(|| texts.join(", "))
}

/// Formats a departure with its unit: `+0.31 pixels off in x`.
fn in_words(quantity: Quantity, value: f64) -> String {
    match quantity {
        Quantity::X => format!("{value:+.3} pixels off in x"),
        Quantity::Y => format!("{value:+.3} pixels off in y"),
        Quantity::SigmaX => format!("{:+.1} % in width along x", 100.0 * value),
        Quantity::SigmaY => format!("{:+.1} % in width along y", 100.0 * value),
    }
}

#[cfg(test)]
pub(super) mod tests {
    use super::*;

    /// Two bundles of 25 fibres on a CCD of 1000 x 2000 pixels, of which the second is off in x at its last wavelength.
    pub fn fit(off: f64) -> PsfFit {
        let place = |bundle: usize, k: usize| Place {
            fibres: [25 * bundle as i64, 25 * bundle as i64 + 24],
            wave: 6000.0 + 100.0 * k as f64,
            at: [200.0 + 400.0 * bundle as f64, 200.0 + 300.0 * k as f64],
            off: [if bundle == 1 && k == 4 { off } else { 0.001 }, 0.002, 0.001, 0.002]
                .map(|value| Some([value, 0.003])),
        };
        let places: Vec<Place> = (0..2).flat_map(|bundle| (0..5).map(move |k| place(bundle, k))).collect();
        let means = [Some(Departure { mean: 0.001, error: 0.001, ends: [0.0, 0.002] }); 4];
        PsfFit { sentence: of_places(&places, &means), places, npix: [1000, 2000], means, unmeasured: None }
    }

    #[test]
    fn a_place_that_departs_is_named_and_noise_is_not() {
        assert_eq!(fit(0.01).sentence, None);
        assert_eq!(fit(0.1).sentence.as_deref(), Some("+0.100 pixels off in x at fibres 25 to 49, 6400 Å"));
    }
}
