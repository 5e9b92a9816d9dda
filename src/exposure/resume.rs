//! Which outputs are up to date, and the temporary files of dead runs.

use crate::base::atomic_file;
use crate::base::version::VERSION;
use crate::error_chain;
use crate::extract::Request;
use crate::fits::{digest, verify};
use crate::frame::{Header, card_of_path, printable};
use std::collections::BTreeSet;
use std::fs::Metadata;
use std::path::{Path, PathBuf};
#[cfg(unix)]
use std::time::Duration;
use std::time::SystemTime;

/// HDUs of every frame.
const REQUIRED: [&str; 6] = ["FLUX", "IVAR", "MASK", "WAVELENGTH", "RESOLUTION", "CHI2PIX"];

/// Returns why a frame has to be extracted, for the log. None if this version made its outputs from the same inputs with
/// the same options, their checksums are valid, and no input is newer or another file.
pub fn reason_to_extract(request: &Request) -> Option<String> {
    if let Some(absent) = request.outputs().find(|path| !path.exists()) {
        return Some(format!("{} does not exist", absent.display()));
    }
    let header = match verify(&request.output, &REQUIRED) {
        Ok(header) => header,
        Err(error) => return Some(error_chain(&error)),
    };
    if let Some((path, _)) = &request.model
        && let Err(error) = verify(path, &["MODEL"])
    {
        return Some(error_chain(&error));
    }
    let cards = [
        ("SPXVER", VERSION.to_string()),
        ("IN_IMG", card_of_path(&request.input)),
        ("IN_PSF", card_of_path(&request.psf)),
        ("IN_FMAP", request.fibermap.as_deref().map(card_of_path).unwrap_or_default()),
        ("IN_WTAB", request.wavelength_table.as_deref().map(card_of_path).unwrap_or_default()),
        ("SPXOPT", request.option_record()),
    ];
    cards
        .iter()
        .find_map(|(keyword, now)| difference(&header, keyword, now))
        .or_else(|| changed_input(request, &header))
}

/// Describes how a card differs from its value `now`; of options, the first that differs.
fn difference(header: &Header, keyword: &str, now: &str) -> Option<String> {
    let then = header.get_str(keyword).unwrap_or_default();
    // A card holds printable characters only.
    let now = printable(now);
    let differs =
        |(then, now): (&str, &str)| (then != now).then(|| format!("it was made with {then}, now it is {now}"));
    let option = then.split(' ').zip(now.split(' ')).find_map(differs);
    (then != now).then(|| option.unwrap_or_else(|| format!("its {keyword} is {then:?}, now it is {now:?}")))
}

/// Names an input that is newer than the frame, or is not the one that the frame was made from. A copy may keep an older time,
/// but not the time of the change; only then are its bytes compared.
fn changed_input(request: &Request, header: &Header) -> Option<String> {
    let written = std::fs::metadata(&request.output).ok()?.modified().ok()?;
    let inputs = [
        ("SPXB3IMG", Some(&request.input)),
        ("SPXB3PSF", Some(&request.psf)),
        ("SPXB3FMP", request.fibermap.as_ref()),
        ("SPXB3WTB", request.wavelength_table.as_ref()),
    ];
    inputs.into_iter().find_map(|(keyword, path)| {
        let path = path?;
        let about = std::fs::metadata(path).ok()?;
        if about.modified().is_ok_and(|at| at > written) {
            return Some(format!("{} is newer", path.display()));
        }
        let is_same = || digest(path).is_ok_and(|now| header.get_str(keyword) == Some(now));
        let is_other = changed(&about).is_some_and(|at| at > written) && !is_same();
        is_other.then(|| format!("{} is not the file that it was made from", path.display()))
    })
}

/// Returns when a file was last put where it is, or changed; None where the system does not say.
#[cfg(unix)]
fn changed(about: &Metadata) -> Option<SystemTime> {
    use std::os::unix::fs::MetadataExt;
    let seconds = u64::try_from(about.ctime()).ok()?;
    Some(SystemTime::UNIX_EPOCH + Duration::new(seconds, about.ctime_nsec() as u32))
}

#[cfg(not(unix))]
fn changed(_: &Metadata) -> Option<SystemTime> {
    None
}

/// Removes the temporary files of dead runs beside the outputs, and returns their paths.
pub fn sweep(requests: &[Request]) -> Vec<PathBuf> {
    let folders: BTreeSet<&Path> = requests.iter().flat_map(Request::outputs).map(atomic_file::folder_of).collect();
    folders.into_iter().flat_map(atomic_file::sweep).collect()
}
