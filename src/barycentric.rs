//! The barycentric correction: the factor from observed wavelengths to the rest frame of the solar system.

use crate::base::number::short;
use crate::frame::Header;
use sofars::{astro::pvtob, eph::epv00, erst::era00, pnp::c2i06a, ts};

const SPEED_OF_LIGHT: f64 = 299_792_458.0; // m/s
const ASTRONOMICAL_UNIT: f64 = 149_597_870_700.0; // m
const SECONDS_PER_DAY: f64 = 86_400.0;
const MJD_EPOCH: f64 = 2_400_000.5; // the Julian date of MJD 0
const GM_SUN: f64 = 1.327_124_4e20; // m³/s², IAU 2015 nominal
const GM_EARTH: f64 = 3.986_004e14; // m³/s², IAU 2015 nominal

const LONGEST_EXPOSURE: f64 = 1e6; // s
const EXPTIME: &str = "EXPTIME (in seconds; 0 if MJD-OBS is the middle of the exposure)";
const DATE: &str = "a Modified Julian Date of the years 1960 to 2100";

/// Keywords of right ascension and declination, the best first, in desispec's order.
const RA: [&str; 4] = ["TARGTRA", "SKYRA", "TELRA", "RA"];
const DEC: [&str; 4] = ["TARGTDEC", "SKYDEC", "TELDEC", "DEC"];

/// Geodetic position of a telescope on WGS84.
#[derive(Clone, Copy, Debug, PartialEq)]
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
}

/// Errors of the barycentric correction.
#[derive(Debug, thiserror::Error, PartialEq)]
#[non_exhaustive]
pub enum BarycentricError {
    /// A header lacks keywords.
    #[error("no {wanted} in the header of {place}; add it or leave out the barycentric correction")]
    Missing {
        /// The keywords.
        wanted: &'static str,
        /// The HDUs searched.
        place: &'static str,
    },
    /// A keyword has an invalid value.
    #[error("{keyword} = {value} is not {wanted}; correct it or leave out the barycentric correction")]
    Value {
        /// The keyword.
        keyword: &'static str,
        /// Its value.
        value: String,
        /// The value required.
        wanted: &'static str,
    },
    /// The header has only half of the observatory's position.
    #[error("{given} = {value} without {missing} is no site; add it, or leave out both for Kitt Peak")]
    HalfSite {
        /// The keyword present.
        given: &'static str,
        /// Its value.
        value: String,
        /// The keyword missing.
        missing: &'static str,
    },
}

/// Computes the factor that multiplies observed wavelengths, for a source at ICRS `ra`, `dec` (degrees) observed from
/// `site` at the UTC date `mjd`.
///
/// The formula is Wright & Eastman 2014, eq. 28, for a source at rest at infinite distance: `γ (1 + β·n) / (1 − Φ/c²)`.
/// β is the observer's barycentric velocity, Φ the potential of Sun and Earth there (Jupiter and Moon: 2e-12). Ephemeris and Earth rotation are SOFA's, as in astropy.
///
/// UT1 counts as UTC and polar motion as 0. Rotation by 0.9 s turns the observer's 0.46 km/s by 7e-5, at most 1e-10 in
/// the factor; 0.5 arcsec of polar motion are 4e-12.
///
/// # Errors
/// [`BarycentricError::Value`] if the date is before 1960, when UTC begins, or beyond 2100, when the ephemeris ends.
pub fn factor(ra: f64, dec: f64, mjd: f64, site: &Site) -> Result<f64, BarycentricError> {
    let out_of_range = || BarycentricError::Value { keyword: "MJD-OBS", value: short(mjd), wanted: DATE };
    let (tai1, tai2) = ts::utctai(MJD_EPOCH, mjd).map_err(|_| out_of_range())?;
    let (tt1, tt2) = ts::taitt(tai1, tai2).map_err(|_| out_of_range())?;
    // TDB differs from TT by less than 2 ms: 4e-14 in the Earth's velocity over c.
    let (heliocentric, barycentric) = epv00(tt1, tt2).ok_or_else(out_of_range)?;
    let au_per_day = ASTRONOMICAL_UNIT / SECONDS_PER_DAY;

    let [position, spin] = site_in_gcrs(site, mjd, tt1, tt2);
    let beta: [f64; 3] = std::array::from_fn(|k| (barycentric[1][k] * au_per_day + spin[k]) / SPEED_OF_LIGHT);
    let (sin_ra, cos_ra) = ra.to_radians().sin_cos();
    let (sin_dec, cos_dec) = dec.to_radians().sin_cos();
    let source = [cos_dec * cos_ra, cos_dec * sin_ra, sin_dec];

    let potential = GM_SUN / (norm(&heliocentric[0]) * ASTRONOMICAL_UNIT) + GM_EARTH / norm(&position);
    let gamma = 1.0 / (1.0 - dot(&beta, &beta)).sqrt();
    Ok(gamma * (1.0 + dot(&beta, &source)) / (1.0 - potential / SPEED_OF_LIGHT.powi(2)))
}

