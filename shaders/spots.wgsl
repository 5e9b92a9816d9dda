// Spots: the pixel-integrated Gauss-Hermite PSF of every fibre and bin, of one core or two, clipped at 0 and normalised to sum 1.
#import grid
#import functions_real
#import reduction

alias real = f32;
alias Partial = real;

// Invocations of a workgroup, and those that make one spot, a power of two up to THREADS.
const THREADS: u32 = 64;
const LANES: u32 = 32;
// Values of workgroup memory per spot: at least its parameters and, of every core, (degree_x + 1) nx + (degree_y + 1) rows,
// where the rows are ny rounded up to quads.
const VALUES: u32 = 320;
// Quads of rows in workgroup memory: at least (degree_x + 1) quads of every core.
const SUMS: u32 = 48;

struct Args {
    // Spots, and the first of them.
    count: u32,
    first_spot: u32,
    // Bins per fibre in `offset` and `shape`.
    nbin: u32,
    // First bin to make spots of, and their number; `spots` is [fibre, take, ..].
    first_bin: u32,
    take: u32,
    // Distance of parameters in `offset` and `shape`: fibres times nbin.
    stride: u32,
    // Parameters of a spot in `shape`.
    nparam: u32,
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
    // Its parameters begin here in `shape` and in `values`: widths along x and y, then coefficients.
    first: u32,
    parameters: u32,
    // Its profiles begin here in `values`, along x and then along y.
    along_x: u32,
    along_y: u32,
    // Its sums begin here.
    sums: u32,
    // Highest Hermite orders.
    degree_x: u32,
    degree_y: u32,
}

// The work of a thread.
struct Task {
    // Its spot, and where that is in `offset` and `shape`.
    spot: u32,
    at: u32,
    // Which of the spot's threads it is.
    lane: u32,
    // Threads beyond the last spot make it, too, as all meet at the barriers, but do not write it.
    is_own: bool,
}

// A thread's share of a spot: its first two quads, and the sum of all its pixels.
struct Share {
    first: vec4<real>,
    second: vec4<real>,
    total: real,
}

@group(0) @binding(0) var<uniform> args: Args;
// Offset of each trace from its pixel, [2, stride], x before y.
@group(0) @binding(1) var<storage, read> offset: array<real>;
// Widths, Gauss-Hermite coefficients, tail parameters, [nparam, stride].
@group(0) @binding(2) var<storage, read> shape: array<real>;
// [fibre, take, ny, nx].
@group(0) @binding(3) var<storage, read_write> spots: array<real>;

// Of each spot its parameters. Then of every core profiles along x [degree_x + 1, nx] and along y [degree_y + 1, rows in quads].
var<workgroup> values: array<real, VALUES * (THREADS / LANES)>;
// Of each spot and every core for each order along x the profiles along y summed over their orders, [degree_x + 1, quads].
var<workgroup> sums: array<vec4<real>, SUMS * (THREADS / LANES)>;

fn columns() -> u32 {
    return 2u * args.half_x + 1u;
}

fn rows() -> u32 {
    return 2u * args.half_y + 1u;
}

// Quads of rows. A thread makes a quad of a column.
fn quads() -> u32 {
    return (rows() + 3u) / 4u;
}

// Returns a core whose parameters begin at `first` among those of spot `slot` of the workgroup, and its workspace after that of
// another one of `before` values and `sums` quads.
fn core_at(slot: u32, first: u32, before: u32, sums: u32, degree_x: u32, degree_y: u32) -> Core {
    let parameters = slot * VALUES;
    let along_x = parameters + args.nparam + before;
    let along_y = along_x + (degree_x + 1u) * columns();
    return Core(first, parameters + first, along_x, along_y, slot * SUMS + sums, degree_x, degree_y);
}

// Copies the parameters of a spot, from `first` on.
fn load_parameters(lane: u32, at: u32, first: u32) {
    for (var k = lane; k < args.nparam; k += LANES) {
        values[first + k] = shape[k * args.stride + at];
    }
}

// Writes the profiles of all orders at one pixel, at a distance of n. Order 0 is the normal distribution between the pixel's
// edges. Order k > 0 is the difference of He_{k-1}(e) phi(e) between the left and the right edge.
fn profile(first: u32, n: u32, from_middle: real, offset: real, sigma: real, degree: u32) {
    let e = vec2((from_middle - 0.5 - offset) / sigma, (from_middle + 0.5 - offset) / sigma);
    var before = vec2<real>();
    var current = PHI_0 * vec2(exponential(-0.5 * e.x * e.x), exponential(-0.5 * e.y * e.y));
    values[first] = normal_between(e.x, current.x, e.y, current.y);
    for (var k = 1u; k <= degree; k += 1u) {
        values[first + k * n] = current.x - current.y;
        let next = e * current - real(k - 1u) * before;
        before = current;
        current = next;
    }
}

