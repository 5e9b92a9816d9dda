// Spots of one image, moved by parts of a pixel with a damped sinc, clipped at 0 and normalised to sum 1. It is an oversampled
// image that serves everywhere (MONOSPOT), or a sum of images with powers of the position (PCA-PIX).
#import grid
#import functions_real
#import reduction

alias real = f32;
alias Partial = real;

// Invocations of a workgroup, which makes one spot: at least 2 TAPS.
const THREADS: u32 = 64;
// Invocations of a sum: all of a workgroup.
const LANES: u32 = THREADS;
// Values of workgroup memory for an image, twice.
const PIXELS: u32 = 256;

// Reach of the sinc in pixels, its taps, and the pixels over which it is damped.
const REACH: u32 = 10;
const TAPS: u32 = 21;
const DAMPING = 3.25;
// Displacements below this, in pixels, are none.
const NO_SHIFT = 1e-6;
const PI = 3.141592653589793;

struct Args {
    // Workgroups, one per spot, and the first spot.
    count: u32,
    first_spot: u32,
    // Bins per fibre in `offset` and `shape`.
    nbin: u32,
    // First bin to make spots of, and their number; `spots` is [fibre, take, ..].
    first_bin: u32,
    take: u32,
    // Distance of parameters in `offset` and `shape`: fibres times nbin.
    stride: u32,
    // Half size of a spot, pixels: it is [2 half_y + 1, 2 half_x + 1].
    half_x: u32,
    half_y: u32,
    // Rows and columns of an image, pixels.
    rows: u32,
    columns: u32,
    // Samples per pixel.
    oversampling: u32,
    // First pixel of an image on its window where it is not displaced.
    first_x: u32,
    first_y: u32,
    // Images of a group, and groups.
    terms: u32,
    groups: u32,
    // 1 if the sum of an image is the part of all light.
    total: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
// Offset of each trace from its pixel, [2, stride], x before y.
@group(0) @binding(1) var<storage, read> offset: array<real>;
// Group and scaled position of images with powers, [3, stride].
@group(0) @binding(2) var<storage, read> shape: array<real>;
// Displacement within a pixel of an oversampled image whose trace is at a pixel's centre, x before y.
@group(0) @binding(3) var<storage, read> places: array<real>;
// Powers of x and y, [terms, 2].
@group(0) @binding(4) var<storage, read> powers: array<u32>;
// [displacement y, displacement x, rows, columns] of an oversampled image, else [groups, terms, rows, columns].
@group(0) @binding(5) var<storage, read> images: array<real>;
// [fibre, take, ny, nx].
@group(0) @binding(6) var<storage, read_write> spots: array<real>;

// The image [rows, columns], and moved along x [columns, rows].
var<workgroup> image: array<real, PIXELS>;
var<workgroup> moved: array<real, PIXELS>;
// Taps of the sinc along x, then along y.
var<workgroup> taps: array<real, 2 * TAPS>;

// Writes the taps of two displacements in pixels, at most a half, by the first threads. The sine of pi (k - shift) is that of
// pi shift but for its sign.
fn write_taps(thread: u32, shift_x: real, shift_y: real) {
    if thread < 2u * TAPS {
        let shift = select(shift_x, shift_y, thread >= TAPS);
        let k = thread % TAPS;
        let at = real(k) - real(REACH) - shift;
        var tap = select(real(0.0), real(1.0), k == REACH);
        if abs(shift) > NO_SHIFT {
            let wave = sine(PI * shift) / (PI * at);
            let damped = exponential(-(at / DAMPING) * (at / DAMPING)) * wave;
            tap = select(damped, -damped, k % 2u == REACH % 2u);
        }
        taps[thread] = tap;
    }
}

// Moves the image along x. Its rows count as one long line: the end of one adjoins the next.
fn move_along_x(thread: u32) {
    let n = args.rows * args.columns;
    for (var p = thread; p < n; p += THREADS) {
        var value: real = 0.0;
        for (var k = 0u; k < TAPS; k += 1u) {
            // Pixels before the first one wrap to large numbers.
            let tapped = p + REACH - k;
            if tapped < n {
                value += taps[k] * image[tapped];
            }
        }
        moved[p % args.columns * args.rows + p / args.columns] = value;
    }
}

// Returns a pixel of the image moved along y, whose columns count as one long line.
fn moved_along_y(x: u32, y: u32) -> real {
    let n = args.rows * args.columns;
    var value: real = 0.0;
    for (var k = 0u; k < TAPS; k += 1u) {
        let tapped = x * args.rows + y + REACH - k;
        if tapped < n {
            value += taps[TAPS + k] * moved[tapped];
        }
    }
    return value;
}

// Moves the image and writes it onto its window, where its first pixel is `corner_x`, `corner_y`.
fn finish(thread: u32, spot: u32, corner_x: u32, corner_y: u32) {
    workgroupBarrier();
    move_along_x(thread);
    workgroupBarrier();
    let nx = 2u * args.half_x + 1u;
    let size = nx * (2u * args.half_y + 1u);
    var total: real = 0.0;
    for (var p = thread; p < size; p += THREADS) {
        // Pixels before the corner wrap to large numbers.
        let x = p % nx - corner_x;
        let y = p / nx - corner_y;
        var value: real = 0.0;
        if x < args.columns && y < args.rows {
            value = max(moved_along_y(x, y), 0.0);
        }
        total += value;
        spots[spot * size + p] = value;
    }
    // A spot without positive pixels stays zero and covers nothing.
    let sum = lanes_sum(thread, total);
    let scale = select(0.0, 1.0 / sum, sum > 0.0);
    if args.total == 0u {
        for (var p = thread; p < size; p += THREADS) {
            spots[spot * size + p] *= scale;
        }
    }
}

// Returns x^n.
fn whole_power(x: real, n: u32) -> real {
    var product: real = 1.0;
    for (var k = 0u; k < n; k += 1u) {
        product *= x;
    }
    return product;
}

// The host has rebinned the image at every whole displacement; the sinc does the rest.
@compute @workgroup_size(THREADS)
fn spots_of_one_image(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group_index = workgroup_index(group, groups);
    if group_index >= args.count {
        return;
    }
    let spot = args.first_spot + group_index;
    let at = (spot / args.take) * args.nbin + args.first_bin + spot % args.take;
    let r = real(args.oversampling);
    let place_x = offset[at] + places[0];
    let place_y = offset[args.stride + at] + places[1];
    let samples_x = clamp(r * (place_x - floor(place_x)), 0.0, r);
    let samples_y = clamp(r * (place_y - floor(place_y)), 0.0, r);
    let whole_x = min(u32(samples_x), args.oversampling - 1u);
    let whole_y = min(u32(samples_y), args.oversampling - 1u);
    write_taps(thread, (samples_x - real(whole_x)) / r, (samples_y - real(whole_y)) / r);
    let n = args.rows * args.columns;
    let start = (whole_y * (args.oversampling + 1u) + whole_x) * n;
    for (var p = thread; p < n; p += THREADS) {
        image[p] = images[start + p];
    }
    finish(thread, spot, u32(i32(args.first_x) + i32(floor(place_x))), u32(i32(args.first_y) + i32(floor(place_y))));
}

// An image covers its window.
@compute @workgroup_size(THREADS)
fn spots_of_powers(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group_index = workgroup_index(group, groups);
    if group_index >= args.count {
        return;
    }
    let spot = args.first_spot + group_index;
    let at = (spot / args.take) * args.nbin + args.first_bin + spot % args.take;
    write_taps(thread, offset[at], offset[args.stride + at]);
    let number = min(u32(max(floor(shape[at] + 0.5), 0.0)), args.groups - 1u);
    let x = shape[args.stride + at];
    let y = shape[2u * args.stride + at];
    let n = args.rows * args.columns;
    for (var p = thread; p < n; p += THREADS) {
        image[p] = 0.0;
    }
    for (var k = 0u; k < args.terms; k += 1u) {
        let weight = whole_power(x, powers[2u * k]) * whole_power(y, powers[2u * k + 1u]);
        let start = (number * args.terms + k) * n;
        for (var p = thread; p < n; p += THREADS) {
            image[p] += weight * images[start + p];
        }
    }
    finish(thread, spot, 0u, 0u);
}
