// Spots of images on a grid: bilinear between slit positions and wavelengths, moved by parts of a sample. They are clipped at 0
// and normalised to sum 1.
//
// The host has rebinned every image at every whole displacement, so that a spot is a sum of up to 16 small images.
#import grid
#import reduction

alias real = f32;
alias Partial = real;

// Invocations of a workgroup, which makes one spot.
const THREADS: u32 = 64;
// Invocations of a sum: all of a workgroup.
const LANES: u32 = THREADS;
// Images of a spot: two positions, two wavelengths of each, two displacements along either axis.
const TERMS: u32 = 16;

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
    // Slit positions, and bundles with images of their own after the first.
    positions: u32,
    breaks: u32,
    // 1 if the sum of an image is the part of all light.
    total: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
// Offset of each trace from its pixel, [2, stride], x before y.
@group(0) @binding(1) var<storage, read> offset: array<real>;
// Slit position and wavelength, [2, stride].
@group(0) @binding(2) var<storage, read> shape: array<real>;
// Displacement within a pixel of an image whose trace is at a pixel's centre, x before y. Then slit positions, where bundles
// begin on the slit, and wavelengths of all images.
@group(0) @binding(3) var<storage, read> places: array<real>;
// First image of each position and their number; first position of each bundle after the first.
@group(0) @binding(4) var<storage, read> index: array<u32>;
// [image, displacement y, displacement x, rows, columns].
@group(0) @binding(5) var<storage, read> images: array<real>;
// [fibre, take, ny, nx].
@group(0) @binding(6) var<storage, read_write> spots: array<real>;

// Where an image of a spot begins, and its weight.
var<workgroup> term_at: array<u32, TERMS>;
var<workgroup> term_weight: array<real, TERMS>;
// First pixel of the images on the window, x before y.
var<workgroup> corner: array<u32, 2>;

// Returns the upper end of the cell around a value among places `first .. end`, which ascend; at least `first + 1`.
fn upper_end(first: u32, end: u32, value: real) -> u32 {
    var low = first + 1u;
    var high = max(end, first + 2u) - 1u;
    while low < high {
        let middle = (low + high) / 2u;
        if places[middle] < value {
            low = middle + 1u;
        } else {
            high = middle;
        }
    }
    return low;
}

// Returns the weight of the upper end of a cell; 0 where there is a single place.
fn upper_weight(first: u32, end: u32, upper: u32, value: real) -> real {
    if end - first < 2u {
        return 0.0;
    }
    return (value - places[upper - 1u]) / (places[upper] - places[upper - 1u]);
}

// Writes the terms of position `end` of the cell around a spot's, by the first of the 16 threads of its terms.
fn write_terms(thread: u32, at: u32) {
    let positions = 2u;
    let begin = positions + args.positions;
    let waves = begin + args.breaks;
    let position = shape[at];
    let wave = shape[args.stride + at];
    var bundle = 0u;
    while bundle < args.breaks && places[begin + bundle] <= position {
        bundle += 1u;
    }
    var first = 0u;
    var end = args.positions;
    if bundle > 0u {
        first = index[args.positions + bundle];
    }
    if bundle < args.breaks {
        end = index[args.positions + 1u + bundle];
    }
    let upper = upper_end(positions + first, positions + end, position);
    let of_upper = upper_weight(positions + first, positions + end, upper, position);
    let is_upper = (thread & 1u) != 0u;
    let slit = select(upper - 1u, upper, is_upper && end - first > 1u) - positions;
    let of_position = select(1.0 - of_upper, of_upper, is_upper);
    let images_first = index[slit];
    let images_end = index[slit + 1u];
    let later = upper_end(waves + images_first, waves + images_end, wave);
    let of_later = upper_weight(waves + images_first, waves + images_end, later, wave);
    let is_later = (thread & 2u) != 0u;
    let image = select(later - 1u, later, is_later && images_end - images_first > 1u) - waves;
    let of_wave = select(1.0 - of_later, of_later, is_later);
    let r = real(args.oversampling);
    let place_x = offset[at] + places[0];
    let place_y = offset[args.stride + at] + places[1];
    let moved_x = clamp(r * (place_x - floor(place_x)), 0.0, r);
    let moved_y = clamp(r * (place_y - floor(place_y)), 0.0, r);
    let whole_x = min(u32(moved_x), args.oversampling - 1u);
    let whole_y = min(u32(moved_y), args.oversampling - 1u);
    let rest_x = moved_x - real(whole_x);
    let rest_y = moved_y - real(whole_y);
    let next_x = (thread >> 2u) & 1u;
    let next_y = (thread >> 3u) & 1u;
    let phases = args.oversampling + 1u;
    let phase = (image * phases + whole_y + next_y) * phases + whole_x + next_x;
    term_at[thread] = phase * args.rows * args.columns;
    term_weight[thread] = of_position * of_wave * select(1.0 - rest_x, rest_x, next_x != 0u)
        * select(1.0 - rest_y, rest_y, next_y != 0u);
    if thread == 0u {
        corner[0] = u32(i32(args.first_x) + i32(floor(place_x)));
        corner[1] = u32(i32(args.first_y) + i32(floor(place_y)));
    }
}

@compute @workgroup_size(THREADS)
fn spots_of_grid(
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
    if thread < TERMS {
        write_terms(thread, at);
    }
    workgroupBarrier();
    let nx = 2u * args.half_x + 1u;
    let ny = 2u * args.half_y + 1u;
    var total: real = 0.0;
    for (var p = thread; p < nx * ny; p += THREADS) {
        // Pixels before the corner wrap to large numbers.
        let x = p % nx - corner[0];
        let y = p / nx - corner[1];
        var value: real = 0.0;
        if x < args.columns && y < args.rows {
            let pixel = y * args.columns + x;
            for (var k = 0u; k < TERMS; k += 1u) {
                if term_weight[k] != 0.0 {
                    value += term_weight[k] * images[term_at[k] + pixel];
                }
            }
        }
        value = max(value, 0.0);
        total += value;
        spots[spot * nx * ny + p] = value;
    }
    // A spot without positive pixels stays zero and covers nothing.
    let sum = lanes_sum(thread, total);
    let scale = select(0.0, 1.0 / sum, sum > 0.0);
    if args.total == 0u {
        for (var p = thread; p < nx * ny; p += THREADS) {
            spots[spot * nx * ny + p] *= scale;
        }
    }
}
