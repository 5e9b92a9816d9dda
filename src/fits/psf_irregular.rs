//! Images of spots at any places: SPOTS `[nspot, ny, nx]` with a table SPOTAT of their fibres or slit positions, and wavelengths.

use super::error::FitsError;
use super::hdu::Hdu;
use super::psf_fibres::FibreFacts;
use super::reader::FitsFile;
use super::table::read_table;
use crate::psf::{Remainder, SpotImagesParts, SpotNorm};

/// Farthest that an image may lie from its trace, pixels.
const FARTHEST: f64 = 64.0;

/// Size and meaning of images.
pub(super) struct ImageKind {
    /// Samples per CCD pixel.
    pub oversampling: usize,
    /// Row and column that fall on the trace.
    pub centre: [f64; 2],
    /// Meaning of the sum of an image.
    pub norm: SpotNorm,
}

/// One image.
struct Spot {
    position: f64,
    wave: f64,
    /// Displacement `[y, x]` from the trace, CCD pixels.
    off: [f64; 2],
    bundle: Option<i64>,
    image: usize,
}

/// Reads the images of SPOTS that SPOTAT places, and the slit position of every fibre.
///
/// # Errors
/// [`FitsError::Invalid`] of a table without the columns, images of one place, or bundles that do not follow one another.
pub(super) fn irregular(
    file: &FitsFile,
    [spots, at]: [&Hdu; 2],
    facts: &FibreFacts,
    (nfibre, fibermin): (usize, i64),
    kind: ImageKind,
) -> Result<(SpotImagesParts, Vec<f64>), FitsError> {
    let shape = file.image_shape(spots)?;
    let [nspot, ny, nx] = shape[..] else {
        let what = format!("has shape {shape:?}, not images x rows x columns, one per row of SPOTAT; write it so");
        return Err(file.invalid(spots, what));
    };
    let of_fibres = slit(file, at, facts, (nfibre, fibermin))?;
    let list = list(file, at, nspot)?;
    let same = |a: &Spot, b: &Spot| a.position == b.position && a.wave == b.wave;
    if let Some(pair) = list.windows(2).find(|pair| same(&pair[0], &pair[1])) {
        let (first, second) = (pair[0].image, pair[1].image);
        let what = format!("has rows {first} and {second} (from 0) at one place and wavelength; leave one out");
        return Err(file.invalid(at, what));
    }
    let all = file.image_f64(spots)?;
    let mut parts = SpotImagesParts {
        positions: Vec::new(),
        waves: Vec::new(),
        breaks: Vec::new(),
        ny,
        nx,
        samples: Vec::new(),
        oversampling: kind.oversampling,
        centre: kind.centre,
        remainder: Remainder::Linear,
        norm: kind.norm,
    };
    let mut bundles: Vec<Option<i64>> = Vec::new();
    for spot in &list {
        if parts.positions.last() != Some(&spot.position) {
            parts.positions.push(spot.position);
            parts.waves.push(Vec::new());
            bundles.push(spot.bundle);
        }
        if bundles.last() != Some(&spot.bundle) {
            let what =
                format!("has images of two bundles at the place {}; give each a place of its own", spot.position);
            return Err(file.invalid(at, what));
        }
        parts.waves.last_mut().expect("a position has its list").push(spot.wave);
    }
    place(&mut parts, &list, &all).map_err(|what| file.invalid(at, what))?;
    parts.breaks = breaks(&bundles, facts.bundles.as_deref(), &of_fibres).map_err(|what| file.invalid(at, what))?;
    Ok((parts, of_fibres))
}

/// Returns the slit position of every fibre: SLITPOS or FIBERPOS, or its number where SPOTAT has numbers.
fn slit(
    file: &FitsFile,
    at: &Hdu,
    facts: &FibreFacts,
    (nfibre, fibermin): (usize, i64),
) -> Result<Vec<f64>, FitsError> {
    let table = read_table(file, at, &mut Vec::new())?;
    if table.column_f64("FIBER").is_some() {
        let follow = || (0..nfibre as i64).map(|row| fibermin + row).collect();
        return Ok(facts.numbers.clone().unwrap_or_else(follow).into_iter().map(|number| number as f64).collect());
    }
    match &facts.positions {
        Some(positions) => Ok(positions.clone()),
        None => {
            let hdu = file.hdu("FIBERPOS")?;
            file.need_shape(hdu, &[nfibre], "fibres of the traces")?;
            file.image_f64(hdu)
        }
    }
}

