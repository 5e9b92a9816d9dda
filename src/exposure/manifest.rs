//! The manifest: a CSV table with a header row, one frame per row.

use crate::extract::Request;
use csv::{ReaderBuilder, StringRecord, Writer};
use std::io;
use std::path::{Path, PathBuf};

/// A manifest that cannot be read.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Read {
        /// File.
        path: PathBuf,
        /// Cause.
        source: io::Error,
    },
    /// The table has a header row only.
    #[error("{} names no frame: give one row per frame below the header row", path.display())]
    Empty {
        /// File.
        path: PathBuf,
    },
    /// A line is invalid.
    #[error("{}, line {line}: {problem}", path.display())]
    Line {
        /// File.
        path: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// Fault and remedy.
        problem: String,
    },
}

/// The rows of a manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    path: PathBuf,
    /// Rows, in the order of the file.
    pub rows: Vec<Row>,
}

/// A row without its empty cells.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Line of the file, counted from 1.
    pub line: usize,
    /// (column, cell), columns in lower case with dashes.
    pub cells: Vec<(String, String)>,
}

/// Returns the manifest of requests: their files, and the options that are not the default in all of them.
///
/// # Errors
/// [`csv::Error`] if the table cannot be made.
pub fn manifest_of(requests: &[Request]) -> Result<String, csv::Error> {
    let plain = Request::new("", "", "");
    let options = |request: &Request| request.recorded_options().map(|(_, value)| value).collect::<Vec<_>>();
    let (names, defaults) = (plain.recorded_options().map(|(name, _)| name), options(&plain));
    let given: Vec<Vec<Option<String>>> = requests.iter().map(options).collect();
    let columns: Vec<_> =
        names.enumerate().filter(|(k, _)| given.iter().any(|values| values[*k] != defaults[*k])).collect();
    let mut table = Writer::from_writer(Vec::new());
    let files = ["input", "psf", "output"].map(String::from);
    table.write_record(files.into_iter().chain(columns.iter().map(|(_, name)| name.word().to_string())))?;
    for (request, values) in requests.iter().zip(&given) {
        let psf = request.psf_or.as_ref().filter(|second| second.exists()).unwrap_or(&request.psf);
        let files = [&request.input, psf, &request.output].map(|path| path.to_string_lossy().into_owned());
        table.write_record(
            files.into_iter().chain(columns.iter().map(|(k, _)| values[*k].clone().unwrap_or_default())),
        )?;
    }
    let bytes = table.into_inner().map_err(|error| csv::Error::from(error.into_error()))?;
    Ok(String::from_utf8_lossy(&bytes).into_owned())
}

impl Manifest {
    /// Reads a manifest. Empty lines and lines that begin with `#` are ignored.
    ///
    /// # Errors
    /// [`ManifestError::Read`] if the file cannot be read, [`ManifestError::Empty`] if it has no row. [`ManifestError::Line`] for
    /// a header row that lacks a required column or has one twice, for an open quote, and for a row of another length.
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let standard_input = path.as_os_str() == "-" && !path.exists();
        let text = match standard_input {
            true => Err(io::Error::other("it stands for the standard input, which is not read")),
            false => std::fs::read_to_string(path),
        };
        let text = text.map_err(|source| ManifestError::Read { path: path.into(), source })?;
        let mut manifest = Self { path: path.into(), rows: Vec::new() };
        let lines = text.trim_start_matches('\u{feff}').lines().enumerate().map(|(i, text)| (i + 1, text.trim()));
        let mut lines = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
        let Some((first, header)) = lines.next() else {
            return Err(manifest.invalid(1, "there is no header row: give input,psf,output"));
        };
        let columns: Vec<String> =
            manifest.cells(first, header)?.iter().map(|name| name.to_lowercase().replace('_', "-")).collect();
        for required in ["input", "psf", "output"] {
            if !columns.iter().any(|name| name == required) {
                let problem = match separator(header) {
                    Some(other) => format!("columns are separated by commas, not by {other}: give input,psf,output"),
                    None => format!("no column is called {required}: give input, psf and output"),
                };
                return Err(manifest.invalid(first, problem));
            }
        }
        if let Some((_, name)) = columns.iter().enumerate().find(|(i, name)| columns[..*i].contains(name)) {
            return Err(manifest.invalid(first, format!("two columns are called {name}")));
        }
        for (line, text) in lines {
            let cells = manifest.cells(line, text)?;
            if cells.len() != columns.len() {
                let mut problem = format!("it has {} cells, the header row has {}", cells.len(), columns.len());
                if let Some(other) = separator(text) {
                    problem = format!("{problem}: columns are separated by commas, not by {other}");
                } else if cells.len() > columns.len() {
                    problem = format!("{problem}: a cell that has commas needs quotes");
                }
                return Err(manifest.invalid(line, problem));
            }
            let cells = columns.iter().cloned().zip(cells.iter().map(String::from));
            manifest.rows.push(Row { line, cells: cells.filter(|(_, cell)| !cell.is_empty()).collect() });
        }
        if manifest.rows.is_empty() {
            return Err(ManifestError::Empty { path: path.into() });
        }
        Ok(manifest)
    }

    /// Builds the error for a line.
    pub fn invalid(&self, line: usize, problem: impl Into<String>) -> ManifestError {
        ManifestError::Line { path: self.path.clone(), line, problem: problem.into() }
    }

    /// Splits a line. One reader per line keeps an open quote from swallowing the rows that follow.
    fn cells(&self, line: usize, text: &str) -> Result<StringRecord, ManifestError> {
        // To the reader a quote after a blank is text. The end of the line shows in the cell of an open quote.
        let text = text.replace(", \"", ",\"") + "\n";
        let mut reader = ReaderBuilder::new().has_headers(false).from_reader(text.as_bytes());
        let mut cells = StringRecord::new();
        reader.read_record(&mut cells).map_err(|e| self.invalid(line, e.to_string()))?;
        if cells.iter().any(|cell| cell.contains('\n')) {
            return Err(self.invalid(line, "a quote is not closed"));
        }
        cells.trim();
        Ok(cells)
    }
}

