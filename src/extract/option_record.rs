//! The table of options: how each that decides numbers is read from text into a [`Request`], and written from it.
//!
//! Headers, `SPXOPT` among them, manifests, repeated frames and front ends all go through this table.

use super::option_values::MaskBits;
use super::{ModelFlux, Request, Solver};
use crate::backend::{Decorrelate, Stage};
use crate::base::memory_size::MemorySize;
use crate::base::option_name::OptionName;
use crate::geometry::WaveRange;
use crate::psf::Gh00;
use crate::solver::{PRECISIONS, precision_of, precision_word};
use std::str::FromStr;

/// In place of a value that is not set.
const DEFAULT: &str = "default";

/// The text of a number that follows from the PSF.
const AUTO: &str = "auto";

/// How a front end asks for an option.
#[derive(Clone, Copy, Debug)]
pub enum OptionKind {
    /// On or off; as text `true` or `false`.
    Switch,
    /// One of some words.
    Choice(fn() -> Vec<&'static str>),
    /// Any text that [`Request::set_option`] takes.
    Value,
}

/// A text that an option does not take.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("{}: {reason}", name.word())]
pub struct OptionError {
    /// The option.
    pub name: OptionName,
    /// The fault of the text, and the remedy.
    pub reason: String,
}

/// One option.
struct Row {
    name: OptionName,
    kind: OptionKind,
    /// Its value as text, without blanks; None for the default where that depends on the inputs or the device.
    get: fn(&Request) -> Option<String>,
    set: fn(&mut Request, &str) -> Result<(), String>,
}

/// A row of a field that has a value, read by a function of text.
macro_rules! field {
    ($name:ident, $kind:expr, $read:ident, $($field:ident).+) => {
        Row {
            name: OptionName::$name,
            kind: $kind,
            get: |request| Some(request.$($field).+.to_string()),
            set: |request, text| $read(text).map(|value| request.$($field).+ = value),
        }
    };
}

/// A row of a field that may have no value.
macro_rules! optional {
    ($name:ident, $read:ident, $($field:ident).+) => {
        Row {
            name: OptionName::$name,
            kind: OptionKind::Value,
            get: |request| request.$($field).+.map(|value| value.to_string()),
            set: |request, text| $read(text).map(|value| request.$($field).+ = Some(value)),
        }
    };
}

/// A row of a number that follows from the PSF where it is not given.
macro_rules! or_auto {
    ($name:ident, $($field:ident).+) => {
        Row {
            name: OptionName::$name,
            kind: OptionKind::Value,
            get: |request| Some(request.$($field).+.map_or_else(|| AUTO.into(), |value| value.to_string())),
            set: |request, text| whole_or_auto(text).map(|value| request.$($field).+ = value),
        }
    };
}

/// The table, in the order of the card SPXOPT. Names of files are not in it: they have cards of their own.
static TABLE: [Row; 28] = [
    Row {
        name: OptionName::Wavelength,
        kind: OptionKind::Value,
        get: |request| request.wavelength.map(|range| range.to_string()),
        set: |request, text| parse::<WaveRange>(text).map(|range| request.wavelength = Some(range)),
    },
    field!(Specmin, OptionKind::Value, whole, options.specmin),
    optional!(Nspec, whole, options.nspec),
    Row {
        name: OptionName::MaskBits,
        kind: OptionKind::Value,
        get: |request| Some(MaskBits(request.mask_bits).to_string()),
        set: |request, text| parse(text).map(|MaskBits(bits)| request.mask_bits = bits),
    },
    Row {
        name: OptionName::ImageHdu,
        kind: OptionKind::Value,
        get: |request| request.image_hdu.clone(),
        set: |request, text| hdu_name(text).map(|name| request.image_hdu = Some(name)),
    },
    optional!(Readnoise, positive, readnoise),
    optional!(Gain, positive, gain),
    field!(IgnoreChecksum, OptionKind::Switch, switch, ignore_checksum),
    field!(BarycentricCorrection, OptionKind::Switch, switch, barycentric),
    Row {
        name: OptionName::NoScores,
        kind: OptionKind::Switch,
        get: |request| Some((!request.scores).to_string()),
        set: |request, text| switch(text).map(|without| request.scores = !without),
    },
    Row {
        name: OptionName::ModelFlux,
        kind: OptionKind::Choice(|| words(ModelFlux::ALL, ModelFlux::word)),
        get: |request| request.model.as_ref().map(|(_, which)| which.to_string()),
        // Without a model image there is nothing for it to show.
        set: |request, text| parse(text).map(|flux| request.model = request.model.take().map(|(path, _)| (path, flux))),
    },
    field!(Solver, OptionKind::Choice(|| words(Solver::ALL, Solver::word)), parse, options.solver),
    optional!(Tolerance, number, options.tolerance),
    Row {
        name: OptionName::Precision,
        kind: OptionKind::Choice(|| words(&PRECISIONS, precision_word)),
        get: |request| request.options.precision.map(|precision| precision.to_string()),
        set: |request, text| {
            let precision = precision_of(text).map_err(|error| error.to_string());
            precision.map(|precision| request.options.precision = precision)
        },
    },
    field!(Decorrelate, OptionKind::Choice(|| words(Decorrelate::ALL, Decorrelate::word)), parse, options.decorrelate),
    field!(Regularize, OptionKind::Value, number, options.regularize),
    optional!(Psferr, number, options.psferr),
    field!(PsfTails, OptionKind::Switch, switch, options.psf_tails),
    field!(PsfGh00, OptionKind::Choice(|| words(Gh00::ALL, Gh00::word)), parse, psf_gh00),
    field!(FitTraces, OptionKind::Switch, switch, fit_traces),
    or_auto!(Bundlesize, options.patches.bundlesize),
    or_auto!(Nsubbundles, options.patches.nsubbundles),
    field!(Nwavestep, OptionKind::Value, whole, options.patches.nwavestep),
    field!(Wavepad, OptionKind::Value, whole, options.patches.wavepad),
    field!(WavepadFrac, OptionKind::Value, number, options.patches.wavepad_frac),
    field!(PixpadFrac, OptionKind::Value, number, options.patches.pixpad_frac),
    Row {
        name: OptionName::StageOnCpu,
        kind: OptionKind::Value,
        get: |request| {
            let names: Vec<&str> = request.on_cpu.iter().map(|stage| stage.name()).collect();
            (!names.is_empty()).then(|| names.join(","))
        },
        set: |request, text| {
            let stages = text.split(',').map(parse::<Stage>).collect::<Result<_, _>>();
            stages.map(|stages| request.on_cpu = stages)
        },
    },
    Row {
        name: OptionName::MaxDeviceMemory,
        kind: OptionKind::Value,
        get: |request| request.options.max_device_memory.map(|bytes| MemorySize(bytes).to_string()),
        set: |request, text| parse(text).map(|MemorySize(bytes)| request.options.max_device_memory = Some(bytes)),
    },
];

/// The option of the table that decides no numbers, and is not recorded.
const NOT_RECORDED: OptionName = OptionName::MaxDeviceMemory;

impl Request {
    /// Returns every recorded option with its value as text; None where it is not set.
    pub fn recorded_options(&self) -> impl Iterator<Item = (OptionName, Option<String>)> {
        TABLE.iter().filter(|row| row.name != NOT_RECORDED).map(|row| (row.name, (row.get)(self)))
    }

