//! The page: every run of every scene in tables, and two pictures.

use crate::errors::{Distance, Kind};
use crate::picture;
use crate::runs::{Devices, METHOD, Outcome};
use crate::scenes::Scene;
use std::fmt::Write;
use std::path::Path;

type Done = [(Scene, Vec<Outcome>)];

/// Writes the page, and its pictures beside it.
///
/// # Errors
/// A message if a file cannot be written.
pub fn write(path: &Path, devices: &Devices, done: &Done) -> Result<(), String> {
    let beside = |name: &str| path.with_file_name(name);
    picture::errors(&beside("fidelity-errors.png"), done)?;
    picture::chi(&beside("fidelity-chi.png"), done)?;
    let text = text(devices, done).map_err(|e| e.to_string())?;
    std::fs::write(path, text).map_err(|e| format!("{}: {e}", path.display()))
}

fn text(devices: &Devices, done: &Done) -> Result<String, std::fmt::Error> {
    let mut page = String::from(HEAD);
    for words in devices.words() {
        writeln!(page, "- {words}")?;
    }
    page.push_str("\n## Against exact solutions\n\n");
    page.push_str(EXACT);
    for (scene, outcomes) in done.iter().filter(|(scene, _)| scene.exact.is_some() && !scene.of_series) {
        let (_, maker) = scene.exact.as_ref().expect("it was asked for");
        writeln!(
            page,
            "\n**{}**: {}. Exact: {maker}. `cargo xtask fidelity --only {}`\n",
            scene.name, scene.what, scene.name
        )?;
        distances(&mut page, outcomes, |outcome| outcome.from_exact.as_ref())?;
        kinds(&mut page, outcomes)?;
    }
    page.push_str("\n![Fraction of the bins of sim11 whose error is larger](fidelity-errors.png)\n");
    page.push_str("\n## Pitches and steps\n\n");
    page.push_str(SERIES);
    series(&mut page, done)?;
    page.push_str("\n## Patches against the published patches\n\n");
    page.push_str(PUBLISHED);
    for (scene, outcomes) in done.iter().filter(|(scene, _)| scene.published.is_some()) {
        writeln!(page, "\n**{}**, `cargo xtask fidelity --only {}`\n", scene.name, scene.name)?;
        distances(&mut page, outcomes, |outcome| outcome.from_published.as_ref())?;
    }
    page.push_str("\n## GPUs against the CPU\n\nThe same solver on the same frame. In bands each device chooses its own, to the tolerance; to 1e-8 σ (`--tolerance 1e-8`) the choice\nhardly shows.\n\n");
    twins(&mut page, done)?;
    page.push_str("\n## Against the truth\n\n");
    page.push_str(TRUTH);
    chi(&mut page, done)?;
    page.push_str("\n![Distribution of chi](fidelity-chi.png)\n");
    bounds(&mut page, done)?;
    Ok(page)
}

const HEAD: &str = "\
# Fidelity

How far extracted spectra are from right, as measured. This page is written by `cargo xtask fidelity`; the scenes that take seconds are part of
`cargo xtask test`, which fails where a bound is passed. Errors of flux are in σ, the stated error of the bin; of ivar relative; of R absolute. Bins with
more than half of their PSF on masked pixels do not count, and of R only elements between bins that do. All before the rounding to the file's f4.

";
const EXACT: &str = "\
Whole bundles solved as one dense problem, no cuts in wavelength or fibres. The banded solver aims at 1e-5 σ on the CPU (`--tolerance`) and on a
GPU in f64, 1e-3 σ in f32, and takes bands as wide as that asks for. What patches are off is the method's own: correlations cut at the borders of patches.
";
const SERIES: &str = "\
Bands against dense elimination of the whole group, at the default tolerance of each precision. Below one CCD row per bin, 0.57 Angstrom on the r camera and
0.67 on the short CCD, bins take wider bands. `cargo xtask fidelity --only pitch`, `--only r0-by` and `--only short-by`

";
const PUBLISHED: &str = "\
The same algorithm by another program in f64 (numpy), which agrees with gpu_specter to 4e-6 σ.
";
const TRUTH: &str = "\
chi = (flux - R truth) √ivar must have mean 0 and scatter 1, whatever the signal. S/N is that of the true flux in a bin. In brackets the standard error of the mean; that of
the scatter is 0.7 of it. R is that of the file, 11 diagonals in the r camera: on the synthetic PSF their rows sum to 1.0006, which is -0.006 in the mean of chi (40 seeds:
-0.0065 with an error of 0.0010). The full rows sum to 1.

";

fn distances<'a>(
    page: &mut String,
    outcomes: &'a [Outcome],
    of: impl Fn(&'a Outcome) -> Option<&'a Distance>,
) -> std::fmt::Result {
    writeln!(page, "| | bins | flux, half of the bins | 99.9 % | worst | ivar | R |\n|---|---|---|---|---|---|---|")?;
    for outcome in outcomes {
        if let Some(d) = of(outcome) {
            let all = d.of(Kind::All);
            let [half, most, worst] = [all.quantile(0.5), all.quantile(0.999), all.worst()];
            let (bins, ivar, r) = (all.count(), d.ivar, d.resolution);
            writeln!(
                page,
                "| {} | {bins} | {half:.1e} | {most:.1e} | {worst:.1e} | {ivar:.1e} | {r:.1e} |",
                outcome.run
            )?;
        } else if let Some(reason) = &outcome.declined {
            writeln!(page, "| {} | declined: {reason} | | | | | |", outcome.run)?;
        }
    }
    Ok(())
}

