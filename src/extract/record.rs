//! The header record: how a frame was made, so that it can be repeated.

use super::extraction::card_of;
use super::{Digests, Request, Summary, option_record};
use crate::barycentric::StatedSite;
use crate::base::version::{COMMIT, DIRTY, UNKNOWN_COMMIT, VERSION};
use crate::fits::{FitsError, read_headers};
use crate::frame::{Header, card_of_path, path_of_card, printable};
use crate::psf::Dispersion;
use crate::shift::{Quantity, Shifts};
use std::path::{Path, PathBuf};

/// Errors of reading the header record of a frame.
#[derive(Debug, thiserror::Error)]
#[non_exhaustive]
pub enum RecordError {
    /// It cannot be read.
    #[error(transparent)]
    Fits(#[from] FitsError),
    /// A card is missing.
    #[error(
        "{}, primary HDU: there is no card {keyword}, so it does not say how it was made; give a frame that this version or a later one has written",
        path.display()
    )]
    Card {
        /// The frame.
        path: PathBuf,
        /// The card.
        keyword: &'static str,
    },
}

/// How a frame was made: what its header records.
///
/// | card | value |
/// |---|---|
/// | SPXVER, SPXGIT | version and git commit |
/// | SPXDEV | device, interface, driver and its version; of a CPU its instructions |
/// | SPXPREC | precision of the results: f32, f64, or f32 with some bundles or patches in f64 |
/// | SPXERR, SPXERRF | estimated error of flux in bands, sigma; fibres with errors above the tolerance |
/// | SPXINFO | the smallest part of the information on a fibre that its neighbours leave |
/// | SPXERRG | noise of a deconvolved bin over that of a bin alone, where the step is too fine |
/// | SPXSOLV, SPXPATF | solver that served; where bundles differ, first fibres of those in patches |
/// | SPXBUND | fibres of the groups that were solved together, in their order over the whole PSF: 20x25, or 2x36,30 |
/// | SPXCUT | the worst cut of a given bundle size through overlapping fibres |
/// | SPXCHI2 | median over the fibres of their median chi2pix |
/// | SPXRCUT | smallest sum of a row of R and number of fibres with such rows, where rows are cut off |
/// | SPXDARK | fibres without any good pixel, rows of the PSF; absent where there is none |
/// | SPXSITE | with `barycentric-correction`: the site that HELIOCOR holds for, and the cards of the input that state it |
/// | SPXDISP | x where the CCD has dispersion along x; absent elsewhere |
/// | SPXRANGE | T where every fibre has wavelengths of its own; absent elsewhere |
/// | SPXDX, SPXDY, SPXDSX, SPXDSY | with `fit-traces`: mean shift of the traces, pixels, and of ln(widths); errors: SPXDXE, … |
/// | SPXTRACE | a sentence about those that are significant |
/// | SPXOPT | all options that decide numbers |
/// | ORIG_PSF | IN_PSF of the PSF file: the one before its traces were shifted |
/// | SPECTER, DEPNAMnn, DEPVERnn | the program and its version, as desispec records dependencies; those of the image stay |
/// | IN_IMG, IN_PSF, IN_FMAP | inputs as they were named; IN_FMAP where the fibermap was in a file of its own |
/// | SPXNOT1, SPXNOT2, … | defects of the inputs: HDUs that are missing, fibres without a usable PSF, … |
/// | SPXB3IMG, SPXB3PSF, SPXB3FMP | BLAKE3 of their bytes |
///
/// Cards hold printable ASCII: in names of files other bytes, `%` itself and a blank or `&` at the end stand as `%` and two
/// hexadecimal digits, `caf%C3%A9.fits`.
///
/// A digest covers all bytes of a file, unpacked if it is gzipped. Packing it again does not change the
/// digest, which `zcat FILE | b3sum` prints. A tile-compressed image (`.fits.fz`) or another header make another file.
#[derive(Clone, Debug, PartialEq)]
pub struct Record {
    /// The version.
    pub version: String,
    /// The git commit.
    pub commit: String,
    /// Description of the device.
    pub device: String,
    /// The options that were set, by their names on the command line.
    pub options: Vec<(String, String)>,
    /// The preproc frame.
    pub input: PathBuf,
    /// The PSF.
    pub psf: PathBuf,
    /// The file with the fibermap, where there was one.
    pub fibermap: Option<PathBuf>,
    /// The table of wavelengths, where there was one.
    pub wavelength_table: Option<PathBuf>,
    /// BLAKE3 of these files.
    pub digests: Digests,
}

