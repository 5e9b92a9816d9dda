//! Properties of every fibre in a PSF file: its number, bundle, slit position and range, in a table FIBERS or as images.

use super::error::FitsError;
use super::reader::FitsFile;
use super::table::read_table;
use super::writer::{Image, Pixels, Writer};
use crate::frame::{ColumnData, Header, Table};
use crate::psf::Psf;
use std::io;

/// The image of ranges, `[nfibre, 2]`, Angstrom.
const WAVERANGE: &str = "WAVERANGE";
/// The table with a row per fibre.
const FIBERS: &str = "FIBERS";

/// Properties of every fibre in a file; None where it has none.
#[derive(Debug, Default)]
pub(super) struct FibreFacts {
    /// Number of the first fibre (FIBER).
    pub first: Option<i64>,
    /// Numbers (FIBER), where they do not follow one another.
    pub numbers: Option<Vec<i64>>,
    /// Bundles (BUNDLE).
    pub bundles: Option<Vec<i64>>,
    /// Slit positions (SLITPOS).
    pub positions: Option<Vec<f64>>,
    /// First and last wavelength (WAVEMIN and WAVEMAX, or the image WAVERANGE), Angstrom.
    pub ranges: Option<Vec<[f64; 2]>>,
}

impl FibreFacts {
    /// Reads what is there.
    ///
    /// # Errors
    /// [`FitsError::Invalid`] of a column or an image that is not of `nfibre` numbers, or of a range without its other end.
    pub fn read(file: &FitsFile, nfibre: usize) -> Result<Self, FitsError> {
        let mut facts = Self::default();
        if let Some(hdu) = file.find(WAVERANGE) {
            file.need_shape(hdu, &[nfibre, 2], "first and last wavelength of every fibre")?;
            let ends = file.image_f64(hdu)?;
            facts.ranges = Some(ends.chunks_exact(2).map(|ends| [ends[0], ends[1]]).collect());
        }
        let Some(hdu) = file.find(FIBERS) else { return Ok(facts) };
        let table = read_table(file, hdu, &mut Vec::new())?;
        let has = |name: &str| table.columns().iter().any(|column| column.name == name);
        let wrong = |name: &str, kind: &str| {
            file.invalid(
                hdu,
                format!("has no {kind} per fibre in column {name}, of {nfibre} fibres; give one row per fibre"),
            )
        };
        let whole = |name: &str| {
            let read =
                || table.column_i64(name).filter(|all| all.len() == nfibre).ok_or_else(|| wrong(name, "integer"));
            has(name).then(read).transpose()
        };
        let real = |name: &str| {
            let read = || table.column_f64(name).filter(|all| all.len() == nfibre).ok_or_else(|| wrong(name, "number"));
            has(name).then(read).transpose()
        };
        (facts.numbers, facts.bundles, facts.positions) = (whole("FIBER")?, whole("BUNDLE")?, real("SLITPOS")?);
        (facts.first, facts.numbers) = split(facts.numbers);
        match (real("WAVEMIN")?, real("WAVEMAX")?) {
            (None, None) => {}
            (Some(low), Some(high)) => facts.ranges = Some(low.into_iter().zip(high).map(|(l, h)| [l, h]).collect()),
            _ => return Err(file.invalid(hdu, "has one of WAVEMIN and WAVEMAX; give both columns, or none")),
        }
        Ok(facts)
    }
}

/// Returns the first number, and all where they do not follow one another.
fn split(numbers: Option<Vec<i64>>) -> (Option<i64>, Option<Vec<i64>>) {
    let first = numbers.as_ref().and_then(|numbers| numbers.first().copied());
    let gaps = |numbers: &Vec<i64>| numbers.windows(2).any(|pair| pair[0].checked_add(1) != Some(pair[1]));
    (first, numbers.filter(gaps))
}

/// Writes what fibres have of their own: numbers that do not follow one another, `bundles`, ranges.
pub(super) fn write_fibres(out: &mut Writer, psf: &Psf, bundles: Option<Vec<i64>>) -> io::Result<()> {
    if let Some(ranges) = &psf.ranges {
        let ends: Vec<f64> = ranges.iter().flatten().copied().collect();
        let shape = vec![ranges.len(), 2];
        out.image(&Image { name: WAVERANGE, unit: "Angstrom", shape, pixels: Pixels::F64(&ends) }, &Header::new())?;
    }
    if psf.numbers.is_none() && bundles.is_none() {
        return Ok(());
    }
    let numbers = (0..psf.nfibre).map(|fibre| psf.number(fibre)).collect();
    let table = Table::new(psf.nfibre).with_column("FIBER", "", &ColumnData::I64(numbers));
    match bundles {
        Some(bundles) => out.table(FIBERS, &table.with_column("BUNDLE", "", &ColumnData::I64(bundles))),
        None => out.table(FIBERS, &table),
    }
}
