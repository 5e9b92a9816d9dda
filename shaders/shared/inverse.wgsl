// Factors and inverses of chunks of M + shift: bindings, steps of the recursion on 4 x 4 blocks, and the entry points. The
// importing file imports `inverse_blocks` and `rounds`, and defines `factor` and `invert`. A chunk takes as many quads of poles as its
// spectrum needs, which `choose_quads` finds.

// M, [matrix, nblock, 1 + REACH, 4]: rows of the blocks (j + k, j), k = 0.. of every column j.
@group(0) @binding(1) var<storage, read> matrices: array<vec4<real>>;
// Right-hand sides besides 1: z, and from args.lost_rhs on the part of it lost to the bands, [matrix, nblock].
@group(0) @binding(2) var<storage, read> rhs: array<vec4<real>>;
// Gershgorin's bound of every block of rows, [matrix, nblock].
@group(0) @binding(3) var<storage, read> bounds: array<real>;
// Shift relative to the chunk's largest bound, and weight, of every pole, [quads taken - 1, npole].
@group(0) @binding(4) var<storage, read> poles: array<vec2<real>>;
// Columns of factors, then of inverses, [block of the chunk, COLUMN_ROWS, stride]. A factor's column has the blocks of L below
// the diagonal, the one on it, and L^-1 of the right-hand sides, 1 first. An inverse's column has the blocks (j + k, j),
// k = 0.., and the solutions.
@group(0) @binding(5) var<storage, read_write> inverses: array<vec4<real>>;
// First block with a bad pivot, and bits of the smallest pivot over its diagonal element, [matrix, 2].
@group(0) @binding(6) var<storage, read_write> health: array<atomic<u32>>;
// The least eigenvalue, relative to the chunk's largest bound, that so many quads of poles serve, [quads - 1].
@group(0) @binding(7) var<storage, read> ends: array<real>;
// Quads of poles that each chunk takes, [matrix, nchunk].
@group(0) @binding(8) var<storage, read_write> quads_taken: array<u32>;

// First block with a bad pivot, and the smallest pivot over its diagonal element.
struct Pivots {
    bad: u32,
    least: real,
}

const NO_BLOCK: u32 = 0xffffffffu;

// Returns block (j + k, j) of M.
fn element(matrix: u32, j: u32, k: u32) -> mat4x4<real> {
    let at = (matrix * args.nblock + j) * MATRIX_ROWS + 4u * k;
    return mat4x4(matrices[at], matrices[at + 1u], matrices[at + 2u], matrices[at + 3u]);
}

// Stores a block with its first row at `at`.
fn store(at: u32, m: mat4x4<real>) {
    inverses[at] = m[0];
    inverses[at + args.stride] = m[1];
    inverses[at + 2u * args.stride] = m[2];
    inverses[at + 3u * args.stride] = m[3];
}

// Returns c G^-1.
fn unscale(g: Lower4, c: mat4x4<real>) -> mat4x4<real> {
    return mat4x4(backward4(g, c[0]), backward4(g, c[1]), backward4(g, c[2]), backward4(g, c[3]));
}

// Returns G^-T (G^-1 - y^T), which is symmetric.
fn diagonal_inverse(g: Lower4, y: mat4x4<real>) -> mat4x4<real> {
    let z = mat4x4(
        backward4(g, forward4(g, vec4<real>(1.0, 0.0, 0.0, 0.0)) - y[0]),
        backward4(g, forward4(g, vec4<real>(0.0, 1.0, 0.0, 0.0)) - y[1]),
        backward4(g, forward4(g, vec4<real>(0.0, 0.0, 1.0, 0.0)) - y[2]),
        backward4(g, forward4(g, vec4<real>(0.0, 0.0, 0.0, 1.0)) - y[3]),
    );
    return 0.5 * (z + transpose(z));
}

// Stores the diagonal block of a factor.
fn store_diagonal(at: u32, g: Lower4) {
    inverses[at + (MATRIX_ROWS - 4u) * args.stride] = g.inverse;
    inverses[at + (MATRIX_ROWS - 3u) * args.stride] = vec4(g.l10, g.l20, g.l30, g.l21);
    inverses[at + (MATRIX_ROWS - 2u) * args.stride] = vec4(g.l31, g.l32, 0.0, 0.0);
}

// Returns the diagonal block (j, j) of M + shift.
fn shifted(matrix: u32, j: u32, shift: real) -> mat4x4<real> {
    var a = element(matrix, j, 0u);
    a[0].x += shift;
    a[1].y += shift;
    a[2].z += shift;
    a[3].w += shift;
    return a;
}

// Returns the smallest pivot of a factor of the block `a` over its diagonal element.
fn least_pivot(g: Lower4, a: mat4x4<real>) -> real {
    let pivots = 1.0 / (g.inverse * g.inverse * vec4(a[0].x, a[1].y, a[2].z, a[3].w));
    return min(min(pivots.x, pivots.y), min(pivots.z, pivots.w));
}

// Reports a chunk's pivots.
fn report(matrix: u32, found: Pivots) {
    atomicMin(&health[2u * matrix], found.bad);
    // Bits of positive floats are in the order of their values; a pivot that is not positive is a bad one.
    atomicMin(&health[2u * matrix + 1u], bitcast<u32>(f32(max(found.least, 0.0))));
}

