// Model image: the spots times a flux, A x, on the pixels of every patch. Each pixel gathers the spots that reach it.
#import grid
#import patch

// Invocations of a workgroup.
const THREADS: u32 = 64;

// Flux of the unknowns, [patch, n].
@group(0) @binding(4) var<storage, read> flux: array<f32>;
// First bin whose spot reaches a row, and the bin after the last, [row of all patches, 2].
@group(0) @binding(5) var<storage, read_write> reach: array<u32>;
// Images of the patches, one after another, each [ny, nx].
@group(0) @binding(6) var<storage, read_write> model: array<f32>;

// Finds the bins that reach each row, so that a pixel does not try them all: one workgroup a patch.
@compute @workgroup_size(THREADS)
fn reaches(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let p = workgroup_index(group, groups);
    if p >= args.count {
        return;
    }
    let patch_ = patch_at(p);
    for (var row = i32(thread); row < patch_.ny; row += i32(THREADS)) {
        var low = args.nbin;
        var high = 0u;
        for (var i = 0u; i < args.nspec * args.nbin; i += 1u) {
            let y = row - stamp_of(patch_, i).y;
            if y >= 0 && y < i32(spot_ny()) {
                low = min(low, i / args.nspec);
                high = i / args.nspec + 1u;
            }
        }
        let at = 2u * (patch_.first_row + u32(row));
        reach[at] = low;
        reach[at + 1u] = high;
    }
}

// One workgroup a row, args.rows a patch.
@compute @workgroup_size(THREADS)
fn images(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group_index = workgroup_index(group, groups);
    if group_index >= args.count {
        return;
    }
    let g = args.first + group_index;
    let p = g / args.rows;
    let row = i32(g % args.rows);
    let patch_ = patch_at(p);
    if row >= patch_.ny {
        return;
    }
    let n = args.nspec * args.nbin;
    let at = 2u * (patch_.first_row + u32(row));
    let low = reach[at] * args.nspec;
    let high = reach[at + 1u] * args.nspec;
    for (var column = i32(thread); column < patch_.nx; column += i32(THREADS)) {
        var sum = 0.0;
        for (var i = low; i < high; i += 1u) {
            let spot = stamp_of(patch_, i);
            let y = row - spot.y;
            let x = column - spot.x;
            if y >= 0 && y < i32(spot_ny()) && x >= 0 && x < i32(spot_nx()) {
                sum += flux[p * n + i] * spots[spot.first + u32(y) * spot_nx() + u32(x)];
            }
        }
        model[patch_.first_pixel + u32(row * patch_.nx + column)] = sum;
    }
}
