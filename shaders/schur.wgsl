// Schur complements S_f = K_ff - K_fo K_oo^-1 K_of of chosen fibres f, where o are all other fibres of the patch.
//
// The unknowns are reordered, the others first and wavelength-major, which is still a band, fibre f last. `gather` writes the
// others' band and the fibre's border, and the Cholesky kernel factors the band. `border` solves L Y = K_of for four bins per
// thread, and `complement` forms K_ff - Y^T Y in 4 x 4 tiles. Threads exchange nothing.
#import grid

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 64;

struct Args {
    // Blocks.
    count: u32,
    nspec: u32,
    nbin: u32,
    // K's half bandwidth; element (i, j) of its lower triangle is at i * pitch + origin + j.
    half_band: u32,
    pitch: u32,
    origin: u32,
    size: u32,
    // Half bandwidth of the others' band.
    others_half: u32,
}

@group(0) @binding(0) var<uniform> args: Args;
// Patches: [batch, size].
@group(0) @binding(1) var<storage, read> matrices: array<real>;
// Patch and fibre of each block: [count, 2].
@group(0) @binding(2) var<storage, read> blocks: array<u32>;
// K_oo, then its factor, in band storage: [count, others, others_half + 1].
@group(0) @binding(3) var<storage, read_write> others: array<real>;
// K_of, then Y, a vec4 per four bins of the fibre: [count, others, quads].
@group(0) @binding(4) var<storage, read_write> coupling: array<vec4<real>>;
// S_f: [count, nbin, nbin].
@group(0) @binding(5) var<storage, read_write> complements: array<real>;

fn number_of_others() -> u32 {
    return (args.nspec - 1u) * args.nbin;
}

fn number_of_quads() -> u32 {
    return (args.nbin + 3u) / 4u;
}

// Returns K[i][j] of a patch, wavelength-major; 0 outside of the band.
fn element(system: u32, i: u32, j: u32) -> real {
    let row = max(i, j);
    let column = min(i, j);
    if column + args.half_band < row {
        return 0.0;
    }
    return matrices[system * args.size + row * args.pitch + args.origin + column];
}

// Returns the unknown of the patch that is the k-th of the others.
fn unknown_of(k: u32, fibre: u32) -> u32 {
    let bin = k / (args.nspec - 1u);
    let rest = k - bin * (args.nspec - 1u);
    return bin * args.nspec + rest + select(0u, 1u, rest >= fibre);
}

// Returns the first of the others, a multiple of 4, that may couple to the four bins of a quad.
fn first_coupled(quad: u32, fibre: u32) -> u32 {
    let unknown = 4u * quad * args.nspec + fibre;
    let bin = (max(unknown, args.half_band) - args.half_band) / args.nspec;
    return (bin * (args.nspec - 1u)) & ~3u;
}

fn four_couplings(system: u32, fibre: u32, quad: u32, other: u32) -> vec4<real> {
    var value = vec4<real>();
    for (var r = 0u; r < 4u; r += 1u) {
        let bin = 4u * quad + r;
        if bin < args.nbin {
            let coupling = vec4<real>(element(system, bin * args.nspec + fibre, other));
            value = select(value, coupling, vec4<u32>(0u, 1u, 2u, 3u) == vec4<u32>(r));
        }
    }
    return value;
}

// One workgroup per block.
@compute @workgroup_size(THREADS)
fn gather(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let index = workgroup_index(group, groups);
    if index >= args.count {
        return;
    }
    let system = blocks[2u * index];
    let fibre = blocks[2u * index + 1u];
    let count = number_of_others();
    let width = args.others_half + 1u;
    for (var k = thread; k < count * width; k += THREADS) {
        let row = k / width;
        let slot = k - row * width;
        var value: real = 0.0;
        if slot + row >= args.others_half {
            let column = slot + row - args.others_half;
            value = element(system, unknown_of(row, fibre), unknown_of(column, fibre));
        }
        others[index * count * width + k] = value;
    }
    let quads = number_of_quads();
    for (var k = thread; k < count * quads; k += THREADS) {
        let row = k / quads;
        let value = four_couplings(system, fibre, k - row * quads, unknown_of(row, fibre));
        coupling[index * count * quads + k] = value;
    }
}

