// Goodness of fit: chi2pix of each core bin, and the part of its PSF that is masked. `pixels` divides once per pixel, not once
// for every spot that it belongs to.
#import grid
#import patch

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 64;
// Sums that a workgroup keeps, at least those of the widest spot.
const SUMS: u32 = 256;

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

// Sums of spots, [bins of the workgroup, pairs of columns]: times chi^2, over pixels used, over pixels with ivar 0, over all.
var<workgroup> sums: array<vec4<real>, SUMS>;
// Positions of the spots, and their patches.
var<workgroup> stamps: array<Stamp, THREADS>;
var<workgroup> of_patches: array<u32, THREADS>;

// Returns the pairs of columns of a spot.
fn column_pairs() -> u32 {
    return (spot_nx() + 1u) / 2u;
}

// Returns the bins of a workgroup.
fn bins_per_group() -> u32 {
    return min(SUMS / column_pairs(), THREADS);
}

// As many bins per workgroup as SUMS serves. A thread takes pairs of columns, half a spot apart.
@compute @workgroup_size(THREADS)
fn goodness_of_bins(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first_bin = workgroup_index(group, groups) * bins_per_group();
    if first_bin >= args.count {
        return;
    }
    let nbin = min(bins_per_group(), args.count - first_bin);
    let nx = spot_nx();
    let ny = spot_ny();
    let g = args.first + first_bin + thread;
    if thread < nbin {
        let fibre_and_patch = g / args.ncore_bin;
        let bin = args.core_bin + g - fibre_and_patch * args.ncore_bin;
        let p = fibre_and_patch / args.ncore_fibre;
        stamps[thread] = stamp_at(patch_at(p), args.core_fibre + fibre_and_patch - p * args.ncore_fibre, bin);
        of_patches[thread] = p;
    }
    workgroupBarrier();
    let pairs = column_pairs();
    var own = thread / pairs;
    var first_x = thread - own * pairs;
    for (var k = thread; k < nbin * pairs; k += THREADS) {
        let patch_ = patch_at(of_patches[own]);
        let spot = stamps[own];
        let first_y = max(-spot.y, 0);
        let end_y = min(i32(ny), patch_.ny - spot.y);
        var sum = vec4<real>();
        for (var x = first_x; x < nx; x += pairs) {
            let column = spot.x + i32(x);
            if column < 0 || column >= patch_.nx {
                continue;
            }
            var value_at = spot.first + u32(first_y) * nx + x;
            var pixel_at = patch_.first_pixel + u32((spot.y + first_y) * patch_.nx + column);
            for (var y = first_y; y < end_y; y += 1) {
                let value = spots[value_at];
                let pixel_chi2 = chi2[pixel_at];
                // A chi^2 that is no number counts for nothing.
                let is_used = pixel_chi2 >= 0.0;
                let used = select(0.0, value, is_used);
                sum += vec4<real>(select(0.0, value * pixel_chi2, is_used), used, select(0.0, value, pixel_chi2 == MASKED), value);
                value_at += nx;
                pixel_at += u32(patch_.nx);
            }
        }
        sums[k] = sum;
        own += THREADS / pairs;
        first_x += THREADS % pairs;
        if first_x >= pairs {
            first_x -= pairs;
            own += 1u;
        }
    }
    workgroupBarrier();
    if thread < nbin {
        var sum = sums[thread * pairs];
        for (var pair = 1u; pair < pairs; pair += 1u) {
            sum += sums[thread * pairs + pair];
        }
        let patch_ = patch_at(of_patches[thread]);
        let spot = stamps[thread];
        let whole = spot.y >= 0 && spot.y + i32(ny) <= patch_.ny
            && spot.x >= 0 && spot.x + i32(nx) <= patch_.nx && sum.w > 0.0;
        // A spot of zeros covers nothing: all of it counts as off the pixels.
        let off = select(clamp(1.0 - sum.w, 0.0, 1.0), 0.0, whole);
        goodness[3u * g] = select(0.0, sum.x / sum.y, sum.y > 0.0);
        goodness[3u * g + 1u] = clamp(sum.z + off, 0.0, 1.0);
        goodness[3u * g + 2u] = off;
    }
}