impl Record {
    /// Reads the record of a frame.
    ///
    /// # Errors
    /// [`RecordError`] where the frame cannot be read, or lacks a card.
    pub fn read(path: &Path) -> Result<Self, RecordError> {
        let header = read_headers(path)?.into_iter().next().unwrap_or_default();
        let text = |keyword| header.get_str(keyword).ok_or_else(|| RecordError::Card { path: path.into(), keyword });
        Ok(Self {
            version: text("SPXVER")?,
            commit: text("SPXGIT")?,
            device: text("SPXDEV")?,
            options: option_record::read_card(&text("SPXOPT")?),
            input: path_of_card(&text("IN_IMG")?),
            psf: path_of_card(&text("IN_PSF")?),
            fibermap: header.get_str("IN_FMAP").as_deref().map(path_of_card),
            wavelength_table: header.get_str("IN_WTAB").as_deref().map(path_of_card),
            digests: Digests {
                input: text("SPXB3IMG")?,
                psf: text("SPXB3PSF")?,
                fibermap: header.get_str("SPXB3FMP"),
                wavelength_table: header.get_str("SPXB3WTB"),
            },
        })
    }

    /// Whether this build made it. None if that is unknown: builds without a commit, or with uncommitted changes, may differ
    /// under one name.
    pub fn same_build(&self) -> Option<bool> {
        same_build([&self.version, &self.commit], [VERSION, COMMIT])
    }

    /// Describes the differences from this run that may change bits: version, commit and device.
    pub fn differences(&self, device: &str) -> Vec<String> {
        let now = [("version", VERSION), ("commit", COMMIT), ("device", device)];
        let then = [&self.version, &self.commit, &self.device];
        let differs = |((what, now), then): ((&str, &str), &String)| {
            (printable(now) != *then).then(|| format!("{what} {then} then, {now} now"))
        };
        now.into_iter().zip(then).filter_map(differs).collect()
    }
}

/// See [`Record::same_build`]; `[version, commit]`.
fn same_build(then: [&str; 2], now: [&str; 2]) -> Option<bool> {
    let told = now[1] != UNKNOWN_COMMIT && !now[1].ends_with(DIRTY);
    if then == now { told.then_some(true) } else { Some(false) }
}

/// Sets the cards of [`Record`] for inputs and options.
pub(super) fn note(header: &mut Header, request: &Request, digests: &Digests, notes: &[String]) {
    header.retain(|keyword| !keyword.starts_with("SPXNOT"));
    let of_psf = |header: &Header| header.get_str("IN_PSF");
    let before = read_headers(&request.psf).ok().and_then(|headers| headers.iter().find_map(of_psf));
    let cards = [
        ("IN_PSF", Some(card_of_path(&request.psf)), "Input spectral PSF"),
        ("ORIG_PSF", before, "PSF before its traces were shifted"),
        ("IN_IMG", Some(card_of_path(&request.input)), "Input image"),
        ("IN_FMAP", request.fibermap.as_deref().map(card_of_path), "Input fibermap"),
        ("IN_WTAB", request.wavelength_table.as_deref().map(card_of_path), "Input wavelengths"),
        ("SPXB3PSF", Some(digests.psf.clone()), ""),
        ("SPXB3IMG", Some(digests.input.clone()), ""),
        ("SPXB3FMP", digests.fibermap.clone(), ""),
        ("SPXB3WTB", digests.wavelength_table.clone(), ""),
        ("SPXOPT", Some(request.option_record()), "Options of the extraction"),
    ];
    set(header, cards);
    for (k, note) in notes.iter().enumerate() {
        header.set(&format!("SPXNOT{}", k + 1), note.as_str(), "");
    }
}

