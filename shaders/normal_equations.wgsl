// Normal equations: K = A^T W A + prior, y = A^T W p and the flux weight A^T W 1 of every patch (BS10 eq. 4).
#import grid
#import patch
#import overlap

alias real = f32;

// Invocations of a workgroup, a power of two.
const THREADS: u32 = 64;

// Where so much of a spot lies on good pixels its unknown has information, whatever its weight.
const COVERED: f32 = 0.5;
// Added to the diagonal of every unknown.
const PRIOR_FLOOR = 1e-15;

// Pixel values, electron, and inverse variances, 0 = do not use, [ccd_ny, ccd_nx].
@group(0) @binding(4) var<storage, read> image: array<f32>;
@group(0) @binding(5) var<storage, read> ivar: array<f32>;
// K in row-aligned lower band storage, [patch, n, half_bandwidth + 1]: column j of row i at j + half_bandwidth - i.
@group(0) @binding(6) var<storage, read_write> band: array<real>;
// y, [patch, n].
@group(0) @binding(7) var<storage, read_write> rhs: array<real>;
// The flux weight and the part on good pixels of every spot, [patch, n, 2].
@group(0) @binding(8) var<storage, read_write> flux_weight: array<vec2<real>>;
// K with all of its elements, [patch, n, n].
@group(0) @binding(9) var<storage, read_write> full: array<real>;

var<workgroup> partial: array<vec3<real>, THREADS>;

// Row i of K without the prior, y and the flux weight: one workgroup each, n a patch.
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
    partial[thread] = sums;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if thread < half {
            partial[thread] += partial[thread + half];
        }
        workgroupBarrier();
    }
    if thread == 0u {
        rhs[g] = partial[0].x;
        flux_weight[g] = partial[0].yz;
    }
    let width = args.half_bandwidth + 1u;
    for (var k = thread; k < width; k += THREADS) {
        var sum: real = 0.0;
        if i + k >= args.half_bandwidth {
            sum = overlap(a, stamp_of(patch_, i + k - args.half_bandwidth));
        }
        band[g * width + k] = sum;
    }
}

// Adds the prior alpha^2 + PRIOR_FLOOR to the diagonal: alpha is minweight - fluxweight where that is not negative and less than
// COVERED of the spot lies on good pixels, with minweight = min_weight max(fluxweight), else regularize. One workgroup a patch.
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
    partial[thread].x = largest;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if thread < half {
            partial[thread].x = max(partial[thread].x, partial[thread + half].x);
        }
        workgroupBarrier();
    }
    let least = min_weight() * partial[0].x;
    for (var i = thread; i < n; i += THREADS) {
        let weight = flux_weight[p * n + i];
        let alpha = select(regularize(), least - weight.x, weight.x <= least && weight.y < real(COVERED));
        band[(p * n + i) * (args.half_bandwidth + 1u) + args.half_bandwidth] += alpha * alpha + PRIOR_FLOOR;
    }
}

// K of band storage with all of its elements: one workgroup a row, n a patch.
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
