//! `spextral psf-info`: facts about a PSF file.

use super::json::{Json, object, print_object, text};
use super::output::{Outcome, print};
use spextral::extract::{PsfFacts, Spread, psf_facts};
use spextral::fits::read_psf;
use std::path::PathBuf;
use std::process::ExitCode;

/// Say what a PSF file holds: kind, fibres, groups, ranges, widths, distance and overlap of neighbours, and what is odd
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// PSF file
    #[arg(value_name = "PSF")]
    psf: PathBuf,
    #[command(flatten)]
    pub json: Json,
}

/// Reads and prints.
///
/// # Errors
/// A PSF that cannot be read.
pub fn run(args: &Arguments) -> Outcome {
    let facts = psf_facts(&read_psf(&args.psf)?);
    if args.json.is_wanted() {
        let mut fields = object(serde_json::to_value(&facts)?);
        fields.insert("psf".into(), text(&args.psf).into());
        print_object("psf-info", fields)?;
    } else {
        let PsfFacts { kind, camera, .. } = &facts;
        let camera = camera.as_ref().map(|camera| format!(", camera {camera}")).unwrap_or_default();
        print(&format!("{}: {kind}{camera}\n{}", args.psf.display(), lines(&facts)))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// Returns the facts as lines.
pub(super) fn lines(facts: &PsfFacts) -> String {
    let PsfFacts { nfibre, fibermin, npix, window, wave, default_step, psferr, groups, .. } = facts;
    let spread =
        |of: &Spread, digits: usize| format!("{:.digits$} ({:.digits$} to {:.digits$})", of.median, of.least, of.most);
    let row = facts.row.map_or_else(|| "no trace on the CCD".into(), |row| format!("{row:.4} Angstrom per pixel"));
    let along = if facts.dispaxis == 1 { "x" } else { "y" };
    let tails = if facts.tails { ", power-law tails" } else { "" };
    let missing = facts.fibermax - facts.fibermin + 1 - *nfibre as i64;
    let numbered = match missing {
        0 => format!("from number {fibermin} on"),
        _ => format!("of numbers {fibermin} to {}, of which {missing} are absent", facts.fibermax),
    };
    let mut lines = vec![
        format!("  fibres      {nfibre} {numbered}; groups that share no light: {groups}"),
        format!("  CCD         {} x {} pixels", npix[0], npix[1]),
        format!("  wavelength  {} to {} Angstrom along {along}, {row}; default step {default_step}", wave[0], wave[1]),
        format!("  spots       {} x {} pixels, fractional error {psferr}{tails}", window[0], window[1]),
        format!("  sigma x     {} pixels", spread(&facts.sigma_x, 3)),
        format!("  sigma y     {} pixels", spread(&facts.sigma_y, 3)),
    ];
    if let Some([low, high]) = facts.ranges {
        let scale = "the wavelengths above are those of the middle one";
        lines.push(format!("  ranges      one per fibre, from {low} to {high} Angstrom; {scale}"));
    }
    if *nfibre > 1 {
        let [pixels, sigmas] = [spread(&facts.pitch, 2), spread(&facts.pitch_sigma, 1)];
        lines.push(format!("  neighbours  {pixels} pixels apart, {sigmas} sigma"));
        let Spread { median, most, .. } = facts.overlap;
        lines.push(format!("  overlap     {median:.1e} of neighbouring spots in the median, {most:.1e} at most"));
    }
    lines.extend(facts.odd.iter().map(|odd| format!("  odd         {odd}")));
    lines.join("\n")
}
