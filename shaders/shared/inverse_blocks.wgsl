// Blocks in `inverses`, which the importing file declares.

// Returns the block whose first row is at `at`.
fn stored(at: u32) -> mat4x4<real> {
    return mat4x4(inverses[at], inverses[at + args.stride], inverses[at + 2u * args.stride], inverses[at + 3u * args.stride]);
}
