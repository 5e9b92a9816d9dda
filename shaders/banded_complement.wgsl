// S_f = K_ff - A_f - B_f (BS10 eq. 16) and z_f = y_f - a_f - b_f of every fibre, by a recursion over its neighbours.
//
// A frontier has r fibres, g and those next to it. The neighbours of g on its other side are eliminated, from below or from
// above. Its blocks are P_ab, K_ab less what was eliminated, a and b counted from g. A step takes the frontier of the
// neighbour f of g. P_00 = L L^T is f's own block, O_a = P_a0, and Y_a = L^-1 O_a^T. Then the frontier of g is
// P_ab - Y_a^T Y_b, its last fibre taken from K. `substitute` forms columns of Y, `eliminate` the products: no inverse is
// cut off. All fibres take such steps from a few neighbours away, side by side. In turns they start at the ends of their bundle:
// less work, exact, fewer threads. `meet` joins the frontiers of both sides on a separator of r fibres, and further steps
// eliminate all but one of them. `gershgorin` bounds the eigenvalues. One thread per block.
#import grid
#import banded
#import k_blocks
#import block8
#import inverse_blocks

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 32;
// Rows of a row of blocks of P_ab, a > b.
const PAIR_ROWS: u32 = 4u * (2u * REACH + 1u);

// Factors of the neighbours' P_00, see shared/inverse.wgsl, from below, then from above; both the same if above_offset is 0.
@group(0) @binding(4) var<storage, read> inverses: array<vec4<real>>;
// Frontiers, every block [2, fibre], from below, then from above. P_aa is laid out as K_ff, for every a. Behind them is P_ab,
// laid out as K_{f,f-1}, for (a, b) = (1, 0), (2, 0), (2, 1). What is left of a separator is stored at its lowest fibre and
// counted from its highest.
@group(0) @binding(5) var<storage, read> frontier_in: array<vec4<real>>;
@group(0) @binding(6) var<storage, read_write> frontier_out: array<vec4<real>>;
// Their right-hand sides, [frontier, 2, fibre, nblock]; for a step that takes K those that `begin` makes.
@group(0) @binding(7) var<storage, read> sides_in: array<vec4<real>>;
@group(0) @binding(8) var<storage, read_write> sides_out: array<vec4<real>>;
// Columns j of Y_a: transposed blocks k from j - fill_reach on, [k, 4, fibre a, slot, j].
@group(0) @binding(9) var<storage, read_write> substituted: array<vec4<real>>;
// x, [fibre, nblock].
@group(0) @binding(12) var<storage, read> x: array<vec4<real>>;
// S_f, laid out as K_ff.
@group(0) @binding(10) var<storage, read> complement: array<vec4<real>>;
// The largest sum of magnitudes of a block's four rows, [fibre, nblock].
@group(0) @binding(11) var<storage, read_write> bounds: array<real>;

// One step: the frontier that it makes and the one that it takes, and the first column of f in `inverses`.
struct Step {
    fibre: u32,
    above: bool,
    slot: u32,
    source: u32,
    column: u32,
    // g is at the end of its bundle: nothing is eliminated.
    alone: bool,
}

// Returns the frontiers that a step makes.
fn slots() -> u32 {
    return select(2u * args.nfibre, args.nfibre, args.merging == 1u);
}

// Returns the frontiers that threads make.
fn slots_made() -> u32 {
    return select(slots(), turn_slots(), args.turn > 0u);
}

// Returns slot `k` of those.
fn slot_at(k: u32) -> Slot {
    if args.turn > 0u {
        return turn_slot(k, args.turn - 1u);
    }
    return Slot(k, true);
}

fn step_of(slot: u32) -> Step {
    if args.merging == 1u {
        return Step(slot, true, slot, slot, slot * args.nchunk, false);
    }
    let g = slot % args.nfibre;
    let above = slot >= args.nfibre;
    let f = select(g - 1u, g + 1u, above);
    let from_above = select(0u, 1u, above);
    return Step(
        g, above, slot, f + from_above * args.nfibre, (f + from_above * args.above_offset) * args.nchunk, !holds(!above, g, 1u)
    );
}

// Whether the bundle of g has a fibre `a` from it.
fn holds(above: bool, g: u32, a: u32) -> bool {
    let below = g % args.bundle;
    let others = min(args.bundle - below, args.nfibre - g) - 1u;
    return a <= select(others, below, above);
}

