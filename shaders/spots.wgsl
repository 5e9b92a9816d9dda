// Spots: the pixel-integrated Gauss-Hermite PSF of every fibre and bin, of one core or two, clipped at 0 and normalised to sum 1.
#import grid
#import functions_real
#import reduction

alias real = f32;
alias Partial = real;

// Invocations of a workgroup, which makes one spot.
const THREADS: u32 = 64;
// Values of workgroup memory per spot: at least (degree_x + 1) (nx + ny) + (degree_y + 1) ny of every core.
const PROFILES: u32 = 512;

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
    // Highest Hermite orders.
    degree_x: u32,
    degree_y: u32,
    // 1 if tails are added.
    tails: u32,
    // Highest Hermite orders of a second core.
    second_x: u32,
    second_y: u32,
}

// A sum of Gauss-Hermite functions of one width along either axis.
struct Core {
    // Its parameters begin here: widths along x and y, then coefficients.
    first: u32,
    // Its profiles begin here.
    base: u32,
    // Highest Hermite orders.
    degree_x: u32,
    degree_y: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
// Offset of each trace from its pixel, [2, stride], x before y.
@group(0) @binding(1) var<storage, read> offset: array<real>;
// Widths, Gauss-Hermite coefficients, tail parameters, [nparam, stride].
@group(0) @binding(2) var<storage, read> shape: array<real>;
// [fibre, take, ny, nx].
@group(0) @binding(3) var<storage, read_write> spots: array<real>;

// Of every core profiles along x [degree_x + 1, nx] and along y [degree_y + 1, ny]. Then the sums of the latter over their
// orders for each order along x [degree_x + 1, ny].
var<workgroup> profiles: array<real, PROFILES>;

fn columns() -> u32 {
    return 2u * args.half_x + 1u;
}

fn rows() -> u32 {
    return 2u * args.half_y + 1u;
}

// Where the profiles of a core along y begin, and their sums.
fn along_y(core: Core) -> u32 {
    return core.base + (core.degree_x + 1u) * columns();
}

fn summed(core: Core) -> u32 {
    return along_y(core) + (core.degree_y + 1u) * rows();
}

// Writes the profiles of all orders at one pixel, at a distance of n. Order 0 is the normal distribution between the pixel's
// edges. Order k > 0 is the difference of He_{k-1}(e) phi(e) between the left and the right edge.
fn profile(first: u32, pixel: u32, n: u32, half: u32, offset: real, sigma: real, degree: u32) {
    let left = (real(pixel) - real(half) - 0.5 - offset) / sigma;
    let right = (real(pixel) - real(half) + 0.5 - offset) / sigma;
    let e = vec2(left, right);
    var before = vec2<real>();
    var current = PHI_0 * vec2(exponential(-0.5 * left * left), exponential(-0.5 * right * right));
    profiles[first + pixel] = normal_between(e.x, current.x, e.y, current.y);
    for (var k = 1u; k <= degree; k += 1u) {
        profiles[first + k * n + pixel] = current.x - current.y;
        let next = e * current - real(k - 1u) * before;
        before = current;
        current = next;
    }
}

// Writes the profiles of a core.
fn write_profiles(thread: u32, at: u32, core: Core) {
    let nx = columns();
    let ny = rows();
    let sigma = core.first * args.stride + at;
    for (var i = thread; i < nx + ny; i += THREADS) {
        if i < nx {
            profile(core.base, i, nx, args.half_x, offset[at], shape[sigma], core.degree_x);
        } else {
            let dy = offset[args.stride + at];
            profile(along_y(core), i - nx, ny, args.half_y, dy, shape[sigma + args.stride], core.degree_y);
        }
    }
}

// Sums the profiles of a core along y over their orders.
fn write_sums(thread: u32, at: u32, core: Core) {
    let ny = rows();
    let profiles_y = along_y(core);
    let sums = summed(core);
    for (var k = thread; k < (core.degree_x + 1u) * ny; k += THREADS) {
        let first = core.first + 2u + (k / ny) * (core.degree_y + 1u);
        var sum: real = 0.0;
        for (var j = 0u; j <= core.degree_y; j += 1u) {
            sum += shape[(first + j) * args.stride + at] * profiles[profiles_y + j * ny + k % ny];
        }
        profiles[sums + k] = sum;
    }
}

// Returns a core at a pixel of the window.
fn value_of(core: Core, x: u32, y: u32) -> real {
    let sums = summed(core) + y;
    let nx = columns();
    let ny = rows();
    var value: real = 0.0;
    for (var i = 0u; i <= core.degree_x; i += 1u) {
        value += profiles[sums + i * ny] * profiles[core.base + i * nx + x];
    }
    return value;
}

// Returns the power-law tail at a pixel centre dx, dy from the trace; its parameters begin at `first`.
fn tail(first: u32, dx: real, dy: real) -> real {
    let core = shape[first + args.stride];
    let x = dx * shape[first + 2u * args.stride];
    let y = dy * shape[first + 3u * args.stride];
    let index = shape[first + 4u * args.stride];
    let r2 = x * x + y * y;
    // The tail is 0 at its own centre; power() would take the logarithm of 0.
    if r2 == 0.0 {
        return 0.0;
    }
    return shape[first] * r2 * power(core * core + r2, -(1.0 + 0.5 * index));
}

// Normalises a spot of which a thread has written `total`. A spot without positive pixels stays zero and covers nothing.
fn normalise(thread: u32, spot: u32, total: real) {
    let sum = workgroup_sum(thread, total);
    let scale = select(0.0, 1.0 / sum, sum > 0.0);
    let size = columns() * rows();
    for (var p = thread; p < size; p += THREADS) {
        spots[spot * size + p] *= scale;
    }
}

@compute @workgroup_size(THREADS)
fn spots_of_traces(
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
    let core = Core(0u, 0u, args.degree_x, args.degree_y);
    write_profiles(thread, at, core);
    workgroupBarrier();
    write_sums(thread, at, core);
    workgroupBarrier();
    let nx = columns();
    let ny = rows();
    let dx = offset[at];
    let dy = offset[args.stride + at];
    let tails = (2u + (args.degree_x + 1u) * (args.degree_y + 1u)) * args.stride + at;
    var total: real = 0.0;
    for (var p = thread; p < nx * ny; p += THREADS) {
        let x = p % nx;
        let y = p / nx;
        var value = value_of(core, x, y);
        if args.tails != 0u {
            value += tail(tails, real(x) - real(args.half_x) - dx, real(y) - real(args.half_y) - dy);
        }
        value = max(value, 0.0);
        total += value;
        spots[spot * nx * ny + p] = value;
    }
    normalise(thread, spot, total);
}

// Spots of two cores. The first one ends where (dx / sigma_x)^2 + (dy / sigma_y)^2 reaches the square of a parameter. The window
// has 2 (half - 1) pixels along either axis, from floor(x - (half - 1)) on.
@compute @workgroup_size(THREADS)
fn spots_of_two_cores(
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
    let first = Core(0u, 0u, args.degree_x, args.degree_y);
    let cut_at = 2u + (args.degree_x + 1u) * (args.degree_y + 1u);
    let second = Core(cut_at + 1u, summed(first) + (args.degree_x + 1u) * rows(), args.second_x, args.second_y);
    write_profiles(thread, at, first);
    write_profiles(thread, at, second);
    workgroupBarrier();
    write_sums(thread, at, first);
    write_sums(thread, at, second);
    workgroupBarrier();
    let nx = columns();
    let ny = rows();
    let dx = offset[at];
    let dy = offset[args.stride + at];
    let sigma_x = shape[at];
    let sigma_y = shape[args.stride + at];
    let cut = shape[cut_at * args.stride + at];
    let tails = (second.first + 2u + (args.second_x + 1u) * (args.second_y + 1u)) * args.stride + at;
    let left = select(1u, 0u, dx < 0.0);
    let low = select(1u, 0u, dy < 0.0);
    var total: real = 0.0;
    for (var p = thread; p < nx * ny; p += THREADS) {
        let x = p % nx;
        let y = p / nx;
        var value: real = 0.0;
        // Pixels before the window wrap to large numbers.
        if x - left < 2u * (args.half_x - 1u) && y - low < 2u * (args.half_y - 1u) {
            let from_x = real(x) - real(args.half_x) - dx;
            let from_y = real(y) - real(args.half_y) - dy;
            let u = from_x / sigma_x;
            let v = from_y / sigma_y;
            if u * u + v * v < cut * cut {
                value = value_of(first, x, y);
            }
            value += value_of(second, x, y);
            if args.tails != 0u {
                value += tail(tails, from_x, from_y);
            }
            value = max(value, 0.0);
        }
        total += value;
        spots[spot * nx * ny + p] = value;
    }
    normalise(thread, spot, total);
}
