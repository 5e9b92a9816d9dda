// Batched eigendecomposition of symmetric matrices by one-sided Jacobi rotations on the Cholesky factor.
//
// With A = L L^T, rotations V that make the columns of L orthogonal give L V = U Sigma. Eigenvalues are the columns'
// squared lengths, eigenvectors their directions (Veselic & Hari 1989). V is not stored. A sweep is n - 1 rounds of
// n / 2 independent pairs (round-robin), one thread per pair, one barrier per round. A dispatch does one sweep or a part
// of one; a matrix that has converged returns at once. One workgroup per matrix.
#import grid

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 64;
// Whether columns are rotated in workgroup memory, and the vec4s reserved there.
const IN_WORKGROUP: bool = false;
const CAPACITY: u32 = 1;
// The largest n.
const LARGEST: u32 = 1024;

// Status of the Cholesky kernel for a factor that exists.
const NONE: u32 = 0xffffffff;
// Words of `progress` per matrix: rotations in this sweep, sweeps, whether it converged, whether it is not finite.
const WORDS: u32 = 4;

struct Args {
    // Matrices first .. end.
    first: u32,
    end: u32,
    n: u32,
    // vec4s between columns; odd, so that columns start in different banks of workgroup memory.
    height: u32,
    // First round of the sweep in this dispatch, and number of rounds.
    round: u32,
    rounds: u32,
    // 1 if a matrix with a failed factor is to be shifted.
    shifting: u32,
    // |cosine| of the angle between columns below which they count as orthogonal.
    tolerance: f32,
    // Margin that a shift adds to Gershgorin's bound, relative to the largest eigenvalue.
    margin: f32,
}

@group(0) @binding(0) var<uniform> args: Args;
// A, whose lower triangle is read: [batch, n, n].
@group(0) @binding(1) var<storage, read> matrices: array<real>;
// The matrix to factor, then its factor: [batch, n, n].
@group(0) @binding(2) var<storage, read_write> factors: array<real>;
// Status of the factors, [batch].
@group(0) @binding(3) var<storage, read> status: array<u32>;
// Shift of A's diagonal, [batch].
@group(0) @binding(4) var<storage, read_write> shifts: array<real>;
// Columns under rotation: [batch, n, height].
@group(0) @binding(5) var<storage, read_write> columns: array<vec4<real>>;
// [batch, WORDS].
@group(0) @binding(6) var<storage, read_write> progress: array<u32>;
// Eigenvalues in ascending order: [batch, n].
@group(0) @binding(7) var<storage, read_write> values: array<real>;
// Eigenvector k in row k: [batch, n, n].
@group(0) @binding(8) var<storage, read_write> vectors: array<real>;

var<workgroup> resident: array<vec4<real>, CAPACITY>;
var<workgroup> bounds: array<vec2<real>, THREADS>;
var<workgroup> squares: array<real, LARGEST>;
var<workgroup> ranks: array<u32, LARGEST>;
var<workgroup> rotations: atomic<u32>;
var<workgroup> halted: u32;
var<private> base: u32;

fn fetch(k: u32) -> vec4<real> {
    if IN_WORKGROUP {
        return resident[k];
    }
    return columns[base + k];
}

fn store(k: u32, value: vec4<real>) {
    if IN_WORKGROUP {
        resident[k] = value;
    } else {
        columns[base + k] = value;
    }
}

fn symmetric(index: u32, i: u32, j: u32) -> real {
    return matrices[(index * args.n + max(i, j)) * args.n + min(i, j)];
}

// Returns a shift that makes A + shift I positive definite beyond rounding: Gershgorin's bound of the lowest eigenvalue plus
// a margin relative to the largest.
fn shift_of(index: u32, thread: u32) -> real {
    var low: real = 0.0;
    var high: real = 0.0;
    for (var i = thread; i < args.n; i += THREADS) {
        var radius: real = 0.0;
        for (var j = 0u; j < args.n; j += 1u) {
            radius += select(abs(symmetric(index, i, j)), 0.0, i == j);
        }
        let middle = symmetric(index, i, i);
        low = min(low, middle - radius);
        high = max(high, abs(middle) + radius);
    }
    bounds[thread] = vec2<real>(low, high);
    workgroupBarrier();
    for (var t = 0u; t < THREADS; t += 1u) {
        low = min(low, bounds[t].x);
        high = max(high, bounds[t].y);
    }
    return select(1.0, real(args.margin) * high - low, high > 0.0);
}

// Fills `factors` with the matrix to factor: A, or A + shift I if the factor of A has failed.
@compute @workgroup_size(THREADS)
fn prepare(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = args.first + workgroup_index(group, groups);
    if index >= args.end {
        return;
    }
    var shift = shift_of(index, thread);
    if args.shifting == 0u || status[index] == NONE {
        shift = 0.0;
    }
    let size = args.n * args.n;
    for (var k = thread; k < size; k += THREADS) {
        let i = k / args.n;
        let j = k - i * args.n;
        factors[index * size + k] = matrices[index * size + k] + select(0.0, shift, i == j);
    }
    if thread == 0u {
        shifts[index] = shift;
    }
}

