//! The options of a request on the command line: the library's table with flags and help texts.

use clap::builder::PossibleValuesParser;
use clap::parser::ValueSource;
use clap::{Arg, ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use spextral::base::option_name::OptionName;
use spextral::extract::{OptionError, OptionKind, Request, option_kind};
use std::path::PathBuf;

/// An option's flag: name, short flag, name of its value, help text.
type Flag = (OptionName, Option<char>, &'static str, &'static str);

const MODEL: &str = "Options";
const WHAT: &str = "What to extract";
const HOW: &str = "How to extract";
const PATCHES: &str = "Bundles, and patches (all below but --bundlesize)";
const DEVICE: &str = "Device";

/// The flags by their headings in the help. `--stage-on-cpu` is a [`DeviceArguments`](super::device_arguments).
const FLAGS: [(&str, &[Flag]); 5] = [
    (
        MODEL,
        &[
            (
                OptionName::ModelFlux,
                None,
                "FLUX",
                "Flux that a model image shows: the one of the fit, or the decorrelated flux projected",
            ),
            (OptionName::NoScores, None, "", "Leave out the SCORES table"),
        ],
    ),
    (
        WHAT,
        &[
            (
                OptionName::Wavelength,
                Some('w'),
                "WMIN,WMAX,DW",
                "The grid [Angstrom]; DW may be R5000 or 69km/s for equal steps of ln(wavelength); by default where the chosen fibres are on the CCD, by 0.8 for DESI's PSFs and else by about \
                 1.35 sigma of the PSF along the dispersion",
            ),
            (
                OptionName::Specmin,
                Some('s'),
                "SPECMIN",
                "First spectrum, counted on the PSF; a selection has the numbers of the whole frame, but for BAD2DFIT in MASK",
            ),
            (OptionName::Nspec, Some('n'), "NSPEC", "Number of spectra; by default all from SPECMIN on"),
            (
                OptionName::MaskBits,
                None,
                "BITS",
                "Pixels with any of these MASK bits are not used: bits and ranges (0-7,9), a hexadecimal number (0x2ff), or none",
            ),
            (
                OptionName::ImageHdu,
                None,
                "HDU",
                "HDU of the image, by EXTNAME or number; by default IMAGE, or a primary image without EXTNAME",
            ),
            (
                OptionName::Readnoise,
                None,
                "E",
                "Read noise [electron] of a frame without weights (IVAR, VAR, STDDEV, ERR): the variance of a pixel is its \
                 square and the pixel's own electrons",
            ),
            (OptionName::Gain, None, "G", "Electrons per unit of an image that is not in electron"),
            (
                OptionName::IgnoreChecksum,
                None,
                "",
                "Use FIBERMAP and READNOISE, which decide no number, also where their DATASUM is wrong",
            ),
            (
                OptionName::BarycentricCorrection,
                None,
                "",
                "Make the grid barycentric: extract on w/f by dw/f with the factor f at mid-exposure, and write HELIOCOR. \
                 The site is that of OBSGEO-X, -Y, -Z (or -L, -B, -H), OBS-LONG, ESO's GEOLON, SITELONG or LONGITUD and the cards \
                 beside them; without any, Kitt Peak for DESI, a warning where no telescope is named, an error for another",
            ),
        ],
    ),
    (
        HOW,
        &[
            (
                OptionName::Solver,
                None,
                "SOLVER",
                "Method of extraction: whole bundles, exact to TOLERANCE (banded), the published divide and conquer (patches), or banded \
                 where it serves and else patches (auto)",
            ),
            (
                OptionName::Tolerance,
                None,
                "SIGMA",
                "Error of flux that the banded solver may make [sigma]; by default 1e-5 in f64, and 1e-3 on a GPU in f32, \
                 which reaches 3e-4 at best",
            ),
            (
                OptionName::Precision,
                None,
                "PRECISION",
                "Precision of a GPU: f32, f64 where it has it (see `spextral devices`), or f32 where that serves the grid \
                 and TOLERANCE, else f64, else the CPU (auto); the CPU computes in f64",
            ),
            (
                OptionName::Decorrelate,
                None,
                "KIND",
                "What is decorrelated together: the bins of a fibre (signal), or all fibres of a patch (noise)",
            ),
            (
                OptionName::Regularize,
                Some('r'),
                "REGULARIZE",
                "Regularisation of the deconvolved flux: 1/sigma of a prior that it is 0, electron per bin",
            ),
            (
                OptionName::Psferr,
                None,
                "F",
                "Fractional error of the PSF, for chi2pix; 0 for the noise alone; by default the PSF's PSFERR, or 0.01",
            ),
            (OptionName::PsfTails, None, "", "Add the PSF's power-law tails, which it must have"),
            (
                OptionName::PsfGh00,
                None,
                "VALUE",
                "GH-0-0 of the PSF: as in the file, or 1 as specex fits it, which writes it with terms of another row",
            ),
            (
                OptionName::FitTraces,
                None,
                "",
                "Shift and widen the PSF to fit the frame before it is extracted: by its own light and the lines of the night \
                 sky, as `spextral shift-psf` does, which takes other lines",
            ),
        ],
    ),
    (
        PATCHES,
        &[
            (
                OptionName::Bundlesize,
                None,
                "N",
                "Fibres solved together: a number, or groups that no light crosses (auto)",
            ),
            (
                OptionName::Nsubbundles,
                None,
                "N",
                "Sub-bundles of a bundle; auto makes sub-bundles of about five fibres, one where they are crowded",
            ),
            (OptionName::Nwavestep, None, "N", "Wavelength bins of a patch"),
            (OptionName::Wavepad, None, "N", "Bins of padding at each end of a patch"),
            (OptionName::WavepadFrac, None, "F", "Further padding, as a fraction of WAVEPAD"),
            (OptionName::PixpadFrac, None, "F", "Fraction of the padding bins' pixel rows that are used"),
        ],
    ),
    (
        DEVICE,
        &[(
            OptionName::MaxDeviceMemory,
            None,
            "SIZE",
            "Memory that a GPU may give, in bytes or with K, M, G for powers of 1024: work is cut into parts that fit. If \
             that is too little for the smallest part, the CPU serves, unless the GPU was named",
        )],
    ),
];

/// Options given on the command line, over the defaults of a request.
#[derive(Args, Clone, Debug)]
pub struct RequestOptions {
    /// A file with the FIBERMAP, in place of the frame's own
    #[arg(short, long)]
    pub fibermap: Option<PathBuf>,
    /// A file with a grid per fibre: FITS with WAVELENGTH [nspec, nwave] as of a frame, or CSV with columns fibre, wavelength
    #[arg(long, value_name = "FILE", conflicts_with = "wavelength")]
    pub wavelength_table: Option<PathBuf>,
    #[command(flatten)]
    pub given: Given,
}

/// Options of the library's table that stand on the command line, with their texts.
#[derive(Clone, Debug, Default)]
pub struct Given(Vec<(OptionName, String)>);

impl Given {
    /// Whether an option stands on the command line.
    pub fn has(&self, name: OptionName) -> bool {
        self.0.iter().any(|(given, _)| *given == name)
    }

    /// Whether a GPU must have f64.
    pub fn needs_f64(&self) -> bool {
        self.0.iter().any(|(name, text)| *name == OptionName::Precision && text == "f64")
    }

    /// Sets the options given.
    ///
    /// # Errors
    /// [`OptionError`] if a text is refused. The command line has checked them all.
    pub fn apply(&self, request: &mut Request) -> Result<(), OptionError> {
        self.0.iter().try_for_each(|(name, text)| request.set_option(*name, text))
    }
}

impl RequestOptions {
    /// Sets what is given: the fibermap and the options.
    ///
    /// # Errors
    /// [`OptionError`] if a text is refused.
    pub fn apply(&self, request: &mut Request) -> Result<(), OptionError> {
        if self.fibermap.is_some() {
            request.fibermap.clone_from(&self.fibermap);
        }
        if self.wavelength_table.is_some() {
            request.wavelength_table.clone_from(&self.wavelength_table);
        }
        self.given.apply(request)
    }
}

/// Returns the options that a row of a manifest may set.
pub fn names() -> impl Iterator<Item = OptionName> {
    FLAGS.iter().flat_map(|(_, flags)| flags.iter().map(|flag| flag.0))
}

/// Returns the flag of an option with the checks of the library's table.
fn argument(&(name, short, value_name, help): &Flag, heading: &'static str) -> Arg {
    let argument = Arg::new(name.word()).long(name.word()).short(short).help(help);
    let argument = if heading == MODEL { argument } else { argument.help_heading(heading) };
    let kind = option_kind(name).expect("every flag is an option of a request");
    let argument = match kind {
        OptionKind::Switch => return argument.action(ArgAction::SetTrue),
        OptionKind::Choice(words) => argument.value_name(value_name).value_parser(PossibleValuesParser::new(words())),
        OptionKind::Value => {
            let check = move |text: &str| {
                let mut request = Request::new("", "", "");
                request.set_option(name, text).map_err(|error| error.reason)?;
                request.wavelength.map_or(Ok(()), |range| range.grid().map(drop)).map_err(|error| error.to_string())?;
                request.options.check().map(|()| text.to_string()).map_err(|error| error.to_string())
            };
            // A wavelength may be negative to be refused as such, but is no number to clap.
            let range = name == OptionName::Wavelength;
            argument.value_name(value_name).value_parser(check).allow_negative_numbers(true).allow_hyphen_values(range)
        }
    };
    match default(name, kind) {
        Some(text) => argument.default_value(text),
        None => argument,
    }
}

/// Returns the default of an option, where it depends on neither the inputs nor the device.
fn default(name: OptionName, kind: OptionKind) -> Option<String> {
    let of_request = || Request::new("", "", "").option(name);
    match (name, kind) {
        (OptionName::MaskBits, _) => Some("0-7,9".into()),
        (_, OptionKind::Choice(words)) => of_request().or_else(|| words().first().map(ToString::to_string)),
        _ => of_request(),
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let text = |name: OptionName| {
            let id = name.word();
            let given = matches.value_source(id) == Some(ValueSource::CommandLine);
            let text = match option_kind(name) {
                Some(OptionKind::Switch) => Some("true".to_string()),
                _ => matches.get_one::<String>(id).cloned(),
            };
            text.filter(|_| given).map(|text| (name, text))
        };
        Ok(Self(names().filter_map(text).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        let flags = FLAGS.iter().flat_map(|(heading, flags)| flags.iter().map(|flag| argument(flag, heading)));
        command.args(flags)
    }

    fn augment_args_for_update(command: Command) -> Command {
        Self::augment_args(command)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use spextral::extract::option_names;

    #[test]
    fn every_option_of_a_request_has_a_flag_and_the_default_of_the_library() {
        let mut flags: Vec<OptionName> = names().chain([OptionName::StageOnCpu]).collect();
        let mut table: Vec<OptionName> = option_names().collect();
        flags.sort();
        table.sort();
        assert_eq!(flags, table);
        let mut request = Request::new("a", "b", "c");
        for name in names() {
            let kind = option_kind(name).unwrap();
            if let Some(text) = default(name, kind) {
                request.set_option(name, &text).unwrap();
            }
        }
        assert_eq!(request, Request::new("a", "b", "c"));
    }
}
