//! The table of options: everything that decides what is in the outputs, in the words of the command line.
//!
//! What is recorded in a frame, what `--resume` compares, what `--like` repeats and what `--json` prints all come from
//! here; the command line's tests see that every option of it is either in the table or known to change nothing.

use super::Request;
use std::fmt::Debug;

/// An option: its long name on the command line, and its value there; None for the default, where that depends on the inputs
/// or the device.
type Word = (&'static str, fn(&Request) -> Option<String>);

/// In place of a value that is not set.
const DEFAULT: &str = "default";

/// The table. Values hold no blanks. Names of files are not in it: they have cards of their own.
const TABLE: [Word; 21] = [
    ("wavelength", |r| r.wavelength.map(|(min, max, step)| format!("{min},{max},{step}"))),
    ("specmin", |r| is(r.options.specmin)),
    ("nspec", |r| r.options.nspec.and_then(is)),
    ("mask-bits", |r| Some(format!("{:#x}", r.mask_bits))),
    ("barycentric-correction", |r| is(r.barycentric)),
    ("no-scores", |r| is(!r.scores)),
    ("model-flux", |r| r.model.as_ref().and_then(|(_, which)| named(which))),
    ("solver", |r| named(&r.options.solver)),
    ("tolerance", |r| r.options.tolerance.and_then(is)),
    ("precision", |r| r.options.precision.and_then(is)),
    ("decorrelate", |r| named(&r.options.decorrelate)),
    ("regularize", |r| is(r.options.regularize)),
    ("psferr", |r| r.options.psferr.and_then(is)),
    ("psf-tails", |r| is(r.options.psf_tails)),
    ("bundlesize", |r| is(r.options.patches.bundlesize)),
    ("nsubbundles", |r| is(r.options.patches.nsubbundles)),
    ("nwavestep", |r| is(r.options.patches.nwavestep)),
    ("wavepad", |r| is(r.options.patches.wavepad)),
    ("wavepad-frac", |r| is(r.options.patches.wavepad_frac)),
    ("pixpad-frac", |r| is(r.options.patches.pixpad_frac)),
    ("stage-on-cpu", |r| {
        let names: Vec<&str> = r.on_cpu.iter().map(|stage| stage.name()).collect();
        (!names.is_empty()).then(|| names.join(","))
    }),
];

fn is(value: impl ToString) -> Option<String> {
    Some(value.to_string())
}

/// A variant by its word on the command line.
fn named(variant: &impl Debug) -> Option<String> {
    Some(format!("{variant:?}").to_lowercase())
}

/// The options of a request by their names; None for those that are not set.
pub fn of(request: &Request) -> impl Iterator<Item = (&'static str, Option<String>)> {
    TABLE.iter().map(|(name, value)| (*name, value(request)))
}

/// `name=value` for each option: the card SPXOPT.
pub fn card(request: &Request) -> String {
    let words = of(request).map(|(name, value)| format!("{name}={}", value.as_deref().unwrap_or(DEFAULT)));
    words.collect::<Vec<_>>().join(" ")
}

/// The options that a card SPXOPT sets.
pub fn parse(card: &str) -> Vec<(String, String)> {
    let words = card.split_whitespace().filter_map(|word| word.split_once('='));
    words.filter(|(_, value)| *value != DEFAULT).map(|(name, value)| (name.into(), value.into())).collect()
}
