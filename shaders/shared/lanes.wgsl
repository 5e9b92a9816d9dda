// Sums over groups of LANES threads of a workgroup by a tree, one barrier per level, at most one per entry point. The importing
// file declares THREADS and LANES, powers of two, and `alias Partial`.

var<workgroup> partial: array<Partial, THREADS>;

// Returns the sum over the LANES consecutive threads that this one belongs to.
fn lanes_sum(thread: u32, value: Partial) -> Partial {
    partial[thread] = value;
    workgroupBarrier();
    for (var half = LANES / 2u; half > 0u; half /= 2u) {
        if thread % LANES < half {
            partial[thread] += partial[thread + half];
        }
        workgroupBarrier();
    }
    return partial[thread - thread % LANES];
}
