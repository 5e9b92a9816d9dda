//! The pages of `spextral exposure`: one per frame, and their index.

use super::output::print;
use super::report::{page_of, write as write_page};
use super::report_files::Files;
use spextral::PendingFile;
use spextral::exposure::RunLog;
use spextral::report::index;
use std::error::Error;
use std::path::Path;

/// Writes the pages of all frames that are complete into a folder. A page that cannot be made is a warning.
///
/// # Errors
/// A folder or an index that cannot be written.
pub fn write(log: &RunLog, folder: &Path, overwrite: bool, speaks: bool) -> Result<(), Box<dyn Error>> {
    std::fs::create_dir_all(folder).map_err(|error| format!("cannot create {}: {error}", folder.display()))?;
    let mut rows = Vec::new();
    for frame in log.complete() {
        let page = page_of(frame);
        let name = page.file_name().unwrap_or_default();
        match write_page(Files::of_frame(frame, None), &folder.join(name), None, overwrite) {
            Ok(report) => rows.push(report.index_row(name.to_string_lossy().into_owned())),
            Err(error) => {
                tracing::warn!("no page about {}: {}", frame.display(), spextral::error_chain(error.as_ref()))
            }
        }
    }
    let (path, count, text) = (folder.join("index.html"), rows.len(), index(rows));
    PendingFile::write(&path, overwrite, |out| out.write_all(text.as_bytes()))?.persist()?;
    if speaks {
        print(&format!("{}: {count} frames", path.display()))?;
    }
    Ok(())
}
