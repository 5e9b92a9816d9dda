//! Facts about a frame and its run from its header.

use crate::frame::Header;

/// Cards shown, in this order, and their meaning.
const CARDS: [(&str, &str); 21] = [
    ("CAMERA", "camera"),
    ("NIGHT", "night"),
    ("EXPID", "exposure"),
    ("FLAVOR", "flavour"),
    ("EXPTIME", "exposure time, s"),
    ("DATE-OBS", "start"),
    ("MJD-OBS", "start, MJD"),
    ("IN_IMG", "image"),
    ("IN_PSF", "PSF"),
    ("NSPEC", "spectra"),
    ("WAVEMIN", "first wavelength, Å"),
    ("WAVEMAX", "last wavelength, Å"),
    ("WAVESTEP", "wavelength step, Å"),
    ("HELIOCOR", "barycentric factor"),
    ("SPXSITE", "its site"),
    ("SPXVER", "version of spextral"),
    ("SPXDEV", "device"),
    ("SPXSOLV", "solver"),
    ("SPXBUND", "fibres of bundles"),
    ("SPXOPT", "options"),
    ("SPXRETRY", "reason for retry or fallback"),
];

/// Returns keyword, meaning and value of the cards present. Other SPX cards follow, without a meaning.
pub fn cards(header: &Header) -> Vec<[String; 3]> {
    let known = CARDS.iter().copied();
    let other = header.keywords().filter(|k| k.starts_with("SPX") && !CARDS.iter().any(|(known, _)| known == k));
    let all = known.chain(other.map(|keyword| (keyword, "")));
    all.filter_map(|(keyword, name)| Some([keyword.into(), name.into(), header.get(keyword)?.to_string()])).collect()
}

/// Returns camera, exposure and night in one line; empty if the header has none.
pub fn title(header: &Header) -> String {
    let text = |keyword: &str| header.get(keyword).map(|v| v.to_string().trim_matches([' ', '\'']).to_string());
    let filled = |keyword: &str| text(keyword).filter(|v| !v.is_empty());
    let parts = [
        filled("CAMERA").map(|v| format!("camera {v}")),
        filled("EXPID").map(|v| format!("exposure {v}")),
        filled("NIGHT").map(|v| format!("night {v}")),
    ];
    parts.into_iter().flatten().collect::<Vec<_>>().join(", ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn cards_that_are_there_are_shown_and_no_others() {
        let mut header = Header::new();
        header.set("SPXDEV", "CPU f64", "");
        header.set("SPXNEW", 3, "");
        header.set("EXPID", 51060, "");
        header.set("CAMERA", "", "");
        let shown = cards(&header);
        let keywords: Vec<&str> = shown.iter().map(|c| c[0].as_str()).collect();
        assert_eq!(keywords, ["CAMERA", "EXPID", "SPXDEV", "SPXNEW"]);
        assert_eq!(title(&header), "exposure 51060");
    }
}
