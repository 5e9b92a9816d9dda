//! A binary table whose rows are carried verbatim: any column type, any card, sliced by row.

use super::columns::{Column, size_of_code};
use super::header::Header;
use super::value::printable;
use serde::{Deserialize, Serialize};
use std::ops::Range;

/// Stems of the cards of a column.
const COLUMN_CARDS: [&str; 9] = ["TTYPE", "TFORM", "TUNIT", "TNULL", "TSCAL", "TZERO", "TDISP", "TDIM", "TCOMM"];

/// Whether a keyword is a stem and a number.
fn is_numbered(keyword: &str, stem: &str) -> bool {
    keyword.strip_prefix(stem).is_some_and(|n| !n.is_empty() && n.bytes().all(|b| b.is_ascii_digit()))
}

/// TSCALn and TZEROn of a column.
struct Scaling {
    scale: f64,
    zero: f64,
}

impl Scaling {
    /// Zeros beyond this, above any integer, are of no file.
    const MOST_ZERO: f64 = 1e30;
    /// Reals from here on need not be the integer that was meant.
    const MOST_EXACT: f64 = (1u64 << 53) as f64;

    /// Returns the exact value of an integer; None where scale or zero have a fraction.
    fn exact(&self, v: i64) -> Option<i128> {
        let whole = self.scale == 1.0 && self.zero.fract() == 0.0 && self.zero.abs() < Self::MOST_ZERO;
        whole.then(|| i128::from(v) + self.zero as i128)
    }

    /// Returns the value of an integer where it is an integer, too.
    fn whole(&self, v: i64) -> Option<i64> {
        if let Some(exact) = self.exact(v) {
            return i64::try_from(exact).ok();
        }
        let value = v as f64 * self.scale + self.zero;
        (value.fract() == 0.0 && value.abs() < Self::MOST_EXACT).then_some(value as i64)
    }
}

/// A binary table: its cards, its rows as big-endian bytes, and the heap of its arrays of variable length. The cards are
/// TTYPEn, TFORMn, TUNITn, TNULLn, … and all others except the structural ones.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Table {
    header: Header,
    columns: Vec<Column>,
    nrows: usize,
    row_bytes: usize,
    rows: Vec<u8>,
    heap: Vec<u8>,
}

/// Values of a new column: `[nrows]`, or `[nrows, n]` flattened for a vector column.
#[derive(Clone, Debug, PartialEq)]
pub enum ColumnData {
    /// L.
    Bool(Vec<bool>),
    /// I.
    I16(Vec<i16>),
    /// J.
    I32(Vec<i32>),
    /// K.
    I64(Vec<i64>),
    /// E.
    F32(Vec<f32>),
    /// D.
    F64(Vec<f64>),
    /// A, as wide as the longest string; characters that are not printable ASCII become `?`.
    Str(Vec<String>),
}

impl ColumnData {
    /// Returns the type letter, the number of values and their big-endian bytes.
    fn encode(&self) -> (char, usize, Vec<u8>) {
        macro_rules! big_endian {
            ($code:literal, $values:expr) => {
                ($code, $values.len(), $values.iter().flat_map(|v| v.to_be_bytes()).collect())
            };
        }
        match self {
            ColumnData::Bool(v) => ('L', v.len(), v.iter().map(|&b| if b { b'T' } else { b'F' }).collect()),
            ColumnData::I16(v) => big_endian!('I', v),
            ColumnData::I32(v) => big_endian!('J', v),
            ColumnData::I64(v) => big_endian!('K', v),
            ColumnData::F32(v) => big_endian!('E', v),
            ColumnData::F64(v) => big_endian!('D', v),
            ColumnData::Str(v) => {
                let texts: Vec<String> = v.iter().map(|s| printable(s)).collect();
                let width = texts.iter().map(String::len).max().unwrap_or(0).max(1);
                let bytes = texts.iter().flat_map(|s| format!("{s:\0<width$}").into_bytes()).collect::<Vec<u8>>();
                ('A', bytes.len(), bytes)
            }
        }
    }
}

impl Table {
    /// Creates a table of `nrows` rows without columns.
    pub fn new(nrows: usize) -> Self {
        Self { nrows, ..Self::default() }
    }

    /// Builds a table from the data of an HDU: `nrows` rows of `row_bytes` bytes, and from byte `heap_start` on the heap.
    /// Refuses arrays outside the heap.
    pub(crate) fn from_parts(
        header: Header,
        columns: Vec<Column>,
        [row_bytes, nrows]: [usize; 2],
        heap_start: usize,
        mut data: Vec<u8>,
    ) -> Result<Self, String> {
        let heap = data.split_off(heap_start);
        data.truncate(nrows * row_bytes);
        let table = Self { header, columns, nrows, row_bytes, rows: data, heap };
        match table.array_outside() {
            Some((name, row)) => Err(format!("array of column {name}, row {row} lies outside the heap")),
            None => Ok(table),
        }
    }

