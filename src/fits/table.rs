//! A binary table whose rows are carried as they are: any column type, any card, sliced by row.

use std::ops::Range;
use std::path::Path;

use super::columns::{Column, parse_columns, size_of_code};
use super::error::FitsError;
use super::header::Header;
use super::reader::{FitsFile, Hdu, Kind};

/// A binary table: its cards (TTYPEn, TFORMn, TUNITn, TNULLn, … and all others but the structural ones), its rows as
/// the big-endian bytes of the file, and the heap of its arrays of variable length.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Table {
    pub(crate) header: Header,
    columns: Vec<Column>,
    nrows: usize,
    row_bytes: usize,
    pub(crate) rows: Vec<u8>,
    pub(crate) heap: Vec<u8>,
}

/// Values of a column to be made; `[nrows]`, or `[nrows, n]` flattened for a vector column.
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
    /// A, as wide as the longest; characters that are not printable ASCII become `?`.
    Str(Vec<String>),
}

impl ColumnData {
    /// Type letter, number of values, big-endian bytes.
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
                let texts: Vec<String> = v.iter().map(|s| super::value::printable(s)).collect();
                let width = texts.iter().map(String::len).max().unwrap_or(0).max(1);
                let bytes = texts.iter().flat_map(|s| format!("{s:\0<width$}").into_bytes()).collect::<Vec<u8>>();
                ('A', bytes.len(), bytes)
            }
        }
    }
}

impl Table {
    /// A table of `nrows` rows and no columns yet.
    pub fn new(nrows: usize) -> Self {
        Self { nrows, ..Self::default() }
    }

