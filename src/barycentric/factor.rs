//! The factor from observed wavelengths to the rest frame of the solar system, for a direction, a date and a site.

use super::{BarycentricError, Site};
use crate::base::number::short;
use sofars::{astro::pvtob, eph::epv00, erst::era00, pnp::c2i06a, ts};

const SPEED_OF_LIGHT: f64 = 299_792_458.0; // m/s
const ASTRONOMICAL_UNIT: f64 = 149_597_870_700.0; // m
const GM_SUN: f64 = 1.327_124_4e20; // m³/s², IAU 2015 nominal
const GM_EARTH: f64 = 3.986_004e14; // m³/s², IAU 2015 nominal

/// Seconds of a day.
pub(super) const SECONDS_PER_DAY: f64 = 86_400.0;
/// The Julian date of MJD 0.
pub(super) const MJD_EPOCH: f64 = 2_400_000.5;
/// The dates that serve, in errors.
pub(super) const DATE: &str = "a Modified Julian Date of the years 1960 to 2100";

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

    #[test]
    fn date_outside_the_ephemeris_is_an_error() {
        for mjd in [f64::NAN, -1e9, 1e5, 0.0] {
            assert!(factor(0.0, 0.0, mjd, &KITT_PEAK).is_err(), "{mjd}");
        }
        let message = factor(0.0, 0.0, -1e300, &Site::KITT_PEAK).unwrap_err().to_string();
        assert!(message.contains("MJD-OBS = -1e300"), "{message}");
    }
}
