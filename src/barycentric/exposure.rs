//! The factor of an exposure: where it points, when, and from where, by its headers.

use super::card::{Card, Headers};
use super::factor::{DATE, MJD_EPOCH, SECONDS_PER_DAY};
use super::site::site_of;
use super::{BarycentricError, StatedSite, factor};
use crate::frame::Header;
use sofars::ts;

const LONGEST_EXPOSURE: f64 = 1e6; // s
const EXPTIME: &str = "EXPTIME (in seconds; 0 if MJD-OBS is the middle of the exposure)";
const TIMESYS: &str = "TIMESYS";

/// Keywords of right ascension and declination, the best first, in desispec's order.
const RA: [&str; 4] = ["TARGTRA", "SKYRA", "TELRA", "RA"];
const DEC: [&str; 4] = ["TARGTDEC", "SKYDEC", "TELDEC", "DEC"];
/// Keywords of the start.
const START: [&str; 2] = ["MJD-OBS", "MJD"];

/// The barycentric correction of an exposure.
#[derive(Clone, Debug, PartialEq)]
pub struct Correction {
    /// The factor that multiplies observed wavelengths.
    pub factor: f64,
    /// The site it holds for.
    pub site: StatedSite,
}

/// Computes the factor of an exposure at its middle from its headers, by desispec's rules.
///
/// The pointing comes from one header: the first of IMAGE and FIBERMAP with RA or TARGTRA, else the first with SKYRA or
/// TELRA. It is TARGTRA, SKYRA, TELRA or RA, in this order, and DEC by the same list. This header also has
/// precedence for the other keywords. The time is MJD-OBS (or MJD) plus half of EXPTIME, in UTC or the scale of TIMESYS.
///
/// The site is OBS-LONG, OBS-LAT, OBS-ELEV (degrees east, degrees, metre), OBSGEO-X, -Y, -Z or -L, -B, -H of the FITS
/// standard, ESO's GEOLON, GEOLAT, GEOELEV, SITELONG, SITELAT, SITEELEV, or LONGITUD, LATITUDE, HEIGHT. Headers of DESI
/// without them mean Kitt Peak, and so do those that name no observatory; a note records that.
///
/// # Errors
/// [`BarycentricError`] if a keyword is missing or invalid, or another observatory is named without its position.
pub fn factor_of_exposure(image: &Header, fibermap: Option<&Header>) -> Result<Correction, BarycentricError> {
    let all = [Some((image, "IMAGE")), fibermap.map(|header| (header, "FIBERMAP"))];
    let mut headers = Headers(all.into_iter().flatten().collect());
    let missing = |wanted, place| BarycentricError::Missing { wanted, place };
    let nowhere = || missing("TARGTRA, SKYRA, TELRA or RA", "IMAGE or FIBERMAP");
    let first = headers.first_with(&["RA", "TARGTRA"]).or_else(|| headers.first_with(&["SKYRA", "TELRA"]));
    headers.0.rotate_left(first.ok_or_else(nowhere)?);
    let (pointing, place) = headers.0[0];
    let angle =
        |keys: &[&'static str], most: f64, wanted| Card::find(pointing, keys, [-most, most], wanted).transpose();
    let ra = angle(&RA, 360.0, "an angle in degrees")?.ok_or_else(nowhere)?;
    let dec = angle(&DEC, 90.0, "an angle in degrees within 90")?;
    let dec = dec.ok_or_else(|| missing("TARGTDEC, SKYDEC, TELDEC or DEC", place))?;
    let start = headers.number(&START, [f64::MIN, f64::MAX], DATE)?;
    let start = start.ok_or_else(|| missing("MJD-OBS", "IMAGE or FIBERMAP"))?;
    let seconds = headers.number(&["EXPTIME"], [0.0, LONGEST_EXPOSURE], "a number of seconds, 0 to 1000000")?;
    let seconds = seconds.ok_or_else(|| missing(EXPTIME, "IMAGE or FIBERMAP"))?;
    let site = site_of(&headers)?;
    // TIMESYS is that of the header with the date.
    let dated = headers.first_with(&START).map(|k| headers.0[k].0);
    let scale = dated.and_then(|header| header.value_text(TIMESYS)).unwrap_or_else(|| "UTC".into());
    let middle = start.number + 0.5 * seconds.number / SECONDS_PER_DAY;
    // Only the date can fail; the error quotes its card.
    let middle = in_utc(middle, &scale)?.ok_or_else(|| start.refused(DATE))?;
    let factor = factor(ra.number, dec.number, middle, &site.site).map_err(|_| start.refused(DATE))?;
    Ok(Correction { factor, site })
}

/// Converts a date from the time scale `scale` of the FITS standard to UTC; None if it has no such date.
fn in_utc(mjd: f64, scale: &str) -> Result<Option<f64>, BarycentricError> {
    const SCALES: &str = "UTC, TAI, TT, TDB or GPS";
    let bare = scale.split('(').next().unwrap_or_default().trim().to_ascii_uppercase();
    // TAI - GPS is 19 s; TDB differs from TT by less than 2 ms.
    let tai = match bare.as_str() {
        "UTC" | "UT" | "UT1" | "GMT" => return Ok(Some(mjd)),
        "TAI" | "IAT" => Ok((MJD_EPOCH, mjd)),
        "GPS" => Ok((MJD_EPOCH, mjd + 19.0 / SECONDS_PER_DAY)),
        "TT" | "TDT" | "ET" | "TDB" => ts::tttai(MJD_EPOCH, mjd),
        _ => return Err(BarycentricError::Value { keyword: TIMESYS, value: scale.into(), wanted: SCALES }),
    };
    let utc = tai.and_then(|(first, second)| ts::taiutc(first, second)).ok();
    Ok(utc.map(|(first, second)| (first - MJD_EPOCH) + second))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::barycentric::Site;

    const MAUNA_KEA: Site = Site { longitude: -155.4761, latitude: 19.8253, height: 4139.0 };

    /// The factor of [`factor_of_exposure`].
    fn factor_of(image: &Header, fibermap: Option<&Header>) -> Result<f64, BarycentricError> {
        factor_of_exposure(image, fibermap).map(|correction| correction.factor)
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
            let message = factor_of(&raw(&[&cards[..], &[card]].concat()), None).unwrap_err().to_string();
            assert!(message.contains(part), "`{card}`: {message}");
        }
        // The header of the fibermap serves, as for all keywords.
        let image = raw(&cards);
        assert!(factor_of(&image, Some(&raw(&["EXPTIME = 900.0"]))).is_ok());
    }

    #[test]
    fn exposure_is_taken_at_its_middle_towards_the_best_pointing_from_the_site_it_names() {
        let mut image =
            header(&[("RA", 1.0), ("DEC", 2.0), ("TARGTRA", 40.0), ("TARGTDEC", -5.0), ("EXPTIME", 1728.0)]);
        image.set("MJD-OBS", 59000.0, "");
        let expected = |site| factor(40.0, -5.0, 59000.01, &site).unwrap();
        assert_eq!(factor_of(&image, None), Ok(expected(Site::KITT_PEAK)));
        // DESI writes the site as strings.
        image.set("OBS-LAT", "19.8253", "");
        image.set("OBS-LONG", "-155.4761", "");
        image.set("OBS-ELEV", 4139.0, "");
        assert_eq!(factor_of(&image, None), Ok(expected(MAUNA_KEA)));
    }

    #[test]
    fn pointing_of_the_fibermap_serves_where_the_image_has_none() {
        let image = header(&[("MJD-OBS", 59000.0)]);
        let fibermap = header(&[("TELRA", 10.0), ("TELDEC", 20.0)]);
        let expected = factor(10.0, 20.0, 59000.0, &Site::KITT_PEAK);
        assert_eq!(factor_of(&image, Some(&fibermap)), expected);
        let missing =
            Err(BarycentricError::Missing { wanted: "TARGTRA, SKYRA, TELRA or RA", place: "IMAGE or FIBERMAP" });
        assert_eq!(factor_of(&image, None), missing);
    }

    #[test]
    fn pointing_comes_from_one_header_that_of_the_image_if_it_has_ra_or_targtra() {
        let mut image = header(&[("MJD-OBS", 59000.0), ("SKYRA", 1.0), ("SKYDEC", 2.0)]);
        let mut fibermap = header(&[("RA", 10.0), ("DEC", 20.0), ("TELDEC", 21.0)]);
        let factor_at = |ra, dec, mjd| factor(ra, dec, mjd, &Site::KITT_PEAK);
        // desispec 0.70 takes the FIBERMAP's header here, and each of RA and DEC by its own order.
        assert_eq!(factor_of(&image, Some(&fibermap)), factor_at(10.0, 21.0, 59000.0));
        fibermap.set("MJD-OBS", 59100.0, "");
        assert_eq!(factor_of(&image, Some(&fibermap)), factor_at(10.0, 21.0, 59100.0));
        assert_eq!(factor_of(&image, None), factor_at(1.0, 2.0, 59000.0));
        image.set("RA", 5.0, "");
        assert_eq!(factor_of(&image, Some(&fibermap)), factor_at(1.0, 2.0, 59000.0));
        image.remove("SKYDEC");
        let message = factor_of(&image, Some(&fibermap)).unwrap_err().to_string();
        assert!(message.contains("TELDEC or DEC in the header of IMAGE;"), "{message}");
    }

    #[test]
    fn half_a_site_is_an_error_that_names_both_keywords() {
        for (given, missing) in [("OBS-LONG", "OBS-LAT"), ("OBS-LAT", "OBS-LONG")] {
            let mut image = header(&[("RA", 1.0), ("DEC", 2.0), ("MJD-OBS", 59000.0)]);
            image.set(given, "19.8253", "");
            let message = factor_of(&image, None).unwrap_err().to_string();
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
            let message = factor_of(&image, None).unwrap_err().to_string();
            assert!(message.starts_with(start) && message.len() < 150, "{message}");
        }
    }

    #[test]
    fn pointing_that_is_no_angle_in_degrees_is_an_error_not_the_next_best() {
        let mut image = header(&[("RA", 1.0), ("DEC", 2.0), ("MJD-OBS", 59000.0)]);
        image.set("TELRA", "04:12:11.3", "");
        let message = factor_of(&image, None).unwrap_err().to_string();
        assert!(
            message.contains("TELRA") && message.contains("04:12:11.3") && message.contains("degrees"),
            "{message}"
        );
    }

    #[test]
    fn a_date_is_in_the_time_scale_that_the_header_names() {
        let mut image = header(&[("RA", 1.0), ("DEC", 2.0), ("MJD-OBS", 59000.0)]);
        let at = |seconds: f64| factor(1.0, 2.0, 59000.0 + seconds / SECONDS_PER_DAY, &Site::KITT_PEAK).unwrap();
        // TAI - UTC has been 37 s since 2017.
        let scales =
            [("UTC", 0.0), ("UT1", 0.0), ("TAI", -37.0), ("TT(TAI)", -69.184), ("TDB", -69.184), ("GPS", -18.0)];
        for (scale, seconds) in scales {
            image.set("TIMESYS", scale, "");
            let found = factor_of(&image, None).unwrap();
            assert!((found - at(seconds)).abs() < 1e-14, "{scale}");
            assert_eq!(found == at(0.0), seconds == 0.0, "{scale}");
        }
        image.set("TIMESYS", "LOCAL", "");
        let message = factor_of(&image, None).unwrap_err().to_string();
        assert!(message.contains("TIMESYS = LOCAL is not UTC, TAI, TT, TDB or GPS"), "{message}");
        // It is that of the header with the date.
        image.remove("MJD-OBS");
        assert_eq!(factor_of(&image, Some(&header(&[("MJD-OBS", 59000.0)]))), Ok(at(0.0)));
    }
}
