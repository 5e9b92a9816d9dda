//! All steps from two frames to the traces of a PSF.

use super::fibres::{self, blocks};
use super::follow::Traces;
use super::pattern::{FEWEST, Known};
use super::plane::Plane;
use super::solution::Solution;
use super::tracks;
use super::{FindError, FindOptions};
use crate::stages::trace_fit::Spots;

/// Places per fibre of the result.
const PLACES: usize = 24;
/// Most names in a sentence.
const NAMED: usize = 8;

/// The traces as spots, and what was found on the way.
#[derive(Clone, Debug)]
pub struct Found {
    /// Places and widths of every fibre at some wavelengths, dispersion along y.
    pub spots: Spots,
    /// Fibres without light.
    pub dark: Vec<usize>,
    /// Lines of the arc that the list has: wavelength, Angstrom, and row in the middle fibre.
    pub lines: Vec<[f64; 2]>,
    /// Usual departure of a line from the solution, pixels.
    pub rms: f64,
    /// Wavelengths from end to end, Angstrom.
    pub range: [f64; 2],
    /// Remarks, in sentences.
    pub notes: Vec<String>,
}

/// Finds traces and widths of all fibres by a flat and an arc, both with dispersion along y, and the wavelengths of lines in vacuum.
///
/// # Errors
/// [`FindError`], of the first step that fails.
pub fn find_traces(flat: &Plane, arc: &Plane, lines: &[f64], options: &FindOptions) -> Result<Found, FindError> {
    if [flat.ny, flat.nx] != [arc.ny, arc.nx] {
        return Err(FindError::Shape { arc: [arc.ny, arc.nx], flat: [flat.ny, flat.nx] });
    }
    let blocks = blocks(flat.ny);
    let profiles: Vec<_> = blocks.iter().map(|rows| flat.across(rows.clone())).collect();
    let fibres = fibres::find(flat, &profiles, options)?;
    let mut notes = Vec::new();
    let dark: Vec<usize> = (0..fibres.at.len()).filter(|&fibre| !fibres.lit[fibre]).collect();
    let named = |fibres: Vec<String>| fibres.into_iter().take(NAMED).collect::<Vec<_>>().join(", ");
    if options.nfibre.is_none() && options.broken_fibres.is_empty() && !fibres.rooms().is_empty() {
        let room = |(k, room): &(usize, usize)| match room {
            1 => format!("for a fibre without light between fibres {k} and {}", k + 1),
            more => format!("for {more} fibres without light between fibres {k} and {}", k + 1),
        };
        let rooms = fibres.rooms().iter().map(room).collect();
        notes.push(format!("there is room {}", named(rooms)));
    }
    if options.broken_fibres.is_empty() && !dark.is_empty() {
        let places = dark.iter().map(|&fibre| format!("{fibre} at pixel {:.0}", fibres.at[fibre])).collect();
        notes.push(format!("gaps are taken for fibres without light: {}", named(places)));
    }
    let traces = Traces::follow(&fibres, &profiles, &blocks, flat.ny);
    let (tracks, first) = tracks::find(arc, &traces);
    if tracks.len() < FEWEST {
        return Err(FindError::FewPeaks { found: tracks.len() });
    }
    let rows: Vec<f64> = tracks.iter().map(|track| tracks::place(track, first)).collect();
    let bright: Vec<f64> = tracks.iter().map(|track| track.bright).collect();
    let mut list: Vec<f64> = lines.to_vec();
    if let Some(range) = options.range {
        let [low, high] = [range[0].min(range[1]), range[0].max(range[1])];
        let beyond = 0.3 * (high - low);
        list.retain(|wave| (low - beyond..high + beyond).contains(wave));
    }
    list.sort_by(f64::total_cmp);
    list.dedup();
    if list.len() < FEWEST {
        return Err(FindError::FewLines { found: list.len() });
    }
    let known = Known { rows: &rows, bright: &bright, lines: &list, ny: arc.ny, range: options.range };
    let unknown = |matched| FindError::Pattern { peaks: rows.len(), matched };
    let scale = known.solve().map_err(unknown)?;
    let identified: Vec<_> = scale.matches.iter().map(|[k, line]| (&tracks[*k], list[*line])).collect();
    let solution = Solution::fit(&identified, &traces.lit, arc.ny);
    let unlisted: Vec<String> = (0..rows.len())
        .filter(|k| !scale.matches.iter().any(|pair| pair[0] == *k))
        .map(|k| format!("{:.1}", known.on(&scale, rows[k])))
        .collect();
    if !unlisted.is_empty() {
        let named = unlisted[..unlisted.len().min(NAMED)].join(", ");
        notes.push(format!("{} lines of the arc are not in the list, at {named} Angstrom", unlisted.len()));
    }
    if solution.is_cut {
        let [low, high] = solution.ends;
        notes.push(format!("the frame is longer than its lines: the PSF ends at {low:.1} and {high:.1} Angstrom"));
    }
    let mut found: Vec<[f64; 2]> = scale.matches.iter().map(|[k, line]| [list[*line], rows[*k]]).collect();
    found.sort_by(|a, b| a[0].total_cmp(&b[0]));
    Ok(Found { spots: spots(&traces, &solution), dark, lines: found, rms: solution.rms, range: solution.ends, notes })
}

fn spots(traces: &Traces, solution: &Solution) -> Spots {
    let mut spots = Spots::default();
    let [low, high] = solution.ends;
    for fibre in 0..traces.len() {
        for k in 0..PLACES {
            let wave = low + (high - low) * k as f64 / (PLACES - 1) as f64;
            let y = solution.row(fibre, wave);
            spots.fibre.push(fibre as i64);
            spots.wave.push(wave);
            spots.x.push(traces.at(fibre, y));
            spots.y.push(y);
            spots.sigma_x.push(traces.sigma(fibre, y));
            spots.sigma_y.push(solution.sigma(wave));
        }
    }
    spots
}
