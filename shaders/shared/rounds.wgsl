// Rounds of refinement of x, and whether a bundle needs another one. The importing file imports `banded`.

// Bits of the largest |y - K x|_i / sqrt(K_ii) of every fibre, [round, fibre]: after the last round at 0, after round r at r.
@group(0) @binding(9) var<storage, read_write> largest_residuals: array<atomic<u32>>;

// Whether x of a fibre's bundle needs no further round.
fn is_converged(fibre: u32) -> bool {
    if args.round == 1u {
        return false;
    }
    let first = fibre - fibre % args.bundle;
    var largest = 0u;
    for (var f = first; f < min(first + args.bundle, args.nfibre); f += 1u) {
        // A round that was left out has zeros.
        largest = max(largest, atomicLoad(&largest_residuals[(args.round - 1u) * args.nfibre + f]));
    }
    return largest <= args.converged;
}
