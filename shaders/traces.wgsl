// Traces: the PSF's Legendre series at every fibre and wavelength bin.
//
// Positions reach 4000 px and are needed to 1e-6 px, more digits than f32 has. The host expands each series in f64 around the
// centres of short chunks of bins, and subtracts the integer nearest to the position there. The rest is a short polynomial
// of a few pixels. All other parameters are plain Legendre series.
#import grid

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 64;

struct Args {
    // Fibres.
    nfibre: u32,
    // Bins.
    nbin: u32,
    // Bins per chunk.
    chunk: u32,
    // Terms per polynomial.
    terms: u32,
    // Shape parameters.
    nparam: u32,
    // Coefficients per shape parameter.
    ncoeff: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
// Coordinate of each bin in its chunk: -1 at its first, 1 at its last bin, [nbin].
@group(0) @binding(1) var<storage, read> local: array<real>;
// Integer pixel subtracted from each chunk, [2, nfibre, nchunk], x before y.
@group(0) @binding(2) var<storage, read> base: array<i32>;
// Polynomial of each chunk, lowest power first, pixels, [2, nfibre, nchunk, terms].
@group(0) @binding(3) var<storage, read> chunks: array<real>;
// Nearest pixel of each spot, [2, nfibre, nbin], x before y.
@group(0) @binding(4) var<storage, read_write> pixel: array<i32>;
// Position minus that pixel, in [-0.5, 0.5), [2, nfibre, nbin].
@group(0) @binding(5) var<storage, read_write> offset: array<real>;

// Coordinate of each bin on the domain of each parameter, [nparam, nbin].
@group(0) @binding(6) var<storage, read> unit: array<real>;
// Legendre coefficients, [nparam, nfibre, ncoeff].
@group(0) @binding(7) var<storage, read> coeff: array<real>;
// Parameters, [nparam, nfibre, nbin].
@group(0) @binding(8) var<storage, read_write> shape: array<real>;

// One thread per position, 2 nfibre nbin in all.
@compute @workgroup_size(THREADS)
fn positions(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = workgroup_index(group, groups) * THREADS + thread;
    if i >= 2u * args.nfibre * args.nbin {
        return;
    }
    let bin = i % args.nbin;
    let nchunk = (args.nbin + args.chunk - 1u) / args.chunk;
    let at = (i / args.nbin) * nchunk + bin / args.chunk;
    let v = local[bin];
    var position: real = 0.0;
    for (var k = args.terms; k > 0u; k -= 1u) {
        position = position * v + chunks[at * args.terms + k - 1u];
    }
    var nearest = floor(position + 0.5);
    // The sum may round up to the next integer; the subtraction is exact and shows it.
    if position - nearest < -0.5 {
        nearest -= 1.0;
    }
    pixel[i] = base[at] + i32(nearest);
    offset[i] = position - nearest;
}

// One thread per value, nparam nfibre nbin in all. Bonnet's recurrence is `k P_k = (2k - 1) u P_{k-1} - (k - 1) P_{k-2}`.
@compute @workgroup_size(THREADS)
fn shapes(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = workgroup_index(group, groups) * THREADS + thread;
    if i >= args.nparam * args.nfibre * args.nbin {
        return;
    }
    let row = i / args.nbin;
    let u = unit[(row / args.nfibre) * args.nbin + i % args.nbin];
    var before: real = 0.0;
    var current: real = 1.0;
    var sum: real = 0.0;
    for (var k = 0u; k < args.ncoeff; k += 1u) {
        sum += coeff[row * args.ncoeff + k] * current;
        let n = real(k);
        let next = ((2.0 * n + 1.0) * u * current - n * before) / (n + 1.0);
        before = current;
        current = next;
    }
    shape[i] = sum;
}
