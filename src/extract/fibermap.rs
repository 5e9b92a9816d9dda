//! Rows of a FIBERMAP, matched by the numbers of the fibres.

use crate::frame::{ColumnData, Table};
use std::collections::BTreeMap;

/// Fibres per spectrograph in DESI's numbering: camera r3 has 1500 to 1999.
const DESI_FIBRES: i64 = 500;
/// Fibres that a sentence lists.
const LISTED: usize = 5;

/// The rows of a FIBERMAP for some spectra.
#[derive(Clone, Debug, PartialEq)]
pub struct FibermapRows {
    /// One row per spectrum, in their order.
    pub table: Table,
    /// Remarks on the match, in sentences.
    pub notes: Vec<String>,
}

/// Returns a fibermap of FIBER alone, for numbers that do not follow one another and so need a place in the frame.
pub fn fibermap_of_numbers(numbers: &[i64]) -> Table {
    Table::new(numbers.len()).with_column("FIBER", "", &ColumnData::I64(numbers.to_vec()))
}

/// Returns the rows of a FIBERMAP whose FIBER are `numbers`, those of a PSF, in their order.
///
/// DESI's PSFs count fibres from 0 on every spectrograph, its fibermaps over all: a `camera` such as r3
/// decides.
///
/// # Errors
/// A sentence, if the table has no FIBER, lacks a fibre, or has rows of one fibre that differ.
pub fn fibermap_rows(table: &Table, numbers: &[i64], camera: Option<&str>) -> Result<FibermapRows, String> {
    let fibres = table.column_i64("FIBER").filter(|fibres| fibres.len() == table.nrows());
    let fibres = fibres.ok_or(
        "has no column FIBER of one integer per row, so it does not say whose rows these are; give the FIBERMAP of this frame",
    )?;
    let last = numbers.iter().max().copied().unwrap_or(0);
    let offset = camera.and_then(petal).filter(|_| last < DESI_FIBRES);
    let of_camera = offset.map(|petal| petal * DESI_FIBRES).filter(|offset| *offset > 0);
    let attempt = |offset: i64| rows_of(&fibres, numbers.iter().map(|number| number.saturating_add(offset)));
    let mut notes = Vec::new();
    let found = match of_camera.map(|offset| (offset, attempt(offset))) {
        None => attempt(0),
        Some((_, Ok(rows))) => Ok(rows),
        Some((offset, Err(missing))) => match attempt(0) {
            Ok(rows) => {
                notes.push(format!(
                    "its FIBERMAP has fibres {}, as the PSF counts them, where DESI's camera {} has those from {offset} on; \
                     is it the fibermap of this frame?",
                    listed(&[numbers.first().copied().unwrap_or(0), last], " to "),
                    camera.unwrap_or_default()
                ));
                Ok(rows)
            }
            Err(_) => Err(missing),
        },
    };
    let rows = found.map_err(|missing| {
        let what = if missing.len() == 1 { "fibre" } else { "fibres" };
        let range = match (fibres.iter().min(), fibres.iter().max()) {
            (Some(low), Some(high)) => format!(" of fibres {low} to {high}"),
            _ => String::new(),
        };
        format!(
            "has no row of {what} {}; it has {} rows{range}; give the FIBERMAP of this frame",
            listed(&missing, ", "),
            fibres.len()
        )
    })?;
    let mut chosen = Vec::new();
    for (fibre, rows) in rows {
        let row = |at: usize| table.take_rows(&[at]);
        let all_equal = rows[1..].iter().all(|&other| row(other) == row(rows[0]));
        match rows.len() {
            1 => {}
            _ if all_equal => notes.push(format!("its FIBERMAP has fibre {fibre} in {} rows, all equal", rows.len())),
            _ => {
                let rows: Vec<i64> = rows.iter().map(|&row| row as i64).collect();
                return Err(format!(
                    "has fibre {fibre} in rows {} (from 0), which differ; give one row per fibre",
                    listed(&rows, ", ")
                ));
            }
        }
        chosen.push(rows[0]);
    }
    Ok(FibermapRows { table: table.take_rows(&chosen), notes })
}

/// Returns the number of the spectrograph of a DESI camera: b, r or z and a digit.
fn petal(camera: &str) -> Option<i64> {
    match camera.trim_matches([' ', '\'', '"']).as_bytes() {
        [b'b' | b'r' | b'z' | b'B' | b'R' | b'Z', digit @ b'0'..=b'9'] => Some(i64::from(digit - b'0')),
        _ => None,
    }
}

/// Returns the rows of each of some fibres; an error with those that have none.
fn rows_of(fibres: &[i64], wanted: impl Iterator<Item = i64>) -> Result<Vec<(i64, Vec<usize>)>, Vec<i64>> {
    let mut of_fibre: BTreeMap<i64, Vec<usize>> = BTreeMap::new();
    fibres.iter().enumerate().for_each(|(row, fibre)| of_fibre.entry(*fibre).or_default().push(row));
    let of_number = |number| (number, of_fibre.get(&number).cloned().unwrap_or_default());
    let rows: Vec<(i64, Vec<usize>)> = wanted.map(of_number).collect();
    let missing: Vec<i64> = rows.iter().filter(|(_, rows)| rows.is_empty()).map(|(fibre, _)| *fibre).collect();
    if missing.is_empty() { Ok(rows) } else { Err(missing) }
}

