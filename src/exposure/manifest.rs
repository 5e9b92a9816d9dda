//! A manifest: a CSV table with a header row, one frame a row.

use std::path::{Path, PathBuf};

/// A manifest that cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ManifestError {
    /// The file cannot be read.
    #[error("cannot read {}: {source}; check the path and its permissions", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// What the system said.
        source: std::io::Error,
    },
    /// A line that makes no sense.
    #[error("{}, line {line}: {what}", path.display())]
    Pipeline {
        /// The file.
        path: PathBuf,
        /// The line, counted from 1.
        line: usize,
        /// What is wrong with it, and what to do.
        what: String,
    },
}

/// The rows of a manifest.
#[derive(Clone, Debug)]
pub struct Manifest {
    path: PathBuf,
    /// The rows in the order of the file.
    pub rows: Vec<Row>,
}

/// One row: cells that are not empty, by their column.
#[derive(Clone, Debug, PartialEq)]
pub struct Row {
    /// Pipeline of the file, counted from 1.
    pub line: usize,
    /// (column, cell); columns in lower case with dashes.
    pub cells: Vec<(String, String)>,
}

impl Manifest {
    /// Reads a manifest. Cells may be quoted (`"a,b"`, `""` for a quote); lines that are empty or begin with `#` are left out.
    ///
    /// # Errors
    /// [`ManifestError`].
    pub fn read(path: &Path) -> Result<Self, ManifestError> {
        let text = std::fs::read_to_string(path).map_err(|source| ManifestError::Read { path: path.into(), source })?;
        let mut manifest = Self { path: path.into(), rows: Vec::new() };
        let lines = text.trim_start_matches('\u{feff}').lines().enumerate().map(|(i, text)| (i + 1, text.trim()));
        let mut lines = lines.filter(|(_, text)| !text.is_empty() && !text.starts_with('#'));
        let Some((first, header)) = lines.next() else {
            return Err(manifest.wrong(1, "there is no header row: give input,psf,output"));
        };
        let columns: Vec<String> = manifest.cells(first, header)?.iter().map(|name| column(name)).collect();
        for needed in ["input", "psf", "output"] {
            if !columns.iter().any(|name| name == needed) {
                return Err(manifest.wrong(first, format!("no column is called {needed}: give input, psf and output")));
            }
        }
        if let Some(twice) = columns.iter().enumerate().find(|(i, name)| columns[..*i].contains(name)) {
            return Err(manifest.wrong(first, format!("two columns are called {}", twice.1)));
        }
        for (line, text) in lines {
            let cells = manifest.cells(line, text)?;
            if cells.len() != columns.len() {
                let what = format!("it has {} cells, the header row has {}", cells.len(), columns.len());
                return Err(manifest.wrong(line, what));
            }
            let cells = columns.iter().cloned().zip(cells).filter(|(_, cell)| !cell.is_empty()).collect();
            manifest.rows.push(Row { line, cells });
        }
        Ok(manifest)
    }

    /// The error for something wrong with a line.
    pub fn wrong(&self, line: usize, what: impl Into<String>) -> ManifestError {
        ManifestError::Pipeline { path: self.path.clone(), line, what: what.into() }
    }

    /// The cells of a line.
    fn cells(&self, line: usize, text: &str) -> Result<Vec<String>, ManifestError> {
        let mut cells = vec![String::new()];
        let (mut quoted, mut letters) = (false, text.chars().peekable());
        while let Some(letter) = letters.next() {
            let cell = cells.last_mut().expect("there is always one");
            match letter {
                '"' if quoted && letters.next_if_eq(&'"').is_some() => cell.push('"'),
                '"' if quoted => quoted = false,
                '"' if cell.trim().is_empty() => quoted = true,
                ',' if !quoted => cells.push(String::new()),
                _ => cell.push(letter),
            }
        }
        if quoted {
            return Err(self.wrong(line, "a quote is not closed"));
        }
        Ok(cells.into_iter().map(|cell| cell.trim().to_string()).collect())
    }
}

impl Row {
    /// A cell, where it is not empty.
    pub fn get(&self, column: &str) -> Option<&str> {
        self.cells.iter().find(|(name, _)| name == column).map(|(_, cell)| cell.as_str())
    }
}

fn column(name: &str) -> String {
    name.to_lowercase().replace('_', "-")
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
    }

    #[test]
    fn what_is_wrong_is_said_with_its_line() {
        for (text, parts) in [
            ("", ["line 1", "no header row"]),
            ("input,psf\n", ["line 1", "output"]),
            ("input,psf,output,psf\n", ["line 1", "two columns are called psf"]),
            ("input,psf,output\na,b\n", ["line 2", "2 cells"]),
            ("input,psf,output\na,b,\"c\n", ["line 2", "not closed"]),
        ] {
            let message = read(text).unwrap_err();
            assert!(parts.iter().all(|part| message.contains(part)), "{message}");
        }
        assert_eq!(read("input,psf,output\n").unwrap().rows, []);
    }
}