/// Returns what separates the cells of a line in place of commas.
fn separator(line: &str) -> Option<&'static str> {
    let blanks = (' ', "blanks");
    let others = [(';', "semicolons"), ('\t', "tabs"), ('|', "bars")].into_iter();
    others
        .chain(Some(blanks).filter(|_| !line.contains(',')))
        .find(|(separator, _)| line.split(*separator).filter(|word| !word.trim().is_empty()).count() > 2)
        .map(|(_, name)| name)
}

impl Row {
    /// Returns a cell, None if it is empty.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.cells.iter().find(|(name, _)| name == column).map(|(_, cell)| cell.as_str())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn read(text: &str) -> Result<Manifest, String> {
        let file = tempfile::NamedTempFile::new().unwrap();
        std::fs::write(file.path(), text).unwrap();
        Manifest::read(file.path()).map_err(|e| e.to_string())
    }

    #[test]
    fn rows_are_read_with_quotes_comments_and_empty_cells() {
        let text = "\u{feff}input,PSF,output,Mask_Bits\r\n# a comment\n\na.fits,p.fits, f.fits ,\"0-7,9\"\nb.fits,p.fits,\"g \"\"1\"\".fits\",\n";
        let rows = read(text).unwrap().rows;
        assert_eq!((rows.len(), rows[0].line, rows[1].line), (2, 4, 5));
        assert_eq!((rows[0].get("mask-bits"), rows[0].get("output")), (Some("0-7,9"), Some("f.fits")));
        assert_eq!((rows[1].get("mask-bits"), rows[1].get("output")), (None, Some("g \"1\".fits")));
        let rows = read("input,psf,output,wavelength\na,p,f, \"1,2,3\" \n").unwrap().rows;
        assert_eq!(rows[0].get("wavelength"), Some("1,2,3"), "a blank before a quote");
    }

    #[test]
    fn an_invalid_line_is_reported_with_its_number() {
        for (text, parts) in [
            ("", ["line 1", "no header row"]),
            ("input,psf\n", ["line 1", "output"]),
            ("input,psf,output,psf\n", ["line 1", "two columns are called psf"]),
            ("input,psf,output\na,b\n", ["line 2", "2 cells"]),
            ("input,psf,output\na,b,\"c\n", ["line 2", "not closed"]),
            ("input;psf;output\na;b;c\n", ["line 1", "columns are separated by commas, not by semicolons"]),
            ("input\tpsf\toutput\na\tb\tc\n", ["line 1", "separated by commas, not by tabs"]),
            ("input psf output\na b c\n", ["line 1", "separated by commas, not by blanks"]),
            ("input|psf|output\na|b|c\n", ["line 1", "separated by commas, not by bars"]),
            ("input,psf,output\na;b;c\n", ["line 2", "separated by commas, not by semicolons"]),
            ("input, psf, exit\na, b, c\n", ["line 1", "no column is called output"]),
            ("input,psf,output\n", ["names no frame", "one row per frame"]),
            ("input,psf,output\n# a,b,c\n\n", ["names no frame", "one row per frame"]),
        ] {
            let message = read(text).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
    }
}