/// Computes the factor of an exposure at its middle from its headers, by desispec's rules.
///
/// The pointing comes from one header: the first of IMAGE and FIBERMAP with RA or TARGTRA, else the first with SKYRA or
/// TELRA. It is TARGTRA, SKYRA, TELRA or RA, in this order, and DEC by the same list. This header also has
/// precedence for the other keywords. The time is MJD-OBS (or MJD) plus half of EXPTIME. The site is OBS-LONG, OBS-LAT,
/// OBS-ELEV (degrees east, degrees, metre), by default Kitt Peak.
///
/// # Errors
/// [`BarycentricError`] if a keyword is missing or invalid.
pub fn factor_of_exposure(image: &Header, fibermap: Option<&Header>) -> Result<f64, BarycentricError> {
    let mut headers = [Some((image, "IMAGE")), fibermap.map(|header| (header, "FIBERMAP"))];
    let first_with = |keys: &[&str]| {
        let has = |header: &Header| keys.iter().any(|key| header.value_text(key).is_some());
        headers.iter().position(|header| header.is_some_and(|(header, _)| has(header)))
    };
    let missing = |wanted, place| BarycentricError::Missing { wanted, place };
    let nowhere = || missing("TARGTRA, SKYRA, TELRA or RA", "IMAGE or FIBERMAP");
    let first = first_with(&["RA", "TARGTRA"]).or_else(|| first_with(&["SKYRA", "TELRA"])).ok_or_else(nowhere)?;
    headers.rotate_left(first);
    let find = |keys: &[&'static str], allowed, wanted| {
        let found = headers.iter().flatten().find_map(|(header, _)| Card::find(header, keys, allowed, wanted));
        found.transpose()
    };
    let (pointing, place) = headers[0].ok_or_else(nowhere)?;
    let angle =
        |keys: &[&'static str], most: f64, wanted| Card::find(pointing, keys, [-most, most], wanted).transpose();
    let ra = angle(&RA, 360.0, "an angle in degrees")?.ok_or_else(nowhere)?;
    let dec = angle(&DEC, 90.0, "an angle in degrees within 90")?;
    let dec = dec.ok_or_else(|| missing("TARGTDEC, SKYDEC, TELDEC or DEC", place))?;
    let start = find(&["MJD-OBS", "MJD"], [f64::MIN, f64::MAX], DATE)?;
    let start = start.ok_or_else(|| missing("MJD-OBS", "IMAGE or FIBERMAP"))?;
    let seconds = find(&["EXPTIME"], [0.0, LONGEST_EXPOSURE], "a number of seconds, 0 to 1000000")?;
    let seconds = seconds.ok_or_else(|| missing(EXPTIME, "IMAGE or FIBERMAP"))?;
    let longitude = find(&["OBS-LONG"], [-360.0, 360.0], "an angle in degrees")?;
    let latitude = find(&["OBS-LAT"], [-90.0, 90.0], "an angle in degrees within 90")?;
    let height = find(&["OBS-ELEV"], [-1e5, 1e5], "a height in metre")?.map_or(0.0, |card| card.number);
    let site = match (longitude, latitude) {
        (Some(longitude), Some(latitude)) => Site { longitude: longitude.number, latitude: latitude.number, height },
        (None, None) => Site::KITT_PEAK,
        (Some(card), None) => return Err(card.alone("OBS-LAT")),
        (None, Some(card)) => return Err(card.alone("OBS-LONG")),
    };
    let middle = start.number + 0.5 * seconds.number / SECONDS_PER_DAY;
    // Only the date can fail; the error quotes its card.
    factor(ra.number, dec.number, middle, &site).map_err(|_| start.refused(DATE))
}

/// A card with a number, which may be written as a string.
struct Card {
    keyword: &'static str,
    text: String,
    number: f64,
}

impl Card {
    /// Finds the first of these keywords that has a value; an error if it is not a number within the limits.
    fn find(
        header: &Header,
        keys: &[&'static str],
        allowed: [f64; 2],
        wanted: &'static str,
    ) -> Option<Result<Self, BarycentricError>> {
        let (keyword, text) = keys.iter().find_map(|&key| Some((key, header.value_text(key)?)))?;
        let number = header.get_f64(keyword).or_else(|| header.get_str(keyword)?.trim().parse().ok());
        let within = number.filter(|n: &f64| (allowed[0]..=allowed[1]).contains(n));
        let card = Self { keyword, text, number: within.unwrap_or_default() };
        Some(if within.is_some() { Ok(card) } else { Err(card.refused(wanted)) })
    }

    fn refused(&self, wanted: &'static str) -> BarycentricError {
        BarycentricError::Value { keyword: self.keyword, value: self.text.clone(), wanted }
    }

    fn alone(self, missing: &'static str) -> BarycentricError {
        BarycentricError::HalfSite { given: self.keyword, value: self.text, missing }
    }
}

/// Returns geocentric position (m) and velocity (m/s) of the site along the celestial axes.
fn site_in_gcrs(site: &Site, mjd: f64, tt1: f64, tt2: f64) -> [[f64; 3]; 2] {
    let mut intermediate = [[0.0; 3]; 2];
    let (longitude, latitude) = (site.longitude.to_radians(), site.latitude.to_radians());
    pvtob(longitude, latitude, site.height, 0.0, 0.0, 0.0, era00(MJD_EPOCH, mjd), &mut intermediate);
    let to_intermediate = c2i06a(tt1, tt2);
    intermediate.map(|v| std::array::from_fn(|k| (0..3).map(|i| to_intermediate[i][k] * v[i]).sum()))
}

fn dot(a: &[f64; 3], b: &[f64; 3]) -> f64 {
    a[0] * b[0] + a[1] * b[1] + a[2] * b[2]
}

fn norm(a: &[f64; 3]) -> f64 {
    dot(a, a).sqrt()
}

#[cfg(test)]
mod tests {
    use super::*;

    const KITT_PEAK: Site = Site::KITT_PEAK;
    const MAUNA_KEA: Site = Site { longitude: -155.4761, latitude: 19.8253, height: 4139.0 };
    const PARANAL: Site = Site { longitude: -70.4048, latitude: -24.6272, height: 2635.0 };
    const DOME_C: Site = Site { longitude: 123.35, latitude: -75.1, height: 3233.0 };
    const SEA: Site = Site { longitude: 30.0, latitude: 0.0, height: 0.0 };

    /// (site, ra, dec, mjd, 1 + v/c of `SkyCoord.radial_velocity_correction`, astropy 8.0.2)
    #[rustfmt::skip]
    const ASTROPY: [(Site, f64, f64, f64, f64); 30] = [
        (KITT_PEAK, 342.166931, -45.371833, 51752.176709, 1.0000279129968),
        (SEA, 152.397522, 40.950381, 47824.369717, 1.0000843516436),
        (SEA, 197.853728, -70.888248, 49736.671038, 1.0000504984898),
        (KITT_PEAK, 193.731593, -19.909568, 56498.997454, 0.9999071350237),
        (PARANAL, 163.259240, -47.047311, 47654.746447, 0.9999609871021),
        (DOME_C, 73.243887, -28.383660, 49617.139054, 1.0000574732678),
        (KITT_PEAK, 100.947153, -1.697238, 56437.162170, 0.9999429490983),
        (KITT_PEAK, 260.924379, 4.729619, 60586.947284, 0.9999190415373),
        (SEA, 57.834723, 70.026520, 47138.143247, 0.9999960095379),
        (KITT_PEAK, 41.711620, 14.298847, 51835.587020, 1.0000282859483),
        (PARANAL, 330.227174, -67.045411, 53739.384833, 0.9999800866153),
        (DOME_C, 165.360918, -61.080600, 52081.493130, 0.9999541287928),
        (KITT_PEAK, 306.947822, 10.712561, 54295.685242, 1.0000288523338),
        (SEA, 183.418517, 1.247873, 58195.273073, 1.0000094692147),
        (MAUNA_KEA, 53.251933, 39.736173, 56489.513279, 1.0000749608891),
        (KITT_PEAK, 283.354899, -38.080461, 55119.754834, 0.9999071068568),
        (PARANAL, 29.358942, 45.271862, 45457.601908, 0.9999969043852),
        (SEA, 315.553355, -3.220605, 58615.607865, 1.0000951241660),
        (KITT_PEAK, 2.553058, 16.944294, 47082.310352, 0.9999790359494),
        (MAUNA_KEA, 101.476018, -34.719804, 58110.579412, 1.0000140066691),
        (DOME_C, 289.819740, 68.024162, 54256.468305, 1.0000108352519),
        (KITT_PEAK, 173.596460, 52.132437, 44656.307669, 0.9999955450723),
        (DOME_C, 8.816644, 20.299030, 53277.820499, 1.0000136161003),
        (PARANAL, 297.657119, 50.447420, 59750.900490, 1.0000299135495),
        (KITT_PEAK, 88.398816, 32.481958, 54669.379673, 1.0000512961468),
        (SEA, 22.578452, 40.615200, 58026.237753, 1.0000408949793),
        (MAUNA_KEA, 135.052919, -21.501382, 44930.922714, 1.0000789362337),
        (KITT_PEAK, 64.285876, -11.975164, 55277.859373, 0.9999293180631),
        (PARANAL, 151.627973, -52.013661, 46855.396158, 1.0000223079889),
        (KITT_PEAK, 136.952737, 26.781408, 54135.261340, 0.9999953156951),
    ];

    #[test]
    fn factor_is_astropys_within_1e_9_at_any_date_place_and_site() {
        for (site, ra, dec, mjd, expected) in ASTROPY {
            let f = factor(ra, dec, mjd, &site).unwrap();
            assert!((f - expected).abs() < 3e-10, "{f} is not {expected} at {site:?} {ra} {dec} {mjd}");
        }
    }

    fn header(cards: &[(&str, f64)]) -> Header {
        let mut header = Header::new();
        header.set("EXPTIME", 0.0, "");
        cards.iter().for_each(|(key, value)| header.set(key, *value, ""));
        header
    }

    /// A header of these cards, as they stand in a file.
    fn raw(cards: &[&str]) -> Header {
        Header::from_records(cards.iter().map(|card| format!("{card:<80}")).collect::<String>().as_bytes())
    }

    #[test]
    fn an_exposure_time_that_is_absent_empty_or_no_number_is_an_error_with_its_value() {
        let cards = ["RA      = 1.0", "DEC     = 2.0", "MJD-OBS = 59000.0"];
        for (card, part) in [
            ("", "no EXPTIME (in seconds; 0 if MJD-OBS is the middle"),
            ("EXPTIME =                      / unknown", "no EXPTIME"),
            ("EXPTIME = '        '", "no EXPTIME"),
            ("EXPTIME = nan", "EXPTIME = nan is not a number of seconds"),
            ("EXPTIME = NAN / unknown", "EXPTIME = NAN is not a number of seconds"),
            ("EXPTIME = 'nan     '", "EXPTIME = nan is not a number of seconds"),
            ("EXPTIME = inf", "EXPTIME = inf is not"),
            ("EXPTIME = 15 min", "EXPTIME = 15 min is not"),
            ("EXPTIME = '15 min  '", "EXPTIME = 15 min is not"),
            ("EXPTIME = -3.0", "EXPTIME = -3.0 is not"),
            ("EXPTIME = T", "EXPTIME = T is not"),
        ] {
            let message = factor_of_exposure(&raw(&[&cards[..], &[card]].concat()), None).unwrap_err().to_string();
            assert!(message.contains(part), "`{card}`: {message}");
        }
        // The header of the fibermap serves, as for all keywords.
        let image = raw(&cards);
        assert!(factor_of_exposure(&image, Some(&raw(&["EXPTIME = 900.0"]))).is_ok());
    }

    #[test]
    fn exposure_is_taken_at_its_middle_towards_the_best_pointing_from_the_site_it_names() {
        let mut image =
            header(&[("RA", 1.0), ("DEC", 2.0), ("TARGTRA", 40.0), ("TARGTDEC", -5.0), ("EXPTIME", 1728.0)]);
        image.set("MJD-OBS", 59000.0, "");
        let expected = |site| factor(40.0, -5.0, 59000.01, &site).unwrap();
        assert_eq!(factor_of_exposure(&image, None), Ok(expected(Site::KITT_PEAK)));
        // DESI writes the site as strings.
        image.set("OBS-LAT", "19.8253", "");
        image.set("OBS-LONG", "-155.4761", "");
        image.set("OBS-ELEV", 4139.0, "");
        assert_eq!(factor_of_exposure(&image, None), Ok(expected(MAUNA_KEA)));
    }

    #[test]
    fn pointing_of_the_fibermap_serves_where_the_image_has_none() {
        let image = header(&[("MJD-OBS", 59000.0)]);
        let fibermap = header(&[("TELRA", 10.0), ("TELDEC", 20.0)]);
        let expected = factor(10.0, 20.0, 59000.0, &Site::KITT_PEAK);
        assert_eq!(factor_of_exposure(&image, Some(&fibermap)), expected);
        let missing =
            Err(BarycentricError::Missing { wanted: "TARGTRA, SKYRA, TELRA or RA", place: "IMAGE or FIBERMAP" });
        assert_eq!(factor_of_exposure(&image, None), missing);
    }

    #[test]
    fn pointing_comes_from_one_header_that_of_the_image_if_it_has_ra_or_targtra() {
        let mut image = header(&[("MJD-OBS", 59000.0), ("SKYRA", 1.0), ("SKYDEC", 2.0)]);
        let mut fibermap = header(&[("RA", 10.0), ("DEC", 20.0), ("TELDEC", 21.0)]);
        let factor_at = |ra, dec, mjd| factor(ra, dec, mjd, &Site::KITT_PEAK);
        // desispec 0.70 takes the FIBERMAP's header here, and each of RA and DEC by its own order.
        assert_eq!(factor_of_exposure(&image, Some(&fibermap)), factor_at(10.0, 21.0, 59000.0));
        fibermap.set("MJD-OBS", 59100.0, "");
        assert_eq!(factor_of_exposure(&image, Some(&fibermap)), factor_at(10.0, 21.0, 59100.0));
        assert_eq!(factor_of_exposure(&image, None), factor_at(1.0, 2.0, 59000.0));
        image.set("RA", 5.0, "");
        assert_eq!(factor_of_exposure(&image, Some(&fibermap)), factor_at(1.0, 2.0, 59000.0));
        image.remove("SKYDEC");
        let message = factor_of_exposure(&image, Some(&fibermap)).unwrap_err().to_string();
        assert!(message.contains("TELDEC or DEC in the header of IMAGE;"), "{message}");
    }

    #[test]
    fn half_a_site_is_an_error_that_names_both_keywords() {
        for (given, missing) in [("OBS-LONG", "OBS-LAT"), ("OBS-LAT", "OBS-LONG")] {
            let mut image = header(&[("RA", 1.0), ("DEC", 2.0), ("MJD-OBS", 59000.0)]);
            image.set(given, "19.8253", "");
            let message = factor_of_exposure(&image, None).unwrap_err().to_string();
            assert!(message.starts_with(&format!("{given} = 19.8253 without {missing} is no site")), "{message}");
        }
    }

    #[test]
    fn errors_quote_keyword_and_value_of_the_card() {
        for (keyword, value, start) in [
            ("RA", 400.0, "RA = 400.0 is not"),
            ("MJD", 1e300, "MJD = 1.0E300 is not"),
            ("MJD", 1234.5, "MJD = 1234.5 is not"),
            ("EXPTIME", -3.0, "EXPTIME = -3.0 is not"),
        ] {
            let mut image = header(&[("RA", 1.0), ("DEC", 2.0), ("MJD", 59000.0), ("EXPTIME", 1000.0)]);
            image.set(keyword, value, "");
            let message = factor_of_exposure(&image, None).unwrap_err().to_string();
            assert!(message.starts_with(start) && message.len() < 150, "{message}");
        }
        let message = factor(0.0, 0.0, -1e300, &Site::KITT_PEAK).unwrap_err().to_string();
        assert!(message.contains("MJD-OBS = -1e300"), "{message}");
    }

    #[test]
    fn pointing_that_is_no_angle_in_degrees_is_an_error_not_the_next_best() {
        let mut image = header(&[("RA", 1.0), ("DEC", 2.0), ("MJD-OBS", 59000.0)]);
        image.set("TELRA", "04:12:11.3", "");
        let message = factor_of_exposure(&image, None).unwrap_err().to_string();
        assert!(
            message.contains("TELRA") && message.contains("04:12:11.3") && message.contains("degrees"),
            "{message}"
        );
    }

    #[test]
    fn date_outside_the_ephemeris_is_an_error() {
        for mjd in [f64::NAN, -1e9, 1e5, 0.0] {
            assert!(factor(0.0, 0.0, mjd, &KITT_PEAK).is_err(), "{mjd}");
        }
    }
}
