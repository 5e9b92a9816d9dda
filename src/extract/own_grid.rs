//! Grids of fibres that have their own: a table of wavelengths, or a barycentric grid of fibres with a range each.

use super::{FileError, Options, Request};
use crate::geometry::WaveGrid;
use crate::psf::Psf;
use crate::stages::wave_table::{OnTable, WaveTable, WaveTableError, on_table};

/// Returns the PSF on the scale of a table of wavelengths, or of a barycentric grid of fibres with a range each. None where neither
/// is wanted. Its table has the wavelengths of the output, those of the bins times the barycentric `factor`: the extraction
/// itself takes none.
///
/// # Errors
/// [`WaveTableError`] if the table does not suit the PSF or the fibres that `options` choose.
pub fn own_grid(
    psf: &Psf,
    options: &Options,
    grid: &WaveGrid,
    table: Option<WaveTable>,
    factor: Option<f64>,
) -> Result<Option<OnTable>, WaveTableError> {
    let of_grid = || (psf.ranges.is_some() && factor.is_some()).then(|| WaveTable::of_grid(psf, grid));
    let Some(asked) = table.map(Ok).or_else(of_grid).transpose()? else { return Ok(None) };
    let first = options.specmin.min(psf.nfibre - 1);
    let end = options.nspec.map_or(psf.nfibre, |nspec| first.saturating_add(nspec)).clamp(first, psf.nfibre);
    let seen = factor.map_or_else(|| asked.clone(), |factor| asked.times(1.0 / factor));
    let mut on = on_table(psf, seen, first..end)?;
    if let Some(factor) = factor {
        on.table = on.table.times(factor);
    }
    Ok(Some(on))
}

/// Gives the PSF of a request such a scale. Returns the bins on the scale, and the wavelengths of the output.
pub(super) fn own_grid_of(
    request: &Request,
    psf: &mut Psf,
    grid: &WaveGrid,
    table: Option<WaveTable>,
    factor: Option<f64>,
) -> Result<Option<(WaveGrid, WaveTable)>, FileError> {
    let path = request.wavelength_table.as_ref().unwrap_or(&request.psf);
    let failed = |source| FileError::Table { path: path.clone(), source };
    let Some(on) = own_grid(psf, &request.options, grid, table, factor).map_err(failed)? else { return Ok(None) };
    let wave = on.grid.wave();
    tracing::info!(
        "every fibre has its own wavelengths; those of the middle one are {:.2} to {:.2} Angstrom",
        wave[0],
        wave[wave.len() - 1]
    );
    if let Some(sentence) = on.sentence() {
        tracing::warn!("{}: {sentence}", path.display());
    }
    *psf = on.psf;
    Ok(Some((on.grid, on.table)))
}