/// Sets the card of the site of a barycentric correction.
pub(super) fn note_site(header: &mut Header, site: Option<&StatedSite>) {
    set(header, [("SPXSITE", site.map(StatedSite::to_string), "Site that HELIOCOR holds for")]);
}

/// Sets the card of an axis of dispersion that is not DESI's.
pub(super) fn note_axis(header: &mut Header, axis: Dispersion) {
    let along_x = axis == Dispersion::AlongX;
    set(header, [("SPXDISP", along_x.then(|| axis.letter().into()), "Axis of dispersion of the CCD")]);
}

/// Sets the cards of fibres with wavelengths of their own, `[nspec, nwave]`: the ends of all.
pub(super) fn note_ranges(header: &mut Header, own: Option<&[f64]>) {
    header.remove("SPXRANGE");
    if let Some(own) = own {
        let ends = own.iter().fold([f64::MAX, f64::MIN], |[low, high], w| [low.min(*w), high.max(*w)]);
        header.set("WAVEMIN", ends[0], "First wavelength [Angstrom]");
        header.set("WAVEMAX", ends[1], "Last wavelength [Angstrom]");
        header.set("SPXRANGE", true, "Fibres have their own wavelengths; WAVESTEP is the middle's");
    }
}

/// Sets the cards of shifts: SPXDX, SPXDY (pixels), SPXDSX, SPXDSY (ln of widths), their errors with an E, and SPXTRACE.
pub(super) fn note_shifts(header: &mut Header, shifts: Option<&Shifts>) {
    let all = Quantity::ALL.into_iter().zip([
        ("SPXDX", "[pixel] mean shift along x"),
        ("SPXDY", "[pixel] mean shift along y"),
        ("SPXDSX", "mean ln(width/PSF's) along x"),
        ("SPXDSY", "mean ln(width/PSF's) along y"),
    ]);
    for (quantity, (keyword, comment)) in all {
        let error = format!("{keyword}E");
        match shifts.and_then(|shifts| Some((shifts.departure(quantity)?, shifts.counts(quantity)))) {
            Some((departure, [known, all])) => {
                let of = if known == all { String::new() } else { format!(", {known} of {all} bundles") };
                header.set(keyword, departure.mean, &format!("{comment}{of}"));
                header.set(&error, departure.error, "its error");
            }
            None => [keyword, &error].into_iter().for_each(|keyword| header.remove(keyword)),
        }
    }
    let sentence = shifts.and_then(Shifts::sentence);
    set(header, [("SPXTRACE", sentence, "The PSF was shifted by")]);
}

/// Sets the cards of [`Record`] for the program and the outcome.
pub(super) fn note_run(header: &mut Header, summary: &Summary) {
    let in_patches: Vec<String> = summary.in_patches.iter().map(usize::to_string).collect();
    let dark = summary.dark.fibres();
    let mixed = summary.banded > 0 && !in_patches.is_empty();
    let least = summary.cut_rows.iter().map(|cut| cut.least).reduce(f64::min);
    let cut = least.map(|least| format!("{least:.3} in {} fibres", summary.cut_rows.len()));
    note_dependency(header);
    let cards = [
        ("SPECTER", Some(format!("spextral {VERSION}")), "Program that extracted"),
        ("SPXVER", Some(VERSION.into()), "Version of spextral"),
        ("SPXGIT", Some(COMMIT.into()), "Its git commit"),
        ("SPXDEV", Some(summary.device.clone()), "Device that extracted"),
        ("SPXPREC", Some(summary.precision().into()), "Precision of the extraction"),
        ("SPXSOLV", Some(summary.solver().into()), "Solver that served"),
        ("SPXBUND", Some(summary.groups.to_string()), "Fibres of bundles"),
        ("SPXCUT", summary.forced_cut.clone(), "Overlapping fibres cut apart"),
        ("SPXRCUT", cut, "Smallest sum of rows of R cut off"),
        ("SPXDARK", (!dark.is_empty()).then(|| card_of(&dark)), "Fibres without any good pixel, rows of the PSF"),
        (
            "SPXCHI2",
            summary.fit.map(|fit| format!("{:.3e}", fit.chi2pix)),
            "Median chi2pix, 1 less what the fit takes up",
        ),
        ("SPXERR", summary.flux_error.map(|e| format!("{e:.1e}")), "Estimated error of flux in bands [sigma]"),
        ("SPXERRF", excess(summary), "Fibres with errors above the tolerance"),
        ("SPXINFO", summary.information.map(|i| format!("{i:.3}")), "Information that neighbours leave"),
        ("SPXERRG", summary.noise_gain.map(|g| format!("{g:.1e}")), "Noise gain: bins are too narrow"),
        ("SPXPATF", mixed.then(|| in_patches.join(",")), "First fibres of bundles in patches"),
    ];
    set(header, cards);
}