// Writes the profiles of a core, of both axes at the same time. The last quad's rows may lie outside the window.
fn write_profiles(lane: u32, at: u32, core: Core) {
    let nx = columns();
    let rows_in_quads = 4u * quads();
    for (var i = lane; i < nx + rows_in_quads; i += LANES) {
        let is_x = i < nx;
        let axis = select(args.stride, 0u, is_x) + at;
        let pixel = select(i - nx, i, is_x);
        let first = select(core.along_y, core.along_x, is_x) + pixel;
        let from_middle = real(pixel) - real(select(args.half_y, args.half_x, is_x));
        let sigma = shape[core.first * args.stride + axis];
        let degree = select(core.degree_y, core.degree_x, is_x);
        profile(first, select(rows_in_quads, nx, is_x), from_middle, offset[axis], sigma, degree);
    }
}

// Sums the profiles of a core along y over their orders.
fn write_sums(lane: u32, core: Core) {
    let count = quads();
    for (var k = lane; k < (core.degree_x + 1u) * count; k += LANES) {
        let first = core.parameters + 2u + (k / count) * (core.degree_y + 1u);
        var row = core.along_y + 4u * (k % count);
        var sum = vec4<real>();
        for (var j = 0u; j <= core.degree_y; j += 1u) {
            sum += values[first + j] * vec4<real>(values[row], values[row + 1u], values[row + 2u], values[row + 3u]);
            row += 4u * count;
        }
        sums[core.sums + k] = sum;
    }
}

// Returns a core at a quad of rows of a column.
fn values_of(core: Core, x: u32, quad: u32) -> vec4<real> {
    var value = vec4<real>();
    for (var i = 0u; i <= core.degree_x; i += 1u) {
        value += sums[core.sums + i * quads() + quad] * values[core.along_x + i * columns() + x];
    }
    return value;
}

// Returns the power-law tail at a column and four rows from the trace; its parameters begin at `first`.
fn tail(first: u32, dx: real, dy: vec4<real>) -> vec4<real> {
    let core = values[first + 1u];
    let x = dx * values[first + 2u];
    let y = dy * values[first + 3u];
    let exponent = -(1.0 + 0.5 * values[first + 4u]);
    let r2 = x * x + y * y;
    let base = core * core + r2;
    let falling = vec4<real>(power(base.x, exponent), power(base.y, exponent), power(base.z, exponent), power(base.w, exponent));
    // The tail is 0 at its own centre, where the logarithm may be that of 0.
    return select(values[first] * r2 * falling, vec4<real>(), r2 == vec4<real>());
}

// Returns rows of a quad.
fn rows_of(quad: u32) -> vec4<u32> {
    return 4u * quad + vec4<u32>(0u, 1u, 2u, 3u);
}

// Returns pixels clipped at 0, and 0 outside the window.
fn clipped(value: vec4<real>, quad: u32) -> vec4<real> {
    return select(vec4<real>(), max(value, vec4<real>()), rows_of(quad) < vec4<u32>(rows()));
}

fn sum_of(value: vec4<real>) -> real {
    return (value.x + value.y) + (value.z + value.w);
}

// Writes pixels of quad `k` of a spot's quads, [quads, nx].
fn store(spot: u32, k: u32, value: vec4<real>) {
    let nx = columns();
    let y = 4u * (k / nx);
    let pixel = (spot * rows() + y) * nx + k % nx;
    spots[pixel] = value.x;
    if y + 1u < rows() {
        spots[pixel + nx] = value.y;
    }
    if y + 2u < rows() {
        spots[pixel + 2u * nx] = value.z;
    }
    if y + 3u < rows() {
        spots[pixel + 3u * nx] = value.w;
    }
}

fn task_of(group_index: u32, thread: u32) -> Task {
    let own = group_index * (THREADS / LANES) + thread / LANES;
    let spot = args.first_spot + min(own, args.count - 1u);
    let at = (spot / args.take) * args.nbin + args.first_bin + spot % args.take;
    return Task(spot, at, thread % LANES, own < args.count);
}

