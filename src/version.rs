//! Which build this is: what frames and summaries record of it.

/// The version.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");

/// The git commit, with `-dirty` where there was more than is committed; `unknown` in development builds and where there was
/// no git, unless SPEXTRAL_COMMIT was set.
pub const COMMIT: &str = match option_env!("SPEXTRAL_COMMIT") {
    Some(commit) => commit,
    None => "unknown",
};
