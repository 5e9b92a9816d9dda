// The deconvolved flux x = S^-1 z of every fibre, which further rounds add S^-1 (y - K x) to; how far all of them together
// fail to solve K x = y; in the last round the z that they give one another, `z_f = y_f - (K_ff - S_f) x_f - K_fg x_g`, and
// what that of the recursion differs from it by. One thread a block of a fibre.
#import grid
#import banded

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 32;

// K_ff, K_{f,f-1} and y: see banded_through.
@group(0) @binding(1) var<storage, read> own: array<vec4<real>>;
@group(0) @binding(2) var<storage, read> pairs: array<vec4<real>>;
@group(0) @binding(3) var<storage, read> rhs: array<vec4<real>>;
// Of S_f, one pole: see banded_inverse.
@group(0) @binding(4) var<storage, read> records: array<vec4<real>>;
// x, electron a bin, [fibre, nblock].
@group(0) @binding(5) var<storage, read_write> x: array<vec4<real>>;
// S_f, [fibre, nblock, 1 + REACH, 4], and the z_f of the recursion, [fibre, nblock].
@group(0) @binding(7) var<storage, read> complement: array<vec4<real>>;
@group(0) @binding(8) var<storage, read> reduced: array<vec4<real>>;
// y - K x, in the last round the z that the fibres give one another; then z_f less that; [2, fibre, nblock].
@group(0) @binding(9) var<storage, read_write> given: array<vec4<real>>;
// Of every fibre the bits of the largest |y - K x|_i / sqrt(K_ii).
@group(0) @binding(10) var<storage, read_write> worst: array<atomic<u32>>;

@compute @workgroup_size(THREADS)
fn solutions(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let at = args.first + item;
    let block = at % args.nblock;
    let f = at / args.nblock;
    let chunk = block / args.core;
    let row = (block - chunk_start(chunk)) * args.record + args.inverse + COLUMN + 1u;
    let before = select(vec4<real>(), x[at], args.round > 1u);
    x[at] = before + records[row * args.stride + f * args.nchunk + chunk];
}

fn own_block(at: u32, k: u32) -> mat4x4<real> {
    let row = at * COLUMN + 4u * k;
    return mat4x4(own[row], own[row + 1u], own[row + 2u], own[row + 3u]);
}

fn complement_block(at: u32, k: u32) -> mat4x4<real> {
    let row = at * COLUMN + 4u * k;
    return mat4x4(complement[row], complement[row + 1u], complement[row + 2u], complement[row + 3u]);
}

// Block (i, j) of K_{f,f-1}.
fn pair_block(f: u32, i: u32, j: u32) -> mat4x4<real> {
    let row = ((f * args.nblock + i) * (2u * REACH + 1u) + j + REACH - i) * 4u;
    return mat4x4(pairs[row], pairs[row + 1u], pairs[row + 2u], pairs[row + 3u]);
}

@compute @workgroup_size(THREADS)
fn residuals(
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
    let f = at / args.nblock;
    let first = f % args.bundle == 0u;
    let last = f + 1u == args.nfibre || (f + 1u) % args.bundle == 0u;
    // What x leaves is y less K_fg x_g, less (K_ff - S_f) x_f, less S_f x_f.
    var rest = rhs[at];
    var solved = vec4<real>();
    for (var j = max(i, REACH) - REACH; j < min(i + REACH + 1u, args.nblock); j += 1u) {
        let here = x[at + j - i];
        if j <= i {
            let s = complement_block(at + j - i, i - j);
            rest -= here * (own_block(at + j - i, i - j) - s);
            solved += here * s;
        } else {
            let s = complement_block(at, j - i);
            rest -= (own_block(at, j - i) - s) * here;
            solved += s * here;
        }
        if !first {
            rest -= x[at + j - i - args.nblock] * pair_block(f, i, j);
        }
        if !last {
            rest -= pair_block(f + 1u, j, i) * x[at + j - i + args.nblock];
        }
    }
    given[at] = select(rest - solved, rest, args.round == args.rounds);
    given[args.nfibre * args.nblock + at] = reduced[at] - rest;
    let k = own_block(at, 0u);
    let relative = abs(rest - solved) / sqrt(vec4<real>(k[0].x, k[1].y, k[2].z, k[3].w));
    // Bits of positive floats are ordered as they are, and those of what is no number come last.
    let bits = bitcast<vec4<u32>>(vec4<f32>(relative)) & vec4(0x7fffffffu);
    atomicMax(&worst[f], max(max(bits.x, bits.y), max(bits.z, bits.w)));
}