/// Reads the rows of SPOTAT in the order of the slit, then of wavelength.
fn list(file: &FitsFile, at: &Hdu, nspot: usize) -> Result<Vec<Spot>, FitsError> {
    let table = read_table(file, at, &mut Vec::new())?;
    let column = |name: &str| table.column_f64(name).filter(|values| values.len() == nspot);
    let (Some(positions), Some(waves)) = (column("FIBER").or_else(|| column("SLITPOS")), column("WAVELENGTH")) else {
        let what =
            format!("has no columns FIBER or SLITPOS, and WAVELENGTH, of {nspot} numbers, one per image of SPOTS");
        return Err(file.invalid(at, what));
    };
    let bundles = table.column_i64("BUNDLE").filter(|values| values.len() == nspot);
    let [dy, dx] = ["DY", "DX"].map(|name| column(name).unwrap_or_else(|| vec![0.0; nspot]));
    let mut list = Vec::with_capacity(nspot);
    for image in 0..nspot {
        let (position, wave, off) = (positions[image], waves[image], [dy[image], dx[image]]);
        let wrong =
            [("the place", position, position.is_finite()), ("WAVELENGTH", wave, wave.is_finite() && wave > 0.0)];
        let far = off.map(|off| ("DX or DY", off, off.abs() <= FARTHEST));
        if let Some((what, value, _)) = wrong.into_iter().chain(far).find(|(_, _, good)| !good) {
            return Err(
                file.invalid(at, format!("row {image} (from 0) has {what} {value}; correct it or leave the image out"))
            );
        }
        let bundle = bundles.as_ref().map(|bundles| bundles[image]);
        list.push(Spot { position, wave, off, bundle, image });
    }
    list.sort_by(|a, b| a.position.total_cmp(&b.position).then(a.wave.total_cmp(&b.wave)));
    Ok(list)
}

/// Copies the images in the order of `list`, each moved by its DX and DY with the weights by which spots are moved. They get
/// as many pixels more as the farthest one needs.
fn place(parts: &mut SpotImagesParts, list: &[Spot], all: &[f64]) -> Result<(), String> {
    let (r, from) = (parts.oversampling, [parts.ny, parts.nx]);
    if from.contains(&0) || all.len() != list.len() * from[0] * from[1] {
        return Err(format!("{} numbers are not images of {} x {} samples", all.len(), from[0], from[1]));
    }
    let most = list.iter().flat_map(|spot| spot.off).map(f64::abs).fold(0.0, f64::max);
    let pixels = most.ceil() as usize;
    let to = from.map(|n| n + 2 * pixels * r);
    let needed = to[0].checked_mul(to[1]).and_then(|size| size.checked_mul(list.len()));
    if needed.is_none_or(|needed| needed > 4 * all.len() + 4096 * list.len()) {
        return Err(format!(
            "DX or DY is {most} pixels, far beyond images of {} x {} samples; centre them",
            from[0], from[1]
        ));
    }
    let mut samples = vec![0.0; list.len() * to[0] * to[1]];
    for (spot, out) in list.iter().zip(samples.chunks_exact_mut(to[0] * to[1])) {
        let image = &all[spot.image * from[0] * from[1]..][..from[0] * from[1]];
        let [y, x] = spot.off.map(|off| {
            let place = r as f64 * off + (pixels * r) as f64;
            (place.floor() as usize, place - place.floor())
        });
        for (row, line) in image.chunks_exact(from[1]).enumerate() {
            for (dy, of_y) in [(0, 1.0 - y.1), (1, y.1)].into_iter().filter(|(_, weight)| *weight != 0.0) {
                let out = &mut out[(row + y.0 + dy) * to[1]..][..to[1]];
                for (dx, of_x) in [(0, 1.0 - x.1), (1, x.1)].into_iter().filter(|(_, weight)| *weight != 0.0) {
                    out[x.0 + dx..].iter_mut().zip(line).for_each(|(out, sample)| *out += of_y * of_x * sample);
                }
            }
        }
    }
    parts.samples = samples;
    [parts.ny, parts.nx] = to;
    parts.centre = parts.centre.map(|centre| centre + (pixels * r) as f64);
    Ok(())
}

/// Returns where images of another bundle begin on the slit.
fn breaks(of_places: &[Option<i64>], of_fibres: Option<&[i64]>, slit: &[f64]) -> Result<Vec<(usize, f64)>, String> {
    let mut breaks = Vec::new();
    let mut seen = Vec::new();
    for (first, pair) in of_places.windows(2).enumerate().filter(|(_, pair)| pair[0] != pair[1]) {
        let (Some(before), Some(after), Some(of_fibres)) = (pair[0], pair[1], of_fibres) else {
            return Err("has BUNDLE, but the fibres have none: give the column BUNDLE of a table FIBERS".into());
        };
        seen.push(before);
        let places =
            |bundle: i64| slit.iter().zip(of_fibres).filter(move |(_, own)| **own == bundle).map(|(at, _)| *at);
        let (low, high) = (places(before).fold(f64::MIN, f64::max), places(after).fold(f64::MAX, f64::min));
        if low == f64::MIN || high == f64::MAX {
            return Err(format!(
                "has images of bundles {before} and {after}, of which one has no fibre in FIBERS; correct BUNDLE"
            ));
        }
        if low >= high || seen.contains(&after) {
            return Err(format!(
                "has bundles {before} and {after} that do not follow one another along the slit; correct BUNDLE"
            ));
        }
        breaks.push((first + 1, 0.5 * (low + high)));
    }
    Ok(breaks)
}
