// The band of the inverse of M + shift and two solves, by Cholesky factors in blocks and Takahashi's selected inversion:
// one thread a matrix, chunk and pole, the window of the recursion in registers.
#import grid
#import banded
#import block8

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 32;

// M, [matrix, nblock, 1 + REACH, 4]: rows of the blocks (j + k, j), k = 0.. of every column j.
@group(0) @binding(1) var<storage, read> matrices: array<vec4<real>>;
// Right-hand sides besides 1, [matrix, nblock].
@group(0) @binding(2) var<storage, read> rhs: array<vec4<real>>;
// Gershgorin's bound of every block of rows, [matrix, nblock].
@group(0) @binding(3) var<storage, read> bounds: array<real>;
// Shift, relative to the chunk's largest bound, and weight of every pole, [npole].
@group(0) @binding(4) var<storage, read> poles: array<vec2<real>>;
// On the way down of each column the blocks of L below the diagonal, the one on it and L^-1 of the right-hand sides, 1
// first; on the way back the inverse's blocks (j + k, j), k = 0.. and the solutions, from args.inverse on,
// [block of the chunk, args.record, stride].
@group(0) @binding(5) var<storage, read_write> records: array<vec4<real>>;
// Of every matrix: the first block with a bad pivot, and the smallest pivot over its diagonal element, as bits.
@group(0) @binding(6) var<storage, read_write> health: array<atomic<u32>>;

fn element(matrix: u32, j: u32, k: u32) -> mat4x4<real> {
    let at = (matrix * args.nblock + j) * COLUMN + 4u * k;
    return mat4x4(matrices[at], matrices[at + 1u], matrices[at + 2u], matrices[at + 3u]);
}

fn stored(at: u32) -> mat4x4<real> {
    return mat4x4(records[at], records[at + args.stride], records[at + 2u * args.stride], records[at + 3u * args.stride]);
}

fn store(at: u32, m: mat4x4<real>) {
    records[at] = m[0];
    records[at + args.stride] = m[1];
    records[at + 2u * args.stride] = m[2];
    records[at + 3u * args.stride] = m[3];
}

// The diagonal block of a factor.
fn diagonal_factor(at: u32) -> Lower4 {
    let lower = records[at + 13u * args.stride];
    let last = records[at + 14u * args.stride];
    return Lower4(lower.x, lower.y, lower.z, lower.w, last.x, last.y, records[at + 12u * args.stride], 4u);
}

// a G^-T, rows as in factor4.
fn right_solve(g: Lower4, a: mat4x4<real>) -> mat4x4<real> {
    return mat4x4(forward4(g, a[0]), forward4(g, a[1]), forward4(g, a[2]), forward4(g, a[3]));
}

// c G^-1.
fn unscale(g: Lower4, c: mat4x4<real>) -> mat4x4<real> {
    return mat4x4(backward4(g, c[0]), backward4(g, c[1]), backward4(g, c[2]), backward4(g, c[3]));
}

// G^-T (G^-1 - y^T), which is symmetric.
fn diagonal_inverse(g: Lower4, y: mat4x4<real>) -> mat4x4<real> {
    let z = mat4x4(
        backward4(g, forward4(g, vec4<real>(1.0, 0.0, 0.0, 0.0)) - y[0]),
        backward4(g, forward4(g, vec4<real>(0.0, 1.0, 0.0, 0.0)) - y[1]),
        backward4(g, forward4(g, vec4<real>(0.0, 0.0, 1.0, 0.0)) - y[2]),
        backward4(g, forward4(g, vec4<real>(0.0, 0.0, 0.0, 1.0)) - y[3]),
    );
    return 0.5 * (z + transpose(z));
}

// Factors the chunk start..end of M + shift.
fn factor(column: u32, matrix: u32, start: u32, end: u32, shift: real) {
    // What the columns before have added to the blocks that are still to come: to (j, j), (j + 1, j), (j + 2, j),
    // (j + 1, j + 1), (j + 2, j + 1) and (j + 2, j + 2).
    var w00 = mat4x4<real>();
    var w10 = mat4x4<real>();
    var w20 = mat4x4<real>();
    var w11 = mat4x4<real>();
    var w21 = mat4x4<real>();
    var w22 = mat4x4<real>();
    var ones = array<vec4<real>, REACH>();
    var flux = array<vec4<real>, REACH>();
    var bad = 0xffffffffu;
    var least: real = 1.0;
    for (var j = start; j < end; j += 1u) {
        var a = element(matrix, j, 0u);
        a[0].x += shift;
        a[1].y += shift;
        a[2].z += shift;
        a[3].w += shift;
        let diagonal = vec4(a[0].x, a[1].y, a[2].z, a[3].w);
        let g = factor4(a - w00);
        bad = select(bad, min(bad, j), g.failed < 4u);
        let pivots = 1.0 / (g.inverse * g.inverse * diagonal);
        least = min(least, min(min(pivots.x, pivots.y), min(pivots.z, pivots.w)));
        // What leads out of the chunk is cut off.
        let c1 = right_solve(g, real(select(0.0, 1.0, j + 1u < end)) * element(matrix, j, 1u) - w10);
        let c2 = right_solve(g, real(select(0.0, 1.0, j + 2u < end)) * element(matrix, j, 2u) - w20);
        let c3 = right_solve(g, real(select(0.0, 1.0, j + 3u < end)) * element(matrix, j, 3u));
        w00 = w11 + transpose(c1) * c1;
        w10 = w21 + transpose(c1) * c2;
        w20 = transpose(c1) * c3;
        w11 = w22 + transpose(c2) * c2;
        w21 = transpose(c2) * c3;
        w22 = transpose(c3) * c3;
        let u = forward4(g, vec4<real>(1.0) - ones[0]);
        let v = forward4(g, rhs[matrix * args.nblock + j] - flux[0]);
        ones[0] = ones[1] + u * c1;
        ones[1] = ones[2] + u * c2;
        ones[2] = u * c3;
        flux[0] = flux[1] + v * c1;
        flux[1] = flux[2] + v * c2;
        flux[2] = v * c3;
        let at = (j - start) * args.record * args.stride + column;
        store(at, c1);
        store(at + 4u * args.stride, c2);
        store(at + 8u * args.stride, c3);
        records[at + 12u * args.stride] = g.inverse;
        records[at + 13u * args.stride] = vec4(g.l10, g.l20, g.l30, g.l21);
        records[at + 14u * args.stride] = vec4(g.l31, g.l32, 0.0, 0.0);
        records[at + 16u * args.stride] = u;
        records[at + 17u * args.stride] = v;
    }
    atomicMin(&health[2u * matrix], bad);
    // Bits of positive floats are ordered as they are; what is not positive has a bad pivot.
    atomicMin(&health[2u * matrix + 1u], bitcast<u32>(f32(max(least, 0.0))));
}

