//! The image of a frame and its weights: IVAR, or what other instruments have in its place.

use super::companions::Companions;
use super::error::FitsError;
use super::hdu::{Hdu, Kind};
use super::preproc_options::PreprocOptions;
use super::reader::FitsFile;
use super::tiles::Quantisation;
use crate::base::option_name::OptionName::{Gain, Readnoise};

/// Content of an HDU of weights.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Holds {
    Ivar,
    Variance,
    Stddev,
}

/// EXTNAMEs of weights, in order of preference: those of DESI, PFS, ESO, HST and JWST, and astropy.
const NAMES: [(&str, Holds); 18] = [
    ("IVAR", Holds::Ivar),
    ("INVVAR", Holds::Ivar),
    ("VAR", Holds::Variance),
    ("VARIANCE", Holds::Variance),
    ("STAT", Holds::Variance),
    ("STDDEV", Holds::Stddev),
    ("STDEV", Holds::Stddev),
    ("STD", Holds::Stddev),
    ("ERR", Holds::Stddev),
    ("ERROR", Holds::Stddev),
    ("ERRORS", Holds::Stddev),
    ("ERRS", Holds::Stddev),
    ("SIGMA", Holds::Stddev),
    ("UNCERT", Holds::Stddev),
    ("UNCERTAINTY", Holds::Stddev),
    ("UNC", Holds::Stddev),
    ("RMS", Holds::Stddev),
    ("NOISE", Holds::Stddev),
];

/// An HDU of weights.
pub(super) type Weights<'a> = (&'a Hdu, Holds);

/// EXTNAMEs of the planes that belong to an image.
pub(super) fn plane_names() -> Vec<&'static str> {
    NAMES.iter().map(|(name, _)| *name).chain(["MASK", "READNOISE"]).collect()
}

/// Returns the HDU of the image: the one named, IMAGE, or a primary image without EXTNAME.
pub(super) fn image_hdu<'a>(
    file: &'a FitsFile,
    options: &PreprocOptions,
    notes: &mut Vec<String>,
) -> Result<&'a Hdu, FitsError> {
    if let Some(wanted) = &options.image_hdu {
        let by_number = wanted.parse::<usize>().ok().and_then(|number| file.hdus.get(number));
        return by_number.map_or_else(|| file.hdu(wanted), Ok);
    }
    // fpack names a primary image COMPRESSED_IMAGE.
    let nameless = |hdu: &&Hdu| match hdu.kind {
        Kind::Image => hdu.index == 0 && hdu.name().is_empty() && hdu.naxes.len() == 2,
        Kind::TiledImage => hdu.index == 1 && ["", "COMPRESSED_IMAGE"].contains(&hdu.name().as_str()),
        _ => false,
    };
    let found = file.find("IMAGE").or_else(|| {
        let hdu = file.hdus.iter().find(nameless)?;
        notes.push(format!("it has no IMAGE HDU; {} is taken for it", hdu.label()));
        Some(hdu)
    });
    found.ok_or_else(|| FitsError::NoImage { path: file.path.clone(), present: file.present() })
}

/// Returns the HDU of the weights of an image, and what it holds.
pub(super) fn weights_hdu<'a>(of: &Companions<'a>) -> Result<Option<Weights<'a>>, FitsError> {
    for (name, holds) in NAMES {
        if let Some(hdu) = of.find(name)? {
            return Ok(Some((hdu, holds)));
        }
    }
    Ok(None)
}

/// Reads the image in electron.
pub(super) fn image(
    file: &FitsFile,
    hdu: &Hdu,
    gain: Option<f64>,
    notes: &mut Vec<String>,
) -> Result<Vec<f32>, FitsError> {
    let unit = hdu.header.get_str("BUNIT").unwrap_or_default();
    let unit = unit.trim();
    if gain.is_none() && unit.is_empty() {
        notes.push(format!("{} has no BUNIT; its pixels are taken as electrons ({Gain} for other units)", hdu.label()));
    }
    match gain {
        None if unit.is_empty() || is_electron(unit) => file.image_f32(hdu),
        None => Err(file.invalid(
            hdu,
            format!(
                "BUNIT is {unit}, electron is needed: give {Gain}, the electrons of one {unit}, or multiply the image by \
                 it (and IVAR by its inverse square) and set BUNIT"
            ),
        )),
        Some(_) if is_electron(unit) => {
            Err(file.invalid(hdu, format!("BUNIT is {unit}, so its pixels are electrons already; leave out {Gain}")))
        }
        Some(gain) => {
            let pixels = file.image_f64(hdu)?;
            Ok(pixels.into_iter().map(|value| (gain * value) as f32).collect())
        }
    }
}

/// Whether a unit is the electron, in one of the spellings in use.
pub fn is_electron(unit: &str) -> bool {
    let bare: String = unit.chars().filter(|c| !c.is_whitespace() && *c != '*').flat_map(char::to_lowercase).collect();
    let per_pixel = ["/pixel", "/pix", "pixel-1", "pix-1", "pixel^-1", "pix^-1", "/px"];
    let bare = per_pixel.iter().find_map(|end| bare.strip_suffix(end)).unwrap_or(&bare);
    matches!(bare, "electron" | "electrons" | "e-" | "e" | "elec" | "photoelectron" | "photoelectrons")
}

