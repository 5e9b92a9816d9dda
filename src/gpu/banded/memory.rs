//! Bytes that groups take on a device, for the plan.

use super::complement::Complements;
use super::group::{Group, cores};
use super::root::Roots;
use super::shape::BLOCK;
use super::workspace::BandedDevice;
use crate::gpu::memory::SLACK;
use crate::gpu::{model, traces};

impl BandedDevice {
    /// Returns the bytes alive at a time while groups like `group` are submitted one after another, two in flight; the CCD's
    /// come on top.
    pub fn bytes(&self, group: &Group) -> u64 {
        let gpu = &self.gpu;
        let spot = group.spot();
        let (nfibre, nbin) = (group.fibres.len(), group.wave.len());
        let shape = self.shape(group);
        let [matrix, pair, vector] = [shape.matrix_len(), shape.pair_len(), BLOCK * shape.nblock()];
        let npole = self.poles().npole;
        let (spectra, most) = (nbin * (2 * shape.half + 4), Roots::most(gpu, &shape, npole));
        let normal = matrix + shape.distances * pair + 4 * vector;
        let complements = Complements::values(&shape).iter().sum::<usize>();
        let roots = spectra + nbin + matrix + 8 * vector;
        let records = most * shape.record_len(npole);
        let work = gpu.real_bytes(nfibre * (normal + complements + roots) + records);
        let reach = BLOCK * shape.blocks();
        let cores = cores(gpu, nfibre, nbin, &spot, reach);
        let longest = cores.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        // The last window's spots are there until the next one's are made.
        let (windows, bins) = (cores.len().min(2), (longest + 2 * reach).min(nbin));
        let npix: usize = group.pixels.iter().map(|(rows, columns)| rows.len() * columns.len()).sum();
        let most_rows = group.pixels.iter().map(|(rows, _)| rows.len()).max().unwrap_or(0);
        let spots = gpu.real_bytes(nfibre * windows * bins * spot.size());
        let marks = 4 * model::marks(group.pixels.len(), most_rows, group.bundle()) as u64;
        let fit = gpu.real_bytes(2 * npix + 2 * 3 * nfibre * nbin) + marks;
        // As the stages made them, or finished and on their way.
        let fetched = gpu.real_bytes(nfibre * nbin * 2 * (2 * shape.half + 8));
        let [traces, passing] = traces::bytes(gpu, group.psf, group.fibres.clone(), group.wave, group.with_tails);
        // Health and the like, also on their way.
        let words = 4 * (32 * (nfibre + group.pixels.len()) + nfibre * shape.chunks(npole)[0]) as u64;
        work + 2 * (traces + passing + spots + fit + fetched + words) + SLACK
    }
}
