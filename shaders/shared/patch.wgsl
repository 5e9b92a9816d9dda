// Spots of a batch of patches and their positions on each patch's pixels; unknowns are ordered bin by bin.

// Sizes that all patches of a batch share, and arguments of single stages.
struct Args {
    // Workgroups, and the first item: a row, a bin or a patch.
    count: u32,
    first: u32,
    // Fibres and bins per patch.
    nspec: u32,
    nbin: u32,
    // Bins per fibre in `pixel`, and the distance of y from x: fibres times bins.
    pixel_bins: u32,
    pixel_stride: u32,
    // Bins per fibre in `spots`, and the first of them.
    spot_bins: u32,
    spot_first: u32,
    // Half size of a spot: it is [2 half_y + 1, 2 half_x + 1].
    half_x: u32,
    half_y: u32,
    // Columns of the CCD.
    ccd_nx: u32,
    // normal_equations: half bandwidth of K; banded_normal: distance in fibres over which it has blocks.
    half_bandwidth: u32,
    distances: u32,
    // model: rows of the highest patch.
    rows: u32,
    // model: distances of patches and of bins in `flux`.
    flux_patch: u32,
    flux_bin: u32,
    // goodness: first core fibre and bin of a patch, and their numbers.
    core_fibre: u32,
    ncore_fibre: u32,
    core_bin: u32,
    ncore_bin: u32,
    // goodness: fractional error of the PSF, a sum of two f32.
    psferr: f32,
    psferr_low: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
// Spots of the bundle, [nfibre, spot_bins, ny, nx].
@group(0) @binding(1) var<storage, read> spots: array<real>;
// Nearest pixel of each spot on the CCD, [2, nfibre, pixel_bins], x before y.
@group(0) @binding(2) var<storage, read> pixel: array<i32>;
// Patches, [patch, 11]: first fibre, first bin, first CCD row and column, rows, columns, first pixel counted over the batch.
// Then the prior, regularisation before least weight, each as the bits of two f32 whose sum it is.
@group(0) @binding(3) var<storage, read> patches: array<u32>;

// Returns the regularisation of a patch.
fn regularize(p: u32) -> real {
    return sum_of_bits(11u * p + 7u);
}

// Returns the weight up to which an unknown of a patch counts as without information; 0 stands for that of the patch.
fn least_weight(p: u32) -> real {
    return sum_of_bits(11u * p + 9u);
}

fn sum_of_bits(k: u32) -> real {
    return real(bitcast<f32>(patches[k])) + real(bitcast<f32>(patches[k + 1u]));
}

fn psferr() -> real {
    return real(args.psferr) + real(args.psferr_low);
}

// A patch's position among fibres, bins and pixels.
struct Patch {
    fibre: u32,
    bin: u32,
    y: i32,
    x: i32,
    ny: i32,
    nx: i32,
    first_pixel: u32,
}

fn patch_at(p: u32) -> Patch {
    let k = 11u * p;
    return Patch(
        patches[k], patches[k + 1u], i32(patches[k + 2u]), i32(patches[k + 3u]),
        i32(patches[k + 4u]), i32(patches[k + 5u]), patches[k + 6u],
    );
}

// A spot's position: its first value in `spots`, and its first row and column counted from the patch's.
struct Stamp {
    first: u32,
    y: i32,
    x: i32,
}

fn spot_nx() -> u32 {
    return 2u * args.half_x + 1u;
}

fn spot_ny() -> u32 {
    return 2u * args.half_y + 1u;
}

// Returns the position of the spot of unknown i = bin nspec + fibre.
fn stamp_of(patch_: Patch, i: u32) -> Stamp {
    return stamp_at(patch_, i % args.nspec, i / args.nspec);
}

// Returns the position of the spot of a fibre at a bin, both counted from the patch's first.
fn stamp_at(patch_: Patch, of_fibre: u32, of_bin: u32) -> Stamp {
    let fibre = patch_.fibre + of_fibre;
    let bin = patch_.bin + of_bin;
    let at = fibre * args.pixel_bins + bin;
    let spot = fibre * args.spot_bins + bin - args.spot_first;
    return Stamp(
        spot * spot_nx() * spot_ny(),
        pixel[args.pixel_stride + at] - i32(args.half_y) - patch_.y,
        pixel[at] - i32(args.half_x) - patch_.x,
    );
}

// Whether a pixel of the patch, counted from its first, exists.
fn on_patch(patch_: Patch, y: i32, x: i32) -> bool {
    return y >= 0 && y < patch_.ny && x >= 0 && x < patch_.nx;
}

// Returns the index on the CCD of a pixel of the patch.
fn on_ccd(patch_: Patch, y: i32, x: i32) -> u32 {
    return u32(patch_.y + y) * args.ccd_nx + u32(patch_.x + x);
}