// Replaces the factor by the inverse's band and the solutions: `Z_ij = -(sum_k Z_ik L_kj) L_jj^-1` over the rows k below j,
// and `Z_jj = L_jj^-T (L_jj^-1 - sum_k L_kj^T Z_kj)`.
fn invert(column: u32, start: u32, end: u32) {
    // Z of the columns after: (1, 1), (2, 1), (3, 1), (2, 2), (3, 2) and (3, 3), counted from j.
    var z11 = mat4x4<real>();
    var z21 = mat4x4<real>();
    var z31 = mat4x4<real>();
    var z22 = mat4x4<real>();
    var z32 = mat4x4<real>();
    var z33 = mat4x4<real>();
    var ones = array<vec4<real>, REACH>();
    var flux = array<vec4<real>, REACH>();
    for (var j = end; j > start; j -= 1u) {
        let at = (j - 1u - start) * args.record * args.stride + column;
        let c1 = stored(at);
        let c2 = stored(at + 4u * args.stride);
        let c3 = stored(at + 8u * args.stride);
        let g = diagonal_factor(at);
        let z10 = unscale(g, -1.0 * (c1 * z11 + c2 * transpose(z21) + c3 * transpose(z31)));
        let z20 = unscale(g, -1.0 * (c1 * z21 + c2 * z22 + c3 * transpose(z32)));
        let z30 = unscale(g, -1.0 * (c1 * z31 + c2 * z32 + c3 * z33));
        let z00 = diagonal_inverse(g, c1 * transpose(z10) + c2 * transpose(z20) + c3 * transpose(z30));
        z33 = z22;
        z32 = z21;
        z22 = z11;
        z31 = z20;
        z21 = z10;
        z11 = z00;
        let u = backward4(g, records[at + 16u * args.stride] - (c1 * ones[0] + c2 * ones[1] + c3 * ones[2]));
        let v = backward4(g, records[at + 17u * args.stride] - (c1 * flux[0] + c2 * flux[1] + c3 * flux[2]));
        ones[2] = ones[1];
        ones[1] = ones[0];
        ones[0] = u;
        flux[2] = flux[1];
        flux[1] = flux[0];
        flux[0] = v;
        let to = at + args.inverse * args.stride;
        store(to, z00);
        store(to + 4u * args.stride, z10);
        store(to + 8u * args.stride, z20);
        store(to + 12u * args.stride, z30);
        records[to + 16u * args.stride] = u;
        records[to + 17u * args.stride] = v;
    }
}

@compute @workgroup_size(THREADS)
fn inverses(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = workgroup_index(group, groups) * THREADS + thread;
    if i >= args.count {
        return;
    }
    let column = args.first + i;
    let pole = column % args.npole;
    let chunk = (column / args.npole) % args.nchunk;
    let matrix = args.first_matrix + column / (args.npole * args.nchunk);
    let start = chunk_start(chunk);
    let end = chunk_end(chunk);
    var shift = poles[pole].x;
    if shift > 0.0 {
        var largest: real = 0.0;
        for (var j = start; j < end; j += 1u) {
            largest = max(largest, bounds[matrix * args.nblock + j]);
        }
        shift *= largest;
    }
    factor(column, matrix, start, end, shift);
    invert(column, start, end);
}

// One more block of every column of the inverses, (j + REACH + 1, j), in place of the first of the factor, which must
// still be there: one thread a block of every chunk of every matrix, of one pole.
@compute @workgroup_size(THREADS)
fn extensions(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = workgroup_index(group, groups) * THREADS + thread;
    if i >= args.count {
        return;
    }
    let item = args.first + i;
    let column = item % args.stride;
    let chunk = column % args.nchunk;
    let row = item / args.stride;
    let last = chunk_end(chunk) - chunk_start(chunk);
    var z = mat4x4<real>();
    let at = row * args.record * args.stride + column;
    if row + REACH + 1u < last {
        let inverse = at + args.inverse * args.stride;
        let next = args.record * args.stride;
        z = stored(at) * stored(inverse + next + 12u * args.stride)
            + stored(at + 4u * args.stride) * stored(inverse + 2u * next + 8u * args.stride)
            + stored(at + 8u * args.stride) * stored(inverse + 3u * next + 4u * args.stride);
        z = unscale(diagonal_factor(at), -1.0 * z);
    }
    if row < last {
        store(at, z);
    }
}