// Whether a step takes K in place of a frontier.
fn is_first() -> bool {
    return args.above_offset == 0u && args.merging == 0u;
}

// Returns the fibres of the frontier that a step makes.
fn made() -> u32 {
    return args.frontier - args.merging;
}

fn distance(i: u32, j: u32) -> u32 {
    return max(i, j) - min(i, j);
}

// Returns block (i, j) of K between the fibres a and b from g, a >= b. Fibres that the bundle does not have are those of the identity.
fn k_block(above: bool, g: u32, a: u32, b: u32, i: u32, j: u32) -> mat4x4<real> {
    if !holds(above, g, a) {
        let one = real(select(0.0, 1.0, a == b && i == j));
        return mat4x4(one, 0.0, 0.0, 0.0, 0.0, one, 0.0, 0.0, 0.0, 0.0, one, 0.0, 0.0, 0.0, 0.0, one);
    }
    if a == b {
        return own_block(select(g + a, g - a, above) * args.nblock + j, i - j);
    }
    if distance(i, j) > args.k_reach {
        return mat4x4<real>();
    }
    if above {
        return transpose(pair_block(a - b, g - b, j, i));
    }
    return pair_block(a - b, g + a, i, j);
}

// Returns the row of block (i, j) of P_ab of a frontier of `count` fibres; i >= j if a = b.
fn place(count: u32, a: u32, b: u32, slot: u32, i: u32, j: u32) -> u32 {
    let all = 2u * args.nfibre;
    if a == b {
        return ((a * all + slot) * args.nblock + j) * MATRIX_ROWS + 4u * (i - j);
    }
    let pair = a * (a - 1u) / 2u + b;
    return count * all * args.nblock * MATRIX_ROWS + ((pair * all + slot) * args.nblock + i) * PAIR_ROWS + 4u * (j + REACH - i);
}

fn frontier_block(a: u32, b: u32, slot: u32, i: u32, j: u32) -> mat4x4<real> {
    let at = place(args.frontier, a, b, slot, i, j);
    return mat4x4(frontier_in[at], frontier_in[at + 1u], frontier_in[at + 2u], frontier_in[at + 3u]);
}

// Whether a fibre of the made frontier was in the one that the step takes.
fn is_known(a: u32) -> bool {
    return args.merging == 1u || a + 1u < args.frontier;
}

// Returns the blocks to each side of O that leads to fibre a of the made frontier.
fn reach_of(a: u32) -> u32 {
    return select(args.k_reach, args.fill_reach, is_known(a));
}

// Returns block (j, k) of O that leads to fibre a of the made frontier.
fn leading(s: Step, a: u32, j: u32, k: u32) -> mat4x4<real> {
    if distance(j, k) > reach_of(a) {
        return mat4x4<real>();
    }
    if is_known(a) && !is_first() {
        return frontier_block(a + 1u, 0u, s.source, j, k);
    }
    return k_block(s.above, s.source % args.nfibre, a + 1u, 0u, j, k);
}

// Rows of a column of Y: within the chunk of its bin.
struct Rows {
    chunk: u32,
    start: u32,
    low: u32,
    high: u32,
}

fn rows_of(a: u32, j: u32) -> Rows {
    let chunk = j / args.core;
    let start = chunk_start(chunk);
    return Rows(chunk, start, max(j, start + reach_of(a)) - reach_of(a), min(j + reach_of(a) + args.tail, chunk_end(chunk) - 1u));
}

// Returns the index of the first row of block k of column j of Y_a.
fn y_place(a: u32, slot: u32, j: u32, k: u32) -> u32 {
    let all = made() * slots() * args.nblock;
    return (k + args.fill_reach - j) * 4u * all + (a * slots() + slot) * args.nblock + j;
}

fn y_block(at: u32) -> mat4x4<real> {
    let all = made() * slots() * args.nblock;
    return mat4x4(substituted[at], substituted[at + all], substituted[at + 2u * all], substituted[at + 3u * all]);
}

