//! What need not be done again, and what dead runs have left behind.

use crate::base::atomic_file;
use crate::base::version::VERSION;
use crate::error_chain;
use crate::extract::Request;
use crate::fits::{Header, card_of_path, printable, verify};
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::time::SystemTime;

/// The HDUs that every frame has.
const NEEDED: [&str; 6] = ["FLUX", "IVAR", "MASK", "WAVELENGTH", "RESOLUTION", "CHI2PIX"];

/// Why a frame has to be extracted, in words; None where its outputs are whole by their checksums, were made by this
/// version from the same inputs with the same options, and are not older than them.
pub fn reason_to_do(request: &Request) -> Option<String> {
    if let Some(absent) = request.outputs().find(|path| !path.exists()) {
        return Some(format!("{} is not there", absent.display()));
    }
    let header = match verify(&request.output, &NEEDED) {
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
        ("SPXOPT", request.option_record()),
    ];
    cards.iter().find_map(|(keyword, now)| difference(&header, keyword, now)).or_else(|| newer_input(request))
}

fn difference(header: &Header, keyword: &str, now: &str) -> Option<String> {
    let then = header.get_str(keyword).unwrap_or_default();
    // A card holds what FITS can print.
    let now = printable(now);
    // Of options, the first that differs says enough.
    let differs =
        |(then, now): (&str, &str)| (then != now).then(|| format!("it was made with {then}, now it is {now}"));
    let words = then.split(' ').zip(now.split(' ')).find_map(differs);
    (then != now).then(|| words.unwrap_or_else(|| format!("its {keyword} is {then:?}, now it is {now:?}")))
}

fn newer_input(request: &Request) -> Option<String> {
    let changed = |path: &Path| -> Option<SystemTime> { std::fs::metadata(path).ok()?.modified().ok() };
    let made = changed(&request.output)?;
    let newer = request.inputs().find(|path| changed(path).is_some_and(|at| at > made))?;
    Some(format!("{} is newer", newer.display()))
}

/// Removes the temporary files that dead runs have left beside the outputs; those removed.
pub fn sweep(requests: &[Request]) -> Vec<PathBuf> {
    let folders: BTreeSet<&Path> = requests.iter().flat_map(Request::outputs).map(atomic_file::folder_of).collect();
    folders.into_iter().flat_map(atomic_file::sweep).collect()
}
