// Blocks of factors and inverses in `inverses`, which the importing file declares. It imports `banded` and `block8`.

// Returns the block whose first row is at `at`.
fn stored(at: u32) -> mat4x4<real> {
    return mat4x4(inverses[at], inverses[at + args.stride], inverses[at + 2u * args.stride], inverses[at + 3u * args.stride]);
}

// Returns the diagonal block of a factor.
fn diagonal_factor(at: u32) -> Lower4 {
    let lower = inverses[at + (MATRIX_ROWS - 3u) * args.stride];
    let last = inverses[at + (MATRIX_ROWS - 2u) * args.stride];
    return Lower4(lower.x, lower.y, lower.z, lower.w, last.x, last.y, inverses[at + (MATRIX_ROWS - 4u) * args.stride], 4u);
}

// Returns a G^-T, rows as in factor4.
fn right_solve(g: Lower4, a: mat4x4<real>) -> mat4x4<real> {
    return mat4x4(forward4(g, a[0]), forward4(g, a[1]), forward4(g, a[2]), forward4(g, a[3]));
}