// Right-hand sides of frontiers before any step: y, less K x of the fibres on the other side if x is known. So z_f of a few
// neighbours belongs to the same x as that of all fibres.
@compute @workgroup_size(THREADS)
fn begin(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let at = args.first + item;
    let j = at % args.nblock;
    let g = (at / args.nblock) % args.nfibre;
    let above = (at / args.nblock) % (2u * args.nfibre) >= args.nfibre;
    let a = at / (args.nblock * 2u * args.nfibre);
    var value = vec4<real>();
    if holds(above, g, a) {
        value = y[select(g + a, g - a, above) * args.nblock + j];
        let low = max(j, args.k_reach) - args.k_reach;
        let high = min(j + args.k_reach, args.nblock - 1u);
        for (var d = 1u; args.knows_x == 1u && a + d <= args.distances && holds(!above, g, d); d += 1u) {
            for (var k = low; k <= high; k += 1u) {
                if above {
                    value -= x[(g + d) * args.nblock + k] * transpose(pair_block(a + d, g + d, k, j));
                } else {
                    value -= x[(g - d) * args.nblock + k] * pair_block(a + d, g + a, j, k);
                }
            }
        }
    }
    sides_out[at] = value;
}

// Column j of Y_a, transposed: `Y_k^T = (O_jk - sum_t Y_{k-t}^T L_{k,k-t}^T) L_kk^-T`.
@compute @workgroup_size(THREADS)
fn substitute(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let at = args.first + item;
    let j = at % args.nblock;
    let slot = slot_at((at / args.nblock) % slots_made());
    let s = step_of(slot.index);
    let a = at / (args.nblock * slots_made());
    if !slot.exists || s.alone || (args.merging == 0u && !holds(s.above, s.fibre, a)) {
        return;
    }
    let rows = rows_of(a, j);
    let all = made() * slots() * args.nblock;
    let column = COLUMN_ROWS * args.stride;
    for (var k = rows.low; k <= rows.high; k += 1u) {
        let factor = (k - rows.start) * column + s.column + rows.chunk;
        var sum = leading(s, a, j, k);
        for (var t = 1u; t <= min(REACH, k - rows.low); t += 1u) {
            let below = stored(factor - t * column + 4u * (t - 1u) * args.stride);
            sum -= transpose(below) * y_block(y_place(a, s.slot, j, k - t));
        }
        let y = right_solve(diagonal_factor(factor), sum);
        let to = y_place(a, s.slot, j, k);
        substituted[to] = y[0];
        substituted[to + all] = y[1];
        substituted[to + 2u * all] = y[2];
        substituted[to + 3u * all] = y[3];
    }
}

// A block of a frontier: rows of fibre a, columns of fibre b. Its row may be off the grid.
struct Place {
    slot: u32,
    a: u32,
    b: u32,
    i: u32,
    j: u32,
    exists: bool,
}

// Returns block `at` of `count` fibres' frontiers, counted with the blocks of a slot farthest apart.
fn place_of(at: u32, count: u32) -> Place {
    let bin = at % args.nblock;
    let own_slot = slot_at((at / args.nblock) % slots_made());
    let slot = own_slot.index;
    let which = at / (args.nblock * slots_made());
    let own = count * (REACH + 1u);
    if which < own {
        let i = bin + which % (REACH + 1u);
        return Place(slot, which / (REACH + 1u), which / (REACH + 1u), i, bin, own_slot.exists && i < args.nblock);
    }
    let pair = (which - own) / (2u * REACH + 1u);
    let j = i32(bin + (which - own) % (2u * REACH + 1u)) - i32(REACH);
    let exists = own_slot.exists && j >= 0 && j < i32(args.nblock);
    return Place(slot, select(1u, 2u, pair > 0u), select(0u, pair - 1u, pair > 0u), bin, u32(j), exists);
}

// Stores a block of a frontier of `count` fibres.
fn set_block(p: Place, count: u32, value: mat4x4<real>) {
    let to = place(count, p.a, p.b, p.slot, p.i, p.j);
    for (var r = 0u; r < 4u; r += 1u) {
        frontier_out[to + r] = value[r];
    }
}

// P_ab - Y_a^T Y_b within the band kept.
@compute @workgroup_size(THREADS)
fn eliminate(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let p = place_of(args.first + item, made());
    if !p.exists {
        return;
    }
    let s = step_of(p.slot);
    var value: mat4x4<real>;
    if !is_known(p.a) || is_first() || s.alone {
        value = k_block(s.above, s.fibre, p.a, p.b, p.i, p.j);
    } else {
        value = frontier_block(p.a + 1u, p.b + 1u, s.source, p.i, p.j);
    }
    if !s.alone && (args.merging == 1u || holds(s.above, s.fibre, p.a)) {
        let left = rows_of(p.a, p.i);
        let right = rows_of(p.b, p.j);
        let first = max(left.low, right.low);
        let last = min(left.high, right.high);
        let step = 4u * made() * slots() * args.nblock;
        var left_at = y_place(p.a, p.slot, p.i, first);
        var right_at = y_place(p.b, p.slot, p.j, first);
        var product = mat4x4<real>();
        for (var k = first; k <= last; k += 1u) {
            product += transpose(y_block(right_at)) * y_block(left_at);
            left_at += step;
            right_at += step;
        }
        value -= mat4x4(within(p, 0u, product[0]), within(p, 1u, product[1]), within(p, 2u, product[2]), within(p, 3u, product[3]));
    }
    set_block(p, made(), value);
}

