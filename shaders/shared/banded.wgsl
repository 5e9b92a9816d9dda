// Banded matrices in 4 x 4 blocks, one matrix per fibre, and the overlapping chunks of bins in which they are solved.
//
// A block is a mat4x4 with row r in m[r]. WGSL's m[r] is a column, so that products are written in reverse order: the block of
// A B is b * a.

// Blocks below the diagonal, a half bandwidth of 4 REACH bins.
const REACH: u32 = 3;
// Rows of a column of blocks in a matrix: the diagonal block and REACH below it.
const MATRIX_ROWS: u32 = 4u * (REACH + 1u);
// Right-hand sides of a factor: 1, z, and the part of z lost to the bands.
const SIDES: u32 = 3u;

struct Args {
    // Threads, and the item of the first.
    count: u32,
    first: u32,
    // Fibres, fibres per bundle, bins, and blocks of bins.
    nfibre: u32,
    bundle: u32,
    nbin: u32,
    nblock: u32,
    // Blocks per chunk without its overlap, blocks of the overlap at each end, and chunks.
    core: u32,
    overlap: u32,
    nchunk: u32,
    // Columns of `inverses`: matrices by chunks by poles; the first matrix there, and poles.
    stride: u32,
    first_matrix: u32,
    npole: u32,
    // Rows per column of blocks in `inverses`, and the first row of the inverse: the factor's, which it overwrites, or the one
    // behind the factor.
    column_rows: u32,
    inverse_row: u32,
    // Blocks to each side of the diagonal of K.
    k_reach: u32,
    // Complement: distance of the matrices from above, nfibre; 0 if both directions start from the same matrices.
    above_offset: u32,
    // Root: diagonals of R to each side.
    r_half: u32,
    // Complement: bins to each side kept of S_f. Blocks to each side of inverses without a pole.
    s_half: u32,
    inverse_reach: u32,
    // Blocks of these beyond REACH, and the first of their rows in `inverses`.
    extension: u32,
    extension_row: u32,
    // Inverse: first row of the third right-hand side in `rhs`.
    lost_rhs: u32,
    // Solve: round of x, from 1, and number of rounds.
    round: u32,
    rounds: u32,
    // Root: 1 if rows of R that f64 does not resolve are marked.
    marks_unresolved: u32,
}

@group(0) @binding(0) var<uniform> args: Args;

// Returns the first block of a chunk.
fn chunk_start(chunk: u32) -> u32 {
    return max(chunk * args.core, args.overlap) - args.overlap;
}

// Returns the block after the last one of a chunk.
fn chunk_end(chunk: u32) -> u32 {
    return min((chunk + 1u) * args.core + args.overlap, args.nblock);
}
