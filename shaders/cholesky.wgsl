// Batched Cholesky factors and solves in symmetric band storage, one workgroup per matrix.
//
// Element (i, j) of the lower triangle is at i * pitch + origin + j of its matrix. Dense storage is pitch n, origin 0;
// band storage is pitch = origin = half bandwidth. The upper triangle is neither read nor written.
// The factorisation is left-looking, in blocks of 8 columns. A thread keeps ROWS rows of the block in registers and subtracts
// all columns before it. The 8 x 8 diagonal block goes through workgroup memory, and every thread factors it for itself. That
// takes two barriers per block.
#import grid
#import block8

alias real = f32;

// Invocations of a workgroup; at least 8 / ROWS.
const THREADS: u32 = 64;
// Rows per thread in registers; a divisor of 8.
const ROWS: u32 = 2;
// Whether the matrix is factored in workgroup memory, and the elements reserved there.
const IN_WORKGROUP: bool = false;
const CAPACITY: u32 = 1;
// The largest n of a solve.
const LARGEST: u32 = 1024;

// Status of a matrix whose pivots were all positive.
const NONE: u32 = 0xffffffff;
// Bits of args.passes.
const FORWARD: u32 = 1;
const BACKWARD: u32 = 2;

struct Args {
    // Matrices first .. end, or right-hand sides in a solve.
    first: u32,
    end: u32,
    n: u32,
    half_band: u32,
    pitch: u32,
    origin: u32,
    // Elements per matrix.
    size: u32,
    right_sides: u32,
    passes: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
// Matrices in, factors out: [batch, size].
@group(0) @binding(1) var<storage, read_write> band: array<real>;
// Scratch: 2^e of every row, [batch, n].
@group(0) @binding(2) var<storage, read_write> scales: array<real>;
// NONE or the index of the first pivot that was not positive, [batch].
@group(0) @binding(3) var<storage, read_write> status: array<u32>;
// Right-hand sides in, solutions out: [batch, right_sides, n].
@group(0) @binding(4) var<storage, read_write> solution: array<real>;

var<workgroup> matrix: array<real, CAPACITY>;
var<workgroup> diagonal: array<vec4<real>, 16>;
var<workgroup> side: array<real, LARGEST>;
var<private> base: u32;

fn fetch(k: u32) -> real {
    if IN_WORKGROUP {
        return matrix[k];
    }
    return band[base + k];
}

fn store(k: u32, value: real) {
    if IN_WORKGROUP {
        matrix[k] = value;
    } else {
        band[base + k] = value;
    }
}

fn address(row: u32, column: u32) -> u32 {
    return row * args.pitch + args.origin + column;
}

// Returns K[row][column]; outside of the band or the matrix the identity's element.
fn entry(row: u32, column: u32) -> real {
    let inside = row < args.n && column <= row && column + args.half_band >= row;
    if inside {
        return fetch(address(row, column));
    }
    return real(select(0.0, 1.0, row == column));
}

fn entries(row: u32, column: u32) -> vec4<real> {
    return vec4<real>(entry(row, column), entry(row, column + 1u), entry(row, column + 2u), entry(row, column + 3u));
}

fn set_entry(row: u32, column: u32, value: real) {
    if row < args.n && column <= row && column + args.half_band >= row {
        store(address(row, column), value);
    }
}

fn set_entries(row: u32, column: u32, value: vec4<real>) {
    set_entry(row, column, value.x);
    set_entry(row, column + 1u, value.y);
    set_entry(row, column + 2u, value.z);
    set_entry(row, column + 3u, value.w);
}

// Returns the power of two that brings a diagonal element to [1, 4). It scales to D^-1/2 K D^-1/2 without rounding, so that
// no input over- or underflows. A diagonal that is not positive fails as a pivot later.
fn scale_of(pivot: real) -> real {
    if !usable(pivot) {
        return 1.0;
    }
    let exponent = i32(bitcast<u32>(f32(pivot)) >> 23u) - 127;
    return real(bitcast<f32>(u32(127 - (exponent >> 1u)) << 23u));
}

// Multiplies element (i, j) by scale_i scale_j on input and divides it by scale_i on output.
fn rescale(thread: u32, matrix_index: u32, inwards: bool) {
    let width = args.half_band + 1u;
    for (var k = thread; k < args.n * width; k += THREADS) {
        let row = k / width;
        let slot = k - row * width;
        if slot + row < args.half_band {
            continue;
        }
        let column = slot + row - args.half_band;
        let place = address(row, column);
        let scale = scales[matrix_index * args.n + row];
        if inwards {
            store(place, band[base + place] * scale * scales[matrix_index * args.n + column]);
        } else {
            band[base + place] = fetch(place) / scale;
        }
    }
}

// Subtracts the contribution of the columns before `column` from ROWS rows of its block.
fn subtract_left(top: u32, column: u32, lo: ptr<function, array<vec4<real>, ROWS>>, hi: ptr<function, array<vec4<real>, ROWS>>) {
    let half = args.half_band;
    let last = args.n - 1u;
    let start = select(max(top, half) - half, column, top > last);
    // Address of column 0 of the block's own rows; rows beyond the matrix repeat its last one and are not used.
    let a = min(column + vec4<u32>(0u, 1u, 2u, 3u), vec4<u32>(last)) * args.pitch + args.origin;
    let b = min(column + vec4<u32>(4u, 5u, 6u, 7u), vec4<u32>(last)) * args.pitch + args.origin;
    for (var j = start; j < column; j += 1u) {
        let left = vec4<real>(fetch(a.x + j), fetch(a.y + j), fetch(a.z + j), fetch(a.w + j));
        let right = vec4<real>(fetch(b.x + j), fetch(b.y + j), fetch(b.z + j), fetch(b.w + j));
        for (var r = 0u; r < ROWS; r += 1u) {
            let row = top + r;
            let value = select(0.0, fetch(address(min(row, last), j)), row <= last && j + half >= row);
            (*lo)[r] -= value * left;
            (*hi)[r] -= value * right;
        }
    }
}

fn factor_diagonal() -> Lower8 {
    let a = mat4x4<real>(diagonal[0], diagonal[2], diagonal[4], diagonal[6]);
    let b = mat4x4<real>(diagonal[8], diagonal[10], diagonal[12], diagonal[14]);
    let c = mat4x4<real>(diagonal[9], diagonal[11], diagonal[13], diagonal[15]);
    return factor8(a, b, c);
}

@compute @workgroup_size(THREADS)
fn factor(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = args.first + workgroup_index(group, groups);
    if index >= args.end {
        return;
    }
    let n = args.n;
    let half = args.half_band;
    base = index * args.size;
    for (var i = thread; i < n; i += THREADS) {
        scales[index * n + i] = scale_of(band[base + address(i, i)]);
    }
    storageBarrier();
    rescale(thread, index, true);
    storageBarrier();
    workgroupBarrier();

    var failed = NONE;
    for (var column = 0u; column < n; column += 8u) {
        let end = min(n, column + 8u + half);
        var block: Lower8;
        for (var chunk = column; chunk < end; chunk += THREADS * ROWS) {
            let top = chunk + thread * ROWS;
            var lo: array<vec4<real>, ROWS>;
            var hi: array<vec4<real>, ROWS>;
            for (var r = 0u; r < ROWS; r += 1u) {
                lo[r] = entries(top + r, column);
                hi[r] = entries(top + r, column + 4u);
            }
            subtract_left(top, column, &lo, &hi);
            if chunk == column {
                for (var r = 0u; r < ROWS; r += 1u) {
                    let k = top + r - column;
                    if k < 8u {
                        diagonal[2u * k] = lo[r];
                        diagonal[2u * k + 1u] = hi[r];
                    }
                }
                workgroupBarrier();
                block = factor_diagonal();
            }
            for (var r = 0u; r < ROWS; r += 1u) {
                let solved = forward8(block, Eight(lo[r], hi[r]));
                set_entries(top + r, column, solved.lo);
                set_entries(top + r, column + 4u, solved.hi);
            }
        }
        failed = select(failed, column + failed8(block), failed == NONE && failed8(block) < 8u);
        storageBarrier();
        workgroupBarrier();
    }
    rescale(thread, index, false);
    if thread == 0u {
        status[index] = failed;
    }
}

fn side_at(i: u32) -> real {
    return side[min(i, args.n - 1u)];
}

fn eight_of_side(c: u32) -> Eight {
    let lo = vec4<real>(side_at(c), side_at(c + 1u), side_at(c + 2u), side_at(c + 3u));
    let hi = vec4<real>(side_at(c + 4u), side_at(c + 5u), side_at(c + 6u), side_at(c + 7u));
    return Eight(lo, hi);
}

fn set_side(i: u32, value: real) {
    if i < args.n {
        side[i] = value;
    }
}

fn set_eight_of_side(c: u32, value: Eight) {
    set_side(c, value.lo.x);
    set_side(c + 1u, value.lo.y);
    set_side(c + 2u, value.lo.z);
    set_side(c + 3u, value.lo.w);
    set_side(c + 4u, value.hi.x);
    set_side(c + 5u, value.hi.y);
    set_side(c + 6u, value.hi.z);
    set_side(c + 7u, value.hi.w);
}

fn read_lower4(row: u32) -> Lower4 {
    var l: Lower4;
    l.inverse.x = 1.0 / entry(row, row);
    l.inverse.y = 1.0 / entry(row + 1u, row + 1u);
    l.inverse.z = 1.0 / entry(row + 2u, row + 2u);
    l.inverse.w = 1.0 / entry(row + 3u, row + 3u);
    l.l10 = entry(row + 1u, row);
    l.l20 = entry(row + 2u, row);
    l.l30 = entry(row + 3u, row);
    l.l21 = entry(row + 2u, row + 1u);
    l.l31 = entry(row + 3u, row + 1u);
    l.l32 = entry(row + 3u, row + 2u);
    return l;
}

// Returns the diagonal block of a stored factor; beyond the matrix the identity's.
fn read_lower8(c: u32) -> Lower8 {
    var l: Lower8;
    l.upper = read_lower4(c);
    l.left[0] = entries(c + 4u, c);
    l.left[1] = entries(c + 5u, c);
    l.left[2] = entries(c + 6u, c);
    l.left[3] = entries(c + 7u, c);
    l.lower = read_lower4(c + 4u);
    return l;
}

// Triangular solves with a stored factor, one workgroup per right-hand side: L y = b, transpose(L) x = y, or both.
@compute @workgroup_size(THREADS)
fn solve(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = args.first + workgroup_index(group, groups);
    if index >= args.end {
        return;
    }
    let n = args.n;
    let half = args.half_band;
    base = (index / args.right_sides) * args.size;
    for (var i = thread; i < n; i += THREADS) {
        side[i] = solution[index * n + i];
    }
    workgroupBarrier();
    let blocks = (n + 7u) / 8u;
    if (args.passes & FORWARD) != 0u {
        for (var block = 0u; block < blocks; block += 1u) {
            let c = 8u * block;
            let y = forward8(read_lower8(c), eight_of_side(c));
            workgroupBarrier();
            if thread == 0u {
                set_eight_of_side(c, y);
            }
            for (var row = c + 8u + thread; row < min(n, c + 8u + half); row += THREADS) {
                side[row] -= dot(entries(row, c), y.lo) + dot(entries(row, c + 4u), y.hi);
            }
            workgroupBarrier();
        }
    }
    if (args.passes & BACKWARD) != 0u {
        for (var block = blocks; block > 0u; block -= 1u) {
            let c = 8u * (block - 1u);
            let x = backward8(read_lower8(c), eight_of_side(c));
            workgroupBarrier();
            if thread == 0u {
                set_eight_of_side(c, x);
            }
            for (var j = max(c, half) - half + thread; j < c; j += THREADS) {
                let lo = vec4<real>(entry(c, j), entry(c + 1u, j), entry(c + 2u, j), entry(c + 3u, j));
                let hi = vec4<real>(entry(c + 4u, j), entry(c + 5u, j), entry(c + 6u, j), entry(c + 7u, j));
                side[j] -= dot(lo, x.lo) + dot(hi, x.hi);
            }
            workgroupBarrier();
        }
    }
    for (var i = thread; i < n; i += THREADS) {
        solution[index * n + i] = side[i];
    }
}