// Returns a lane's share with quad `k` added. Those after its first two are stored as they are.
fn with_quad(share: Share, task: Task, k: u32, value: vec4<real>) -> Share {
    var more = share;
    more.total += sum_of(value);
    if k == task.lane {
        more.first = value;
    } else if k == task.lane + LANES {
        more.second = value;
    } else if task.is_own {
        store(task.spot, k, value);
    }
    return more;
}

// Writes a spot, normalised. A spot without positive pixels stays zero and covers nothing.
fn normalise(thread: u32, task: Task, share: Share) {
    let sum = lanes_sum(thread, share.total);
    let scale = select(0.0, 1.0 / sum, sum > 0.0);
    let nx = columns();
    let count = select(0u, nx * quads(), task.is_own);
    if task.lane < count {
        store(task.spot, task.lane, scale * share.first);
    }
    if task.lane + LANES < count {
        store(task.spot, task.lane + LANES, scale * share.second);
    }
    for (var k = task.lane + 2u * LANES; k < count; k += LANES) {
        let y = 4u * (k / nx);
        for (var row = y; row < min(y + 4u, rows()); row += 1u) {
            spots[(task.spot * rows() + row) * nx + k % nx] *= scale;
        }
    }
}

@compute @workgroup_size(THREADS)
fn spots_of_traces(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group_index = workgroup_index(group, groups);
    if group_index * (THREADS / LANES) >= args.count {
        return;
    }
    let task = task_of(group_index, thread);
    let lane = task.lane;
    let slot = thread / LANES;
    let at = task.at;
    let core = core_at(slot, 0u, 0u, 0u, args.degree_x, args.degree_y);
    load_parameters(lane, at, slot * VALUES);
    write_profiles(lane, at, core);
    workgroupBarrier();
    write_sums(lane, core);
    workgroupBarrier();
    let nx = columns();
    let tails = core.parameters + 2u + (args.degree_x + 1u) * (args.degree_y + 1u);
    var share = Share();
    for (var k = lane; k < nx * quads(); k += LANES) {
        let x = k % nx;
        let quad = k / nx;
        var value = values_of(core, x, quad);
        if args.tails != 0u {
            let from_x = real(x) - real(args.half_x) - offset[at];
            let from_y = vec4<real>(rows_of(quad)) - real(args.half_y) - offset[args.stride + at];
            value += tail(tails, from_x, from_y);
        }
        share = with_quad(share, task, k, clipped(value, quad));
    }
    normalise(thread, task, share);
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
    if group_index * (THREADS / LANES) >= args.count {
        return;
    }
    let task = task_of(group_index, thread);
    let lane = task.lane;
    let slot = thread / LANES;
    let at = task.at;
    let first = core_at(slot, 0u, 0u, 0u, args.degree_x, args.degree_y);
    let cut_at = 2u + (args.degree_x + 1u) * (args.degree_y + 1u);
    let before = (args.degree_x + 1u) * columns() + (args.degree_y + 1u) * 4u * quads();
    let second = core_at(slot, cut_at + 1u, before, (args.degree_x + 1u) * quads(), args.second_x, args.second_y);
    load_parameters(lane, at, slot * VALUES);
    write_profiles(lane, at, first);
    write_profiles(lane, at, second);
    workgroupBarrier();
    write_sums(lane, first);
    write_sums(lane, second);
    workgroupBarrier();
    let nx = columns();
    let dx = offset[at];
    let dy = offset[args.stride + at];
    let cut = values[first.parameters + cut_at];
    let tails = second.parameters + 2u + (args.second_x + 1u) * (args.second_y + 1u);
    let left = select(1u, 0u, dx < 0.0);
    let low = select(1u, 0u, dy < 0.0);
    var share = Share();
    for (var k = lane; k < nx * quads(); k += LANES) {
        let x = k % nx;
        let quad = k / nx;
        let from_x = real(x) - real(args.half_x) - dx;
        let from_y = vec4<real>(rows_of(quad)) - real(args.half_y) - dy;
        let u = from_x / values[first.parameters];
        let v = from_y / values[first.parameters + 1u];
        var value = values_of(second, x, quad);
        value += select(vec4<real>(), values_of(first, x, quad), u * u + v * v < vec4<real>(cut * cut));
        if args.tails != 0u {
            value += tail(tails, from_x, from_y);
        }
        // Pixels before the window wrap to large numbers.
        let in_rows = rows_of(quad) - low < vec4<u32>(2u * (args.half_y - 1u));
        let in_window = in_rows & vec4<bool>(x - left < 2u * (args.half_x - 1u));
        share = with_quad(share, task, k, clipped(select(vec4<real>(), value, in_window), quad));
    }
    normalise(thread, task, share);
}
