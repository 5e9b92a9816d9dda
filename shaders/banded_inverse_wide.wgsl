// banded_inverse for any number of blocks below the diagonal: the recursions read the columns before from memory.
#import grid
#import banded
#import block8
#import inverse
#import rounds
#import inverse_blocks

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 32;

// Returns the index of column j of a chunk in `inverses`.
fn place(t: Task, j: u32) -> u32 {
    return (j - t.start) * COLUMN_ROWS * args.stride + t.column;
}

// Returns block (j + k, j) of the factor, k > 0.
fn factor_block(t: Task, j: u32, k: u32) -> mat4x4<real> {
    return stored(place(t, j) + 4u * (k - 1u) * args.stride);
}

// Returns the index of block (j + k, j) of the inverse.
fn inverse_place(t: Task, j: u32, k: u32) -> u32 {
    return place(t, j) + 4u * k * args.stride;
}

// Returns block (i, j) of the inverse.
fn inverse_block(t: Task, i: u32, j: u32) -> mat4x4<real> {
    let m = stored(inverse_place(t, min(i, j), max(i, j) - min(i, j)));
    if i < j {
        return transpose(m);
    }
    return m;
}

// Factors the chunk of M + shift, and solves for the right-hand sides on the way.
fn factor(t: Task) -> Pivots {
    var bad = NO_BLOCK;
    var least: real = 1.0;
    for (var j = t.start; j < t.end && !(t.stops && bad != NO_BLOCK); j += 1u) {
        let at = place(t, j);
        let before = min(REACH, j - t.start);
        let a = shifted(t.matrix, j, t.shift);
        var schur = a;
        var u = vec4<real>(1.0);
        var v = rhs[t.matrix * args.nblock + j];
        var w = rhs[args.lost_rhs + t.matrix * args.nblock + j];
        for (var k = 1u; k <= before; k += 1u) {
            let c = factor_block(t, j - k, k);
            let sides = place(t, j - k) + MATRIX_ROWS * args.stride;
            schur -= transpose(c) * c;
            u -= inverses[sides] * c;
            v -= inverses[sides + args.stride] * c;
            w -= inverses[sides + 2u * args.stride] * c;
        }
        let g = factor4(schur);
        bad = select(bad, min(bad, j), g.failed < 4u);
        least = min(least, least_pivot(g, a));
        // Blocks that lead out of the chunk are cut off.
        for (var d = 1u; d <= REACH; d += 1u) {
            var b = mat4x4<real>();
            if j + d < t.end {
                b = element(t.matrix, j, d);
                for (var k = 1u; k <= min(before, REACH - d); k += 1u) {
                    b -= transpose(factor_block(t, j - k, k)) * factor_block(t, j - k, k + d);
                }
                b = right_solve(g, b);
            }
            store(at + 4u * (d - 1u) * args.stride, b);
        }
        store_diagonal(at, g);
        inverses[at + MATRIX_ROWS * args.stride] = forward4(g, u);
        inverses[at + (MATRIX_ROWS + 1u) * args.stride] = forward4(g, v);
        inverses[at + (MATRIX_ROWS + 2u) * args.stride] = forward4(g, w);
    }
    return Pivots(bad, least);
}

// Replaces the factor by the inverse's band and the solutions: see banded_inverse.
fn invert(t: Task) {
    for (var next = t.end; next > t.start; next -= 1u) {
        let j = next - 1u;
        let at = place(t, j);
        let after = min(REACH, t.end - next);
        let g = diagonal_factor(at);
        // The column of the factor, which the inverse's overwrites.
        var c = array<mat4x4<real>, REACH>();
        var u = inverses[at + MATRIX_ROWS * args.stride];
        var v = inverses[at + (MATRIX_ROWS + 1u) * args.stride];
        var w = inverses[at + (MATRIX_ROWS + 2u) * args.stride];
        for (var k = 1u; k <= after; k += 1u) {
            c[k - 1u] = factor_block(t, j, k);
            let sides = place(t, j + k) + MATRIX_ROWS * args.stride;
            u -= c[k - 1u] * inverses[sides];
            v -= c[k - 1u] * inverses[sides + args.stride];
            w -= c[k - 1u] * inverses[sides + 2u * args.stride];
        }
        inverses[at + MATRIX_ROWS * args.stride] = backward4(g, u);
        inverses[at + (MATRIX_ROWS + 1u) * args.stride] = backward4(g, v);
        inverses[at + (MATRIX_ROWS + 2u) * args.stride] = backward4(g, w);
        var product = mat4x4<real>();
        for (var d = 1u; d <= REACH; d += 1u) {
            var z = mat4x4<real>();
            if j + d < t.end {
                for (var k = 1u; k <= after; k += 1u) {
                    z -= c[k - 1u] * inverse_block(t, j + d, j + k);
                }
                z = unscale(g, z);
                product += c[d - 1u] * transpose(z);
            }
            store(inverse_place(t, j, d), z);
        }
        store(at, diagonal_inverse(g, product));
    }
}
