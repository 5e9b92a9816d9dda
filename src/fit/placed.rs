//! Spots of one exposure placed on the CCD, and which of them share pixels.

use super::exposure::Exposure;
use super::model::Model;
use super::spot::Spot;
use std::ops::Range;

/// The spots of an exposure in the order of wavelengths, then fibres.
#[derive(Clone, Debug, Default)]
pub(super) struct Placed {
    pub spots: Vec<Spot>,
    /// Spots before each spot that share pixels with it, ascending.
    pub before: Vec<Vec<usize>>,
    /// The spots of each line.
    pub lines: Vec<Range<usize>>,
}

impl Placed {
    /// Places the spots of an exposure that are in the model.
    pub fn new(model: &Model, theta: &[f64], number: usize, exposure: &Exposure) -> Self {
        let mut order: Vec<usize> = (0..model.lines.len()).collect();
        order.sort_by(|&a, &b| model.lines[a].place.total_cmp(&model.lines[b].place));
        let mut placed = Self::default();
        // Lines that may share rows with the next.
        let mut recent: Vec<(Range<usize>, Range<usize>)> = Vec::new();
        for l in order {
            let line = &model.lines[l];
            let start = placed.spots.len();
            for fibre in 0..model.fibres.len() {
                let index = exposure.index(l, fibre);
                if exposure.spots[index].used {
                    let params = model.spot_at(theta, number, fibre, line);
                    placed.spots.push(Spot::new(index, model, &exposure.region, [l, fibre], params));
                }
            }
            let own = start..placed.spots.len();
            let rows = placed.spots[own.clone()].iter().map(|spot| spot.window.rows.clone());
            let rows = rows.reduce(|all, rows| all.start.min(rows.start)..all.end.max(rows.end)).unwrap_or_default();
            recent.retain(|(_, others)| others.start < rows.end && rows.start < others.end);
            recent.push((own.clone(), rows));
            for n in own.clone() {
                let shares = |m: &usize| !placed.spots[*m].window.overlap(&placed.spots[n].window).is_empty();
                let earlier = recent.iter().flat_map(|(spots, _)| spots.start..spots.end.min(n));
                let before: Vec<usize> = earlier.filter(shares).collect();
                placed.before.push(before);
            }
            placed.lines.push(own);
        }
        placed
    }
}