// Returns L[row][column] of the others' factor; outside of the band or the matrix the identity's element.
fn factor_at(index: u32, row: u32, column: u32) -> real {
    let count = number_of_others();
    if row < count && column <= row && column + args.others_half >= row {
        return others[index * count * (args.others_half + 1u) + (row + 1u) * args.others_half + column];
    }
    return real(select(0.0, 1.0, row == column));
}

// Solves L Y = K_of for one quad of bins per thread, 4 rows at a time in registers.
@compute @workgroup_size(THREADS)
fn border(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let quads = number_of_quads();
    let item = workgroup_index(group, groups) * THREADS + thread;
    let index = item / quads;
    if index >= args.count {
        return;
    }
    let quad = item - index * quads;
    let count = number_of_others();
    let base = index * count * quads + quad;
    let start = first_coupled(quad, blocks[2u * index + 1u]);
    for (var row = start; row < count; row += 4u) {
        var y0 = coupling[base + row * quads];
        var y1 = coupling[base + min(row + 1u, count - 1u) * quads];
        var y2 = coupling[base + min(row + 2u, count - 1u) * quads];
        var y3 = coupling[base + min(row + 3u, count - 1u) * quads];
        for (var j = max(start, max(row, args.others_half) - args.others_half); j < row; j += 1u) {
            let y = coupling[base + j * quads];
            y0 -= factor_at(index, row, j) * y;
            y1 -= factor_at(index, row + 1u, j) * y;
            y2 -= factor_at(index, row + 2u, j) * y;
            y3 -= factor_at(index, row + 3u, j) * y;
        }
        y0 /= factor_at(index, row, row);
        y1 = (y1 - factor_at(index, row + 1u, row) * y0) / factor_at(index, row + 1u, row + 1u);
        y2 -= factor_at(index, row + 2u, row) * y0 + factor_at(index, row + 2u, row + 1u) * y1;
        y2 /= factor_at(index, row + 2u, row + 2u);
        y3 -= factor_at(index, row + 3u, row) * y0 + factor_at(index, row + 3u, row + 1u) * y1;
        y3 = (y3 - factor_at(index, row + 3u, row + 2u) * y2) / factor_at(index, row + 3u, row + 3u);
        coupling[base + row * quads] = y0;
        if row + 1u < count {
            coupling[base + (row + 1u) * quads] = y1;
        }
        if row + 2u < count {
            coupling[base + (row + 2u) * quads] = y2;
        }
        if row + 3u < count {
            coupling[base + (row + 3u) * quads] = y3;
        }
    }
}

// S_f in tiles of 4 x 4 bins on and below the diagonal, one thread per tile, written to both triangles.
@compute @workgroup_size(THREADS)
fn complement(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let quads = number_of_quads();
    let item = workgroup_index(group, groups) * THREADS + thread;
    let index = item / (quads * quads);
    let tile = item - index * quads * quads;
    let i = tile / quads;
    let j = tile - i * quads;
    if index >= args.count || j > i {
        return;
    }
    let system = blocks[2u * index];
    let fibre = blocks[2u * index + 1u];
    let count = number_of_others();
    let base = index * count * quads;
    var products = mat4x4<real>();
    for (var k = first_coupled(i, fibre); k < count; k += 1u) {
        let left = coupling[base + k * quads + i];
        let right = coupling[base + k * quads + j];
        products[0] += left.x * right;
        products[1] += left.y * right;
        products[2] += left.z * right;
        products[3] += left.w * right;
    }
    for (var r = 0u; r < 4u; r += 1u) {
        for (var c = 0u; c < 4u; c += 1u) {
            let row = 4u * i + r;
            let column = 4u * j + c;
            if column <= row && row < args.nbin {
                let own = element(system, row * args.nspec + fibre, column * args.nspec + fibre);
                let value = own - products[r][c];
                complements[(index * args.nbin + row) * args.nbin + column] = value;
                complements[(index * args.nbin + column) * args.nbin + row] = value;
            }
        }
    }
}
