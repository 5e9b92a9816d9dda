//! Layouts of a device's workspace and of the host's bands, one into the other: for stages that run on the other side.

use crate::gpu::GpuError;
use crate::gpu::banded::{BLOCK, Shape, Workspace};
use crate::stages::banded::{BandedNormal, BandedRoot, Complement, Coupling};

/// Bytes of a device's counters.
fn bits(value: f64) -> u32 {
    (value as f32).to_bits()
}

/// Writes K, y and the couplings of a group's bundles into a workspace.
pub(super) fn upload_normal(work: &Workspace, of: &[(&BandedNormal, Coupling)]) -> Result<(), GpuError> {
    let shape = &work.shape;
    let (matrix, pair, padded) = (shape.matrix_len(), shape.pair_len(), BLOCK * shape.nblock());
    let mut own = vec![0.0; shape.nfibre * matrix];
    let mut pairs = vec![0.0; shape.distances * shape.nfibre * pair];
    let mut sums = vec![0.0; 4 * shape.nfibre * padded];
    for fibre in 0..shape.nfibre {
        let (k, f) = (fibre / shape.bundle, fibre % shape.bundle);
        let (n, half) = (of[k].0.n, of[k].0.half);
        let width = 2 * half + 1;
        let diagonal = &of[k].0.diagonal[f];
        fill_matrix(shape, &mut own[fibre * matrix..(fibre + 1) * matrix], half, |i, d| diagonal[i * (half + 1) + d]);
        sums[fibre * padded..][..n].copy_from_slice(&of[k].0.rhs[f]);
        for distance in 1..=shape.distances.min(f) {
            let (from, first) = (&of[k].0.pairs[distance - 1][f - distance], (distance - 1) * shape.nfibre + fibre);
            for i in 0..n {
                for j in i.saturating_sub(half)..(i + half + 1).min(n) {
                    pairs[first * pair + shape.pair_element(i, j)] = from[i * width + j + half - i];
                }
            }
        }
    }
    work.normal.own.write(&own)?;
    work.normal.pairs.write(&pairs)?;
    work.normal.sums.write(&sums)?;
    let couplings = of.iter().flat_map(|(_, c)| [bits(c.neighbours), bits(c.beyond)]).collect::<Vec<_>>();
    work.normal.largest.write(&couplings)
}

/// Fills a symmetric banded matrix from its elements (i + d, i); bins that fill up the last block repeat the last diagonal.
fn fill_matrix(shape: &Shape, to: &mut [f64], half: usize, element: impl Fn(usize, usize) -> f64) {
    for i in 0..BLOCK * shape.nblock() {
        if i >= shape.nbin {
            to[shape.element(i, i)] = element(shape.nbin - 1, 0);
            continue;
        }
        for d in 0..=half.min(shape.nbin - 1 - i) {
            to[shape.element(i + d, i)] = element(i, d);
            if (i + d) / BLOCK == i / BLOCK {
                to[shape.element(i, i + d)] = element(i, d);
            }
        }
    }
}

/// Reads K and y of a group's bundles.
pub(super) fn download_normal(work: &Workspace) -> Result<Vec<BandedNormal>, GpuError> {
    let (shape, normal) = (&work.shape, &work.normal);
    let (own, pairs, sums) = (normal.own.download()?, normal.pairs.download()?, normal.sums.download()?);
    let (matrix, pair, padded) = (shape.matrix_len(), shape.pair_len(), BLOCK * shape.nblock());
    let (n, half) = (shape.nbin, shape.reach);
    let diagonal = |fibre: usize| band_of(shape, &own[fibre * matrix..(fibre + 1) * matrix], half);
    let rhs = |fibre: usize| sums[fibre * padded..][..n].to_vec();
    let pair_of = |distance: usize, fibre: usize| {
        let first = (distance - 1) * shape.nfibre + fibre;
        let element = |(i, d): (usize, usize)| match (i + d).checked_sub(half).filter(|&j| j < n) {
            Some(j) => pairs[first * pair + shape.pair_element(i, j)],
            None => 0.0,
        };
        (0..n).flat_map(|i| (0..2 * half + 1).map(move |d| (i, d))).map(element).collect()
    };
    let bundle = |first: usize| {
        let fibres = first..(first + shape.bundle).min(shape.nfibre);
        BandedNormal {
            n,
            half,
            diagonal: fibres.clone().map(diagonal).collect(),
            pairs: (1..=shape.distances).map(|d| fibres.clone().skip(d).map(|f| pair_of(d, f)).collect()).collect(),
            rhs: fibres.map(rhs).collect(),
        }
    };
    Ok((0..shape.nfibre).step_by(shape.bundle).map(bundle).collect())
}

