//! DESI's metadata of a frame: the header of IMAGE and the fibermap.

use super::detector::{AMPLIFIER_NOISE, AMPLIFIERS};
use super::objects::{Kind, Target};
use super::random::{Purpose, stream};
use super::request::{Light, Simulation};
use super::sky::line_sigma;
use crate::frame::{ColumnData, Header, Table};
use crate::psf::{Dispersion, Psf};
use rand::RngExt;

/// Right ascension and declination of the field, degrees.
const POINTING: [f64; 2] = [150.1, 2.2];
/// Radius of the focal plane on the sky, degrees.
const FIELD_RADIUS: f64 = 1.6;
/// Millimetres on the focal plane per degree on the sky.
const PLATE_SCALE: f64 = 253.0;
/// Electrons/Angstrom in 1000 s per nanomaggie.
const NANOMAGGIE: f64 = 10.0;
/// Noon at Kitt Peak, where a night's date begins, UTC hours.
const NIGHT_OFFSET: f64 = 19.0;
/// FIBERSTATUS of a broken fibre, equal to desispec's `fibermask`.
const BROKENFIBER: i32 = 1 << 16;

/// Returns the cards of IMAGE.
pub fn header(psf: &Psf, request: &Simulation) -> Header {
    let camera = psf.camera.as_deref().unwrap_or("r0").to_string();
    let mut h = Header::new();
    h.set("CAMERA", camera, "camera");
    h.set("EXPID", request.expid, "exposure number");
    h.set("NIGHT", night(request.mjd), "night, YYYYMMDD");
    h.set("TILEID", 1i64, "tile number");
    let [flavor, obstype] = request.light.names();
    h.set("FLAVOR", flavor, "exposure flavor");
    h.set("OBSTYPE", obstype, "observation type");
    h.set("PROGRAM", "SIM", "simulated by spextral");
    h.set("EXPTIME", request.exptime, "[s] exposure time");
    h.set("MJD-OBS", request.mjd, "modified Julian date of the start, UTC");
    h.set("DOSVER", "SIM", "");
    h.set("DETECTOR", "sim", "");
    h.set("BUNIT", "electron", "");
    h.set("TARGTRA", POINTING[0], "[deg] right ascension of the field");
    h.set("TARGTDEC", POINTING[1], "[deg] declination of the field");
    h.set("RDNOISE", request.readnoise, "[electron] read noise");
    for (amplifier, factor) in AMPLIFIERS.into_iter().zip(AMPLIFIER_NOISE) {
        let noise = request.readnoise * factor;
        h.set(&format!("OBSRDN{amplifier}"), noise, "[electron] read noise of the amplifier");
        h.set(&format!("GAIN{amplifier}"), 1.0, "[electron/ADU] gain of the amplifier");
    }
    if psf.dispersion == Dispersion::AlongX {
        h.set("DISPAXIS", psf.dispersion.dispaxis(), "axis of dispersion: 1 x, 2 y");
    }
    if let (Light::Sky, Ok(wave)) = (&request.light, request.grid(psf)) {
        h.set("SKYSIGMA", line_sigma(wave[1] - wave[0]), "[Angstrom] width of the sky's lines");
    }
    h.set("SIMSEED", request.seed.to_string(), "seed of the simulation");
    h
}

