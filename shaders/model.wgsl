// Model image A x, the spots times a flux, on the pixels of every patch. Each pixel gathers the spots that reach it.
#import grid
#import patch

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 64;
// Rows of a strip, the pixels of a column that a thread computes: as many as `images` has sums.
const ROWS: u32 = 4;

// Flux of the unknowns. Bin b of a patch's fibres begins at patch args.flux_patch + b args.flux_bin, b counted from the
// bundle's first bin.
@group(0) @binding(4) var<storage, read> flux: array<real>;
// Bins and columns of the spots that reach a strip, [patch, strip, nspec, 4]; see `reaches`, which writes `marks`. Both are one
// buffer.
@group(0) @binding(5) var<storage, read_write> marks: array<atomic<u32>>;
@group(0) @binding(6) var<storage, read> reach: array<u32>;
// Images of the patches, one after another, each [ny, nx].
@group(0) @binding(7) var<storage, read_write> model: array<real>;

// Returns the strips of the highest patch.
fn strips() -> u32 {
    return (args.rows + ROWS - 1u) / ROWS;
}

// Marks the strips that a spot reaches, so that a pixel does not try all spots: one thread per unknown, n per patch. The marks of
// a strip are the largest nbin - bin, bin + 1, nx - first column and last column + 1; 0 if no spot reaches it.
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
    let p = item / n;
    let patch_ = patch_at(p);
    let spot = stamp_of(patch_, i);
    let right = spot.x + i32(spot_nx());
    let first_row = max(spot.y, 0);
    let end_row = min(spot.y + i32(spot_ny()), patch_.ny);
    if right <= 0 || spot.x >= patch_.nx || first_row >= end_row {
        return;
    }
    let bin = i / args.nspec;
    for (var strip = u32(first_row) / ROWS; strip * ROWS < u32(end_row); strip += 1u) {
        let at = 4u * ((p * strips() + strip) * args.nspec + i % args.nspec);
        atomicMax(&marks[at], args.nbin - bin);
        atomicMax(&marks[at + 1u], bin + 1u);
        atomicMax(&marks[at + 2u], u32(patch_.nx - max(spot.x, 0)));
        atomicMax(&marks[at + 3u], u32(min(right, patch_.nx)));
    }
}

// One workgroup per strip, as many per patch as the highest has.
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
    let p = g / strips();
    let row = i32(ROWS * (g % strips()));
    let patch_ = patch_at(p);
    if row >= patch_.ny {
        return;
    }
    let first = p * args.flux_patch + patch_.bin * args.flux_bin;
    let marked = 4u * g * args.nspec;
    let nx = spot_nx();
    let ny = spot_ny();
    // Row and column of the strip's first pixel in a spot whose nearest pixel is at 0.
    let in_y = patch_.y + row + i32(args.half_y);
    let in_x = patch_.x + i32(args.half_x);
    for (var column = thread; column < u32(patch_.nx); column += THREADS) {
        // Threads find their own fibres first: each then loops over a few, all at the same time.
        var from_fibre = args.nspec;
        var to_fibre = 0u;
        for (var fibre = 0u; fibre < args.nspec; fibre += 1u) {
            if reaches_column(patch_, marked + 4u * fibre, column) {
                from_fibre = min(from_fibre, fibre);
                to_fibre = fibre + 1u;
            }
        }
        var sums = vec4<real>();
        for (var fibre = from_fibre; fibre < to_fibre; fibre += 1u) {
            let at = marked + 4u * fibre;
            if !reaches_column(patch_, at, column) {
                continue;
            }
            let trace = (patch_.fibre + fibre) * args.pixel_bins + patch_.bin;
            let stored = (patch_.fibre + fibre) * args.spot_bins + patch_.bin - args.spot_first;
            for (var bin = args.nbin - reach[at]; bin < reach[at + 1u]; bin += 1u) {
                // Negative numbers become large ones.
                let x = u32(in_x + i32(column) - pixel[trace + bin]);
                let y = in_y - pixel[args.pixel_stride + trace + bin];
                if x < nx {
                    let spot = (stored + bin) * ny * nx + x;
                    let values = vec4<real>(
                        value_at(spot, y, ny, nx), value_at(spot, y + 1, ny, nx),
                        value_at(spot, y + 2, ny, nx), value_at(spot, y + 3, ny, nx),
                    );
                    sums += flux[first + bin * args.nspec + fibre] * values;
                }
            }
        }
        let own = patch_.first_pixel + u32(row * patch_.nx) + column;
        let width = u32(patch_.nx);
        model[own] = sums.x;
        if row + 1 < patch_.ny {
            model[own + width] = sums.y;
        }
        if row + 2 < patch_.ny {
            model[own + 2u * width] = sums.z;
        }
        if row + 3 < patch_.ny {
            model[own + 3u * width] = sums.w;
        }
    }
}

// Returns the value of a spot in row y of a column, whose first value is at `spot`; 0 beyond its rows.
fn value_at(spot: u32, y: i32, ny: u32, nx: u32) -> real {
    // Negative numbers become large ones.
    return select(0.0, spots[spot + min(u32(y), ny - 1u) * nx], u32(y) < ny);
}

// Whether spots of a fibre reach a column of a strip, whose marks are at `at`.
fn reaches_column(patch_: Patch, at: u32, column: u32) -> bool {
    return column + reach[at + 2u] >= u32(patch_.nx) && column < reach[at + 3u];
}