/// A row per scene of a series.
fn series(page: &mut String, done: &Done) -> std::fmt::Result {
    writeln!(page, "| | | worst flux | ivar | R |\n|---|---|---|---|---|")?;
    for (scene, outcomes) in done.iter().filter(|(scene, _)| scene.of_series) {
        for outcome in outcomes {
            write!(page, "| {} | {} ", scene.what, outcome.run)?;
            match (&outcome.from_exact, &outcome.declined) {
                (Some(d), _) => {
                    let (worst, ivar, r) = (d.of(Kind::All).worst(), d.ivar, d.resolution);
                    writeln!(page, "| {worst:.1e} | {ivar:.1e} | {r:.1e} |")?;
                }
                (None, reason) => writeln!(page, "| declined: {} | | |", reason.as_deref().unwrap_or_default())?,
            }
        }
    }
    Ok(())
}

/// Every scene's runs on GPUs.
fn twins(page: &mut String, done: &Done) -> std::fmt::Result {
    writeln!(page, "| scene | | flux, 99.9 % | worst | ivar | R |\n|---|---|---|---|---|---|")?;
    for (scene, outcomes) in done.iter().filter(|(scene, _)| !scene.of_series) {
        for (run, d) in outcomes.iter().filter_map(|o| Some((&o.run, o.from_twin.as_ref()?))) {
            let [most, worst] = [0.999, 1.0].map(|fraction| d.of(Kind::All).quantile(fraction));
            let (name, ivar, r) = (scene.name, d.ivar, d.resolution);
            writeln!(page, "| {name} | {run} | {most:.1e} | {worst:.1e} | {ivar:.1e} | {r:.1e} |")?;
        }
    }
    Ok(())
}

/// The worst flux of each kind of bins.
fn kinds(page: &mut String, outcomes: &[Outcome]) -> std::fmt::Result {
    let some: Vec<&Outcome> = outcomes.iter().filter(|outcome| outcome.from_exact.is_some()).collect();
    let Some(first) = some.first().and_then(|outcome| outcome.from_exact.as_ref()) else { return Ok(()) };
    let kinds: Vec<Kind> =
        Kind::EACH.into_iter().filter(|&kind| kind != Kind::All && first.of(kind).count() > 0).collect();
    write!(page, "\n| worst flux |")?;
    for kind in &kinds {
        write!(page, " {} ({} bins) |", kind.words(), first.of(*kind).count())?;
    }
    writeln!(page, "\n|---|{}", "---|".repeat(kinds.len()))?;
    for outcome in some {
        write!(page, "| {} |", outcome.run)?;
        for kind in &kinds {
            let worst = outcome.from_exact.as_ref().map_or(f64::NAN, |d| d.of(*kind).worst());
            write!(page, " {worst:.1e} |")?;
        }
        writeln!(page)?;
    }
    Ok(())
}

fn chi(page: &mut String, done: &Done) -> std::fmt::Result {
    let mut headed = false;
    for (scene, outcomes) in done {
        for (outcome, report) in outcomes.iter().filter_map(|o| o.chi.as_ref().map(|chi| (o, chi))) {
            if !headed {
                write!(page, "| scene | | bins | mean | scatter |")?;
                report.by_snr.iter().for_each(|band| page.push_str(&format!(" S/N {} |", band_words(band.snr))));
                writeln!(page, "\n|---|---|---|---|---|{}", "---|".repeat(report.by_snr.len()))?;
                headed = true;
            }
            let error = 1.0 / (report.bins as f64).sqrt();
            write!(page, "| {} | {} | {} ", scene.name, outcome.run, report.bins)?;
            write!(page, "| {:+.4} ({error:.4}) | {:.4} |", report.mean, report.std)?;
            for band in &report.by_snr {
                write!(page, " {:+.3}, {:.3} ({}) |", band.mean, band.std, band.bins)?;
            }
            writeln!(page)?;
        }
    }
    writeln!(
        page,
        "\nBy S/N: mean, scatter, and the number of bins in brackets. The same bins serve every solver of a scene."
    )
}

fn band_words([low, high]: [f64; 2]) -> String {
    if high.is_finite() { format!("{low} to {high}") } else { format!("over {low}") }
}

fn bounds(page: &mut String, done: &Done) -> std::fmt::Result {
    page.push_str("\n## Bounds\n\nWhat the tests hold every run above to:\n\n");
    writeln!(page, "| | against | flux | ivar | R |\n|---|---|---|---|---|")?;
    let mut said: Vec<(&str, &str)> = Vec::new();
    for outcome in done.iter().flat_map(|(_, outcomes)| outcomes) {
        for (against, _, b) in outcome.bounded() {
            if !said.contains(&(&outcome.run, against)) {
                writeln!(
                    page,
                    "| {} | {against} | {:.0e} | {:.0e} | {:.0e} |",
                    outcome.run, b.flux, b.ivar, b.resolution
                )?;
                said.push((&outcome.run, against));
            }
        }
    }
    writeln!(page, "| patches | exact | {METHOD} | | |")?;
    write!(page, "\nMean and scatter of chi: four standard errors and 0.01.")
}
