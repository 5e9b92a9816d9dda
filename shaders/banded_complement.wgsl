// S_f = K_ff - A_f - B_f (BS10 eq. 16) and z_f = y_f - a_f - b_f of every fibre, by a recursion over its neighbours: `neighbours`
// subtracts what the nearest neighbour contributes, once per neighbour, from below (A) and from above (B). `complements`
// adds both directions up, and `gershgorin` bounds the eigenvalues. One thread per block of a fibre.
#import grid
#import banded
#import k_blocks
#import inverse_blocks

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 32;

// Inverses of the neighbours' matrices without a pole, from below, then from above; both the same if above_offset is 0.
@group(0) @binding(4) var<storage, read> inverses: array<vec4<real>>;
// K_ff - A_f, then K_ff - B_f, each laid out as K_ff, and y_f - a_f, then y_f - b_f, [2, fibre, nblock..].
@group(0) @binding(5) var<storage, read_write> k_minus_a: array<vec4<real>>;
@group(0) @binding(6) var<storage, read_write> y_minus_a: array<vec4<real>>;
// S_f, laid out as K_ff, and z_f, [fibre, nblock].
@group(0) @binding(7) var<storage, read_write> complement: array<vec4<real>>;
@group(0) @binding(8) var<storage, read_write> z: array<vec4<real>>;
// The largest sum of magnitudes of a block's four rows, [fibre, nblock].
@group(0) @binding(9) var<storage, read_write> bounds: array<real>;

// A fibre g and its neighbour f = g - 1 or, from above, g + 1; the column of the neighbour's inverse, and its chunk.
struct Pair {
    fibre: u32,
    above: bool,
    column: u32,
    start: u32,
    end: u32,
}

// Returns block (i, i + k) of O = K_gf.
fn coupling(p: Pair, i: u32, k: i32) -> mat4x4<real> {
    let j = u32(i32(i) + k);
    if p.above {
        return transpose(pair_block(p.fibre + 1u, j, i));
    }
    return pair_block(p.fibre, i, j);
}

// Returns block (a, c) of the neighbour's inverse Z, both within the chunk, c at most args.inverse_reach from a. Half of the
// outermost block is beyond the inverse's band and set to zero.
fn inverse(p: Pair, a: u32, c: u32) -> mat4x4<real> {
    let low = min(a, c);
    let distance = max(a, c) - low;
    let extended = args.extension_row + 4u * (distance - REACH - 1u);
    let row = select(args.inverse_row + 4u * distance, extended, distance > REACH);
    var m = stored(((low - p.start) * args.column_rows + row) * args.stride + p.column);
    if distance == args.inverse_reach {
        m[1].x = 0.0;
        m[2] = vec4<real>(0.0, 0.0, m[2].zw);
        m[3] = vec4<real>(0.0, 0.0, 0.0, m[3].w);
    }
    if a < c {
        return transpose(m);
    }
    return m;
}

// Returns block (i, c) of O Z.
fn left_product(p: Pair, i: u32, c: u32) -> mat4x4<real> {
    let low = max(max(i32(i) - i32(args.k_reach), i32(c) - i32(args.inverse_reach)), i32(p.start));
    let high = min(min(i + args.k_reach, c + args.inverse_reach), p.end - 1u);
    var sum = mat4x4<real>();
    for (var a = low; a <= i32(high); a += 1) {
        sum += inverse(p, u32(a), c) * coupling(p, i, a - i32(i));
    }
    return sum;
}

// Returns the contribution of block (i, c) of O Z to block (i + d, i) of O Z O^T: block (i + d, c) of O times its transpose.
fn right_product(p: Pair, product: mat4x4<real>, i: u32, d: u32, c: u32) -> mat4x4<real> {
    let distance = i32(c) - i32(i + d);
    if abs(distance) > i32(args.k_reach) || i + d >= args.nblock {
        return mat4x4<real>();
    }
    return transpose(product) * coupling(p, i + d, distance);
}

// K_gg - O (K_ff - A_f)^-1 O^T and y_g - O (K_ff - A_f)^-1 (y_f - a_f) for the neighbour f of g on either side.
@compute @workgroup_size(THREADS)
fn neighbours(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let at = args.first + item;
    let i = at % args.nblock;
    let g = (at / args.nblock) % args.nfibre;
    let above = at >= args.nfibre * args.nblock;
    let within = g % args.bundle;
    let alone = select(within == 0u, within + 1u == args.bundle || g + 1u == args.nfibre, above);
    var ozo = array<mat4x4<real>, REACH + 1u>();
    var ozy = vec4<real>();
    if !alone {
        let chunk = i / args.core;
        let source = select(g - 1u, g + 1u + args.above_offset, above);
        let p = Pair(g, above, source * args.nchunk + chunk, chunk_start(chunk), chunk_end(chunk));
        let low = max(i32(i) - i32(args.k_reach), i32(p.start));
        let high = min(i + args.k_reach + REACH, p.end - 1u);
        for (var c = low; c <= i32(high); c += 1) {
            let product = left_product(p, i, u32(c));
            for (var d = 0u; d <= REACH; d += 1u) {
                ozo[d] += right_product(p, product, i, d, u32(c));
            }
            if c <= i32(i + args.k_reach) {
                let row = (u32(c) - p.start) * args.column_rows + args.inverse_row + MATRIX_ROWS + 1u;
                let solution = inverses[row * args.stride + p.column];
                ozy += solution * coupling(p, i, c - i32(i));
            }
        }
    }
    for (var k = 0u; k <= REACH; k += 1u) {
        let source_row = (g * args.nblock + i) * MATRIX_ROWS + 4u * k;
        let target_row = at * MATRIX_ROWS + 4u * k;
        for (var r = 0u; r < 4u; r += 1u) {
            // Farther from the diagonal the inverse's band misses more of the product than it holds.
            let distance = vec4(i32(4u * k + r)) - vec4(0, 1, 2, 3);
            k_minus_a[target_row + r] = k_own[source_row + r] - select(vec4<real>(), ozo[k][r], distance <= vec4(i32(args.s_half)));
        }
    }
    y_minus_a[at] = y[g * args.nblock + i] - ozy;
}

// S_f and z_f from both directions.
@compute @workgroup_size(THREADS)
fn complements(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = workgroup_index(group, groups) * THREADS + thread;
    if i >= args.count {
        return;
    }
    let at = args.first + i;
    let above = at + args.nfibre * args.nblock;
    for (var k = 0u; k < MATRIX_ROWS; k += 1u) {
        let row = at * MATRIX_ROWS + k;
        complement[row] = (k_minus_a[row] - k_own[row]) + k_minus_a[above * MATRIX_ROWS + k];
    }
    z[at] = (y_minus_a[at] - y[at]) + y_minus_a[above];
}

// Gershgorin's bound of every block of rows.
@compute @workgroup_size(THREADS)
fn gershgorin(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let at = args.first + item;
    let i = at % args.nblock;
    var sums = vec4<real>();
    for (var k = 0u; k <= REACH; k += 1u) {
        // Row i of the blocks left of the diagonal, and of those right of it, which are transposed.
        for (var r = 0u; r < 4u; r += 1u) {
            if k <= i {
                sums[r] += dot(abs(complement[(at - k) * MATRIX_ROWS + 4u * k + r]), vec4<real>(1.0));
            }
            if k > 0u {
                sums += abs(complement[at * MATRIX_ROWS + 4u * k + r]);
            }
        }
    }
    bounds[at] = max(max(sums.x, sums.y), max(sums.z, sums.w));
}
