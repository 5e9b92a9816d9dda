// Spectra as files want them: flux, ivar and goodness on the grid without its padding, and R by columns in place of rows. The
// host then copies lines, and nothing that it does not keep travels.
#import grid

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 64;
// Larger deconvolved flux is no result: files hold f4.
const LARGEST: f32 = 3e37;
// ivar of a bin without result, beyond the range of a file.
const NO_RESULT: f32 = 3e38;

struct Args {
    // Bins to write, of all fibres, and the first.
    count: u32,
    first: u32,
    nfibre: u32,
    // Fibres of a bundle.
    bundle: u32,
    // Bins of the padded grid, its first one that is written, and the number of those that are.
    nbin: u32,
    core_first: u32,
    ncore: u32,
    // The bins to write here: the first, counted from core_first, and their number.
    take_first: u32,
    take: u32,
    // Bins per fibre in `goodness`, and the first to take.
    goodness_bins: u32,
    goodness_first: u32,
    // Diagonals of R to each side.
    r_half: u32,
    // 1 if deconvolved flux is written.
    with_x: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
// Decorrelated flux, its ivar and its truncation error, each [fibre, nbin], then rows of R, [fibre, nbin, 2 r_half + 1].
@group(0) @binding(1) var<storage, read> spectra: array<real>;
// x, [bundle, nbin, fibre of the bundle].
@group(0) @binding(2) var<storage, read> deconvolved: array<real>;
// chi2pix, pixmask_fraction and the fraction off the pixels, [fibre, goodness_bins, 3].
@group(0) @binding(3) var<storage, read> goodness: array<real>;
// Of every fibre, each [ncore]: flux, ivar, truncation error, chi2pix, pixmask_fraction, fraction off the pixels, stored diagonals
// of R, x where wanted. Diagonal d of column j is R[j - r_half + d, j].
@group(0) @binding(4) var<storage, read_write> finished: array<real>;

// Whether a file can hold a number: by its bits, as compilers may assume that there is no NaN.
fn is_number(value: real) -> bool {
    return (bitcast<u32>(f32(value)) & 0x7fffffffu) < bitcast<u32>(LARGEST);
}

// One thread per bin of a fibre.
@compute @workgroup_size(THREADS)
fn columns(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let at = args.first + item;
    let f = at / args.take;
    let k = at % args.take;
    let bin = args.core_first + args.take_first + k;
    let bins = args.nfibre * args.nbin;
    let width = 2u * args.r_half + 1u;
    let n = args.ncore;
    let to = f * (6u + width + args.with_x) * n + args.take_first + k;
    let of_goodness = 3u * (f * args.goodness_bins + args.goodness_first + k);
    let x = deconvolved[((f / args.bundle) * args.nbin + bin) * args.bundle + f % args.bundle];
    finished[to] = spectra[f * args.nbin + bin];
    finished[to + n] = select(real(NO_RESULT), spectra[bins + f * args.nbin + bin], is_number(x));
    finished[to + 2u * n] = spectra[2u * bins + f * args.nbin + bin];
    finished[to + 3u * n] = goodness[of_goodness];
    finished[to + 4u * n] = goodness[of_goodness + 1u];
    finished[to + 5u * n] = goodness[of_goodness + 2u];
    let rows = 3u * bins + f * args.nbin * width;
    for (var d = 0u; d < width; d += 1u) {
        var value: real = 0.0;
        if bin + d >= args.r_half && bin + d < args.nbin + args.r_half {
            value = spectra[rows + (bin + d - args.r_half) * width + width - 1u - d];
        }
        finished[to + (6u + d) * n] = value;
    }
    if args.with_x == 1u {
        finished[to + (6u + width) * n] = x;
    }
}
