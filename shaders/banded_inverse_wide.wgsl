// As banded_inverse, for any number of blocks below the diagonal: what the recursions need of columns before they read from
// memory again. Columns of the inverse have args.extension blocks more than those of the matrix.
#import grid
#import banded
#import block8
#import inverse

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 32;

// Where column j of a chunk is in `records`.
fn place(t: Task, j: u32) -> u32 {
    return (j - t.start) * args.record * args.stride + t.column;
}

// Block (j + k, j) of the factor, k > 0.
fn factor_block(t: Task, j: u32, k: u32) -> mat4x4<real> {
    return stored(place(t, j) + 4u * (k - 1u) * args.stride);
}

// Where block (j + k, j) of the inverse is.
fn inverse_place(t: Task, j: u32, k: u32) -> u32 {
    return place(t, j) + select(4u * k, args.beyond + 4u * (k - REACH - 1u), k > REACH) * args.stride;
}

// Block (i, j) of the inverse.
fn inverse_block(t: Task, i: u32, j: u32) -> mat4x4<real> {
    let m = stored(inverse_place(t, min(i, j), max(i, j) - min(i, j)));
    if i < j {
        return transpose(m);
    }
    return m;
}

// Factors the chunk of M + shift, and solves for the right-hand sides on the way.
fn factor(t: Task) {
    var bad = 0xffffffffu;
    var least: real = 1.0;
    for (var j = t.start; j < t.end; j += 1u) {
        let at = place(t, j);
        let before = min(REACH, j - t.start);
        let a = shifted(t.matrix, j, t.shift);
        var rest = a;
        var u = vec4<real>(1.0);
        var v = rhs[t.matrix * args.nblock + j];
        var w = rhs[args.lost + t.matrix * args.nblock + j];
        for (var k = 1u; k <= before; k += 1u) {
            let c = factor_block(t, j - k, k);
            let sides = place(t, j - k) + COLUMN * args.stride;
            rest -= transpose(c) * c;
            u -= records[sides] * c;
            v -= records[sides + args.stride] * c;
            w -= records[sides + 2u * args.stride] * c;
        }
        let g = factor4(rest);
        bad = select(bad, min(bad, j), g.failed < 4u);
        least = min(least, least_pivot(g, a));
        // What leads out of the chunk is cut off.
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
        records[at + COLUMN * args.stride] = forward4(g, u);
        records[at + (COLUMN + 1u) * args.stride] = forward4(g, v);
        records[at + (COLUMN + 2u) * args.stride] = forward4(g, w);
    }
    report(t.matrix, bad, least);
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
        var u = records[at + COLUMN * args.stride];
        var v = records[at + (COLUMN + 1u) * args.stride];
        var w = records[at + (COLUMN + 2u) * args.stride];
        for (var k = 1u; k <= after; k += 1u) {
            c[k - 1u] = factor_block(t, j, k);
            let sides = place(t, j + k) + COLUMN * args.stride;
            u -= c[k - 1u] * records[sides];
            v -= c[k - 1u] * records[sides + args.stride];
            w -= c[k - 1u] * records[sides + 2u * args.stride];
        }
        records[at + COLUMN * args.stride] = backward4(g, u);
        records[at + (COLUMN + 1u) * args.stride] = backward4(g, v);
        records[at + (COLUMN + 2u) * args.stride] = backward4(g, w);
        var own = mat4x4<real>();
        for (var d = 1u; d <= REACH + args.extension; d += 1u) {
            var z = mat4x4<real>();
            if j + d < t.end {
                for (var k = 1u; k <= after; k += 1u) {
                    z -= c[k - 1u] * inverse_block(t, j + d, j + k);
                }
                z = unscale(g, z);
                if d <= REACH {
                    own += c[d - 1u] * transpose(z);
                }
            }
            store(inverse_place(t, j, d), z);
        }
        store(at, diagonal_inverse(g, own));
    }
}