/// Returns elements (i + d, i) of a symmetric banded matrix, `[nbin, half + 1]`.
fn band_of(shape: &Shape, from: &[f64], half: usize) -> Vec<f64> {
    let element = |(i, d): (usize, usize)| if i + d < shape.nbin { from[shape.element(i + d, i)] } else { 0.0 };
    (0..shape.nbin).flat_map(|i| (0..=half).map(move |d| (i, d))).map(element).collect()
}

/// Writes S_f, z_f and Gershgorin's bounds of all fibres into a workspace.
pub(super) fn upload_complements(work: &Workspace, of: &[Vec<Complement>]) -> Result<(), GpuError> {
    let shape = &work.shape;
    let (matrix, padded) = (shape.matrix_len(), BLOCK * shape.nblock());
    let mut matrices = vec![0.0; shape.nfibre * matrix];
    let mut z = vec![0.0; shape.nfibre * padded];
    let mut bounds = vec![0.0; work.complements.bounds.len()];
    for (fibre, s) in of.iter().flatten().enumerate() {
        let at = |i: usize, d: usize| s.matrix[i * (s.band + 1) + d];
        fill_matrix(shape, &mut matrices[fibre * matrix..(fibre + 1) * matrix], s.band, at);
        z[fibre * padded..][..shape.nbin].copy_from_slice(&s.rhs);
        let mut sums = vec![0.0f64; padded];
        for i in 0..padded {
            if i >= shape.nbin {
                sums[i] = at(shape.nbin - 1, 0).abs();
                continue;
            }
            sums[i] += at(i, 0).abs();
            for d in 1..=s.band.min(shape.nbin - 1 - i) {
                sums[i] += at(i, d).abs();
                sums[i + d] += at(i, d).abs();
            }
        }
        for (bound, rows) in bounds[fibre * shape.nblock()..].iter_mut().zip(sums.chunks_exact(BLOCK)) {
            *bound = rows.iter().fold(0.0, |m: f64, v| m.max(*v));
        }
    }
    work.complements.matrices.write(&matrices)?;
    work.complements.reduced.write(&z)?;
    work.complements.bounds.write(&bounds)
}

/// Reads S_f and z_f of all fibres, `[bundle][fibre]`.
pub(super) fn download_complements(work: &Workspace) -> Result<Vec<Vec<Complement>>, GpuError> {
    let (shape, s) = (&work.shape, &work.complements);
    let (matrices, z) = (s.matrices.download()?, s.reduced.download()?);
    let (matrix, padded, band) = (shape.matrix_len(), BLOCK * shape.nblock(), shape.kept);
    let of_fibre = |fibre: usize| Complement {
        band,
        matrix: band_of(shape, &matrices[fibre * matrix..(fibre + 1) * matrix], band),
        rhs: z[fibre * padded..][..shape.nbin].to_vec(),
    };
    let fibres: Vec<Complement> = (0..shape.nfibre).map(of_fibre).collect();
    Ok(fibres.chunks(shape.bundle).map(<[_]>::to_vec).collect())
}

