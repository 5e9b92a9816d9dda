// Model image A x, the spots times a flux, on the pixels of every patch. Each pixel gathers the spots that reach it. A workgroup
// first writes the positions and fluxes of all spots that reach its row to its memory.
#import grid
#import patch

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 64;
// Fibres, and bins of each, whose spots are in workgroup memory at a time.
const FIBRES: u32 = 32;
const BINS: u32 = 16;
// A column beyond any spot's.
const NOWHERE: i32 = 0x40000000;

// First column of each spot on the patch, [fibre, bin], its first value in this row, and its flux.
var<workgroup> spot_column: array<i32, FIBRES * BINS>;
var<workgroup> spot_value: array<u32, FIBRES * BINS>;
var<workgroup> spot_flux: array<real, FIBRES * BINS>;

// Flux of the unknowns. Bin b of a patch's fibres begins at patch args.flux_patch + b args.flux_bin, b counted from the
// bundle's first bin.
@group(0) @binding(4) var<storage, read> flux: array<real>;
// Bins and columns of the spots that reach a row, [row of all patches, nspec, 4]; see `reaches`, which writes `marks`. Both are
// one buffer.
@group(0) @binding(5) var<storage, read_write> marks: array<atomic<u32>>;
@group(0) @binding(6) var<storage, read> reach: array<u32>;
// Images of the patches, one after another, each [ny, nx].
@group(0) @binding(7) var<storage, read_write> model: array<real>;

// Marks the rows that a spot reaches, so that a pixel does not try all spots: one thread per unknown, n per patch. The marks of a
// row are the largest nbin - bin, bin + 1, nx - first column and last column + 1; 0 if no spot reaches it.
@compute @workgroup_size(THREADS)
fn reaches(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let item = workgroup_index(group, groups) * THREADS + thread;
    if item >= args.count {
        return;
    }
    let n = args.nspec * args.nbin;
    let i = item % n;
    let patch_ = patch_at(item / n);
    let spot = stamp_of(patch_, i);
    let right = spot.x + i32(spot_nx());
    if right <= 0 || spot.x >= patch_.nx {
        return;
    }
    let bin = i / args.nspec;
    for (var row = max(spot.y, 0); row < min(spot.y + i32(spot_ny()), patch_.ny); row += 1) {
        let at = 4u * ((patch_.first_row + u32(row)) * args.nspec + i % args.nspec);
        atomicMax(&marks[at], args.nbin - bin);
        atomicMax(&marks[at + 1u], bin + 1u);
        atomicMax(&marks[at + 2u], u32(patch_.nx - max(spot.x, 0)));
        atomicMax(&marks[at + 3u], u32(min(right, patch_.nx)));
    }
}

// One workgroup per row, args.rows per patch. Sums run over the fibres, and for each over its bins.
@compute @workgroup_size(THREADS)
fn images(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let group_index = workgroup_index(group, groups);
    if group_index >= args.count {
        return;
    }
    let g = args.first + group_index;
    let p = g / args.rows;
    let row = i32(g % args.rows);
    let patch_ = patch_at(p);
    if row >= patch_.ny {
        return;
    }
    let first = p * args.flux_patch + patch_.bin * args.flux_bin;
    let marked = 4u * (patch_.first_row + u32(row)) * args.nspec;
    let pixels = patch_.first_pixel + u32(row * patch_.nx);
    let nx = u32(patch_.nx);
    var most = 1u;
    for (var fibre = 0u; fibre < args.nspec; fibre += 1u) {
        most = max(most, bins_of(marked + 4u * fibre));
    }
    for (var fibre = 0u; fibre < args.nspec; fibre += FIBRES) {
        let fibres = min(FIBRES, args.nspec - fibre);
        for (var bin = 0u; bin < most; bin += BINS) {
            workgroupBarrier();
            for (var slot = thread; slot < fibres * BINS; slot += THREADS) {
                let of_fibre = fibre + slot / BINS;
                let at = marked + 4u * of_fibre;
                let of_bin = bin + slot % BINS;
                var column = NOWHERE;
                if of_bin < bins_of(at) {
                    let i = args.nbin - reach[at] + of_bin;
                    let spot = stamp_at(patch_, of_fibre, i);
                    let y = row - spot.y;
                    if y >= 0 && y < i32(spot_ny()) {
                        column = spot.x;
                        spot_value[slot] = spot.first + u32(y) * spot_nx();
                        spot_flux[slot] = flux[first + i * args.nspec + of_fibre];
                    }
                }
                spot_column[slot] = column;
            }
            workgroupBarrier();
            for (var column = thread; column < nx; column += THREADS) {
                var sum: real = 0.0;
                if fibre + bin > 0u {
                    sum = model[pixels + column];
                }
                for (var k = 0u; k < fibres; k += 1u) {
                    let at = marked + 4u * (fibre + k);
                    if column + reach[at + 2u] < nx || column >= reach[at + 3u] {
                        continue;
                    }
                    let end = k * BINS + min(max(bins_of(at), bin) - bin, BINS);
                    for (var slot = k * BINS; slot < end; slot += 1u) {
                        // Columns left of the spot's first are beyond its last, too.
                        let x = u32(i32(column) - spot_column[slot]);
                        if x < spot_nx() {
                            sum += spot_flux[slot] * spots[spot_value[slot] + x];
                        }
                    }
                }
                model[pixels + column] = sum;
            }
        }
    }
}

// Returns the number of bins from the first to the last that reach a fibre's row.
fn bins_of(at: u32) -> u32 {
    return max(reach[at] + reach[at + 1u], args.nbin) - args.nbin;
}
