// Goodness of fit: chi2pix of each core bin, and the part of its PSF that is masked.
#import grid
#import patch
#import reduction

alias real = f32;
alias Partial = vec4<real>;

// Invocations of a workgroup.
const THREADS: u32 = 64;

// Pixel values, electron, and inverse variances, 0 = do not use, [ccd_ny, ccd_nx].
@group(0) @binding(4) var<storage, read> image: array<f32>;
@group(0) @binding(5) var<storage, read> ivar: array<f32>;
// Model images of the patches, one after another, each [ny, nx].
@group(0) @binding(6) var<storage, read> model: array<real>;
// chi2pix, pixmask_fraction and the fraction off the pixels, [patch, ncore_fibre, ncore_bin, 3].
@group(0) @binding(7) var<storage, read_write> goodness: array<real>;

// One workgroup per bin.
@compute @workgroup_size(THREADS)
fn goodness_of_bins(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group_index = workgroup_index(group, groups);
    if group_index >= args.count {
        return;
    }
    let g = args.first + group_index;
    let bin = args.core_bin + g % args.ncore_bin;
    let fibre = args.core_fibre + (g / args.ncore_bin) % args.ncore_fibre;
    let patch_ = patch_at(g / (args.ncore_bin * args.ncore_fibre));
    let spot = stamp_of(patch_, bin * args.nspec + fibre);
    let nx = spot_nx();
    // Sums of the spot: times chi^2, over pixels used, over pixels with ivar 0, over all pixels.
    var sums = vec4<real>();
    for (var k = thread; k < nx * spot_ny(); k += THREADS) {
        let y = spot.y + i32(k / nx);
        let x = spot.x + i32(k % nx);
        if on_patch(patch_, y, x) {
            let p = on_ccd(patch_, y, x);
            let value = spots[spot.first + k];
            let fitted = model[patch_.first_pixel + u32(y * patch_.nx + x)];
            let sigma = psferr() * fitted;
            let weight = real(ivar[p]);
            var chi2 = vec2<real>();
            if weight > 0.0 && fitted > 0.0 {
                let residual = real(image[p]) - fitted;
                chi2 = vec2<real>(residual * residual / (1.0 / weight + sigma * sigma), 1.0);
            }
            sums += value * vec4<real>(chi2, real(select(0.0, 1.0, weight == 0.0)), 1.0);
        }
    }
    let sum = workgroup_sum(thread, sums);
    if thread == 0u {
        let whole = spot.y >= 0 && spot.y + i32(spot_ny()) <= patch_.ny
            && spot.x >= 0 && spot.x + i32(nx) <= patch_.nx && sum.w > 0.0;
        // A spot of zeros covers nothing: all of it counts as off the pixels.
        let off = select(clamp(1.0 - sum.w, 0.0, 1.0), 0.0, whole);
        goodness[3u * g] = select(0.0, sum.x / sum.y, sum.y > 0.0);
        goodness[3u * g + 1u] = clamp(sum.z + off, 0.0, 1.0);
        goodness[3u * g + 2u] = off;
    }
}
