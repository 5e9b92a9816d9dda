//! Names of options, what an error advises to do with them, and how messages spell them.

use super::memory_size::MemorySize;
use super::word_enum::UnknownWord;
use std::fmt;
use std::str::FromStr;
use std::sync::atomic::{AtomicU8, Ordering};

/// How messages spell options. It belongs to the process, as messages pass through threads, logs and reports.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spelling {
    /// As headers record them: `max-device-memory 500M`.
    Record,
    /// As flags of a command line, the name behind two dashes.
    Flag,
    /// As keywords of Python: `max_device_memory=524288000`.
    Keyword,
}

static SPELLING: AtomicU8 = AtomicU8::new(Spelling::Record as u8);

impl Spelling {
    /// Makes messages of this process spell options so; a front end calls it once, at its start.
    pub fn use_in_messages(self) {
        SPELLING.store(self as u8, Ordering::Relaxed);
    }

    fn current() -> Self {
        let spelled = |spelling: &Self| *spelling as u8 == SPELLING.load(Ordering::Relaxed);
        [Self::Flag, Self::Keyword].into_iter().find(spelled).unwrap_or(Self::Record)
    }
}

macro_rules! option_names {
    ($($variant:ident = $word:literal),+ $(,)?) => {
        /// An option of a front end by the name that headers, manifests and front ends share.
        #[allow(missing_docs)] // Their words stand beside them.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum OptionName {
            $($variant),+
        }

        impl OptionName {
            /// All names in order.
            pub const ALL: &'static [Self] = &[$(Self::$variant),+];

            /// Returns the name as headers record it, with dashes.
            pub const fn word(self) -> &'static str {
                match self {
                    $(Self::$variant => $word,)+
                }
            }
        }
    };
}

option_names! {
    Wavelength = "wavelength",
    Specmin = "specmin",
    Nspec = "nspec",
    MaskBits = "mask-bits",
    ImageHdu = "image-hdu",
    Readnoise = "readnoise",
    Gain = "gain",
    IgnoreChecksum = "ignore-checksum",
    BarycentricCorrection = "barycentric-correction",
    NoScores = "no-scores",
    ModelFlux = "model-flux",
    Solver = "solver",
    Tolerance = "tolerance",
    Precision = "precision",
    Decorrelate = "decorrelate",
    Regularize = "regularize",
    Psferr = "psferr",
    PsfTails = "psf-tails",
    PsfGh00 = "psf-gh00",
    FitTraces = "fit-traces",
    Bundlesize = "bundlesize",
    Nsubbundles = "nsubbundles",
    Nwavestep = "nwavestep",
    Wavepad = "wavepad",
    WavepadFrac = "wavepad-frac",
    PixpadFrac = "pixpad-frac",
    StageOnCpu = "stage-on-cpu",
    MaxDeviceMemory = "max-device-memory",
    Device = "device",
    Overwrite = "overwrite",
    Like = "like",
    Reduxdir = "reduxdir",
    Night = "night",
    Expid = "expid",
    Image = "image",
    Model = "model",
    Truth = "truth",
    LinesIn = "lines-in",
    Arc = "arc",
    Spectra = "spectra",
}

/// The spelling of the current front end.
impl fmt::Display for OptionName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match Spelling::current() {
            Spelling::Record => f.write_str(self.word()),
            Spelling::Flag => write!(f, "--{}", self.word()),
            Spelling::Keyword => f.write_str(&self.word().replace('-', "_")),
        }
    }
}

impl FromStr for OptionName {
    type Err = UnknownWord;

    fn from_str(word: &str) -> Result<Self, UnknownWord> {
        UnknownWord::find("option", word, Self::ALL, Self::word)
    }
}

/// A way out of an error: what to do with one option.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Remedy {
    /// Switch the option on.
    Switch(OptionName),
    /// Give the option this word.
    Set(OptionName, &'static str),
    /// Give the option this much memory or more.
    AtLeast(OptionName, MemorySize),
    /// Give the option a larger value.
    Raise(OptionName),
    /// Give the option a smaller value.
    Lower(OptionName),
    /// Give the option another value.
    Change(OptionName),
}

impl fmt::Display for Remedy {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let keyword = Spelling::current() == Spelling::Keyword;
        match self {
            Self::Switch(name) if keyword => write!(f, "{name}=True"),
            Self::Switch(name) => write!(f, "{name}"),
            Self::Set(name, word) if keyword => write!(f, "{name}='{word}'"),
            Self::Set(name, word) => write!(f, "{name} {word}"),
            Self::AtLeast(name, MemorySize(bytes)) if keyword => write!(f, "{name}={bytes} or more"),
            Self::AtLeast(name, size) => write!(f, "{name} {size} or more"),
            Self::Raise(name) => write!(f, "a larger {name}"),
            Self::Lower(name) => write!(f, "a smaller {name}"),
            Self::Change(name) => write!(f, "another {name}"),
        }
    }
}

impl Remedy {
    /// Joins remedies as a choice: "give a larger tolerance, or solver patches".
    pub(crate) fn any_of(remedies: &[Self]) -> String {
        let texts: Vec<String> = remedies.iter().map(Self::to_string).collect();
        format!("give {}", texts.join(", or "))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back_from_its_word() {
        for name in OptionName::ALL {
            assert_eq!(name.word().parse(), Ok(*name));
        }
        assert!("magic".parse::<OptionName>().is_err());
    }

    #[test]
    fn remedies_are_joined_as_a_choice_in_the_words_of_records() {
        let remedies = [Remedy::Raise(OptionName::Tolerance), Remedy::Set(OptionName::Solver, "patches")];
        assert_eq!(Remedy::any_of(&remedies), "give a larger tolerance, or solver patches");
        let memory = Remedy::AtLeast(OptionName::MaxDeviceMemory, MemorySize(512 << 10));
        assert_eq!(memory.to_string(), "max-device-memory 512K or more");
    }
}
