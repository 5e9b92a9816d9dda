//! Bytes that bundles take on a device, for the plan.

use super::bundle::{Bundles, Request, cores};
use super::root::Spectra;
use super::shape::{BLOCK, Records};
use crate::geometry::SpotShape;
use crate::gpu::memory::SLACK;
use crate::gpu::traces;

impl Bundles {
    /// Bytes alive at a time while bundles like those of `request` go over one group after another, two on their way; besides
    /// the CCD's.
    pub fn bytes(&self, request: &Request) -> u64 {
        let gpu = &self.gpu;
        let spot = SpotShape::new(request.psf, request.with_tails);
        let (nfibre, nbin) = (request.fibres.len(), request.wave.len());
        let bundle = nfibre / request.pixels.len().max(1);
        let shape = self.shape(request, bundle);
        let [matrix, pair, vector] = [shape.matrix_len(), shape.pair_len(), BLOCK * shape.nblock()];
        let npole = self.poles.npole;
        let (spectra, most) = (nbin * (2 * shape.half + 4), Spectra::most(gpu, &shape, npole));
        let normal = matrix + pair + 4 * vector;
        let complements = 3 * matrix + 4 * vector + 2 * shape.record_len(Records::Wide);
        let roots = spectra + nbin + matrix + 8 * vector;
        let records = most * shape.record_len(Records::Narrow(npole));
        let work = gpu.real_bytes(nfibre * (normal + complements + roots) + records);
        let reach = BLOCK * shape.blocks();
        let cores = cores(gpu, nfibre, nbin, &spot, reach);
        let longest = cores.iter().map(ExactSizeIterator::len).max().unwrap_or(0);
        // The last window's spots are there until the next one's are made.
        let (windows, bins) = (cores.len().min(2), (longest + 2 * reach).min(nbin));
        let npix: usize = request.pixels.iter().map(|(rows, columns)| rows.len() * columns.len()).sum();
        let rows: usize = request.pixels.iter().map(|(rows, _)| rows.len()).sum();
        let spots = gpu.real_bytes(nfibre * windows * bins * spot.size());
        let fit = gpu.real_bytes(npix + 2 * 3 * nfibre * nbin) + 16 * (rows * bundle) as u64;
        let fetched = gpu.real_bytes(nfibre * (spectra + nbin));
        let [traces, passing] =
            traces::bytes(gpu, request.psf, request.fibres.clone(), request.wave, request.with_tails);
        // Health and the like, also on their way.
        let words = 4 * 32 * (nfibre + request.pixels.len()) as u64;
        work + 2 * (traces + passing + spots + fit + fetched + words) + SLACK
    }
}
