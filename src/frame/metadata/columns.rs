//! Columns of binary tables, by TTYPEn and TFORMn.

use super::header::Header;
use super::value::Value;
use serde::{Deserialize, Serialize};

/// Limit of TFIELDS in the standard.
const MOST_FIELDS: i64 = 999;

/// Column of a binary table.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub struct Column {
    /// TTYPEn, empty if there is none.
    pub name: String,
    /// Values per row.
    pub repeat: usize,
    /// Type letter of TFORMn: L X B I J K A E D C M, or P, Q for arrays of variable length.
    pub code: u8,
    /// Type letter of the values in the arrays of P and Q.
    pub element: Option<u8>,
    /// First byte in a row.
    pub offset: usize,
    /// Bytes per row.
    pub width: usize,
}

impl Column {
    /// Decodes the number of values of one row's array and its first byte in the heap; None for columns of fixed length.
    pub(crate) fn descriptor(&self, field: &[u8]) -> Option<(u64, u64)> {
        let number = |from: usize, n: usize| field[from..from + n].iter().fold(0u64, |v, &b| v << 8 | u64::from(b));
        match self.code {
            b'P' if self.width == 8 => Some((number(0, 4), number(4, 4))),
            b'Q' if self.width == 16 => Some((number(0, 8), number(8, 8))),
            _ => None,
        }
    }

    /// Returns the bytes of an array of `count` values in the heap.
    pub(crate) fn heap_bytes(&self, count: u64) -> u128 {
        match self.element {
            Some(b'X') => u128::from(count).div_ceil(8),
            Some(code) => u128::from(count) * size_of_code(code).unwrap_or(1) as u128,
            None => 0,
        }
    }

    /// Returns whether an array lies within a heap of `heap` bytes.
    pub(crate) fn within_heap(&self, count: u64, offset: u64, heap: usize) -> bool {
        u128::from(offset) + self.heap_bytes(count) <= heap as u128 || count == 0
    }
}

/// Returns the bytes per value; None for X, which counts bits.
pub(crate) fn size_of_code(code: u8) -> Option<usize> {
    Some(match code {
        b'L' | b'B' | b'A' => 1,
        b'I' => 2,
        b'J' | b'E' => 4,
        b'K' | b'D' | b'C' | b'P' => 8,
        b'M' | b'Q' => 16,
        _ => return None,
    })
}

/// Parses the columns of a table's header, which must fill its rows of `row_bytes` bytes.
pub(crate) fn parse_columns(header: &Header, row_bytes: usize) -> Result<Vec<Column>, String> {
    let fields = header.get_i64("TFIELDS").filter(|n| (0..=MOST_FIELDS).contains(n));
    let fields = fields.ok_or("has no TFIELDS within 0 to 999; fetch the file again")?;
    let mut columns = Vec::new();
    let mut offset = 0usize;
    for n in 1..=fields {
        let tform =
            header.get_str(&format!("TFORM{n}")).ok_or(format!("keyword TFORM{n} is missing; fetch the file again"))?;
        let (repeat, code, element) =
            parse_tform(&tform).ok_or(format!("TFORM{n} = '{tform}' is not a type FITS has; fetch the file again"))?;
        let width = match code {
            b'X' => Some(repeat.div_ceil(8)),
            _ => size_of_code(code).and_then(|size| size.checked_mul(repeat)),
        };
        let end = width.and_then(|w| offset.checked_add(w)).filter(|&end| end <= row_bytes);
        let end =
            end.ok_or(format!("columns are wider than a row of {row_bytes} bytes (NAXIS1); fetch the file again"))?;
        let name = header.get_str(&format!("TTYPE{n}")).unwrap_or_default();
        columns.push(Column { name: name.trim().to_string(), repeat, code, element, offset, width: end - offset });
        offset = end;
    }
    if offset != row_bytes {
        return Err(format!("columns fill {offset} of the {row_bytes} bytes of a row (NAXIS1); fetch the file again"));
    }
    Ok(columns)
}

/// Returns the cards of a table's header that describe a column as it cannot be, such as a TNULLn of reals.
pub(crate) fn unsound_attributes(header: &Header, columns: &[Column]) -> Vec<String> {
    let mut unsound = Vec::new();
    for (n, column) in columns.iter().enumerate() {
        let integers = matches!(column.code, b'B' | b'I' | b'J' | b'K');
        let number = |keyword: &str| header.get_f64(keyword).is_some_and(f64::is_finite);
        let text = |keyword: &str, sound: &dyn Fn(&str) -> bool| {
            header.get_str(keyword).is_some_and(|text| sound(text.trim()))
        };
        let dims = |dims: &str| {
            let inner = dims.strip_prefix('(').and_then(|dims| dims.strip_suffix(')'));
            let product = inner.and_then(|inner| {
                inner.split(',').try_fold(1usize, |all, n| all.checked_mul(n.trim().parse().ok().filter(|n| *n > 0)?))
            });
            product.is_some_and(|product| column.element.is_some() || product <= column.repeat)
        };
        for (stem, sound) in [
            (
                "TNULL",
                &(|key: &str| integers && matches!(header.get(key), Some(Value::Int(_)))) as &dyn Fn(&str) -> bool,
            ),
            ("TSCAL", &number),
            ("TZERO", &number),
            ("TDIM", &|key| text(key, &dims)),
            ("TDISP", &|key| text(key, &is_display)),
            ("TUNIT", &|key| text(key, &|_| true)),
            ("TTYPE", &|key| text(key, &|_| true)),
        ] {
            let keyword = format!("{stem}{}", n + 1);
            if header.contains(&keyword) && !sound(&keyword) {
                unsound.push(keyword);
            }
        }
    }
    unsound
}

/// Whether a text is a format of TDISPn, such as F8.3.
fn is_display(text: &str) -> bool {
    let letters = text.len() - text.trim_start_matches(|c: char| c.is_ascii_uppercase()).len();
    let (kind, width) = text.split_at(letters);
    let known = ["A", "L", "I", "B", "O", "Z", "F", "E", "EN", "ES", "G", "D"].contains(&kind);
    let (width, exponent) = width.split_once('E').map_or((width, "1"), |(width, exponent)| (width, exponent));
    let (width, digits) = width.split_once('.').map_or((width, "1"), |(width, digits)| (width, digits));
    let number = |text: &str| !text.is_empty() && text.bytes().all(|b| b.is_ascii_digit());
    known && [width, digits, exponent].into_iter().all(number)
}

/// Parses `rT` or `rPt(max)` into repeat, type, and type of the arrays.
fn parse_tform(tform: &str) -> Option<(usize, u8, Option<u8>)> {
    let text = tform.trim();
    let digits = text.len() - text.trim_start_matches(|c: char| c.is_ascii_digit()).len();
    let repeat = if digits == 0 { 1 } else { text[..digits].parse().ok()? };
    let rest = text.as_bytes().get(digits..)?;
    let code = rest.first()?.to_ascii_uppercase();
    if !matches!(code, b'P' | b'Q') {
        return (code == b'X' || size_of_code(code).is_some()).then_some((repeat, code, None));
    }
    let element = rest.get(1)?.to_ascii_uppercase();
    let sound = repeat <= 1 && !matches!(element, b'P' | b'Q') && (element == b'X' || size_of_code(element).is_some());
    sound.then_some((repeat, code, Some(element)))
}