    /// Adds a column at the right; `unit` may be empty.
    ///
    /// # Panics
    /// Where the number of values is not a multiple of the table's rows.
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
        let mut rows = Vec::with_capacity(self.rows.len() + bytes.len());
        for row in 0..self.nrows {
            rows.extend_from_slice(&self.rows[row * self.row_bytes..(row + 1) * self.row_bytes]);
            rows.extend_from_slice(&bytes[row * width..(row + 1) * width]);
        }
        let name = name.to_string();
        self.columns.push(Column { name, repeat, code: code as u8, element: None, offset: self.row_bytes, width });
        self.row_bytes += width;
        self.rows = rows;
        self
    }

    /// Number of rows.
    pub fn nrows(&self) -> usize {
        self.nrows
    }

    /// Bytes of a row (NAXIS1).
    pub fn row_bytes(&self) -> usize {
        self.row_bytes
    }

    /// The columns from left to right.
    pub fn columns(&self) -> &[Column] {
        &self.columns
    }

    /// The table's cards.
    pub fn header(&self) -> &Header {
        &self.header
    }

    /// The table's cards, to set others than those of the columns.
    pub fn header_mut(&mut self) -> &mut Header {
        &mut self.header
    }

    /// Whole numbers of a column (types L, B, I, J, K; TZEROn of unsigned types applied), `[nrows * repeat]`; None where
    /// there is no such column, it has another type or is scaled.
    pub fn column_i64(&self, name: &str) -> Option<Vec<i64>> {
        let (n, column) = self.find(name)?;
        let scale = self.header.get_f64(&format!("TSCAL{n}")).unwrap_or(1.0);
        // TZERO = 2^63 of unsigned 64-bit columns is an integer no f64 cares to round.
        let zero = match self.header.get_f64(&format!("TZERO{n}")).unwrap_or(0.0) {
            z if z == 2f64.powi(63) => i64::MIN,
            z if z.fract() == 0.0 && z.abs() < 2f64.powi(53) => z as i64,
            _ => return None,
        };
        let ints = self.raw_ints(column)?;
        (scale == 1.0).then(|| ints.into_iter().map(|v| v.wrapping_add(zero)).collect())
    }

    /// Numbers of a column (types B, I, J, K, E, D; TSCALn and TZEROn applied, TNULLn as NaN), `[nrows * repeat]`; None
    /// where there is no such column or it has another type.
    pub fn column_f64(&self, name: &str) -> Option<Vec<f64>> {
        let (n, column) = self.find(name)?;
        let scale = self.header.get_f64(&format!("TSCAL{n}")).unwrap_or(1.0);
        let zero = self.header.get_f64(&format!("TZERO{n}")).unwrap_or(0.0);
        let null = self.header.get_i64(&format!("TNULL{n}"));
        let raw: Vec<f64> = match column.code {
            b'E' => self.values(column, |b: [u8; 4]| f64::from(f32::from_be_bytes(b))),
            b'D' => self.values(column, f64::from_be_bytes),
            _ => {
                let ints = self.raw_ints(column)?;
                ints.into_iter().map(|v| if Some(v) == null { f64::NAN } else { v as f64 }).collect()
            }
        };
        Some(raw.into_iter().map(|v| v * scale + zero).collect())
    }

    /// Strings of a column (type A) up to the first NUL, without trailing blanks, `[nrows]`; None where there is no such
    /// column or it has another type.
    pub fn column_str(&self, name: &str) -> Option<Vec<String>> {
        let (_, column) = self.find(name)?;
        let text = |field: &[u8]| {
            let end = field.iter().position(|&b| b == 0).unwrap_or(field.len());
            String::from_utf8_lossy(&field[..end]).trim_end().to_string()
        };
        (column.code == b'A').then(|| (0..self.nrows).map(|row| text(self.field(row, column))).collect())
    }

    /// Some rows as a table of its own; its heap holds the arrays of these rows only.
    ///
    /// # Panics
    /// Where the range is not within the rows.
    pub fn slice_rows(&self, range: Range<usize>) -> Table {
        let rows = self.rows[range.start * self.row_bytes..range.end * self.row_bytes].to_vec();
        let mut out = Table { rows, nrows: range.len(), heap: Vec::new(), ..self.clone() };
        let arrays: Vec<&Column> = self.arrays().collect();
        for row in 0..out.nrows {
            for column in &arrays {
                let at = row * out.row_bytes + column.offset;
                let field = &mut out.rows[at..at + column.width];
                let Some((count, from)) = column.descriptor(field) else {
                    continue;
                };
                // Table::read has checked that arrays lie within the heap, so these numbers fit.
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

    /// The table of an HDU.
    pub(crate) fn read(file: &FitsFile, hdu: &Hdu) -> Result<Table, FitsError> {
        let refuse = |what: &str| Err(file.invalid(hdu, what));
        if hdu.kind != Kind::Table {
            return refuse("holds no binary table where one is needed; is it the right kind of file?");
        }
        if hdu.header.get_bool("ZTABLE") == Some(true) {
            return refuse("is a tile-compressed table (ZTABLE), which is not supported; unpack the file with funpack");
        }
        let [row_bytes, nrows] = hdu.naxes[..] else {
            return refuse("has not the two axes of a table; fetch the file again");
        };
        if row_bytes == 0 && nrows > 0 {
            return refuse("has rows of 0 bytes (NAXIS1); fetch the file again");
        }
        let columns = parse_columns(&hdu.header, row_bytes).map_err(|what| file.invalid(hdu, what))?;
        let mut data = file.data(hdu)?;
        let theap = hdu.header.get_i64("THEAP").map_or(Some(nrows * row_bytes), |at| usize::try_from(at).ok());
        let Some(theap) = theap.filter(|&at| at <= data.len() && at >= nrows * row_bytes) else {
            return refuse("THEAP points outside the table; fetch the file again");
        };
        let mut header = hdu.header.clone();
        header.retain(|keyword| !super::is_structural(keyword));
        let heap = data.split_off(theap);
        data.truncate(nrows * row_bytes);
        let table = Table { header, columns, nrows, row_bytes, rows: data, heap };
        match table.array_outside() {
            Some((name, row)) => {
                refuse(&format!("array of column {name}, row {row} lies outside the heap; fetch the file again"))
            }
            None => Ok(table),
        }
    }

    /// The columns of arrays; those of no array a row (`0P`) may be a thousand, and are nothing to look at.
    fn arrays(&self) -> impl Iterator<Item = &Column> {
        self.columns.iter().filter(|c| c.element.is_some() && c.width > 0)
    }

    /// Column and row of the first array that lies outside the heap.
    fn array_outside(&self) -> Option<(&str, usize)> {
        let arrays: Vec<&Column> = self.arrays().collect();
        (0..self.nrows).find_map(|row| {
            let bad = arrays.iter().find(|c| {
                c.descriptor(self.field(row, c)).is_some_and(|(count, at)| !c.within_heap(count, at, self.heap.len()))
            });
            bad.map(|c| (c.name.as_str(), row))
        })
    }

    /// The column of a name and its number, which counts from 1.
    fn find(&self, name: &str) -> Option<(usize, &Column)> {
        let at = self.columns.iter().position(|c| c.name.eq_ignore_ascii_case(name))?;
        Some((at + 1, &self.columns[at]))
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

    /// All values of a column whose values have N bytes.
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

/// The FIBERMAP of a file: the HDU of that name, or its first binary table.
///
/// # Errors
/// [`FitsError`] where the file cannot be read or has no binary table.
pub fn read_fibermap(path: impl AsRef<Path>) -> Result<Table, FitsError> {
    let file = FitsFile::open(path.as_ref())?;
    let first = || file.hdus.iter().find(|h| h.kind == Kind::Table);
    let hdu = match file.find("FIBERMAP").or_else(first) {
        Some(hdu) => hdu,
        None => file.hdu("FIBERMAP")?,
    };
    Table::read(&file, hdu)
}