/// Returns the fibermap of all fibres of the PSF, lit or not.
pub fn fibermap(psf: &Psf, targets: &[Target], request: &Simulation) -> Table {
    let n = targets.len();
    let fibre = |i: usize| psf.number(i);
    let offsets: Vec<[f64; 2]> = (0..n).map(|i| position(request.seed, i)).collect();
    let count = |value: &dyn Fn(usize) -> i64| ColumnData::I64((0..n).map(value).collect());
    let number = |value: &dyn Fn(usize) -> i32| ColumnData::I32((0..n).map(value).collect());
    let degrees = |value: &dyn Fn(usize) -> f64| ColumnData::F64((0..n).map(value).collect());
    let real = |value: &dyn Fn(usize) -> f64| ColumnData::F32((0..n).map(|i| value(i) as f32).collect());
    let text = |value: &dyn Fn(usize) -> &'static str| ColumnData::Str((0..n).map(|i| value(i).into()).collect());
    let petal = (fibre(0) / 500).rem_euclid(10);
    let declination = POINTING[1].to_radians().cos();
    let positions = offsets.iter().flat_map(|p| p.map(|v| (v * PLATE_SCALE) as f32)).collect();
    let mut table = Table::new(n)
        .with_column("TARGETID", "", &count(&|i| 39_627_000_000_000_000 + fibre(i)))
        .with_column("PETAL_LOC", "", &ColumnData::I16(vec![petal as i16; n]))
        .with_column("DEVICE_LOC", "", &number(&|i| i as i32))
        .with_column("LOCATION", "", &count(&|i| 1000 * petal + i as i64))
        .with_column("FIBER", "", &number(&|i| fibre(i) as i32))
        .with_column("FIBERSTATUS", "", &number(&|i| if targets[i].kind == Kind::Dark { BROKENFIBER } else { 0 }))
        .with_column("TARGET_RA", "deg", &degrees(&|i| POINTING[0] + offsets[i][0] / declination))
        .with_column("TARGET_DEC", "deg", &degrees(&|i| POINTING[1] + offsets[i][1]))
        .with_column("OBJTYPE", "", &text(&|i| object_type(targets[i].kind)))
        .with_column("DESI_TARGET", "", &count(&|i| target_bit(targets[i].kind)))
        .with_column("FLUX_R", "nanomaggy", &real(&|i| targets[i].level / NANOMAGGIE))
        .with_column("FIBERASSIGN_X", "mm", &real(&|i| offsets[i][0] * PLATE_SCALE))
        .with_column("FIBERASSIGN_Y", "mm", &real(&|i| offsets[i][1] * PLATE_SCALE))
        .with_column("SIMTYPE", "", &text(&|i| targets[i].kind.name()))
        .with_column("SIMZ", "", &real(&|i| targets[i].redshift))
        .with_column("SIMXY", "mm", &ColumnData::F32(positions));
    table.header_mut().set("TILEID", 1i64, "tile number");
    table.header_mut().set("TILERA", POINTING[0], "[deg] right ascension of the field");
    table.header_mut().set("TILEDEC", POINTING[1], "[deg] declination of the field");
    table
}

/// Draws a fibre's position in the field, degrees from its centre.
fn position(seed: u64, fibre: usize) -> [f64; 2] {
    let rng = &mut stream(seed, Purpose::Position, fibre);
    let radius = FIELD_RADIUS * rng.random_range(0.0..1f64).sqrt();
    let angle: f64 = rng.random_range(0.0..std::f64::consts::TAU);
    [radius * angle.cos(), radius * angle.sin()]
}

fn object_type(kind: Kind) -> &'static str {
    match kind {
        Kind::Sky => "SKY",
        Kind::Dark => "BAD",
        Kind::Star | Kind::Elg | Kind::Lrg | Kind::Qso => "TGT",
    }
}

/// Returns the DESI_TARGET bit of desitarget.
fn target_bit(kind: Kind) -> i64 {
    match kind {
        Kind::Lrg => 1,
        Kind::Elg => 1 << 1,
        Kind::Qso => 1 << 2,
        Kind::Sky => 1 << 32,
        Kind::Star => 1 << 33,
        Kind::Dark => 0,
    }
}

/// Returns the night of a date as the number YYYYMMDD, from noon to noon at Kitt Peak.
fn night(mjd: f64) -> i64 {
    // Days to civil date by Hinnant's algorithm: eras of 400 years that begin in March; MJD 0 is 1858-11-17.
    let days = (mjd - NIGHT_OFFSET / 24.0).floor() as i64 + 678_881;
    let (era, day_of_era) = (days.div_euclid(146_097), days.rem_euclid(146_097));
    let year_of_era = (day_of_era - day_of_era / 1460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let march_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * march_month + 2) / 5 + 1;
    let month = if march_month < 10 { march_month + 3 } else { march_month - 9 };
    let year = 400 * era + year_of_era + i64::from(month <= 2);
    10_000 * year + 100 * month + day
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn night_is_that_of_the_evening_before() {
        assert_eq!(night(58899.25), 20200219, "2020-02-20 06:00 UTC is the night of the 19th");
        assert_eq!(night(58899.95), 20200220, "after noon at Kitt Peak the next night begins");
        assert_eq!(night(60310.2), 20231231);
        assert_eq!(night(51604.5), 20000229);
    }
}