// Copies the factor's columns, padded with zeros, and resets the progress.
@compute @workgroup_size(THREADS)
fn gather(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = args.first + workgroup_index(group, groups);
    if index >= args.end {
        return;
    }
    let n = args.n;
    for (var k = thread; k < n * args.height; k += THREADS) {
        let column = k / args.height;
        let row = 4u * (k - column * args.height);
        var value = vec4<real>();
        for (var r = 0u; r < 4u; r += 1u) {
            if row + r >= column && row + r < n {
                let factor = vec4<real>(factors[(index * n + row + r) * n + column]);
                value = select(value, factor, vec4<u32>(0u, 1u, 2u, 3u) == vec4<u32>(r));
            }
        }
        columns[index * n * args.height + k] = value;
    }
    if thread < WORDS {
        let broken = thread >= 2u && status[index] != NONE;
        progress[WORDS * index + thread] = select(0u, 1u, broken);
    }
}

// Makes columns p and q orthogonal; returns 0 if they were already, else 1.
fn rotate(p: u32, q: u32) -> u32 {
    let height = (args.n + 3u) / 4u;
    let a = p * args.height;
    let b = q * args.height;
    var xx = vec4<real>();
    var yy = vec4<real>();
    var xy = vec4<real>();
    for (var k = 0u; k < height; k += 1u) {
        let x = fetch(a + k);
        let y = fetch(b + k);
        xx += x * x;
        yy += y * y;
        xy += x * y;
    }
    let one = vec4<real>(1.0);
    let square_p = dot(xx, one);
    let square_q = dot(yy, one);
    let product = dot(xy, one);
    if abs(product) <= real(args.tolerance) * sqrt(square_p) * sqrt(square_q) {
        return 0u;
    }
    // tan of the smaller of the two angles; for large zeta its square would overflow.
    let zeta = (square_q - square_p) / (2.0 * product);
    let size = abs(zeta);
    var tangent = 0.5 / size;
    if size < 1e9 {
        tangent = 1.0 / (size + sqrt(1.0 + size * size));
    }
    tangent = select(-tangent, tangent, zeta >= 0.0);
    let cosine = 1.0 / sqrt(1.0 + tangent * tangent);
    let sine = cosine * tangent;
    // Rutishauser's form of the rotation. The cosine's rounding has the same sign in hundreds of rotations, and lengths would
    // drift by 7e-6 of the eigenvalues at n = 50.
    let half_tangent = sine / (1.0 + cosine);
    for (var k = 0u; k < height; k += 1u) {
        let x = fetch(a + k);
        let y = fetch(b + k);
        store(a + k, x - sine * (y + half_tangent * x));
        store(b + k, y + sine * (x - half_tangent * y));
    }
    return 1u;
}

@compute @workgroup_size(THREADS)
fn sweep(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = args.first + workgroup_index(group, groups);
    if index >= args.end {
        return;
    }
    if thread == 0u {
        halted = progress[WORDS * index + 2u];
        atomicStore(&rotations, 0u);
    }
    if workgroupUniformLoad(&halted) != 0u {
        return;
    }
    let n = args.n;
    base = index * n * args.height;
    if IN_WORKGROUP {
        for (var k = thread; k < n * args.height; k += THREADS) {
            resident[k] = columns[base + k];
        }
        workgroupBarrier();
    }

    // Round-robin: column `even - 1` keeps its place, the others move on by one. An odd n adds a column that does not exist, and
    // its partner rests.
    let even = n + (n & 1u);
    let ring = even - 1u;
    var rotated = 0u;
    for (var round = args.round; round < args.round + args.rounds; round += 1u) {
        for (var pair = thread; pair < even / 2u; pair += THREADS) {
            let p = (round + pair) % ring;
            let q = select((round + ring - pair) % ring, ring, pair == 0u);
            if p < n && q < n {
                rotated += rotate(min(p, q), max(p, q));
            }
        }
        storageBarrier();
        workgroupBarrier();
    }
    atomicAdd(&rotations, rotated);
    if IN_WORKGROUP {
        for (var k = thread; k < n * args.height; k += THREADS) {
            columns[base + k] = resident[k];
        }
    }
    workgroupBarrier();
    if thread == 0u {
        let total = progress[WORDS * index] + atomicLoad(&rotations);
        let over = args.round + args.rounds >= ring;
        progress[WORDS * index] = select(total, 0u, over);
        if over {
            progress[WORDS * index + 1u] += 1u;
            progress[WORDS * index + 2u] = select(0u, 1u, total == 0u);
        }
    }
}

// Eigenvalues and eigenvectors from orthogonal columns, sorted by counting: equal values keep the columns' order.
@compute @workgroup_size(THREADS)
fn finish(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = args.first + workgroup_index(group, groups);
    if index >= args.end {
        return;
    }
    let n = args.n;
    base = index * n * args.height;
    for (var column = thread; column < n; column += THREADS) {
        var sum = vec4<real>();
        for (var k = 0u; k < (n + 3u) / 4u; k += 1u) {
            let x = columns[base + column * args.height + k];
            sum += x * x;
        }
        squares[column] = dot(sum, vec4<real>(1.0));
    }
    workgroupBarrier();
    for (var column = thread; column < n; column += THREADS) {
        let own = squares[column];
        var rank = 0u;
        for (var other = 0u; other < n; other += 1u) {
            let before = squares[other] < own || (squares[other] == own && other < column);
            rank += select(0u, 1u, before);
        }
        ranks[column] = rank;
        values[index * n + rank] = own - shifts[index];
    }
    workgroupBarrier();
    for (var k = thread; k < n * n; k += THREADS) {
        let column = k / n;
        let row = k - column * n;
        let length = sqrt(squares[column]);
        let element = columns[base + column * args.height + row / 4u][row % 4u];
        vectors[(index * n + ranks[column]) * n + row] = element / select(1.0, length, length > 0.0);
    }
}
