//! The rules of prose, as data: each pattern is ruled out, and each has a text that it must find and one that it must not.

use super::passages::Kind;

/// A pattern that committed text must not have.
#[derive(Debug)]
pub struct Rule {
    pub name: &'static str,
    /// Where it applies.
    pub kinds: &'static [Kind],
    /// See `matching`.
    pub pattern: &'static str,
    /// Words of which one directly before the match, or directly behind it, makes it good English.
    pub unless_after: &'static str,
    pub unless_before: &'static str,
    pub instead: &'static str,
    /// A text that it must find, for the tests.
    #[cfg_attr(not(test), expect(dead_code))]
    pub bad: &'static str,
    /// A text that it must pass, for the tests.
    #[cfg_attr(not(test), expect(dead_code))]
    pub good: &'static str,
}

/// Whatever is counted or measured in a rate: `UNIT` in a pattern.
pub const UNITS: &str = "bytes byte bins bin fibres frames frame seconds s ms ns µs us gb mb kb mib gib g/s gb/s electron \
    electrons bundles bundle patches patch coefficients coefficient chunks chunk threads thread one two three ones lines rows row \
    workgroup workgroups invocations s/n noise numbers number values value terms unknowns operations ranks rank messages matrices \
    matrix bits barriers barrier nodes jiffies thousands hundreds rays poles spots spot pixels timestamps wavelength image factor \
    inverse band status region method switch written n k file files array figures figure points words renamed opened dispatches \
    submissions buffers columns column degree parameters flops weight weights many test record entry entries counts count \
    exposures spectra spectrum images tasks jobs cores core gpu gpus memory cost time tens float floats word panel panels";

/// Whatever a rate is counted by: `ITEM` in a pattern.
pub const ITEMS: &str = "fibre bin frame second minute hour night day year patch bundle rank pole spot pixel gpu row column \
    spectrum exposure workgroup thread block stage batch device node core dispatch submission tile target group lane matrix \
    file line camera kernel shader pass octet unknown item section process chunk pair round machine task job ccd value";

const DOCS: &[Kind] = &[Kind::Summary];
const ERRORS: &[Kind] = &[Kind::Errors];
const ALL: &[Kind] = &[Kind::Summary, Kind::Errors, Kind::Doc, Kind::Comment, Kind::Message, Kind::Page];

const SUMMARY: &str = "begin with a verb (functions) or a noun phrase (types)";
const VARIANTS: &str = "name the variants: `Error::Variant` if ..";
const PER: &str = "write per";
/// Before a clause without its pronoun, no rate: "how many bytes | a frame takes".
const BEFORE_CLAUSE: &str = "the many much which what whose how these those all any such no";
/// The verb of such a clause: "memory a batch | may take".
const VERBS: &str = "is are was has have had does do did may might can could must shall should will would that which takes \
    take needs wants gives keeps fills extracts counts reads writes computes holds covers without";

const fn headless(name: &'static str, pattern: &'static str, bad: &'static str, good: &'static str) -> Rule {
    Rule { name, kinds: DOCS, pattern, unless_after: "", unless_before: "", instead: SUMMARY, bad, good }
}

const fn hollow(pattern: &'static str, bad: &'static str, good: &'static str) -> Rule {
    let name = "hollow-errors";
    Rule { name, kinds: ERRORS, pattern, unless_after: "", unless_before: "", instead: VARIANTS, bad, good }
}

const fn rate(pattern: &'static str, bad: &'static str, good: &'static str) -> Rule {
    let (unless_after, unless_before) = (BEFORE_CLAUSE, VERBS);
    Rule { name: "rate", kinds: ALL, pattern, unless_after, unless_before, instead: PER, bad, good }
}

pub const RULES: &[Rule] = &[
    headless("what", "^What", "What a frame needs.", "Returns what a frame needs."),
    headless("what", "^Whatever", "Whatever a device gives.", "The device's answer, whatever it is."),
    headless("that-of", "^That of", "That of the other fibre.", "The width of that fibre."),
    headless("that-of", "^Those of", "Those of the core.", "Bins, those of the core first."),
    headless("the-same", "^The same", "The same on the GPU.", "Solves the same system on the GPU."),
    headless("the-same", "^Likewise", "Likewise for ivar.", "The inverse variance, likewise."),
    headless("as-link", "^As [*", "As [`solve`], in place.", "Solves as [`solve`] does."),
    hollow("^What", "What the driver reports.", "`GpuError::Driver` if the driver reports one."),
    hollow("^Whatever", "Whatever kept it from being done.", "`WriteError` whatever the cause."),
    hollow(
        "what the|a driver|device reports",
        "Too large; what the driver reports.",
        "`GpuError::Lost` if the device is lost.",
    ),
    hollow("^See [*", "See [`Engine::traces`].", "`FitsError::Open` if the file is missing; see [`open`]."),
    hollow("^As [*", "As [`Gpu::zeros`].", "`GpuError::OutOfMemory` as [`Gpu::zeros`] returns it."),
    hollow("^As all", "As all stages: the device.", "`GpuError::Lost` as all stages."),
    hollow("^*Error`].$", "[`FitsError`].", "[`EngineError::Stopped`]."),
    hollow("^Those|That of", "Those of `work`.", "`Unserved` if `work` returns it."),
    rate("UNIT a ITEM", "Three bins a fibre.", "How many bins a fibre has."),
    rate("UNIT a ITEM", "Bytes a batch.", "Memory a batch may take."),
    rate("UNIT an hour|exposure|octet|item|unknown|axis|element", "Seven frames an hour.", "It takes an hour."),
    rate("electron|electrons|s/n|noise a|an Angstrom|bin", "S/N a bin.", "The noise of a bin."),
];
