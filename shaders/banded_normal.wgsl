// Banded normal equations of whole bundles: K_ff, K_{f,f-d}, y and the flux weight (BS10 eq. 4), and the coupling of
// fibres. A bundle is a patch of all its fibres; blocks of K are laid out as in shared/k_blocks.wgsl.
#import grid
#import patch
#import overlap
#import reduction

alias real = f32;
alias Partial = vec4<real>;

// Invocations of a workgroup.
const THREADS: u32 = 64;
// Bins per workgroup of `rows`, and threads that share a spot, a power of two.
const BINS: u32 = 4;
const LANES: u32 = 16;
// Blocks of four bins to each side in the band of K, its bins, blocks per column of K_ff and per row of K_{f,f-d}.
const REACH: u32 = 3;
const BAND: u32 = 4u * REACH;
const COLUMN_BLOCKS: u32 = REACH + 1u;
const ROW_BLOCKS: u32 = 2u * REACH + 1u;
// Distance in bins at which the coupling of fibres is measured.
const STEP: u32 = 16;

// An unknown with this part of its spot on good pixels has information, whatever its weight.
const COVERED: f32 = 0.5;
// Added to the diagonal of every unknown.
const PRIOR_FLOOR = 1e-15;

// Pixel values, electron, and inverse variances, 0 = do not use, [ccd_ny, ccd_nx].
@group(0) @binding(4) var<storage, read> image: array<f32>;
@group(0) @binding(5) var<storage, read> ivar: array<f32>;
// K_ff, [fibre, nblock, COLUMN_BLOCKS, 4, 4]: blocks (j + k, j) of every column j of 4 x 4 blocks, row by row. Diagonal blocks
// have both halves.
@group(0) @binding(6) var<storage, read_write> k_own: array<real>;
// K_{f,f-d}, [distance d - 1, fibre f, nblock, ROW_BLOCKS, 4, 4]: blocks (i, i + k - REACH) of every row i of blocks, row by row.
@group(0) @binding(7) var<storage, read_write> k_pair: array<real>;
// y, flux weight, norm and part on good pixels of every spot, [4, fibre, 4 nblock].
@group(0) @binding(8) var<storage, read_write> spot_sums: array<real>;
// Bits of the largest coupling of neighbours, and of fibres without blocks in K, [patch, 2].
@group(0) @binding(9) var<storage, read_write> largest: array<atomic<u32>>;

// Returns the blocks per fibre.
fn blocks() -> u32 {
    return (args.pixel_bins + 3u) / 4u;
}

// Returns the number of fibres of all patches.
fn fibres() -> u32 {
    return args.pixel_stride / args.pixel_bins;
}

// A spot of the core.
struct Own {
    patch_index: u32,
    patch_: Patch,
    // Fibre and bin counted from the patch's first.
    fibre: u32,
    bin: u32,
    spot: Stamp,
}

fn own_at(g: u32) -> Own {
    let bin = args.core_bin + g % args.ncore_bin;
    let fibre = (g / args.ncore_bin) % args.nspec;
    let p = g / (args.ncore_bin * args.nspec);
    let patch_ = patch_at(p);
    return Own(p, patch_, fibre, bin, stamp_at(patch_, fibre, bin));
}

// Column i of K_ff with the prior of normal_equations.wgsl, row i of every K_{f,f-d}, y and the flux weight. One workgroup per
// BINS spots of the core. Bins that pad the last block become copies of the last one without coupling.
@compute @workgroup_size(THREADS)
fn rows(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let first = workgroup_index(group, groups) * BINS;
    if first >= args.count {
        return;
    }
    let slot = thread / LANES;
    let lane = thread % LANES;
    let nx = spot_nx();
    let size = nx * spot_ny();
    // Threads beyond the last spot add up its sums, too: all meet at the barriers.
    let a = own_at(args.first + min(first + slot, args.count - 1u));
    var sum = vec4<real>();
    for (var k = lane; k < size; k += LANES) {
        let y = a.spot.y + i32(k / nx);
        let x = a.spot.x + i32(k % nx);
        let spot = spots[a.spot.first + k];
        var product: real = 0.0;
        if on_patch(a.patch_, y, x) {
            let p = on_ccd(a.patch_, y, x);
            product = spot * real(ivar[p]);
            sum += vec4(product * real(image[p]), product, 0.0, spot * real(select(0.0, 1.0, ivar[p] > 0.0)));
        }
        sum.z += spot * spot;
        weighted[slot * size + k] = product;
    }
    let total = lanes_sum(thread, sum);
    if lane == 0u && first + slot < args.count {
        let at = (a.patch_.fibre + a.fibre) * 4u * blocks() + a.patch_.bin + a.bin;
        let stride = fibres() * 4u * blocks();
        spot_sums[at] = total.x;
        spot_sums[stride + at] = total.y;
        spot_sums[2u * stride + at] = sqrt(total.z);
        spot_sums[3u * stride + at] = total.w;
    }
    let width = 2u * BAND + 1u;
    // Threads next to each other take the same distance, and so about as many pixels.
    for (var task = thread; task < BINS * (BAND + 1u + args.distances * width); task += THREADS) {
        let which = task % BINS;
        if first + which < args.count {
            element(own_at(args.first + first + which), which, task / BINS);
        }
    }
}

