// Q_f = S_f^1/2 by poles, `Q ~ sum_k w_k S (S + sigma_k)^-1` (Hale, Higham & Trefethen 2008), from the inverses of
// banded_inverse. `pole_sums` sums over poles, `spectra_of_fibres` forms spectra and rows of R (BS10 eq. 16-19). One thread per
// block of a fibre.
#import grid
#import banded
#import complement_blocks

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 32;
// The smallest magnitude of a sum of Q's row that f64 resolves, relative to the weights of all poles times the root of the
// largest bound.
const RESOLVED = 7.4014868308343775e-9;
// ivar of a row that is not resolved, beyond the range of a file.
const UNRESOLVED: f32 = 3e38;

// S_f and its bounds: see banded_complement.
@group(0) @binding(1) var<storage, read> complement: array<vec4<real>>;
@group(0) @binding(2) var<storage, read> bounds: array<real>;
// Poles and weights, [quads taken - 1, npole]. The last pole is 0, and its solution is x. Its weight is the relative error of the
// root if that is beyond the error asked for, else 0.
@group(0) @binding(3) var<storage, read> poles: array<vec2<real>>;
// Inverses of S_f at every pole: see shared/inverse.wgsl.
@group(0) @binding(4) var<storage, read> inverses: array<vec4<real>>;
// Q, laid out as S_f, [fibre, nblock, 1 + REACH, 4].
@group(0) @binding(5) var<storage, read_write> root: array<vec4<real>>;
// S^-1/2 1, S^-1/2 z, S^-1/2 of the part of z lost to the bands, and x = S^-1 z, [4, fibre, nblock].
@group(0) @binding(6) var<storage, read_write> vectors: array<vec4<real>>;
// Decorrelated flux in electron per bin, its ivar and its truncation error in sigma, each [fibre, nbin]. Then rows of R,
// [fibre, nbin, 2 r_half + 1].
@group(0) @binding(7) var<storage, read_write> spectra: array<real>;
// x, electron per bin, [bundle, nbin, fibre of the bundle].
@group(0) @binding(8) var<storage, read_write> deconvolved: array<real>;
// Quads of poles that each chunk takes, [fibre, nchunk].
@group(0) @binding(9) var<storage, read> quads_taken: array<u32>;

@compute @workgroup_size(THREADS)
fn pole_sums(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let at = args.first_matrix * args.nblock + args.first + item;
    let i = at % args.nblock;
    let f = at / args.nblock;
    let chunk = i / args.core;
    let start = chunk_start(chunk);
    let largest = largest_bound(f, i);
    let scale = sqrt(largest);
    let first = (i - start) * COLUMN_ROWS * args.stride;
    let of_inverses = (f - args.first_matrix) * args.nchunk + chunk;
    let taken = quads_taken[f * args.nchunk + chunk];
    let own = (taken - 1u) * args.npole;
    var sum = array<vec4<real>, SIDES + 1u>();
    var all: real = 0.0;
    for (var p = 0u; p < 4u * taken; p += 1u) {
        let weight = poles[own + p].y * scale;
        let at = first + pole_column(of_inverses, p) + MATRIX_ROWS * args.stride;
        sum[0] += weight * inverses[at];
        sum[1] += weight * inverses[at + args.stride];
        sum[2] += weight * inverses[at + 2u * args.stride];
        all += weight;
    }
    sum[3] = inverses[first + pole_column(of_inverses, args.npole - 1u) + (MATRIX_ROWS + 1u) * args.stride];
    for (var k = 0u; k <= SIDES; k += 1u) {
        vectors[k * args.nfibre * args.nblock + at] = sum[k];
    }
    // Rows of w S (S + sigma)^-1 = w - w sigma (S + sigma)^-1.
    for (var row = 0u; row < 4u * ((args.r_half + 3u) / 4u + 1u); row += 1u) {
        var value = vec4<real>();
        for (var p = 0u; p < 4u * taken; p += 1u) {
            let pole = poles[own + p];
            value -= pole.x * largest * pole.y * scale * inverses[first + pole_column(of_inverses, p) + row * args.stride];
        }
        if row < 4u {
            // FXC, the compiler of DX12, refuses to write a component by a variable index.
            value += select(vec4<real>(), vec4<real>(all), vec4<u32>(0u, 1u, 2u, 3u) == vec4<u32>(row));
        }
        root[at * MATRIX_ROWS + row] = value;
    }
}