/// Sets the pair of cards by which desispec records a program, in the first place that is free or its own.
fn note_dependency(header: &mut Header) {
    let keyword = |what: &str, k: usize| format!("DEP{what}{k:02}");
    let is_mine = |k: &usize| header.get_str(&keyword("NAM", *k)).is_none_or(|name| name == "spextral");
    if let Some(k) = (0..100).find(is_mine) {
        header.set(&keyword("NAM", k), "spextral", "");
        header.set(&keyword("VER", k), VERSION, "");
    }
}

/// The fibres whose flux may be farther off than the tolerance.
fn excess(summary: &Summary) -> Option<String> {
    let fibres: Vec<String> = summary.above_tolerance.iter().map(|excess| excess.fibre.to_string()).collect();
    (!fibres.is_empty()).then(|| fibres.join(","))
}

/// Sets cards, and removes those without a value.
fn set<const N: usize>(header: &mut Header, cards: [(&str, Option<String>, &str); N]) {
    for (keyword, value, comment) in cards {
        match value {
            Some(value) => header.set(keyword, value, comment),
            None => header.remove(keyword),
        }
    }
}

/// The names of the HDUs whose data have other checksums in one frame than in the other, or are in one alone.
pub fn differing_data(a: &[Header], b: &[Header]) -> Vec<String> {
    let sums = |headers: &[Header]| -> Vec<(String, Option<String>)> {
        headers.iter().map(|h| (h.get_str("EXTNAME").unwrap_or_default(), h.get_str("DATASUM"))).collect()
    };
    let (a, b) = (sums(a), sums(b));
    let in_a = a.iter().filter(|hdu| !b.contains(hdu)).map(|(name, _)| name.clone());
    let names: Vec<String> = b.iter().map(|(name, _)| name.clone()).collect();
    let known: Vec<&String> = a.iter().map(|(name, _)| name).collect();
    in_a.chain(names.into_iter().filter(|name| !known.contains(&name))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn programs_of_the_image_keep_their_cards_and_this_one_has_its_own() {
        let mut header = Header::new();
        header.set("DEPNAM00", "python", "");
        header.set("DEPNAM01", "desispec", "");
        header.set("DEPVER01", "0.70.0", "");
        note_dependency(&mut header);
        note_dependency(&mut header);
        let text = |keyword: &str| header.get_str(keyword).unwrap_or_default();
        assert_eq!((text("DEPNAM01"), text("DEPVER01")), ("desispec".into(), "0.70.0".into()));
        assert_eq!(
            (text("DEPNAM02"), text("DEPVER02"), text("DEPNAM03")),
            ("spextral".into(), VERSION.into(), "".into())
        );
    }

    #[test]
    fn builds_are_the_same_only_where_a_commit_says_so() {
        let of = |then: [&str; 2], now: [&str; 2]| same_build(then, now);
        assert_eq!(of(["0.1.0", "abc"], ["0.1.0", "abc"]), Some(true));
        for other in [["0.2.0", "abc"], ["0.1.0", "abd"], ["0.1.0", "abc-dirty"], ["0.1.0", "unknown"]] {
            assert_eq!(of(other, ["0.1.0", "abc"]), Some(false), "{other:?}");
        }
        for commit in ["unknown", "abc-dirty"] {
            assert_eq!(of(["0.1.0", commit], ["0.1.0", commit]), None, "{commit}");
        }
    }
}
