//! Facts about a frame and its run, off its header.

use crate::fits::Header;

/// Cards shown, in this order, with what to call them.
const CARDS: [(&str, &str); 19] = [
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
    ("SPXVER", "version of spextral"),
    ("SPXDEV", "device"),
    ("SPXSOLV", "solver"),
    ("SPXOPT", "options"),
    ("SPXRETRY", "why again, or by the CPU"),
];

/// Keyword, what it is and its value, of every card there is; other SPX cards by their keyword alone.
pub fn cards(header: &Header) -> Vec<[String; 3]> {
    let known = CARDS.iter().map(|(keyword, name)| (*keyword, *name));
    let other = header.keywords().filter(|k| k.starts_with("SPX") && !CARDS.iter().any(|(known, _)| known == k));
    let all = known.chain(other.map(|keyword| (keyword, "")));
    all.filter_map(|(keyword, name)| Some([keyword.into(), name.into(), header.get(keyword)?.to_string()])).collect()
}

/// Camera, exposure and night in one line; empty where the header has none.
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