    /// Returns everything that decides the outputs, but for names of files: `name=value` for each option, the card SPXOPT.
    pub fn option_record(&self) -> String {
        let text = |(name, value): (OptionName, Option<String>)| {
            format!("{}={}", name.word(), value.as_deref().unwrap_or(DEFAULT))
        };
        self.recorded_options().map(text).collect::<Vec<_>>().join(" ")
    }

    /// Sets the options of a card SPXOPT that this version has and takes.
    pub fn set_recorded(&mut self, card: &str) {
        for (name, value) in read_card(card) {
            if let Ok(name) = name.parse() {
                let _ = self.set_option(name, &value);
            }
        }
    }

    /// Returns the value of an option as text; None where it is not set, or is no option of a request.
    pub fn option(&self, name: OptionName) -> Option<String> {
        find(name).and_then(|row| (row.get)(self))
    }

    /// Sets an option from text. [`OptionName::ModelFlux`] counts once the request has a model image.
    ///
    /// # Errors
    /// [`OptionError`] if the option is none of a request, or does not take this text.
    pub fn set_option(&mut self, name: OptionName, text: &str) -> Result<(), OptionError> {
        let failed = |reason| OptionError { name, reason };
        let row = find(name).ok_or_else(|| failed("it is no option of an extraction".into()))?;
        (row.set)(self, text).map_err(failed)
    }
}

/// Returns how a front end asks for an option of a [`Request`]; None where it is none.
pub fn option_kind(name: OptionName) -> Option<OptionKind> {
    find(name).map(|row| row.kind)
}

/// Returns the options of a [`Request`], files and device apart.
pub fn option_names() -> impl Iterator<Item = OptionName> {
    TABLE.iter().map(|row| row.name)
}

fn find(name: OptionName) -> Option<&'static Row> {
    TABLE.iter().find(|row| row.name == name)
}

