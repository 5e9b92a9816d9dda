//! The site of an exposure: the position that its header states, or Kitt Peak for DESI.

use super::BarycentricError;
use super::card::Headers;
use crate::frame::DESI_CARD;
use serde::Serialize;
use sofars::coords::{gc2gd, gd2gc};
use std::fmt;

/// SOFA's number of the ellipsoid WGS84.
const WGS84: i32 = 1;
/// Largest distance of two stated positions in metre: more than rounding to 0.1 degrees. 20 km turn the site by
/// 0.003 rad: 1.5 m/s, 5e-9 in the factor.
const SAME_SITE: f64 = 20e3;
/// Heights that a telescope on the ground may have, metre, with room for any.
const HEIGHTS: [f64; 2] = [-1e5, 1e5];

/// Cards of longitude and latitude (degrees east and north) and height (metre): DESI's, the FITS standard's, ESO's, and others in use.
const GEODETIC: [[&str; 3]; 5] = [
    ["OBS-LONG", "OBS-LAT", "OBS-ELEV"],
    ["OBSGEO-L", "OBSGEO-B", "OBSGEO-H"],
    ["ESO TEL GEOLON", "ESO TEL GEOLAT", "ESO TEL GEOELEV"],
    ["SITELONG", "SITELAT", "SITEELEV"],
    ["LONGITUD", "LATITUDE", "HEIGHT"],
];
/// The FITS standard's cards of a geocentric position, metre.
const GEOCENTRIC: [&str; 3] = ["OBSGEO-X", "OBSGEO-Y", "OBSGEO-Z"];
/// Cards that name an observatory or telescope.
const NAMES: [&str; 2] = ["OBSERVAT", "TELESCOP"];

/// Geodetic position of a telescope on WGS84.
#[derive(Clone, Copy, Debug, PartialEq, Serialize)]
pub struct Site {
    /// Longitude in degrees, positive to the east.
    pub longitude: f64,
    /// Latitude in degrees, positive to the north.
    pub latitude: f64,
    /// Height above the ellipsoid in metre.
    pub height: f64,
}

impl Site {
    /// The Mayall telescope, at desispec's position.
    pub const KITT_PEAK: Site = Site { longitude: -111.59989, latitude: 31.96403, height: 2097.0 };

    /// Returns the geocentric position in metre.
    fn geocentric(&self) -> Option<[f64; 3]> {
        gd2gc(WGS84, self.longitude.to_radians(), self.latitude.to_radians(), self.height).ok()
    }
}

/// A site, and the cards that state it.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct StatedSite {
    /// The position.
    #[serde(flatten)]
    pub site: Site,
    /// The cards, or what speaks for Kitt Peak.
    pub source: String,
    /// A sentence where nothing speaks for it.
    #[serde(skip)]
    pub note: Option<String>,
}

impl fmt::Display for StatedSite {
    fn fmt(&self, f: &mut fmt::Formatter) -> fmt::Result {
        let Site { longitude, latitude, height } = self.site;
        write!(f, "longitude {longitude:.5}, latitude {latitude:.5}, height {height:.0} m ({})", self.source)
    }
}

/// Returns the site of an exposure: what its cards state, or Kitt Peak.
///
/// # Errors
/// [`BarycentricError`] if a position is incomplete or cannot be, if two are far apart, or if another observatory than
/// Kitt Peak is named without a position.
pub(super) fn site_of(headers: &Headers) -> Result<StatedSite, BarycentricError> {
    let geodetic = GEODETIC.iter().map(|keys| geodetic(headers, keys));
    let stated = geodetic.chain([geocentric(headers)]).filter_map(Result::transpose).collect::<Result<Vec<_>, _>>()?;
    let mut stated = stated.into_iter();
    let Some(first) = stated.next() else { return kitt_peak(headers) };
    for second in stated {
        let distance = distance(&first.site, &second.site);
        if distance > SAME_SITE {
            let distance = 1e-3 * distance;
            return Err(BarycentricError::TwoSites { first: first.source, second: second.source, distance });
        }
    }
    Ok(first)
}

