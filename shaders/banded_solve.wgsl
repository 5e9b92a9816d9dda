// The deconvolved flux x = S^-1 z of every fibre, and iterative refinement by S^-1 (y - K x). The residual of K x = y over all
// fibres. In the last round also the exact `z_f = y_f - (K_ff - S_f) x_f - K_fg x_g`, and its difference from the
// recursion's. One thread per block of a fibre.
#import grid
#import banded
#import k_blocks
#import complement_blocks
#import rounds

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 32;

// Factors of S_f and solutions, without a pole: see shared/inverse.wgsl.
@group(0) @binding(4) var<storage, read> inverses: array<vec4<real>>;
// x, electron per bin, [fibre, nblock].
@group(0) @binding(5) var<storage, read_write> x: array<vec4<real>>;
// S_f and z_f of the recursion: see banded_complement.
@group(0) @binding(6) var<storage, read> complement: array<vec4<real>>;
@group(0) @binding(7) var<storage, read> z: array<vec4<real>>;
// y - K x, in the last round the exact z_f; then z_f of the recursion less that; [2, fibre, nblock].
@group(0) @binding(8) var<storage, read_write> z_exact: array<vec4<real>>;

// Adds the solutions in `inverses` to x; the first round sets x.
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
    if is_converged(f) {
        return;
    }
    let chunk = block / args.core;
    let row = (block - chunk_start(chunk)) * COLUMN_ROWS + MATRIX_ROWS + 1u;
    let before = select(vec4<real>(), x[at], args.round > 1u);
    x[at] = before + inverses[row * args.stride + f * args.nchunk + chunk];
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
    let is_last = args.round == args.rounds;
    if !is_last && is_converged(f) {
        return;
    }
    let before = f % args.bundle;
    let after = min(args.bundle - before, args.nfibre - f) - 1u;
    // The residual is y - K_fg x_g - (K_ff - S_f) x_f, the exact z, less S_f x_f.
    var exact = y[at];
    var sx = vec4<real>();
    for (var j = max(i, REACH) - REACH; j < min(i + REACH + 1u, args.nblock); j += 1u) {
        let here = x[at + j - i];
        if j <= i {
            let s = complement_block(at + j - i, i - j);
            exact -= here * (own_block(at + j - i, i - j) - s);
            sx += here * s;
        } else {
            let s = complement_block(at, j - i);
            exact -= (own_block(at, j - i) - s) * here;
            sx += s * here;
        }
        for (var d = 1u; d <= args.distances; d += 1u) {
            if d <= before {
                exact -= x[at + j - i - d * args.nblock] * pair_block(d, f, i, j);
            }
            if d <= after {
                exact -= pair_block(d, f + d, j, i) * x[at + j - i + d * args.nblock];
            }
        }
    }
    z_exact[at] = select(exact - sx, exact, is_last);
    z_exact[args.nfibre * args.nblock + at] = z[at] - exact;
    let k = own_block(at, 0u);
    let relative = abs(exact - sx) / sqrt(vec4<real>(k[0].x, k[1].y, k[2].z, k[3].w));
    // Bits of positive floats are in the order of their values, and those of NaN come last.
    let bits = bitcast<vec4<u32>>(vec4<f32>(relative)) & vec4(0x7fffffffu);
    let row = select(args.round, 0u, is_last);
    atomicMax(&largest_residuals[row * args.nfibre + f], max(max(bits.x, bits.y), max(bits.z, bits.w)));
}