/// Reads the options that a card SPXOPT sets.
pub(super) fn read_card(card: &str) -> Vec<(String, String)> {
    let words = card.split_whitespace().filter_map(|word| word.split_once('='));
    words.filter(|(_, value)| *value != DEFAULT).map(|(name, value)| (name.into(), value.into())).collect()
}

fn words<T: Copy>(all: &[T], word: fn(T) -> &'static str) -> Vec<&'static str> {
    all.iter().map(|&variant| word(variant)).collect()
}

fn whole(text: &str) -> Result<usize, String> {
    text.parse().map_err(|_| format!("`{text}` is no whole number of at least 0"))
}

fn whole_or_auto(text: &str) -> Result<Option<usize>, String> {
    if text == AUTO {
        return Ok(None);
    }
    text.parse().map(Some).map_err(|_| format!("`{text}` is neither a whole number of at least 1 nor {AUTO}"))
}

fn number(text: &str) -> Result<f64, String> {
    text.parse().map_err(|_| format!("`{text}` is no number"))
}

fn positive(text: &str) -> Result<f64, String> {
    let positive = number(text)?;
    let refuse = || format!("`{text}` is no number above 0");
    (positive > 0.0 && positive.is_finite()).then_some(positive).ok_or_else(refuse)
}

/// Cards and manifests of options hold no blanks.
fn hdu_name(text: &str) -> Result<String, String> {
    let sound = !text.is_empty() && !text.contains(char::is_whitespace);
    sound
        .then(|| text.into())
        .ok_or_else(|| format!("`{text}` has a blank: give the number of the HDU, counted from 0"))
}

fn switch(text: &str) -> Result<bool, String> {
    text.parse().map_err(|_| format!("`{text}` is neither true nor false"))
}

fn parse<T: FromStr<Err: ToString>>(text: &str) -> Result<T, String> {
    text.parse().map_err(|error: T::Err| error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    const TEXTS: [(&str, &str); 28] = [
        ("wavelength", "5760,7620,0.8"),
        ("specmin", "3"),
        ("nspec", "4"),
        ("mask-bits", "0x3"),
        ("image-hdu", "SCI"),
        ("readnoise", "3.5"),
        ("gain", "1.2"),
        ("ignore-checksum", "true"),
        ("barycentric-correction", "true"),
        ("no-scores", "true"),
        ("model-flux", "decorrelated"),
        ("solver", "banded"),
        ("tolerance", "0.0001"),
        ("precision", "f64"),
        ("decorrelate", "noise"),
        ("regularize", "0.5"),
        ("psferr", "0.04"),
        ("psf-tails", "true"),
        ("psf-gh00", "one"),
        ("fit-traces", "true"),
        ("bundlesize", "20"),
        ("nsubbundles", "4"),
        ("nwavestep", "40"),
        ("wavepad", "9"),
        ("wavepad-frac", "0.1"),
        ("pixpad-frac", "0.7"),
        ("stage-on-cpu", "spots,model"),
        ("max-device-memory", "500M"),
    ];

    fn request() -> Request {
        Request { model: Some(("m".into(), ModelFlux::default())), ..Request::new("a", "b", "c") }
    }

    #[test]
    fn every_option_is_written_as_it_was_read_and_holds_no_blank() {
        let mut set = request();
        for (name, text) in TEXTS {
            let name: OptionName = name.parse().unwrap();
            assert_ne!(set.option(name).as_deref(), Some(text), "{name}: the default shows nothing");
            set.set_option(name, text).unwrap();
            assert_eq!(set.option(name).as_deref(), Some(text));
        }
        assert_eq!(option_names().map(OptionName::word).collect::<Vec<_>>(), TEXTS.map(|(name, _)| name));
        let recorded: Vec<String> = TEXTS[..27].iter().map(|(name, text)| format!("{name}={text}")).collect();
        assert_eq!(set.option_record(), recorded.join(" "));
        let mut again = request();
        for (name, text) in read_card(&set.option_record()) {
            again.set_option(name.parse().unwrap(), &text).unwrap();
        }
        again.options.max_device_memory = set.options.max_device_memory;
        assert_eq!(again, set);
    }

    #[test]
    fn the_card_of_the_defaults_names_every_option() {
        let card = "wavelength=default specmin=0 nspec=default mask-bits=0x2ff image-hdu=default \
                     readnoise=default gain=default ignore-checksum=false barycentric-correction=false \
                    no-scores=false model-flux=default solver=auto tolerance=default precision=default \
                    decorrelate=signal regularize=0 psferr=default psf-tails=false psf-gh00=file fit-traces=false \
                    bundlesize=auto nsubbundles=auto nwavestep=50 wavepad=10 wavepad-frac=0.2 pixpad-frac=0.8 stage-on-cpu=default";
        assert_eq!(Request::new("a", "b", "c").option_record(), card);
    }

    #[test]
    fn the_card_of_a_frame_with_bundles_of_a_size_reads_back() {
        let mut request = request();
        for (name, text) in read_card("bundlesize=25 nsubbundles=5 wavelength=default") {
            request.set_option(name.parse().unwrap(), &text).unwrap();
        }
        let patches = request.options.patches;
        assert_eq!((patches.bundlesize, patches.nsubbundles), (Some(25), Some(5)));
        request.set_option(OptionName::Bundlesize, "auto").unwrap();
        assert_eq!(request.options.patches.bundlesize, None);
    }

    #[test]
    fn a_text_that_an_option_does_not_take_is_refused_with_its_name() {
        for (name, text, reason) in [
            (OptionName::Nspec, "many", "nspec: `many` is no whole number of at least 0"),
            (OptionName::Readnoise, "0", "readnoise: `0` is no number above 0"),
            (OptionName::Gain, "nan", "gain: `nan` is no number above 0"),
            (OptionName::ImageHdu, "a b", "image-hdu: `a b` has a blank: give the number of the HDU, counted from 0"),
            (OptionName::Psferr, "", "psferr: `` is no number"),
            (OptionName::Bundlesize, "all", "bundlesize: `all` is neither a whole number of at least 1 nor auto"),
            (OptionName::PsfTails, "yes", "psf-tails: `yes` is neither true nor false"),
            (OptionName::Solver, "magic", "solver: there is no solver `magic`: give auto, patches or banded"),
            (OptionName::Precision, "f16", "precision: there is no precision `f16`: give auto, f32 or f64"),
            (OptionName::Overwrite, "true", "overwrite: it is no option of an extraction"),
        ] {
            assert_eq!(request().set_option(name, text).unwrap_err().to_string(), reason);
        }
    }
}