    /// Appends a column; `unit` may be empty.
    ///
    /// # Panics
    /// If the number of values is not a multiple of the number of rows.
    pub fn with_column(mut self, name: &str, unit: &str, data: &ColumnData) -> Self {
        let (code, count, bytes) = data.encode();
        let repeat = count.checked_div(self.nrows).unwrap_or(1);
        assert_eq!(count, repeat * self.nrows, "column {name} has {count} values for {} rows", self.nrows);
        let width = repeat * size_of_code(code as u8).expect("encode gives types of known size");
        let n = self.columns.len() + 1;
        self.header.set(&format!("TTYPE{n}"), name, "");
        self.header.set(&format!("TFORM{n}"), format!("{repeat}{code}"), "");
        if !unit.is_empty() {
            self.header.set(&format!("TUNIT{n}"), unit, "");
        }
        let name = name.to_string();
        self.push(Column { name, repeat, code: code as u8, element: None, offset: 0, width }, &bytes);
        self
    }

    /// Returns a table of as many rows with the cards of this one, but those of its columns, of which it has none.
    pub fn without_columns(&self) -> Self {
        let mut header = self.header.clone();
        let of_column = |keyword: &str| COLUMN_CARDS.iter().any(|stem| is_numbered(keyword, stem));
        let keywords: Vec<String> =
            header.keywords().filter(|keyword| of_column(keyword)).map(str::to_string).collect();
        keywords.iter().for_each(|keyword| header.remove(keyword));
        let rows = Vec::new();
        Self { header, columns: vec![], nrows: self.nrows, row_bytes: 0, rows, heap: self.heap.clone() }
    }

    /// Appends a column of a table whose heap this one has, with its cards.
    ///
    /// # Panics
    /// If the tables differ in the number of rows, or there is no such column.
    #[must_use]
    pub fn with_column_of(mut self, other: &Self, index: usize) -> Self {
        assert_eq!(self.nrows, other.nrows, "tables of as many rows");
        let (column, n) = (&other.columns[index], self.columns.len() + 1);
        for stem in COLUMN_CARDS {
            if let Some(value) = other.header.get(&format!("{stem}{}", index + 1)) {
                self.header.set(&format!("{stem}{n}"), value, "");
            }
        }
        let fields: Vec<u8> = (0..self.nrows).flat_map(|row| other.field(row, column)).copied().collect();
        self.push(column.clone(), &fields);
        self
    }

    /// Appends a column's bytes, `[nrows, width]`.
    fn push(&mut self, column: Column, bytes: &[u8]) {
        let width = column.width;
        let mut rows = Vec::with_capacity(self.rows.len() + bytes.len());
        for row in 0..self.nrows {
            rows.extend_from_slice(&self.rows[row * self.row_bytes..(row + 1) * self.row_bytes]);
            rows.extend_from_slice(&bytes[row * width..(row + 1) * width]);
        }
        self.columns.push(Column { offset: self.row_bytes, ..column });
        self.row_bytes += width;
        self.rows = rows;
    }

    /// Number of rows.
    pub fn nrows(&self) -> usize {
        self.nrows
    }

    /// Bytes per row (NAXIS1).
    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The rows as big-endian bytes, `[nrows, row_bytes]`.
    pub(crate) fn rows(&self) -> &[u8] {
        &self.rows
    }

    /// The arrays of variable length.
    pub(crate) fn heap(&self) -> &[u8] {
        &self.heap
    }

    /// The columns in order.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The cards.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The cards, for changes to any but those of the columns.
    pub fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    /// Returns the integers of a column, `[nrows * repeat]`: types L, B, I, J, K, with TSCALn and TZEROn applied. None if
    /// there is no such column, it has another type, or a value is no integer of 64 bits.
    pub fn column_i64(&self, name: &str) -> Option<Vec<i64>> {
        let (n, column) = self.find(name)?;
        let scaling = self.scaling(n);
        self.raw_ints(column)?.into_iter().map(|v| scaling.whole(v)).collect()
    }

    /// Returns the numbers of a column, `[nrows * repeat]`: types B, I, J, K, E, D, with TSCALn and TZEROn applied and TNULLn
    /// as NaN. None if there is no such column or it has another type.
    pub fn column_f64(&self, name: &str) -> Option<Vec<f64>> {
        let (n, column) = self.find(name)?;
        let scaling = self.scaling(n);
        let null = self.header.get_i64(&format!("TNULL{n}"));
        let real = |v: f64| v * scaling.scale + scaling.zero;
        Some(match column.code {
            b'E' => self.values(column, |b: [u8; 4]| real(f64::from(f32::from_be_bytes(b)))),
            b'D' => self.values(column, |b| real(f64::from_be_bytes(b))),
            _ => {
                let number = |v: i64| match scaling.exact(v) {
                    _ if Some(v) == null => f64::NAN,
                    Some(exact) => exact as f64,
                    None => real(v as f64),
                };
                self.raw_ints(column)?.into_iter().map(number).collect()
            }
        })
    }

