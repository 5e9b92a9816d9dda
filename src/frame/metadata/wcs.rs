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

impl Header {
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