/// Whether spectra in a unit are per Angstrom (electron/Angstrom) or per bin (electron, electron/bin), in one of the spellings in use;
/// None for another unit.
pub(super) fn electrons_per_angstrom(unit: &str) -> Option<bool> {
    let bare: String =
        unit.chars().filter(|c| !c.is_whitespace() && !"*^".contains(*c)).flat_map(char::to_lowercase).collect();
    let per_angstrom = ["/angstrom", "angstrom-1", "/aa"].iter().find_map(|end| bare.strip_suffix(end));
    let of_bin = per_angstrom.unwrap_or(bare.trim_end_matches("/bin"));
    (is_electron(of_bin) && !bare.contains("pix")).then_some(per_angstrom.is_some())
}

/// Returns the weights of an image in electron, 1/electron^2.
pub(super) fn ivar(
    file: &FitsFile,
    image_hdu: &Hdu,
    image: &[f32],
    found: Option<Weights>,
    options: &PreprocOptions,
    notes: &mut Vec<String>,
) -> Result<Vec<f32>, FitsError> {
    match (found, options.readnoise) {
        (Some((hdu, _)), Some(_)) => {
            Err(file.invalid(hdu, format!("it holds the weights of the pixels already; leave out {Readnoise}")))
        }
        (None, Some(noise)) => {
            notes.push(format!(
                "it has no IVAR HDU; the weights are those of a read noise of {noise} electron and of the pixel's own \
                 electrons, which favours pixels that fluctuate low: flux is about an electron per pixel of a spot too low"
            ));
            let variance = |&value: &f32| noise * noise + f64::from(value).max(0.0);
            Ok(image.iter().map(|value| (1.0 / variance(value)) as f32).collect())
        }
        (Some((hdu, holds)), None) => {
            let holds = of_uncertainty(hdu).unwrap_or(holds);
            need_unit(file, hdu, options.gain)?;
            file.need_shape(hdu, &file.image_shape(image_hdu)?, "as the image")?;
            let mut weights = file.image_f32(hdu)?;
            let quantisation = Quantisation::of(file, hdu)?;
            notes.extend(quantisation.and_then(|quantisation| quantisation.mend_weights(hdu, &mut weights)));
            if holds != Holds::Ivar {
                let what = if holds == Holds::Variance { "variances" } else { "standard deviations" };
                notes.push(format!("it has no IVAR HDU; the weights follow from the {what} in {}", hdu.label()));
            }
            let gain = options.gain.unwrap_or(1.0);
            if holds != Holds::Ivar || gain != 1.0 {
                weights.iter_mut().for_each(|value| *value = ivar_of(f64::from(*value), holds, gain) as f32);
            }
            Ok(weights)
        }
        (None, None) => Err(FitsError::NoWeights { path: file.path.clone(), present: file.present() }),
    }
}

/// Refuses weights whose unit is not that of the image.
fn need_unit(file: &FitsFile, hdu: &Hdu, gain: Option<f64>) -> Result<(), FitsError> {
    let unit = hdu.header.get_str("BUNIT").unwrap_or_default().to_ascii_lowercase();
    let has = |words: &[&str]| words.iter().any(|word| unit.contains(word));
    let counts = has(&["adu", "dn", "count", "photon"]);
    match gain {
        None if counts => {
            Err(file.invalid(hdu, format!("BUNIT is {unit}, weights of electrons are needed: give {Gain}")))
        }
        Some(_) if !counts && has(&["electron", "e-"]) => Err(file.invalid(
            hdu,
            format!("BUNIT is {unit}, so its weights are those of electrons already; leave out {Gain}, and let the image be electrons"),
        )),
        _ => Ok(()),
    }
}

/// Returns the kind of an uncertainty by astropy's card UTYPE.
fn of_uncertainty(hdu: &Hdu) -> Option<Holds> {
    match hdu.header.get_str("UTYPE")?.trim().to_ascii_lowercase().as_str() {
        "stddevuncertainty" | "std" => Some(Holds::Stddev),
        "varianceuncertainty" | "var" => Some(Holds::Variance),
        "inversevariance" | "ivar" => Some(Holds::Ivar),
        _ => None,
    }
}

/// Returns the inverse variance in 1/electron^2 of a pixel whose image was multiplied by `gain`. No noise is no weight;
/// what is negative or no number stays so.
fn ivar_of(value: f64, holds: Holds, gain: f64) -> f64 {
    let per_square = match holds {
        _ if value == 0.0 => 0.0,
        Holds::Ivar => value,
        Holds::Variance => 1.0 / value,
        Holds::Stddev => value.signum() / (value * value),
    };
    per_square / (gain * gain)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_electron_is_known_by_its_spellings_and_nothing_else_is() {
        for unit in ["electron", "Electrons", "e-", "E-", "e", "electron/pixel", "e- / pix", "electron pixel**-1"] {
            assert!(is_electron(unit), "{unit}");
        }
        for unit in
            ["ADU", "DN", "count", "electron/s", "e-/s", "photon", "electron/Angstrom", "10 electron", "1/electron"]
        {
            assert!(!is_electron(unit), "{unit}");
        }
    }

    #[test]
    fn weights_follow_from_what_the_pixels_hold() {
        assert_eq!(ivar_of(0.25, Holds::Ivar, 2.0), 0.0625);
        assert_eq!(ivar_of(4.0, Holds::Variance, 1.0), 0.25);
        assert_eq!(ivar_of(4.0, Holds::Stddev, 2.0), 1.0 / 64.0);
        for holds in [Holds::Ivar, Holds::Variance, Holds::Stddev] {
            assert_eq!(ivar_of(0.0, holds, 3.0), 0.0, "no noise is no weight");
            assert!(ivar_of(-2.0, holds, 1.0) < 0.0 && ivar_of(f64::NAN, holds, 1.0).is_nan());
            assert!(holds == Holds::Ivar || ivar_of(f64::INFINITY, holds, 1.0) == 0.0);
        }
    }
}
