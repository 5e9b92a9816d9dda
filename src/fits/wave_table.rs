//! A table of wavelengths read: the image WAVELENGTH of a FITS file, as frames have it, or text with a row per bin.

use super::error::FitsError;
use super::reader::{FitsFile, is_fits};
use crate::stages::wave_table::WaveTable;
use std::path::Path;

/// Reads a table of wavelengths, Angstrom, and the BLAKE3 of its file.
///
/// A FITS file has an image WAVELENGTH, or a primary image, `[nwave]` or `[nspec, nwave]`. Text has a column wavelength, and a
/// column fibre where rows differ, with the numbers of the PSF's fibres: as many wavelengths for every fibre.
///
/// # Errors
/// [`FitsError::Invalid`] with the HDU or the line at fault; other [`FitsError`] if the file cannot be read.
pub fn read_wave_table(path: impl AsRef<Path>) -> Result<(WaveTable, String), FitsError> {
    let path = path.as_ref();
    let failed = |source| FitsError::Read { path: path.into(), source };
    if is_fits(path)? {
        let file = FitsFile::open(path)?;
        let hdu = match file.find("WAVELENGTH") {
            Some(hdu) => hdu,
            None if file.image_shape(&file.hdus[0]).is_ok_and(|shape| !shape.is_empty()) => &file.hdus[0],
            None => file.hdu("WAVELENGTH")?,
        };
        let shape = file.image_shape(hdu)?;
        let nwave = match shape[..] {
            [nwave] | [_, nwave] => nwave,
            _ => {
                let what =
                    format!("has shape {shape:?}: wavelengths are [nwave], or [nspec, nwave] with a row per fibre");
                return Err(file.invalid(hdu, what));
            }
        };
        let table = WaveTable::new(nwave, file.image_f64(hdu)?);
        return Ok((table.map_err(|error| file.invalid(hdu, error.to_string()))?, file.digest()?));
    }
    let bytes = std::fs::read(path).map_err(failed)?;
    Ok((of_text(path, &bytes)?, blake3::hash(&bytes).to_hex().to_string()))
}

/// Reads text: a header row, then a bin per line; empty lines and those that begin with # do not count.
fn of_text(path: &Path, bytes: &[u8]) -> Result<WaveTable, FitsError> {
    let invalid = |place: String, what: String| FitsError::Invalid { path: path.into(), hdu: place, what };
    let failed = |line: u64, what: String| invalid(format!("line {line}"), what);
    let as_a_whole = |what: String| invalid("its rows".into(), what);
    let mut builder = csv::ReaderBuilder::new();
    let mut reader = builder.trim(csv::Trim::All).comment(Some(b'#')).from_reader(bytes);
    let header = reader.headers().map_err(|error| failed(1, error.to_string()))?.clone();
    let names: Vec<String> = header.iter().map(|name| name.trim_start_matches('\u{feff}').to_lowercase()).collect();
    let find = |known: &[&str]| names.iter().position(|name| known.contains(&&name[..]));
    let Some(of_wave) = find(&["wavelength", "wave", "lambda"]) else {
        let what = "no column is called wavelength; give a header row fibre,wavelength, or a FITS file with an image WAVELENGTH";
        return Err(failed(1, what.into()));
    };
    let of_fibre = find(&["fibre", "fiber"]);
    let mut rows: std::collections::BTreeMap<i64, Vec<f64>> = std::collections::BTreeMap::new();
    for record in reader.records() {
        let record =
            record.map_err(|error| failed(error.position().map_or(1, csv::Position::line), error.to_string()))?;
        let line = record.position().map_or(1, csv::Position::line);
        let wrong = |name: &str, cell: &str| failed(line, format!("{name} is `{cell}`: give a number"));
        let fibre = of_fibre.map_or(Ok(0), |k| record[k].parse::<i64>().map_err(|_| wrong("fibre", &record[k])))?;
        let wave = record[of_wave].parse::<f64>().map_err(|_| wrong("wavelength", &record[of_wave]))?;
        rows.entry(fibre).or_default().push(wave);
    }
    let nwave = rows.values().next().map_or(0, Vec::len);
    if let Some((fibre, own)) = rows.iter().find(|(_, own)| own.len() != nwave) {
        let what = format!("fibre {fibre} has {} wavelengths, others {nwave}: give as many for every fibre", own.len());
        return Err(as_a_whole(what));
    }
    let numbers: Vec<i64> = rows.keys().copied().collect();
    let table = WaveTable::new(nwave, rows.into_values().flatten().collect());
    let table = table.map_err(|error| as_a_whole(error.to_string()))?;
    Ok(if of_fibre.is_some() { table.of_fibres(numbers) } else { table })
}
