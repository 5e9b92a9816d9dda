//! An arc frame.

use crate::geometry::Ccd;

/// An arc frame.
#[derive(Clone, Copy, Debug)]
pub struct ArcFrame<'a> {
    /// Its pixels, electron.
    pub ccd: &'a Ccd<'a>,
    /// Its read noise, electron, `[ny, nx]`; None takes that of the darkest pixels.
    pub readnoise: Option<&'a [f32]>,
}
