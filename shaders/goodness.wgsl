// Goodness of fit: chi2pix of each core bin, and the part of its PSF that is masked. `pixels` divides once per pixel, not once
// for every spot that it belongs to.
#import grid
#import patch
#import reduction

alias real = f32;
alias Partial = vec4<real>;

// Invocations of a workgroup.
const THREADS: u32 = 64;
// Threads that share a spot, a power of two up to THREADS.
const LANES: u32 = 16;

// Pixel values, electron, and inverse variances, 0 = do not use, [ccd_ny, ccd_nx].
@group(0) @binding(4) var<storage, read> image: array<f32>;
@group(0) @binding(5) var<storage, read> ivar: array<f32>;
// Model images of the patches, one after another, each [ny, nx].
@group(0) @binding(6) var<storage, read> model: array<real>;
// chi^2 of every pixel of the patches, laid out as `model`; UNUSED without a model, MASKED if ivar is 0.
@group(0) @binding(7) var<storage, read_write> chi2_out: array<real>;
@group(0) @binding(8) var<storage, read> chi2: array<real>;
// chi2pix, pixmask_fraction and the fraction off the pixels, [patch, ncore_fibre, ncore_bin, 3].
@group(0) @binding(9) var<storage, read_write> goodness: array<real>;

const UNUSED = -1.0;
const MASKED = -2.0;

// chi^2 of all pixels: one workgroup per row, args.rows per patch.
@compute @workgroup_size(THREADS)
fn pixels(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group_index = workgroup_index(group, groups);
    if group_index >= args.count {
        return;
    }
    let g = args.first + group_index;
    let row = i32(g % args.rows);
    let patch_ = patch_at(g / args.rows);
    if row >= patch_.ny {
        return;
    }
    let own = patch_.first_pixel + u32(row * patch_.nx);
    for (var column = thread; column < u32(patch_.nx); column += THREADS) {
        let p = on_ccd(patch_, row, i32(column));
        let fitted = model[own + column];
        let sigma = psferr() * fitted;
        let weight = real(ivar[p]);
        var value = real(select(UNUSED, MASKED, weight == 0.0));
        if weight > 0.0 && fitted > 0.0 {
            let residual = real(image[p]) - fitted;
            value = residual * residual / (1.0 / weight + sigma * sigma);
        }
        chi2_out[own + column] = value;
    }
}

// LANES threads per bin, THREADS / LANES bins per workgroup.
@compute @workgroup_size(THREADS)
fn goodness_of_bins(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group_index = workgroup_index(group, groups);
    if group_index * (THREADS / LANES) >= args.count {
        return;
    }
    let lane = thread % LANES;
    let own = group_index * (THREADS / LANES) + thread / LANES;
    // Threads beyond the last bin add up its sums, too: all meet at the barriers.
    let g = args.first + min(own, args.count - 1u);
    let bin = args.core_bin + g % args.ncore_bin;
    let fibre = args.core_fibre + (g / args.ncore_bin) % args.ncore_fibre;
    let patch_ = patch_at(g / (args.ncore_bin * args.ncore_fibre));
    let spot = stamp_at(patch_, fibre, bin);
    let nx = spot_nx();
    let ny = spot_ny();
    let rows = LANES / nx;
    let columns = LANES % nx;
    var y = lane / nx;
    var x = lane % nx;
    // Sums of the spot: times chi^2, over pixels used, over pixels with ivar 0, over all pixels.
    var sums = vec4<real>();
    for (var k = lane; k < nx * ny; k += LANES) {
        let row = spot.y + i32(y);
        let column = spot.x + i32(x);
        if on_patch(patch_, row, column) {
            let value = spots[spot.first + k];
            let pixel_chi2 = chi2[patch_.first_pixel + u32(row * patch_.nx + column)];
            if pixel_chi2 >= 0.0 {
                sums += value * vec4<real>(pixel_chi2, 1.0, 0.0, 1.0);
            } else {
                sums += value * vec4<real>(0.0, 0.0, real(select(0.0, 1.0, pixel_chi2 == MASKED)), 1.0);
            }
        }
        x += columns;
        y += rows;
        if x >= nx {
            x -= nx;
            y += 1u;
        }
    }
    let sum = lanes_sum(thread, sums);
    if lane == 0u && own < args.count {
        let whole = spot.y >= 0 && spot.y + i32(ny) <= patch_.ny
            && spot.x >= 0 && spot.x + i32(nx) <= patch_.nx && sum.w > 0.0;
        // A spot of zeros covers nothing: all of it counts as off the pixels.
        let off = select(clamp(1.0 - sum.w, 0.0, 1.0), 0.0, whole);
        goodness[3u * g] = select(0.0, sum.x / sum.y, sum.y > 0.0);
        goodness[3u * g + 1u] = clamp(sum.z + off, 0.0, 1.0);
        goodness[3u * g + 2u] = off;
    }
}
