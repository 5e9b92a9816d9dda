// K and y of bundles, and blocks of K; the importing file imports `banded`.

// K_ff, [fibre, nblock, 1 + REACH, 4]: rows of the blocks (j + k, j) of every column j.
@group(0) @binding(1) var<storage, read> k_own: array<vec4<real>>;
// K_{f,f-d}, [distance d - 1, fibre f, nblock, 2 REACH + 1, 4]: rows of the blocks (i, i + k - REACH) of every row i.
@group(0) @binding(2) var<storage, read> k_pair: array<vec4<real>>;
// y, [fibre, nblock].
@group(0) @binding(3) var<storage, read> y: array<vec4<real>>;

// Returns block (j + k, j) of K_ff, `at` counting the blocks j of all fibres.
fn own_block(at: u32, k: u32) -> mat4x4<real> {
    let row = at * MATRIX_ROWS + 4u * k;
    return mat4x4(k_own[row], k_own[row + 1u], k_own[row + 2u], k_own[row + 3u]);
}

// Returns block (i, j) of K_{f,f-d}.
fn pair_block(d: u32, f: u32, i: u32, j: u32) -> mat4x4<real> {
    let row = ((((d - 1u) * args.nfibre + f) * args.nblock + i) * (2u * REACH + 1u) + j + REACH - i) * 4u;
    return mat4x4(k_pair[row], k_pair[row + 1u], k_pair[row + 2u], k_pair[row + 3u]);
}
