// Band of the inverse of M + shift and solves for three right-hand sides, by Cholesky factors in blocks and Takahashi's
// selected inversion. One thread per matrix, chunk and pole, with the window of the recursion in registers. Its matrices
// have single names, as compilers may put an array of them in memory. Three blocks below the diagonal; see banded_inverse_wide
// for more.
#import grid
#import banded
#import block8
#import inverse
#import rounds
#import inverse_blocks

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 32;

// Factors the chunk start..end of M + shift.
fn factor(t: Task) -> Pivots {
    // Contributions of the columns before to the blocks (j, j), (j + 1, j), (j + 2, j), (j + 1, j + 1), (j + 2, j + 1) and
    // (j + 2, j + 2).
    var w00 = mat4x4<real>();
    var w10 = mat4x4<real>();
    var w20 = mat4x4<real>();
    var w11 = mat4x4<real>();
    var w21 = mat4x4<real>();
    var w22 = mat4x4<real>();
    var us = array<vec4<real>, REACH>();
    var vs = array<vec4<real>, REACH>();
    var ws = array<vec4<real>, REACH>();
    var bad = NO_BLOCK;
    var least: real = 1.0;
    for (var j = t.start; j < t.end && !(t.stops && bad != NO_BLOCK); j += 1u) {
        let a = shifted(t.matrix, j, t.shift);
        let g = factor4(a - w00);
        bad = select(bad, min(bad, j), g.failed < 4u);
        least = min(least, least_pivot(g, a));
        // Blocks that lead out of the chunk are cut off.
        let c1 = right_solve(g, real(select(0.0, 1.0, j + 1u < t.end)) * element(t.matrix, j, 1u) - w10);
        let c2 = right_solve(g, real(select(0.0, 1.0, j + 2u < t.end)) * element(t.matrix, j, 2u) - w20);
        let c3 = right_solve(g, real(select(0.0, 1.0, j + 3u < t.end)) * element(t.matrix, j, 3u));
        w00 = w11 + transpose(c1) * c1;
        w10 = w21 + transpose(c1) * c2;
        w20 = transpose(c1) * c3;
        w11 = w22 + transpose(c2) * c2;
        w21 = transpose(c2) * c3;
        w22 = transpose(c3) * c3;
        let u = forward4(g, vec4<real>(1.0) - us[0]);
        let v = forward4(g, rhs[t.matrix * args.nblock + j] - vs[0]);
        let w = forward4(g, rhs[args.lost_rhs + t.matrix * args.nblock + j] - ws[0]);
        us[0] = us[1] + u * c1;
        us[1] = us[2] + u * c2;
        us[2] = u * c3;
        vs[0] = vs[1] + v * c1;
        vs[1] = vs[2] + v * c2;
        vs[2] = v * c3;
        ws[0] = ws[1] + w * c1;
        ws[1] = ws[2] + w * c2;
        ws[2] = w * c3;
        let at = (j - t.start) * COLUMN_ROWS * args.stride + t.column;
        store(at, c1);
        store(at + 4u * args.stride, c2);
        store(at + 8u * args.stride, c3);
        store_diagonal(at, g);
        inverses[at + MATRIX_ROWS * args.stride] = u;
        inverses[at + (MATRIX_ROWS + 1u) * args.stride] = v;
        inverses[at + (MATRIX_ROWS + 2u) * args.stride] = w;
    }
    return Pivots(bad, least);
}

// Replaces the factor by the inverse's band and the solutions. Over the rows k below j, `Z_ij = -(sum_k Z_ik L_kj) L_jj^-1`
// and `Z_jj = L_jj^-T (L_jj^-1 - sum_k L_kj^T Z_kj)`.
fn invert(t: Task) {
    // Z of the columns after: (1, 1), (2, 1), (3, 1), (2, 2), (3, 2) and (3, 3), counted from j.
    var z11 = mat4x4<real>();
    var z21 = mat4x4<real>();
    var z31 = mat4x4<real>();
    var z22 = mat4x4<real>();
    var z32 = mat4x4<real>();
    var z33 = mat4x4<real>();
    var us = array<vec4<real>, REACH>();
    var vs = array<vec4<real>, REACH>();
    var ws = array<vec4<real>, REACH>();
    for (var j = t.end; j > t.start; j -= 1u) {
        let at = (j - 1u - t.start) * COLUMN_ROWS * args.stride + t.column;
        let c1 = stored(at);
        let c2 = stored(at + 4u * args.stride);
        let c3 = stored(at + 8u * args.stride);
        let g = diagonal_factor(at);
        let z10 = unscale(g, -1.0 * (c1 * z11 + c2 * transpose(z21) + c3 * transpose(z31)));
        let z20 = unscale(g, -1.0 * (c1 * z21 + c2 * z22 + c3 * transpose(z32)));
        let z30 = unscale(g, -1.0 * (c1 * z31 + c2 * z32 + c3 * z33));
        let z00 = diagonal_inverse(g, c1 * transpose(z10) + c2 * transpose(z20) + c3 * transpose(z30));
        z33 = z22;
        z32 = z21;
        z22 = z11;
        z31 = z20;
        z21 = z10;
        z11 = z00;
        let u = backward4(g, inverses[at + MATRIX_ROWS * args.stride] - (c1 * us[0] + c2 * us[1] + c3 * us[2]));
        let v = backward4(g, inverses[at + (MATRIX_ROWS + 1u) * args.stride] - (c1 * vs[0] + c2 * vs[1] + c3 * vs[2]));
        let w = backward4(g, inverses[at + (MATRIX_ROWS + 2u) * args.stride] - (c1 * ws[0] + c2 * ws[1] + c3 * ws[2]));
        us[2] = us[1];
        us[1] = us[0];
        us[0] = u;
        vs[2] = vs[1];
        vs[1] = vs[0];
        vs[0] = v;
        ws[2] = ws[1];
        ws[1] = ws[0];
        ws[0] = w;
        store(at, z00);
        store(at + 4u * args.stride, z10);
        store(at + 8u * args.stride, z20);
        store(at + 12u * args.stride, z30);
        inverses[at + MATRIX_ROWS * args.stride] = u;
        inverses[at + (MATRIX_ROWS + 1u) * args.stride] = v;
        inverses[at + (MATRIX_ROWS + 2u) * args.stride] = w;
    }
}
