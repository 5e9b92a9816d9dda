//! Help in two sizes: `-h` on one screen, `--help` whole.

use clap::{Arg, Command};

/// Options that only the whole help shows.
const WHOLE_ONLY: [&str; 26] = [
    "trace",
    "model-flux",
    "no-scores",
    "mask-bits",
    "image-hdu",
    "readnoise",
    "gain",
    "ignore-checksum",
    "regularize",
    "psf-tails",
    "psf-gh00",
    "nsubbundles",
    "nwavestep",
    "wavepad",
    "wavepad-frac",
    "pixpad-frac",
    "stage_on_cpu",
    "max-device-memory",
    "precision",
    "decorrelate",
    "psferr",
    "outdir",
    "no_barycentric_correction",
    "timeline",
    "ranks_per_frame",
    "no_overlap",
];

/// Marks that end the first clause of a help text.
const ENDS: [&str; 6] = ["; ", ": ", ". ", ", by default", "; by default", " ("];

/// Examples of commands that have none of their own.
const EXAMPLES: [(&str, &str); 14] = [
    ("shift-psf", "  spextral shift-psf -i preproc-r0-00051060.fits -p psf.fits -o psf-51060.fits"),
    ("find-traces", "  spextral find-traces --flat flat.fits --arc arc.fits --lines lamps.txt -o start.fits"),
    ("fit-psf", "  spextral fit-psf -i arc-1.fits -i arc-2.fits -p start.fits --lines lamps.txt -o psf.fits"),
    (
        "make-psf",
        "  spextral make-psf -o psf.fits --nfibre 50 --npix-y 1032
  spextral make-psf -o psf.fits --from spots.csv --npix-x 2048 --npix-y 2048",
    ),
    (
        "simulate",
        "  spextral simulate -p psf.fits -o preproc.fits.gz --truth truth.fits
  spextral simulate -p psf.fits -o arc.fits --arc lamps.txt --seed 7",
    ),
    (
        "compare",
        "  spextral compare frame.fits other.fits --tolerance 1e-4
  spextral compare frame.fits --truth truth.fits",
    ),
    (
        "report",
        "  spextral report frame.fits -o frame.html
  spextral report frame.fits -o frame.html --image preproc.fits --model model.fits",
    ),
    ("info", "  spextral info frame-r0-00051060.fits\n  spextral info *.fits.gz"),
    ("psf-info", "  spextral psf-info psf-r0-00051060.fits"),
    ("psf-convert", "  spextral psf-convert psf.fits -o grid.fits --to spotgrid --check"),
    ("plot-psf", "  spextral plot-psf psf.fits -o psf.png --image preproc.fits"),
    ("demo", "  spextral demo\n  spextral demo --full --device cpu -o there"),
    ("man", "  spextral man -o ~/.local/share/man/man1 && man spextral-extract"),
    ("completions", "  spextral completions bash > ~/.local/share/bash-completion/completions/spextral"),
];

/// Returns a command line with both sizes of help, for all its commands.
pub fn arranged(command: Command) -> Command {
    command.mut_args(both_sizes).mut_subcommands(|command| {
        let name = command.get_name().to_string();
        let given = command.get_after_help().map(ToString::to_string).unwrap_or_default();
        let own = EXAMPLES.iter().find(|(of, _)| *of == name).map(|(_, lines)| format!("Examples:\n{lines}"));
        let whole = own.into_iter().chain(Some(given).filter(|text| !text.is_empty())).collect::<Vec<_>>().join("\n\n");
        let examples = whole.split("\n\n").find(|paragraph| paragraph.starts_with("Examples:")).unwrap_or_default();
        let short = format!("{examples}\n\n`spextral {name} --help` tells all.").trim_start().to_string();
        command.after_help(short).after_long_help(whole).mut_args(both_sizes)
    })
}

/// Gives an option its first clause as the short help.
fn both_sizes(option: Arg) -> Arg {
    let Some(whole) = option.get_long_help().or(option.get_help()).map(ToString::to_string) else { return option };
    let hidden = WHOLE_ONLY.contains(&option.get_id().as_str());
    option.help(first_clause(&whole).to_string()).long_help(whole).hide_short_help(hidden)
}

/// Returns the first clause of a help text.
fn first_clause(text: &str) -> &str {
    let end = ENDS.iter().filter_map(|end| text.find(end)).min().unwrap_or(text.len());
    text[..end].trim_end_matches('.')
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_first_clause_ends_where_details_begin() {
        assert_eq!(first_clause("Repeat FRAME: inputs and options. And so on"), "Repeat FRAME");
        assert_eq!(first_clause("The grid [Angstrom]; by default that of the CCD"), "The grid [Angstrom]");
        assert_eq!(first_clause("Frame file"), "Frame file");
    }
}
