// S_f = K_ff - A_f - B_f and z_f = y_f - a_f - b_f from K_ff - A_f and K_ff - B_f, and Gershgorin's bound of every block
// of rows. One thread a block.
#import grid
#import banded

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 32;

// K_ff and y: see banded_through.
@group(0) @binding(1) var<storage, read> own: array<vec4<real>>;
@group(0) @binding(2) var<storage, read> rhs: array<vec4<real>>;
// K_ff - A_f, then K_ff - B_f, [2, fibre, nblock, ..], and y likewise.
@group(0) @binding(3) var<storage, read> less: array<vec4<real>>;
@group(0) @binding(4) var<storage, read> rest: array<vec4<real>>;
// S_f as `own`, and z_f, [fibre, nblock].
@group(0) @binding(5) var<storage, read_write> complement: array<vec4<real>>;
@group(0) @binding(6) var<storage, read_write> reduced: array<vec4<real>>;
// The largest sum of magnitudes of a block's four rows, [fibre, nblock].
@group(0) @binding(7) var<storage, read_write> bounds: array<real>;

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
    for (var k = 0u; k < COLUMN; k += 1u) {
        let origin = at * COLUMN + k;
        complement[origin] = (less[origin] - own[origin]) + less[above * COLUMN + k];
    }
    reduced[at] = (rest[at] - rhs[at]) + rest[above];
}

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
                sums[r] += dot(abs(complement[(at - k) * COLUMN + 4u * k + r]), vec4<real>(1.0));
            }
            if k > 0u {
                sums += abs(complement[at * COLUMN + 4u * k + r]);
            }
        }
    }
    bounds[at] = max(max(sums.x, sums.y), max(sums.z, sums.w));
}
