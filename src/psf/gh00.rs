//! GH-0-0 of specex's files: as it stands, or as it was fitted.

use super::model::{Psf, PsfParts};
use super::series::LegendreSeries;
use crate::base::word_enum::word_enum;
use serde::{Deserialize, Serialize};

/// The value of GH-0-0 that spots are made with.
///
/// specex holds it at 1 in its fit, but writes it with the higher Legendre terms of another row, left over in a buffer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum Gh00 {
    /// The row of the file, as published spectra have been extracted with.
    #[default]
    File,
    /// 1 at every wavelength.
    One,
}

word_enum!(Gh00, "value of GH-0-0", File = "file", One = "one");

impl PsfParts {
    /// Sets GH-0-0 to 1 at every wavelength of every fibre.
    pub fn set_gh00_to_one(&mut self) {
        if let Some(gh00) = self.gh.first_mut() {
            gh00.coeff.chunks_mut(gh00.ncoeff.max(1)).for_each(|fibre| {
                fibre.fill(0.0);
                fibre[0] = 1.0;
            });
        }
    }
}

impl Psf {
    /// Returns the parameter whose higher Legendre terms GH-0-0 has in every fibre, term by term, where they are not 0 in most
    /// fibres. A single fibre may be nonsense in all rows.
    pub(crate) fn gh00_leftover(&self) -> Option<String> {
        let gh00 = self.gh.first()?;
        let higher = |fibre: usize| &gh00.of(fibre)[1..];
        let is_zero = |fibre: &usize| higher(*fibre).iter().all(|c| *c == 0.0);
        if 2 * (0..self.nfibre).filter(is_zero).count() > self.nfibre {
            return None;
        }
        let rows = self.table_rows();
        let same = |(name, row): &&(String, &LegendreSeries)| {
            name != "GH-0-0" && row.ncoeff == gh00.ncoeff && (0..self.nfibre).all(|f| row.of(f)[1..] == *higher(f))
        };
        rows.iter().find(same).map(|(name, _)| name.clone())
    }
}