// Writes element k of K in the row of the spot whose sums and weighted values are the workgroup's at `which`. The first
// BAND + 1 elements are those of its own fibre; further ones have bins of another fibre on either side.
fn element(a: Own, which: u32, k: u32) {
    let width = 2u * BAND + 1u;
    let f = a.patch_.fibre + a.fibre;
    let i = a.patch_.bin + a.bin;
    // Fibres apart: 0 first, then 1 and more.
    let apart = select(1u + (max(k, BAND + 1u) - BAND - 1u) / width, 0u, k <= BAND);
    let same = apart == 0u;
    let distance = select(i32((max(k, BAND + 1u) - BAND - 1u) % width) - i32(BAND), -i32(k), same);
    let j = i32(i) + distance;
    if j < 0 || j >= i32(args.pixel_bins) || apart > a.fibre {
        return;
    }
    let other = stamp_at(a.patch_, a.fibre - apart, u32(j - i32(a.patch_.bin)));
    var value = overlap(which * spot_nx() * spot_ny(), a.spot, other);
    let row = i % 4u;
    let column = u32(j) % 4u;
    let down = i / 4u - u32(j) / 4u;
    if k == 0u {
        let total = last_levels(which * LANES);
        let least = least_weight(a.patch_index);
        let is_empty = total.y <= least && total.w < real(COVERED);
        let alpha = select(regularize(a.patch_index), least - total.y, is_empty);
        value += alpha * alpha + PRIOR_FLOOR;
        if i + 1u == args.pixel_bins {
            for (var beyond = i + 1u; beyond < 4u * blocks(); beyond += 1u) {
                k_own[(f * blocks() + beyond / 4u) * COLUMN_BLOCKS * 16u + 5u * (beyond % 4u)] = value;
            }
        }
    }
    if same {
        let at = ((f * blocks() + u32(j) / 4u) * COLUMN_BLOCKS + down) * 16u;
        k_own[at + 4u * row + column] = value;
        if down == 0u {
            k_own[at + 4u * column + row] = value;
        }
    } else {
        let to = u32(i32(u32(j) / 4u) - i32(i / 4u) + i32(REACH));
        let place = ((apart - 1u) * fibres() + f) * blocks() + i / 4u;
        k_pair[(place * ROW_BLOCKS + to) * 16u + 4u * row + column] = value;
    }
}

// Coupling of a spot with those of other fibres `distance` bins away, relative to their norms. One thread per distance and
// STEP bins of a fibre's core.
@compute @workgroup_size(THREADS)
fn couplings(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let g = args.first + item;
    let distance = i32(g % (2u * BAND + 1u)) - i32(BAND);
    let sampled = (args.ncore_bin + STEP - 1u) / STEP;
    let bin = args.core_bin + STEP * ((g / (2u * BAND + 1u)) % sampled);
    let fibre = (g / ((2u * BAND + 1u) * sampled)) % args.nspec;
    let p = g / ((2u * BAND + 1u) * sampled * args.nspec);
    let patch_ = patch_at(p);
    let i = patch_.bin + bin;
    let j = i32(i) + distance;
    if j < 0 || j >= i32(args.pixel_bins) {
        return;
    }
    let a = stamp_of(patch_, bin * args.nspec + fibre);
    let norms = 2u * fibres() * 4u * blocks();
    let norm = spot_sums[norms + (patch_.fibre + fibre) * 4u * blocks() + i];
    let nx = i32(spot_nx());
    var found = vec2<real>();
    for (var other = fibre + 1u; other < args.nspec; other += 1u) {
        let b = stamp_of(patch_, u32(j - i32(patch_.bin)) * args.nspec + other);
        let s = shared_pixels(a, b);
        var sum: real = 0.0;
        for (var y = s.y.x; y < s.y.y; y += 1) {
            let left = i32(a.first) + y * nx;
            let right = i32(b.first) + (y - s.dy) * nx - s.dx;
            for (var x = s.x.x; x < s.x.y; x += 1) {
                sum += spots[left + x] * spots[right + x];
            }
        }
        let norms_product = norm * spot_sums[norms + (patch_.fibre + other) * 4u * blocks() + u32(j)];
        let relative = select(0.0, sum / norms_product, norms_product > 0.0);
        let next = select(0.0, relative, other == fibre + 1u);
        found = max(found, vec2(next, select(0.0, relative, other > fibre + args.distances)));
    }
    atomicMax(&largest[2u * p], bitcast<u32>(f32(found.x)));
    atomicMax(&largest[2u * p + 1u], bitcast<u32>(f32(found.y)));
}
