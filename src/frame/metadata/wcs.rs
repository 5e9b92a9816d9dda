//! Cards of world coordinates, which hold for the axes of one image only.

use super::header::Header;

/// Keywords without an index.
const EXACT: [&str; 16] = [
    "WCSAXES", "WCSNAME", "WCSDIM", "LONPOLE", "LATPOLE", "A_ORDER", "B_ORDER", "AP_ORDER", "BP_ORDER", "A_DMAX",
    "B_DMAX", "AP_DMAX", "BP_DMAX", "CD001001", "DATAMIN", "DATAMAX",
];
/// Keywords before an index of an axis, or two: the standard's, then IRAF's and NOAO's.
const STEMS: [&str; 24] = [
    "CTYPE", "CRVAL", "CRPIX", "CDELT", "CUNIT", "CNAME", "CRDER", "CSYER", "CROTA", "CD", "PC", "PV", "PS", "CPDIS",
    "CQDIS", "PROJP", "LTV", "LTM", "ATV", "ATM", "DTV", "DTM", "WAT", "WSV",
];
/// Keywords before `_i_j` of a SIP polynomial.
const SIP: [&str; 4] = ["A", "B", "AP", "BP"];

/// Largest departure of a wavelength from the linear axis, in steps.
const LINEAR: f64 = 1e-3;
/// Largest rounding of a step, relative.
const ROUNDING: f64 = 1e-9;

impl Header {
    /// Sets the world coordinates of spectra `[nspec, nwave]` on the wavelengths `wave` in Angstrom, in vacuum or in air. A step
    /// that is known saves that of the wavelengths its rounding.
    /// Wavelengths that are not evenly spaced have none: WAVELENGTH holds them.
    pub(crate) fn set_wavelength_axis(&mut self, wave: &[f64], known_step: Option<f64>, is_air: bool) {
        let [first, .., last] = wave else {
            return;
        };
        let step = (last - first) / (wave.len() - 1) as f64;
        let step = known_step.filter(|known| (known - step).abs() < ROUNDING * step.abs()).unwrap_or(step);
        let is_linear = |(j, w): (usize, &f64)| (w - (first + step * j as f64)).abs() < LINEAR * step.abs();
        if !wave.iter().enumerate().all(is_linear) {
            return;
        }
        self.set("CTYPE1", if is_air { "AWAV" } else { "WAVE" }, "Axis 1 is wavelength");
        self.set("CUNIT1", "Angstrom", "Unit of axis 1");
        self.set("CRPIX1", 1.0, "First bin");
        self.set("CRVAL1", *first, "Its wavelength [Angstrom]");
        self.set("CDELT1", step, "Step [Angstrom]");
    }

    /// Removes the cards that describe the axes and pixels of the image they stood with: world coordinates, and the extreme
    /// pixels.
    pub fn remove_image_axes(&mut self) {
        self.retain(|keyword| !is_of_axes(keyword));
    }
}

fn is_of_axes(keyword: &str) -> bool {
    // An alternate description has a letter at the end.
    let primary = keyword.strip_suffix(|c: char| c.is_ascii_uppercase()).unwrap_or(keyword);
    let indexed = |keyword: &str| {
        let digits = keyword.find(|c: char| c.is_ascii_digit() || c == '_').unwrap_or(keyword.len());
        let (stem, index) = keyword.split_at(digits);
        let numbers = !index.is_empty() && index.bytes().all(|b| b.is_ascii_digit() || b == b'_');
        numbers && (STEMS.contains(&stem) && !index.starts_with('_') || SIP.contains(&stem) && index.starts_with('_'))
    };
    EXACT.contains(&keyword) || EXACT.contains(&primary) || indexed(keyword) || indexed(primary)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn even_wavelengths_make_an_axis_and_others_none() {
        let axis = |wave: &[f64], is_air| {
            let mut header = Header::new();
            header.set_wavelength_axis(wave, Some(0.5 + 1e-12), is_air);
            (header.get_str("CTYPE1"), header.get_f64("CRVAL1"), header.get_f64("CDELT1"))
        };
        assert_eq!(axis(&[5000.0, 5000.5, 5001.0], false), (Some("WAVE".into()), Some(5000.0), Some(0.5 + 1e-12)));
        assert_eq!(axis(&[5000.0, 4999.5], true), (Some("AWAV".into()), Some(5000.0), Some(-0.5)));
        assert!([&[][..], &[5000.0], &[5000.0, 5001.0, 5002.1]].iter().all(|wave| axis(wave, false).0.is_none()));
    }

    #[test]
    fn cards_of_axes_go_and_those_of_the_exposure_stay() {
        for keyword in [
            "CTYPE1", "CRVAL2", "CDELT1A", "CD1_2", "PC2_1B", "PV2_10", "LTV1", "LTM1_1", "WAT0_001", "A_2_0",
            "A_ORDER", "WCSAXES", "WCSNAMEA", "CROTA2", "DATAMAX",
        ] {
            assert!(is_of_axes(keyword), "{keyword}");
        }
        for keyword in
            ["CAMERA", "EXPID", "RADESYS", "EQUINOX", "PS", "CD", "A1", "DATASEC1", "GAINA", "TARGTRA", "PCOUNT"]
        {
            assert!(!is_of_axes(keyword), "{keyword}");
        }
    }
}