/// Reads a position in degrees and metre. None without both of longitude and latitude.
fn geodetic(headers: &Headers, keys: &[&'static str; 3]) -> Result<Option<StatedSite>, BarycentricError> {
    let [east, north, up] = *keys;
    let longitude = headers.number(&[east], [-360.0, 360.0], "an angle in degrees")?;
    let latitude = headers.number(&[north], [-90.0, 90.0], "an angle in degrees within 90")?;
    let [longitude, latitude] = match (longitude, latitude) {
        (Some(longitude), Some(latitude)) => [longitude.number, latitude.number],
        (None, None) => return Ok(None),
        (Some(card), None) => return Err(card.alone(north)),
        (None, Some(card)) => return Err(card.alone(east)),
    };
    // 2 km of height are 0.15 m/s, 5e-10 in the factor.
    let (height, source) = match headers.number(&[up], HEIGHTS, "a height in metre")? {
        Some(card) => (card.number, format!("{east}, {north}, {up}")),
        None => (0.0, format!("{east}, {north}; no {up}")),
    };
    Ok(Some(StatedSite { site: Site { longitude, latitude, height }, source, note: None }))
}

/// Reads a geocentric position in metre.
fn geocentric(headers: &Headers) -> Result<Option<StatedSite>, BarycentricError> {
    const WANTED: &str = "part of a position on the ground in metre from the Earth's centre";
    let read = |key| headers.number(&[key], [-7e6, 7e6], WANTED);
    let cards = [read(GEOCENTRIC[0])?, read(GEOCENTRIC[1])?, read(GEOCENTRIC[2])?];
    let Some(given) = cards.iter().flatten().next() else { return Ok(None) };
    let [Some(x), Some(y), Some(z)] = &cards else {
        let missing = cards.iter().position(Option::is_none).unwrap_or(0);
        return Err(given.alone(GEOCENTRIC[missing]));
    };
    let ground = gc2gd(WGS84, [x.number, y.number, z.number]).ok();
    let ground = ground.filter(|(_, _, height)| (HEIGHTS[0]..=HEIGHTS[1]).contains(height));
    let (longitude, latitude, height) = ground.ok_or_else(|| x.refused(WANTED))?;
    let site = Site { longitude: longitude.to_degrees(), latitude: latitude.to_degrees(), height };
    Ok(Some(StatedSite { site, source: GEOCENTRIC.join(", "), note: None }))
}

/// Returns Kitt Peak, where nothing speaks for another place.
fn kitt_peak(headers: &Headers) -> Result<StatedSite, BarycentricError> {
    let site = |source, note| StatedSite { site: Site::KITT_PEAK, source, note };
    let names: Vec<_> = NAMES.iter().filter_map(|&keyword| Some((keyword, headers.text(keyword)?))).collect();
    if let Some((keyword, value)) = names.iter().find(|(_, value)| is_kitt_peak(value)) {
        return Ok(site(format!("Kitt Peak, as {keyword} = {value}"), None));
    }
    if let Some((keyword, value)) = names.into_iter().next() {
        return Err(BarycentricError::UnknownSite { keyword, value });
    }
    let instrument = headers.text("INSTRUME").filter(|value| is_kitt_peak(value));
    let of_desi = instrument.map(|value| format!("INSTRUME = {value}"));
    let of_desi = of_desi.or_else(|| headers.text(DESI_CARD).map(|_| format!("there is DESI's {DESI_CARD}")));
    if let Some(reason) = of_desi {
        return Ok(site(format!("Kitt Peak, as {reason}"), None));
    }
    let note = "its header has no position of the observatory (OBSGEO-X, OBS-LONG, …) and names none (TELESCOP); the barycentric \
                correction is that of Kitt Peak, and the factor off by up to 3e-6 elsewhere";
    Ok(site("Kitt Peak, as no other site is named".into(), Some(note.into())))
}

/// Whether a name is that of the Mayall telescope, its observatory or DESI.
fn is_kitt_peak(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    let words = ["kpno", "kitt peak", "kittpeak", "mayall"];
    words.iter().any(|word| name.contains(word))
        || name.split(|c: char| !c.is_alphanumeric()).any(|word| word == "desi")
}

/// Returns the distance of two sites in metre.
fn distance(a: &Site, b: &Site) -> f64 {
    let [a, b] = [a, b].map(|site| site.geocentric().unwrap_or_default());
    (0..3).map(|k| (a[k] - b[k]).powi(2)).sum::<f64>().sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::frame::Header;

    fn site(cards: &[(&str, &str)]) -> Result<StatedSite, String> {
        let mut header = Header::new();
        for (keyword, value) in cards {
            match value.parse::<f64>() {
                Ok(number) => header.set(keyword, number, ""),
                Err(_) => header.set(keyword, *value, ""),
            }
        }
        site_of(&Headers(vec![(&header, "IMAGE")])).map_err(|error| error.to_string())
    }

    #[test]
    fn every_way_to_state_a_position_is_read() {
        let paranal = Site { longitude: -70.3976, latitude: -24.6157, height: 2530.0 };
        for keys in GEODETIC {
            let cards = [(keys[0], "-70.3976"), (keys[1], "-24.6157"), (keys[2], "2530")];
            let named = [&cards[..], &[("TELESCOP", "ESO-VISTA")]].concat();
            assert_eq!(site(&named).unwrap().site, paranal);
        }
        let east = site(&[("OBSGEO-L", "289.6024"), ("OBSGEO-B", "-24.6157"), ("OBSGEO-H", "2530")]).unwrap();
        assert!(distance(&east.site, &paranal) < 1e-6, "{east}");
        // astropy 8.0.2: EarthLocation.from_geodetic(-70.3976, -24.6157, 2530)
        let cards = [("OBSGEO-X", "1947248.677"), ("OBSGEO-Y", "-5467784.830"), ("OBSGEO-Z", "-2641487.692")];
        let found = site(&cards).unwrap();
        assert!(distance(&found.site, &paranal) < 0.01, "{found}");
        assert!(found.to_string().ends_with("height 2530 m (OBSGEO-X, OBSGEO-Y, OBSGEO-Z)"), "{found}");
        let low = site(&[("SITELONG", "10"), ("SITELAT", "50")]).unwrap();
        assert_eq!((low.site.height, low.source.as_str()), (0.0, "SITELONG, SITELAT; no SITEELEV"));
    }

    #[test]
    fn kitt_peak_is_where_a_name_or_a_card_of_desi_says_so_and_elsewhere_it_is_told() {
        for cards in [
            &[("OBSERVAT", "KPNO"), ("TELESCOP", "KPNO 4.0-m telescope")][..],
            &[("TELESCOP", "Mayall 4m")],
            &[("INSTRUME", "DESI")],
            &[("DOSVER", "SIM")],
        ] {
            let found = site(cards).unwrap();
            assert_eq!((found.site, found.note), (Site::KITT_PEAK, None), "{cards:?}");
        }
        for cards in [&[][..], &[("INSTRUME", "UVES")], &[("INSTRUME", "DESIRE")]] {
            let found = site(cards).unwrap();
            assert!(found.site == Site::KITT_PEAK && found.note.unwrap().contains("is that of Kitt Peak"), "{cards:?}");
        }
    }

    #[test]
    fn a_position_that_is_unknown_incomplete_or_contradicted_is_refused() {
        for (cards, said) in [
            (&[("TELESCOP", "ESO-VISTA"), ("DOSVER", "SIM")][..], "no position of TELESCOP = ESO-VISTA"),
            (&[("OBSERVAT", "Paranal"), ("INSTRUME", "DESI")], "OBSGEO-X, OBSGEO-Y and OBSGEO-Z (metre)"),
            (&[("SITELAT", "-24.6")], "SITELAT = -24.6 without SITELONG is no site"),
            (&[("OBSGEO-X", "1946404.3"), ("OBSGEO-Z", "0.0")], "without OBSGEO-Y"),
            (&[("OBSGEO-X", "0.0"), ("OBSGEO-Y", "0.0"), ("OBSGEO-Z", "0.0")], "OBSGEO-X = 0.0 is not part"),
            (&[("OBSGEO-X", "6.9E6"), ("OBSGEO-Y", "0.0"), ("OBSGEO-Z", "0.0")], "on the ground"),
            (&[("SITELAT", "-24:36:00"), ("SITELONG", "-70.4")], "SITELAT = -24:36:00 is not an angle in degrees"),
            (
                &[("OBS-LONG", "70.4"), ("OBS-LAT", "-24.6"), ("OBSGEO-L", "-70.4"), ("OBSGEO-B", "-24.6")],
                "km apart; correct one (degrees are positive to the east",
            ),
        ] {
            let message = site(cards).unwrap_err();
            assert!(message.contains(said), "{cards:?}: {message}");
        }
    }
}