/// Writes x of all fibres, and the z_f that belong to it, into a workspace.
pub(super) fn upload_solution(work: &Workspace, x: &[Vec<Vec<f64>>], s: &[Vec<Complement>]) -> Result<(), GpuError> {
    let shape = &work.shape;
    let padded = BLOCK * shape.nblock();
    let mut all = vec![0.0; shape.nfibre * padded];
    let mut z = vec![0.0; 2 * shape.nfibre * padded];
    for (fibre, (x, s)) in x.iter().flatten().zip(s.iter().flatten()).enumerate() {
        all[fibre * padded..][..shape.nbin].copy_from_slice(x);
        // S x is the exact z_f, since x solves for all fibres.
        for (i, lost) in s.residual(x).into_iter().enumerate() {
            z[fibre * padded + i] = s.rhs[i] - lost;
            z[(shape.nfibre + fibre) * padded + i] = lost;
        }
    }
    work.solution.x.write(&all)?;
    work.solution.z_exact.write(&z)?;
    work.solution.worst.write(&vec![0; work.solution.worst.len()])
}

/// Reads the x of all fibres that solves `S_f x_f = z_f` for the exact z_f, `[bundle][fibre][bin]`.
pub(super) fn download_solution(work: &Workspace, s: &[Vec<Complement>]) -> Result<Vec<Vec<Vec<f64>>>, GpuError> {
    let shape = &work.shape;
    let (z, padded) = (work.solution.z_exact.download()?, BLOCK * shape.nblock());
    let of = |(fibre, s): (usize, &Complement)| s.solve(&z[fibre * padded..][..shape.nbin]);
    let fibres: Vec<Vec<f64>> = s.iter().flatten().enumerate().map(of).collect();
    Ok(fibres.chunks(shape.bundle).map(<[_]>::to_vec).collect())
}

/// Writes the spectra of all fibres, and x, into a workspace.
pub(super) fn upload_roots(work: &Workspace, roots: &[Vec<BandedRoot>], x: &[Vec<Vec<f64>>]) -> Result<(), GpuError> {
    let shape = &work.shape;
    let (nbin, width, bins) = (shape.nbin, 2 * shape.half + 1, shape.nfibre * shape.nbin);
    let mut spectra = vec![0.0; bins * (width + 3)];
    let mut deconvolved = vec![0.0; bins];
    for (fibre, (root, x)) in roots.iter().flatten().zip(x.iter().flatten()).enumerate() {
        let (k, f) = (fibre / shape.bundle, fibre % shape.bundle);
        for i in 0..nbin {
            let at = fibre * nbin + i;
            spectra[at] = (root.qx[i] + root.correction[i]) / root.row_sums[i];
            // Beyond f32 where rounding leaves nothing of the row.
            spectra[bins + at] = (root.row_sums[i] * root.row_sums[i]).min(f64::from(f32::MAX));
            spectra[2 * bins + at] = root.truncation_error[i];
            deconvolved[(k * nbin + i) * shape.bundle + f] = x[i];
        }
        let rows = &mut spectra[3 * bins + fibre * nbin * width..][..nbin * width];
        rows.copy_from_slice(&rows_of(root, shape.half));
    }
    work.roots.spectra.write(&spectra)?;
    work.roots.x.write(&deconvolved)
}

/// Returns the rows of R = Q / s of one fibre, `[nbin, 2 half + 1]`.
pub(super) fn rows_of(root: &BandedRoot, half: usize) -> Vec<f64> {
    let n = root.row_sums.len();
    let element = |(row, d): (usize, usize)| match (row + d).checked_sub(half).filter(|&column| column < n) {
        Some(column) => root.diagonals[row.min(column) * (half + 1) + row.abs_diff(column)] / root.row_sums[row],
        None => 0.0,
    };
    (0..n).flat_map(|row| (0..2 * half + 1).map(move |d| (row, d))).map(element).collect()
}