// Returns the largest bound of a block's chunk.
fn largest_bound(f: u32, block: u32) -> real {
    let chunk = block / args.core;
    var largest: real = 0.0;
    for (var j = chunk_start(chunk); j < chunk_end(chunk); j += 1u) {
        largest = max(largest, bounds[f * args.nblock + j]);
    }
    return largest;
}

// Returns the largest signal to noise of a block's chunk, by which a relative error of the root is multiplied.
fn largest_signal(f: u32, block: u32) -> real {
    let chunk = block / args.core;
    var largest = vec4<real>();
    for (var j = chunk_start(chunk); j < chunk_end(chunk); j += 1u) {
        let at = f * args.nblock + j;
        let s = complement_block(at, 0u);
        let variances = max(vec4(s[0].x, s[1].y, s[2].z, s[3].w), vec4<real>());
        largest = max(largest, abs(vectors[3u * args.nfibre * args.nblock + at]) * sqrt(variances));
    }
    return max(max(largest.x, largest.y), max(largest.z, largest.w));
}

// Returns block i of the row sums Q 1 = S S^-1/2 1.
fn row_sums(f: u32, i: u32) -> vec4<real> {
    let at = f * args.nblock + i;
    var sum = vec4<real>();
    for (var k = 0u; k <= REACH; k += 1u) {
        if k <= i {
            // Blocks left of the diagonal.
            sum += vectors[at - k] * complement_block(at - k, k);
        }
        if k > 0u && i + k < args.nblock {
            sum += complement_block(at, k) * vectors[at + k];
        }
    }
    return sum;
}

// Returns Q[i, j] of a fibre.
fn element(f: u32, i: u32, j: u32) -> real {
    let low = min(i, j);
    let high = max(i, j);
    let k = high / 4u - low / 4u;
    return root[(f * args.nblock + low / 4u) * MATRIX_ROWS + 4u * k + high % 4u][low % 4u];
}

@compute @workgroup_size(THREADS)
fn spectra_of_fibres(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let at = args.first + item;
    let block = at % args.nblock;
    let f = at / args.nblock;
    let blocks = args.nfibre * args.nblock;
    let bins = args.nfibre * args.nbin;
    let s = row_sums(f, block);
    // To first order, where the true S differs from the band by E and the lost part is E x.
    let truncation = 0.5 * vectors[2u * blocks + at];
    var truncation_error = abs(truncation);
    let taken = quads_taken[f * args.nchunk + block / args.core];
    let beyond = poles[taken * args.npole - 1u].y;
    if beyond > 0.0 {
        truncation_error += vec4<real>(beyond * largest_signal(f, block));
    }
    // Q x = S^1/2 S^-1 z.
    let flux = (vectors[blocks + at] + select(vec4<real>(), truncation, args.is_f64 == 1u)) / s;
    let x = vectors[3u * blocks + at];
    let width = 2u * args.r_half + 1u;
    var least: real = 0.0;
    if args.is_f64 == 1u {
        for (var p = 0u; p < 4u * taken; p += 1u) {
            least += poles[(taken - 1u) * args.npole + p].y;
        }
        least *= RESOLVED * sqrt(largest_bound(f, block));
    }
    for (var r = 0u; r < 4u; r += 1u) {
        let i = 4u * block + r;
        if i >= args.nbin {
            continue;
        }
        let bin = f * args.nbin + i;
        let is_resolved = abs(s[r]) >= least;
        spectra[bin] = select(0.0, flux[r], is_resolved);
        spectra[bins + bin] = select(real(UNRESOLVED), s[r] * s[r], is_resolved);
        spectra[2u * bins + bin] = truncation_error[r];
        deconvolved[((f / args.bundle) * args.nbin + i) * args.bundle + f % args.bundle] = x[r];
        for (var d = 0u; d < width; d += 1u) {
            var value: real = 0.0;
            if is_resolved && i + d >= args.r_half && i + d < args.nbin + args.r_half {
                value = element(f, i, i + d - args.r_half) / s[r];
            }
            spectra[3u * bins + bin * width + d] = value;
        }
    }
}
