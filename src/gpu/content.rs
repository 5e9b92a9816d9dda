//! The content of a new buffer.

/// The content of a new buffer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Content {
    Zeros,
    /// Any values: all of them are overwritten next.
    Any,
    /// Zeros, but where kernels write that depend on this number alone: they write the same places each time, and all that they read
    /// of these.
    Layout(u64),
    /// The data of the host that this number stands for.
    Data(u64),
}