fn listed(numbers: &[i64], between: &str) -> String {
    let texts: Vec<String> = numbers.iter().take(LISTED).map(i64::to_string).collect();
    let more = numbers.len().saturating_sub(LISTED);
    let more = if more > 0 { format!(" and {more} more") } else { String::new() };
    texts.join(between) + &more
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::ops::Range;

    fn table(fibres: &[i64]) -> Table {
        let targets = fibres.iter().map(|fibre| 1000 + fibre).collect();
        let fibres = ColumnData::I32(fibres.iter().map(|&fibre| fibre as i32).collect());
        Table::new(match &fibres {
            ColumnData::I32(values) => values.len(),
            _ => 0,
        })
        .with_column("TARGETID", "", &ColumnData::I64(targets))
        .with_column("FIBER", "", &fibres)
    }

    fn numbers(fibermin: i64, spectra: Range<usize>) -> Vec<i64> {
        spectra.map(|row| fibermin + row as i64).collect()
    }

    fn targets(fibres: &[i64], fibermin: i64, spectra: Range<usize>, camera: Option<&str>) -> Result<Vec<i64>, String> {
        fibermap_rows(&table(fibres), &numbers(fibermin, spectra), camera)
            .map(|rows| rows.table.column_i64("TARGETID").unwrap())
    }

    #[test]
    fn rows_follow_the_number_of_the_fibre_in_any_order() {
        assert_eq!(targets(&[0, 1, 2], 0, 0..3, None), Ok(vec![1000, 1001, 1002]));
        assert_eq!(targets(&[2, 1, 0], 0, 1..3, None), Ok(vec![1001, 1002]));
        assert_eq!(targets(&[7, 25, 26], 25, 0..2, Some("blue")), Ok(vec![1025, 1026]));
        assert_eq!(targets(&(0..5000).collect::<Vec<_>>(), 0, 3..5, Some("r3")), Ok(vec![2503, 2504]));
        assert_eq!(targets(&[1500, 1501], 0, 0..2, Some("z3")), Ok(vec![2500, 2501]));
        assert_eq!(targets(&[1500, 1501], 1500, 0..2, Some("z3")), Ok(vec![2500, 2501]));
    }

    #[test]
    fn fibres_may_be_missing_from_psf_or_table() {
        let rows = fibermap_rows(&table(&[9, 7, 3, 1]), &[1, 3, 9], None).unwrap();
        assert_eq!(rows.table.column_i64("TARGETID"), Some(vec![1001, 1003, 1009]));
        let missing = fibermap_rows(&table(&[9, 7, 3, 1]), &[1, 2, 9], None).unwrap_err();
        assert!(missing.starts_with("has no row of fibre 2;"), "{missing}");
    }

    #[test]
    fn a_table_of_other_fibres_or_of_none_is_refused_with_what_it_lacks() {
        let none = |fibres: &[i64], camera| targets(fibres, 0, 0..2, camera).unwrap_err();
        assert!(
            none(&[1000, 1001], Some("r0"))
                .starts_with("has no row of fibres 0, 1; it has 2 rows of fibres 1000 to 1001")
        );
        assert!(none(&[0, 2, 3], None).starts_with("has no row of fibre 1;"));
        assert!(none(&[500, 501], Some("b2")).starts_with("has no row of fibres 1000, 1001;"));
        let other = Table::new(2).with_column("PARAM", "", &ColumnData::I64(vec![0, 1]));
        assert!(fibermap_rows(&other, &[0, 1], None).unwrap_err().starts_with("has no column FIBER"));
    }

    #[test]
    fn a_fibre_in_two_rows_serves_only_where_they_are_equal() {
        let twice = fibermap_rows(&table(&[0, 1, 1, 2]), &[0, 1, 2], None).unwrap();
        assert_eq!((twice.table.nrows(), twice.notes.len()), (3, 1));
        let mut differ = table(&[0, 1, 2]);
        differ = differ.take_rows(&[0, 1, 1, 2]).with_column("X", "", &ColumnData::I64(vec![0, 1, 2, 3]));
        let error = fibermap_rows(&differ, &[0, 1, 2], None).unwrap_err();
        assert!(error.starts_with("has fibre 1 in rows 1, 2 (from 0), which differ"), "{error}");
        assert!(fibermap_rows(&differ, &[2], None).is_ok(), "fibres that are not extracted do not matter");
    }

    #[test]
    fn numbers_of_the_psf_serve_a_camera_of_desi_with_a_word() {
        let rows = fibermap_rows(&table(&[0, 1]), &[0, 1], Some("r3")).unwrap();
        assert!(rows.notes.len() == 1 && rows.notes[0].contains("from 1500 on"), "{:?}", rows.notes);
    }
}
