//! The build, as frames and summaries record it.

/// Version of the package.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The git commit, followed by [`DIRTY`] if the tree had other changes. [`UNKNOWN_COMMIT`] in development builds and
/// without git, unless SPEXTRAL_COMMIT was set.
pub const COMMIT: &str = match option_env!("SPEXTRAL_COMMIT") {
    Some(commit) => commit,
    None => UNKNOWN_COMMIT,
};

/// Stands for an unknown commit.
pub const UNKNOWN_COMMIT: &str = "unknown";

/// Suffix of a commit whose tree had other changes.
pub const DIRTY: &str = "-dirty";
