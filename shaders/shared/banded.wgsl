// Banded matrices in 4 x 4 blocks, one matrix a fibre, and the overlapping chunks of bins they are solved in.
//
// A block is a mat4x4 whose m[r] is row r. WGSL's m[r] are columns, so products are written in reverse order:
// the block of A B is b * a.

// Blocks of a column: the diagonal one and the REACH below it, half a bandwidth of 4 REACH bins.
const REACH: u32 = 3;
// Rows of a column's blocks in a matrix.
const COLUMN: u32 = 4u * (REACH + 1u);
// Right-hand sides of a factor: 1, z, and what the bands lose of z.
const SIDES: u32 = 3u;

struct Args {
    // Threads, and the item of the first.
    count: u32,
    first: u32,
    // Fibres, those of a bundle, bins, and blocks of bins.
    nfibre: u32,
    bundle: u32,
    nbin: u32,
    nblock: u32,
    // Blocks of a chunk without its overlap, of its overlap at each end, and chunks.
    core: u32,
    overlap: u32,
    nchunk: u32,
    // Columns of `records`: matrices by chunks by poles; the first matrix there, and poles.
    stride: u32,
    first_matrix: u32,
    npole: u32,
    // Rows of a column in `records`, and the first of its inverse: that of its factor, which is then lost, or behind it.
    record: u32,
    inverse: u32,
    // Blocks to each side that K reaches.
    reach: u32,
    // 0 where both directions start from the same matrices, else nfibre.
    upward: u32,
    // Diagonals of R to each side.
    half: u32,
    // Bins to each side that S_f keeps, and blocks to each side that inverses without a pole have.
    kept: u32,
    wide: u32,
    // Blocks of these beyond REACH, and the first of their rows in `records`.
    extension: u32,
    beyond: u32,
    // The first row of the third right-hand side among the second's.
    lost: u32,
    // Which of how many rounds of x it is, from 1.
    round: u32,
    rounds: u32,
    // 1 where a row of R that f64 does not resolve is to be told.
    is_fine: u32,
}

@group(0) @binding(0) var<uniform> args: Args;

// The first block of a chunk, and the one after its last.
fn chunk_start(chunk: u32) -> u32 {
    return max(chunk * args.core, args.overlap) - args.overlap;
}
fn chunk_end(chunk: u32) -> u32 {
    return min((chunk + 1u) * args.core + args.overlap, args.nblock);
}
