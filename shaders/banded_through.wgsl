// One fibre less what its neighbour leaves of it: `K_gg - O (K_ff - A_f)^-1 O^T` and `y_g - O (K_ff - A_f)^-1 (y_f - a_f)`
// with O = K_gf, from below (f = g - 1) and from above (f = g + 1). One thread a column of blocks.
#import grid
#import banded

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 32;

// K_gg, [fibre, nblock, 1 + REACH, 4]: rows of the blocks (j + k, j) of every column j.
@group(0) @binding(1) var<storage, read> own: array<vec4<real>>;
// K_{g,g-1}, [fibre g, nblock, 2 REACH + 1, 4]: rows of the blocks (i, i + k - REACH) of every row i.
@group(0) @binding(2) var<storage, read> pairs: array<vec4<real>>;
// y, [fibre, nblock].
@group(0) @binding(3) var<storage, read> rhs: array<vec4<real>>;
// Of the neighbour's matrices, from below, then from above (both the same where upward is 0), one pole: see banded_inverse.
@group(0) @binding(4) var<storage, read> records: array<vec4<real>>;
// Matrices as in `own` and right-hand sides, from below, then from above, [2, fibre, nblock..].
@group(0) @binding(5) var<storage, read_write> less: array<vec4<real>>;
@group(0) @binding(6) var<storage, read_write> rest: array<vec4<real>>;

// A row of blocks' place: the fibre g, whether its neighbour is above, and where the neighbour's inverse is found.
struct Place {
    fibre: u32,
    above: bool,
    column: u32,
    start: u32,
    end: u32,
}

// Block (i, i + k) of O.
fn coupling(p: Place, i: u32, k: i32) -> mat4x4<real> {
    let other = u32(i32(i) + k);
    let row = select(p.fibre * args.nblock + i, (p.fibre + 1u) * args.nblock + other, p.above);
    let at = (row * (2u * REACH + 1u) + u32(i32(REACH) + select(k, -k, p.above))) * 4u;
    let m = mat4x4(pairs[at], pairs[at + 1u], pairs[at + 2u], pairs[at + 3u]);
    if p.above {
        return transpose(m);
    }
    return m;
}

// Block (a, c) of the neighbour's inverse, both within the chunk, c at most args.wide from a. Half of the outermost is beyond
// the inverse's band.
fn inverse(p: Place, a: u32, c: u32) -> mat4x4<real> {
    let low = min(a, c);
    let distance = max(a, c) - low;
    let block = select(args.inverse + 4u * distance, args.beyond + 4u * (distance - REACH - 1u), distance > REACH);
    let at = ((low - p.start) * args.record + block) * args.stride + p.column;
    var m = mat4x4(
        records[at], records[at + args.stride], records[at + 2u * args.stride], records[at + 3u * args.stride]);
    if distance == args.wide {
        m[1].x = 0.0;
        m[2] = vec4<real>(0.0, 0.0, m[2].zw);
        m[3] = vec4<real>(0.0, 0.0, 0.0, m[3].w);
    }
    if a < c {
        return transpose(m);
    }
    return m;
}

// Row i of O Z, block c.
fn left_product(p: Place, i: u32, c: u32) -> mat4x4<real> {
    let low = max(max(i32(i) - i32(args.reach), i32(c) - i32(args.wide)), i32(p.start));
    let high = min(min(i + args.reach, c + args.wide), p.end - 1u);
    var sum = mat4x4<real>();
    for (var a = low; a <= i32(high); a += 1) {
        sum += inverse(p, u32(a), c) * coupling(p, i, a - i32(i));
    }
    return sum;
}

// What a block (i, c) of O Z adds to O Z O^T: the block (i + d, c) of O times its transpose.
fn right_product(p: Place, product: mat4x4<real>, i: u32, d: u32, c: u32) -> mat4x4<real> {
    let distance = i32(c) - i32(i + d);
    if abs(distance) > i32(args.reach) || i + d >= args.nblock {
        return mat4x4<real>();
    }
    return transpose(product) * coupling(p, i + d, distance);
}

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
    var sums = array<mat4x4<real>, REACH + 1u>();
    var sum = vec4<real>();
    if !alone {
        let chunk = i / args.core;
        let source = select(g - 1u, g + 1u + args.upward, above);
        let p = Place(g, above, source * args.nchunk + chunk, chunk_start(chunk), chunk_end(chunk));
        let low = max(i32(i) - i32(args.reach), i32(p.start));
        let high = min(i + args.reach + REACH, p.end - 1u);
        for (var c = low; c <= i32(high); c += 1) {
            let product = left_product(p, i, u32(c));
            for (var d = 0u; d <= REACH; d += 1u) {
                sums[d] += right_product(p, product, i, d, u32(c));
            }
            if c <= i32(i + args.reach) {
                let solved = records[((u32(c) - p.start) * args.record + args.inverse + COLUMN + 1u) * args.stride + p.column];
                sum += solved * coupling(p, i, c - i32(i));
            }
        }
    }
    for (var k = 0u; k <= REACH; k += 1u) {
        let origin = (g * args.nblock + i) * COLUMN + 4u * k;
        let to = at * COLUMN + 4u * k;
        for (var r = 0u; r < 4u; r += 1u) {
            // Farther out the product misses more, for what the inverse has beyond its band, than it holds.
            let distance = vec4(i32(4u * k + r)) - vec4(0, 1, 2, 3);
            less[to + r] = own[origin + r] - select(vec4<real>(), sums[k][r], distance <= vec4(i32(args.kept)));
        }
    }
    rest[at] = rhs[g * args.nblock + i] - sum;
}