// A thread's chunk of a matrix, and its shift.
struct Task {
    column: u32,
    matrix: u32,
    start: u32,
    end: u32,
    shift: real,
    // Whether its factorisation ends at the first bad pivot.
    stops: bool,
}

// Returns the task of a chunk without a pole. In turns the chunks are those of the frontiers that the turn takes.
fn task_of(chunk: u32) -> Task {
    if args.turn > 0u {
        let c = chunk % args.nchunk;
        let slot = turn_slot(chunk / args.nchunk, args.turn - 2u);
        let start = chunk_start(c);
        return Task(slot.index * args.nchunk + c, slot.index, start, select(start, chunk_end(c), slot.exists), 0.0, false);
    }
    let matrix = args.first_matrix + chunk / args.nchunk;
    return Task(pole_column(chunk, 0u), matrix, chunk_start(chunk % args.nchunk), chunk_end(chunk % args.nchunk), 0.0, false);
}

// Returns the largest bound of a task's chunk.
fn largest_bound(t: Task) -> real {
    var largest: real = 0.0;
    for (var j = t.start; j < t.end; j += 1u) {
        largest = max(largest, bounds[t.matrix * args.nblock + j]);
    }
    return largest;
}

// Finds the quads of poles that a chunk takes: M less the end of their interval is positive definite.
@compute @workgroup_size(THREADS)
fn choose_quads(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = workgroup_index(group, groups) * THREADS + thread;
    if i >= args.count {
        return;
    }
    let chunk = args.first + i;
    // The factor comes where that of the first pole will be.
    var t = task_of(chunk);
    t.stops = true;
    let largest = largest_bound(t);
    var taken = 1u;
    for (; taken < args.npole / 4u; taken += 1u) {
        t.shift = -largest * ends[taken - 1u];
        if factor(t).bad == NO_BLOCK {
            break;
        }
    }
    quads_taken[args.first_matrix * args.nchunk + chunk] = taken;
}

// The columns of a quad of poles are of all chunks, and so are those of the last pole.
@compute @workgroup_size(THREADS)
fn invert_chunks(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = workgroup_index(group, groups) * THREADS + thread;
    if i >= args.count {
        return;
    }
    let column = args.first + i;
    let quad = column / (4u * chunks());
    let is_last = quad == args.npole / 4u;
    let within = column % (4u * chunks());
    let chunk = select(within / 4u, within, is_last);
    let taken = quads_taken[args.first_matrix * args.nchunk + chunk];
    if !is_last && quad >= taken {
        return;
    }
    var t = task_of(chunk);
    t.column = column;
    if !is_last {
        t.shift = largest_bound(t) * poles[(taken - 1u) * args.npole + 4u * quad + within % 4u].x;
    }
    report(t.matrix, factor(t));
    invert(t);
}

// Replaces L^-1 times a right-hand side by the solution in a chunk's factor.
fn substitute_back(t: Task, rhs_index: u32) {
    let column = COLUMN_ROWS * args.stride;
    let side = (MATRIX_ROWS + rhs_index) * args.stride;
    for (var next = t.end; next > t.start; next -= 1u) {
        let at = (next - 1u - t.start) * column + t.column;
        var v = inverses[at + side];
        for (var k = 1u; k <= min(REACH, t.end - next); k += 1u) {
            v -= stored(at + 4u * (k - 1u) * args.stride) * inverses[at + k * column + side];
        }
        inverses[at + side] = backward4(diagonal_factor(at), v);
    }
}

// Factors alone, and the solutions for z and, if it has its own rows, the third right-hand side.
@compute @workgroup_size(THREADS)
fn factor_chunks(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = workgroup_index(group, groups) * THREADS + thread;
    if i >= args.count {
        return;
    }
    let t = task_of(args.first + i);
    report(t.matrix, factor(t));
    substitute_back(t, 1u);
    if args.lost_rhs > 0u {
        substitute_back(t, 2u);
    }
}

// Replaces a right-hand side by L^-1 times it in a chunk's factor.
fn substitute(t: Task, rhs_index: u32) {
    let column = COLUMN_ROWS * args.stride;
    let side = (MATRIX_ROWS + rhs_index) * args.stride;
    for (var j = t.start; j < t.end; j += 1u) {
        let at = (j - t.start) * column + t.column;
        var v = rhs[t.matrix * args.nblock + j];
        for (var k = 1u; k <= min(REACH, j - t.start); k += 1u) {
            let before = at - k * column;
            v -= inverses[before + side] * stored(before + 4u * (k - 1u) * args.stride);
        }
        inverses[at + side] = forward4(diagonal_factor(at), v);
    }
}

// The solutions for another z with the factors of `factor_chunks`.
@compute @workgroup_size(THREADS)
fn solve_chunks(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = workgroup_index(group, groups) * THREADS + thread;
    if i >= args.count {
        return;
    }
    let t = task_of(args.first + i);
    if is_converged(t.matrix) {
        return;
    }
    substitute(t, 1u);
    substitute_back(t, 1u);
}
