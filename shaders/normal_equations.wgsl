// Normal equations: K = A^T W A + prior, y = A^T W p and the flux weight A^T W 1 of every patch (BS10 eq. 4).
#import grid
#import patch
#import overlap
#import reduction

alias real = f32;
alias Partial = vec3<real>;

// Invocations of a workgroup.
const THREADS: u32 = 64;
// Invocations of a sum: all of a workgroup.
const LANES: u32 = THREADS;

// An unknown with this part of its spot on good pixels has information, whatever its weight.
const COVERED: f32 = 0.5;
// Fraction of the largest flux weight up to which an unknown has no information.
const MIN_WEIGHT: f32 = 1e-4;
// Added to the diagonal of every unknown.
const PRIOR_FLOOR = 1e-15;

// Pixel values, electron, and inverse variances, 0 = do not use, [ccd_ny, ccd_nx].
@group(0) @binding(4) var<storage, read> image: array<f32>;
@group(0) @binding(5) var<storage, read> ivar: array<f32>;
// K in row-aligned lower band storage, [patch, n, half_bandwidth + 1]: column j of row i at j + half_bandwidth - i.
@group(0) @binding(6) var<storage, read_write> band: array<real>;
// y, [patch, n].
@group(0) @binding(7) var<storage, read_write> rhs: array<real>;
// Flux weight and part on good pixels of every spot, [patch, n, 2].
@group(0) @binding(8) var<storage, read_write> flux_weight: array<vec2<real>>;
// K with all of its elements, [patch, n, n].
@group(0) @binding(9) var<storage, read_write> full: array<real>;

// Row i of K without the prior, y and the flux weight: one workgroup per row, n per patch.
@compute @workgroup_size(THREADS)
fn rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group_index = workgroup_index(group, groups);
    if group_index >= args.count {
        return;
    }
    let g = args.first + group_index;
    let n = args.nspec * args.nbin;
    let i = g % n;
    let patch_ = patch_at(g / n);
    let a = stamp_of(patch_, i);
    let nx = spot_nx();
    var sums = vec3<real>();
    for (var k = thread; k < nx * spot_ny(); k += THREADS) {
        let y = a.y + i32(k / nx);
        let x = a.x + i32(k % nx);
        var product: real = 0.0;
        if on_patch(patch_, y, x) {
            let p = on_ccd(patch_, y, x);
            let spot = spots[a.first + k];
            product = spot * real(ivar[p]);
            sums += vec3(product * real(image[p]), product, spot * real(select(0.0, 1.0, ivar[p] > 0.0)));
        }
        weighted[k] = product;
    }
    let total = lanes_sum(thread, sums);
    if thread == 0u {
        rhs[g] = total.x;
        flux_weight[g] = total.yz;
    }
    let width = args.half_bandwidth + 1u;
    for (var k = thread; k < width; k += THREADS) {
        var sum: real = 0.0;
        if i + k >= args.half_bandwidth {
            sum = overlap(0u, a, stamp_of(patch_, i + k - args.half_bandwidth));
        }
        band[g * width + k] = sum;
    }
}

// Adds the prior alpha^2 + PRIOR_FLOOR to the diagonal. alpha is least_weight - fluxweight if that is not negative and less than
// COVERED of the spot lies on good pixels, else regularize. A least_weight of 0 stands for MIN_WEIGHT max(fluxweight). One
// workgroup per patch.
@compute @workgroup_size(THREADS)
fn prior(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let p = workgroup_index(group, groups);
    if p >= args.count {
        return;
    }
    let n = args.nspec * args.nbin;
    // Weights are not negative.
    var largest: real = 0.0;
    for (var i = thread; i < n; i += THREADS) {
        largest = max(largest, flux_weight[p * n + i].x);
    }
    let of_patch = real(MIN_WEIGHT) * workgroup_max(thread, vec3(largest, 0.0, 0.0)).x;
    let least = select(of_patch, least_weight(p), least_weight(p) > 0.0);
    for (var i = thread; i < n; i += THREADS) {
        let weight = flux_weight[p * n + i];
        let alpha = select(regularize(p), least - weight.x, weight.x <= least && weight.y < real(COVERED));
        band[(p * n + i) * (args.half_bandwidth + 1u) + args.half_bandwidth] += alpha * alpha + PRIOR_FLOOR;
    }
}

// Expands K from band storage to all its elements: one workgroup per row, n per patch.
@compute @workgroup_size(THREADS)
fn full_rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let g = workgroup_index(group, groups);
    if g >= args.count {
        return;
    }
    let n = args.nspec * args.nbin;
    let i = g % n;
    let width = args.half_bandwidth + 1u;
    for (var j = thread; j < n; j += THREADS) {
        let row = max(i, j);
        let distance = row - min(i, j);
        var value: real = 0.0;
        if distance < width {
            value = band[(g - i + row) * width + args.half_bandwidth - distance];
        }
        full[g * n + j] = value;
    }
}