    /// Returns the strings of a column (type A) up to the first NUL, without trailing blanks, `[nrows]`. None if there is no
    /// such column or it has another type.
    pub fn column_str(&self, name: &str) -> Option<Vec<String>> {
        let (_, column) = self.find(name)?;
        let text = |field: &[u8]| {
            let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).trim_end().to_string()
        };
        (column.code == b'A').then(|| (0..self.nrows).map(|row| text(self.field(row, column))).collect())
    }

    /// Copies some rows into a table of their own, whose heap holds the arrays of these rows only.
    ///
    /// # Panics
    /// If the range is not within the rows.
    pub fn slice_rows(&self, range: Range<usize>) -> Table {
        self.take_rows(&range.collect::<Vec<usize>>())
    }

    /// Copies rows in any order, as [`Table::slice_rows`].
    ///
    /// # Panics
    /// If there is no row of a number.
    pub fn take_rows(&self, numbers: &[usize]) -> Table {
        let row = |number: &usize| &self.rows[number * self.row_bytes..(number + 1) * self.row_bytes];
        let rows = numbers.iter().flat_map(row).copied().collect();
        let mut out = Table { rows, nrows: numbers.len(), heap: Vec::new(), ..self.clone() };
        let arrays: Vec<&Column> = self.arrays().collect();
        for row in 0..out.nrows {
            for column in &arrays {
                let at = row * out.row_bytes + column.offset;
                let field = &mut out.rows[at..at + column.width];
                let Some((count, from)) = column.descriptor(field) else {
                    continue;
                };
                // `from_parts` has checked that arrays lie within the heap.
                let bytes = column.heap_bytes(count) as usize;
                let half = column.width / 2;
                let to = (out.heap.len() as u64).to_be_bytes();
                if bytes > 0 {
                    out.heap.extend_from_slice(&self.heap[from as usize..from as usize + bytes]);
                }
                field[half..].copy_from_slice(&to[8 - half..]);
            }
        }
        out
    }

    /// Lists the columns of arrays, without those of no array per row (`0P`), of which there may be a thousand.
    fn arrays(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.element.is_some() && c.width > 0)
    }

    /// Returns column and row of the first array outside the heap.
    fn array_outside(&self) -> Option<(&str, usize)> {
        let arrays: Vec<&Column> = self.arrays().collect();
        (0..self.nrows).find_map(|row| {
            let bad = arrays.iter().find(|c| {
                c.descriptor(self.field(row, c)).is_some_and(|(count, at)| !c.within_heap(count, at, self.heap.len()))
            });
            bad.map(|c| (c.name.as_str(), row))
        })
    }

    /// Returns the column of a name and its number, counted from 1.
    fn find(&self, name: &str) -> Option<(usize, &Column)> {
        let at = self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))?;
        Some((at + 1, &self.columns[at]))
    }

    fn scaling(&self, n: usize) -> Scaling {
        let number = |stem: &str, default| self.header.get_f64(&format!("{stem}{n}")).unwrap_or(default);
        Scaling { scale: number("TSCAL", 1.0), zero: number("TZERO", 0.0) }
    }

    fn field(&self, row: usize, column: &Column) -> &[u8] {
        let at = row * self.row_bytes + column.offset;
        &self.rows[at..at + column.width]
    }

    fn raw_ints(&self, column: &Column) -> Option<Vec<i64>> {
        Some(match column.code {
            b'L' => self.values(column, |[b]| i64::from(b == b'T')),
            b'B' => self.values(column, |[b]| i64::from(b)),
            b'I' => self.values(column, |b: [u8; 2]| i64::from(i16::from_be_bytes(b))),
            b'J' => self.values(column, |b: [u8; 4]| i64::from(i32::from_be_bytes(b))),
            b'K' => self.values(column, i64::from_be_bytes),
            _ => return None,
        })
    }

    /// Converts all values, N bytes each, of a column.
    fn values<const N: usize, T>(&self, column: &Column, of: impl Fn([u8; N]) -> T) -> Vec<T> {
        let mut out = Vec::with_capacity(self.nrows * column.repeat);
        for row in 0..self.nrows {
            for value in self.field(row, column).chunks_exact(N) {
                out.push(of(value.try_into().expect("chunks_exact gives N bytes")));
            }
        }
        out
    }
}
