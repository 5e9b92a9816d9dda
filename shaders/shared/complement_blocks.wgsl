// Blocks of S_f in `complement`, which the importing file declares.

// Returns block (j + k, j) of S_f, `at` counting the blocks j of all fibres.
fn complement_block(at: u32, k: u32) -> mat4x4<real> {
    let row = at * MATRIX_ROWS + 4u * k;
    return mat4x4(complement[row], complement[row + 1u], complement[row + 2u], complement[row + 3u]);
}
