// Decorrelation: resolution, flux and inverse variance from the eigenmodes of the inverse covariance (BS10 eq. 10-19):
// Q = sqrt(matrix), s = Q 1, R = Q / s row by row, ivar = s^2, flux = R x.
#import grid

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 64;
// Values of workgroup memory for one number per mode: at least n.
const MODES: u32 = 128;

// Eigenvalues are clipped from below at this fraction of the largest, as in the published codes.
const EIGENVALUE_FLOOR = 1e-14;

struct Args {
    // Number of workgroups, one per spectrum: a core fibre of a patch. Then the first spectrum.
    count: u32,
    first: u32,
    // Fibres and bins per patch, its core fibres and the first of them.
    nspec: u32,
    nbin: u32,
    ncore: u32,
    core: u32,
    // Unknowns per matrix: nbin if each spectrum has its own (signal), nspec nbin if a patch has one (noise).
    n: u32,
    // Diagonals of R to each side.
    half: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
// Eigenvalues, ascending, [matrix, n], and eigenvectors, one per row, [matrix, n, n].
@group(0) @binding(1) var<storage, read> values: array<real>;
@group(0) @binding(2) var<storage, read> vectors: array<real>;
// Deconvolved flux, [patch, nbin, nspec].
@group(0) @binding(3) var<storage, read> x: array<real>;
// R x and s^2, [spectrum, nbin].
@group(0) @binding(4) var<storage, read_write> flux: array<real>;
@group(0) @binding(5) var<storage, read_write> ivar: array<real>;
// Noise of a bin of x over that of a bin alone, [spectrum, nbin].
@group(0) @binding(6) var<storage, read_write> gain: array<real>;
// Rows of R, [spectrum, nbin, 2 half + 1]: element k of row i is R[i, i + k - half], 0 beyond the matrix.
@group(0) @binding(7) var<storage, read_write> resolution: array<real>;

// Square roots of the eigenvalues; these times the mode's scalar products with 1 and with x.
var<workgroup> roots: array<real, MODES>;
var<workgroup> ones: array<real, MODES>;
var<workgroup> fluxes: array<real, MODES>;
// 1 / s of each bin.
var<workgroup> norm: array<real, MODES>;

@compute @workgroup_size(THREADS)
fn spectra(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group_index = workgroup_index(group, groups);
    if group_index >= args.count {
        return;
    }
    let g = args.first + group_index;
    let p = g / args.ncore;
    let fibre = args.core + g % args.ncore;
    // Unknowns are bins if the matrix is this fibre's alone, else bin nspec + fibre.
    let alone = args.n == args.nbin;
    let matrix = select(p, g, alone);
    let start = select(fibre, 0u, alone);
    let stride = select(args.nspec, 1u, alone);
    let x_start = p * args.nspec * args.nbin + select(0u, fibre, alone);
    let x_stride = select(1u, args.nspec, alone);
    let first = matrix * args.n * args.n;
    let floor_value = EIGENVALUE_FLOOR * values[matrix * args.n + args.n - 1u];
    for (var k = thread; k < args.n; k += THREADS) {
        let root = sqrt(max(max(values[matrix * args.n + k], floor_value), 0.0));
        var one: real = 0.0;
        var flux_of_mode: real = 0.0;
        for (var u = 0u; u < args.n; u += 1u) {
            let v = vectors[first + k * args.n + u];
            one += v;
            flux_of_mode += v * x[x_start + u * x_stride];
        }
        roots[k] = root;
        ones[k] = root * one;
        fluxes[k] = root * flux_of_mode;
    }
    workgroupBarrier();
    for (var i = thread; i < args.nbin; i += THREADS) {
        var s: real = 0.0;
        var qx: real = 0.0;
        // The bin's elements of the matrix and of its inverse.
        var own: real = 0.0;
        var inverse: real = 0.0;
        for (var k = 0u; k < args.n; k += 1u) {
            let v = vectors[first + k * args.n + start + i * stride];
            s += ones[k] * v;
            qx += fluxes[k] * v;
            let root = roots[k] * v;
            let inverse_root = v / roots[k];
            own += root * root;
            inverse += inverse_root * inverse_root;
        }
        norm[i] = 1.0 / s;
        flux[g * args.nbin + i] = qx / s;
        ivar[g * args.nbin + i] = s * s;
        gain[g * args.nbin + i] = sqrt(own) * sqrt(inverse);
    }
    workgroupBarrier();
    let width = 2u * args.half + 1u;
    for (var k = thread; k < args.nbin * width; k += THREADS) {
        let i = k / width;
        let shifted = i + k % width;
        var q: real = 0.0;
        if shifted >= args.half && shifted - args.half < args.nbin {
            let row = first + start + i * stride;
            let column = first + start + (shifted - args.half) * stride;
            for (var m = 0u; m < args.n; m += 1u) {
                q += roots[m] * vectors[row + m * args.n] * vectors[column + m * args.n];
            }
        }
        resolution[g * args.nbin * width + k] = q * norm[i];
    }
}
