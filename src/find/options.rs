//! The options of a search.

/// Options of [`find_traces`](super::find_traces).
#[derive(Clone, Debug, Default, PartialEq)]
pub struct FindOptions {
    /// Number of fibres, those without light included; None takes those that are seen.
    pub nfibre: Option<usize>,
    /// Fibres without light, counted from 0.
    pub broken_fibres: Vec<usize>,
    /// Wavelengths at the ends of the frame, roughly, Angstrom; None finds them.
    pub range: Option<[f64; 2]>,
}
