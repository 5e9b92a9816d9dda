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
// Rows of a column of `inverses`: blocks and right-hand sides.
const COLUMN_ROWS: u32 = MATRIX_ROWS + SIDES;

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
    // Columns of `inverses`, see `pole_column`; the first matrix there, and poles of a chunk: four per quad, and the last one.
    stride: u32,
    first_matrix: u32,
    npole: u32,
    // Blocks to each side of the diagonal of K.
    k_reach: u32,
    // Complement: distance of the matrices from above, nfibre; 0 if both directions start from the same matrices.
    above_offset: u32,
    // Root: diagonals of R to each side.
    r_half: u32,
    // Complement: bins to each side kept of S_f and its terms.
    s_half: u32,
    // Complement: fibres of a frontier; blocks to each side of what leads from an eliminated fibre to them; blocks that
    // substitution goes on for beyond; 1 if fibres of a separator are eliminated.
    frontier: u32,
    fill_reach: u32,
    tail: u32,
    merging: u32,
    // Complement: 1 if right-hand sides are those of fibres whose farther neighbours are known.
    knows_x: u32,
    // Complement: 0 if a step makes the frontiers of all fibres; else one more than the fibres that it has behind it at either end
    // of every bundle, see `turn_slot`.
    turn: u32,
    // Distance in fibres over which K has blocks.
    distances: u32,
    // Inverse: first row of the third right-hand side in `rhs`.
    lost_rhs: u32,
    // Solve: round of x, from 1, and number of rounds.
    round: u32,
    rounds: u32,
    // Solve: bits of |y - K x|_i / sqrt(K_ii), sigma, at which x of a bundle stays as it is.
    converged: u32,
    // Root: 1 in f64: rows of R that it does not resolve are marked, and flux has its estimated truncation error taken out, which
    // in f32 is rounding.
    is_f64: u32,
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

// Returns the number of chunks of the matrices in `inverses`.
fn chunks() -> u32 {
    return args.stride / args.npole;
}

// Returns the column in `inverses` of a pole of a chunk, `matrix * nchunk + chunk`. Four poles of a chunk are side by side:
// threads in lockstep take the same quad. The last pole comes behind all others.
fn pole_column(chunk: u32, pole: u32) -> u32 {
    if pole + 1u == args.npole {
        return pole * chunks() + chunk;
    }
    return ((pole / 4u) * chunks() + chunk) * 4u + pole % 4u;
}

// A fibre and a side of it: `fibre + nfibre` from above. It may be beyond its bundle.
struct Slot {
    index: u32,
    exists: bool,
}

// Returns the number of slots of a turn: one at either end of every bundle.
fn turn_slots() -> u32 {
    return 2u * ((args.nfibre + args.bundle - 1u) / args.bundle);
}

// Returns slot `k` of a turn with `behind` fibres between it and its end of the bundle.
fn turn_slot(k: u32, behind: u32) -> Slot {
    let first = (k % (turn_slots() / 2u)) * args.bundle;
    let count = min(args.bundle, args.nfibre - first);
    let above = k >= turn_slots() / 2u;
    let fibre = first + select(behind, count - 1u - behind, above);
    return Slot(fibre + select(0u, args.nfibre, above), behind < count);
}
