//! Grids of fibres that have their own: a table of wavelengths, or a barycentric grid of fibres with a range each.

use super::{FileError, Request};
use crate::geometry::WaveGrid;
use crate::psf::Psf;
use crate::stages::wave_table::{WaveTable, on_table};

/// Gives the PSF the scale of a table, or of a barycentric grid of fibres with a range each. Returns the bins on the scale, and the
/// wavelengths of the output.
pub(super) fn own_grid(
    request: &Request,
    psf: &mut Psf,
    grid: &WaveGrid,
    table: Option<WaveTable>,
    factor: Option<f64>,
) -> Result<Option<(WaveGrid, WaveTable)>, FileError> {
    let path = request.wavelength_table.as_ref().unwrap_or(&request.psf);
    let failed = |source| FileError::Table { path: path.clone(), source };
    let of_grid = || (psf.ranges.is_some() && factor.is_some()).then(|| WaveTable::of_grid(psf, grid));
    let Some(asked) = table.map(Ok).or_else(of_grid).transpose().map_err(failed)? else { return Ok(None) };
    let first = request.options.specmin.min(psf.nfibre - 1);
    let end = request.options.nspec.map_or(psf.nfibre, |nspec| first.saturating_add(nspec)).clamp(first, psf.nfibre);
    let seen = factor.map_or_else(|| asked.clone(), |factor| asked.times(1.0 / factor));
    let on = on_table(psf, seen, first..end).map_err(failed)?;
    let wave = on.table.row(psf.nfibre / 2);
    tracing::info!(
        "every fibre has its own wavelengths; those of the middle one are {:.2} to {:.2} Angstrom",
        wave[0],
        wave[wave.len() - 1]
    );
    if on.stray > 0.0 {
        tracing::warn!(
            "{}: wavelengths stray by up to {:.2e} Angstrom from smooth functions of their bins; the frame has those of the functions",
            path.display(),
            on.stray
        );
    }
    *psf = on.psf;
    Ok(Some((on.grid, factor.map_or(on.table.clone(), |factor| on.table.times(factor)))))
}
