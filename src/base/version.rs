//! Which build this is: what frames and summaries record of it.

/// The version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The git commit, with [`DIRTY`] where there was more than is committed; [`UNKNOWN_COMMIT`] in development builds and
/// where there was no git, unless SPEXTRAL_COMMIT was set.
pub const COMMIT: &str = match option_env!("SPEXTRAL_COMMIT") {
    Some(commit) => commit,
    None => UNKNOWN_COMMIT,
};

/// In place of a commit that is not known.
pub const UNKNOWN_COMMIT: &str = "unknown";

/// What a commit ends in where there was more than is committed.
pub const DIRTY: &str = "-dirty";