// Returns row r of a block within the band kept.
fn within(p: Place, r: u32, row: vec4<real>) -> vec4<real> {
    let bins = abs(vec4(i32(4u * p.i + r) - i32(4u * p.j)) - vec4(0, 1, 2, 3));
    return select(vec4<real>(), row, bins <= vec4(i32(args.s_half)));
}

// The right-hand sides of a frontier less O_a P_00^-1 times that of f.
@compute @workgroup_size(THREADS)
fn eliminate_sides(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let at = args.first + item;
    let j = at % args.nblock;
    let slot = slot_at((at / args.nblock) % slots_made());
    if !slot.exists {
        return;
    }
    let s = step_of(slot.index);
    let a = at / (args.nblock * slots_made());
    let all = 2u * args.nfibre;
    let has = args.merging == 1u || holds(s.above, s.fibre, a);
    var value = vec4<real>();
    if is_known(a) && !s.alone {
        value = sides_in[((a + 1u) * all + s.source) * args.nblock + j];
    } else if has {
        value = y[select(s.fibre + a, s.fibre - a, s.above) * args.nblock + j];
    }
    if !s.alone && has {
        let rows = rows_of(a, j);
        // Both sides' first steps share their factors.
        let side = select(1u, 2u, is_first() && s.above);
        for (var k = rows.low; k <= min(j + reach_of(a), rows.high); k += 1u) {
            let row = (k - rows.start) * COLUMN_ROWS + MATRIX_ROWS + side;
            value -= inverses[row * args.stride + s.column + rows.chunk] * leading(s, a, j, k);
        }
    }
    sides_out[(a * all + s.slot) * args.nblock + j] = value;
}

// Both sides' frontiers on the separator of the fibres f..f + r - 1, and their right-hand sides; S_f and z_f if r = 1.
@compute @workgroup_size(THREADS)
fn meet(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let at = args.first + item;
    let all = 2u * args.nfibre;
    let last = args.frontier - 1u;
    let sides = args.frontier * args.nfibre * args.nblock;
    if at < sides {
        let bin = at % args.nblock;
        let f = (at / args.nblock) % args.nfibre;
        let a = at / (args.nblock * args.nfibre);
        var value = sides_in[((last - a) * all + f) * args.nblock + bin];
        if holds(false, f, last) {
            value = (value - y[(f + last - a) * args.nblock + bin]) + sides_in[(a * all + args.nfibre + f + last) * args.nblock + bin];
        }
        sides_out[(a * all + f) * args.nblock + bin] = value;
        return;
    }
    let p = place_of(at - sides, args.frontier);
    if !p.exists {
        return;
    }
    var value: mat4x4<real>;
    if p.a == p.b {
        value = frontier_block(last - p.a, last - p.a, p.slot, p.i, p.j);
    } else {
        value = transpose(frontier_block(last - p.b, last - p.a, p.slot, p.j, p.i));
    }
    if holds(false, p.slot, last) {
        let highest = p.slot + last;
        let above = frontier_block(p.a, p.b, args.nfibre + highest, p.i, p.j);
        value = (value - k_block(true, highest, p.a, p.b, p.i, p.j)) + above;
    }
    set_block(p, args.frontier, value);
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
                let row = dot(abs(complement[(at - k) * MATRIX_ROWS + 4u * k + r]), vec4<real>(1.0));
                // FXC, the compiler of DX12, refuses to write a component by a variable index.
                sums += select(vec4<real>(), vec4<real>(row), vec4<u32>(0u, 1u, 2u, 3u) == vec4<u32>(r));
            }
            if k > 0u {
                sums += abs(complement[at * MATRIX_ROWS + 4u * k + r]);
            }
        }
    }
    bounds[at] = max(max(sums.x, sums.y), max(sums.z, sums.w));
}
