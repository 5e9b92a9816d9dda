// Reductions over a workgroup by a tree, one barrier per level, at most one per entry point. The importing file declares
// THREADS, a power of two, and `alias Partial`.

var<workgroup> partial: array<Partial, THREADS>;

// Returns the sum over all threads.
fn workgroup_sum(thread: u32, value: Partial) -> Partial {
    partial[thread] = value;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if thread < half {
            partial[thread] += partial[thread + half];
        }
        workgroupBarrier();
    }
    return partial[0];
}

// Returns the largest value of all threads.
fn workgroup_max(thread: u32, value: Partial) -> Partial {
    partial[thread] = value;
    workgroupBarrier();
    for (var half = THREADS / 2u; half > 0u; half /= 2u) {
        if thread < half {
            partial[thread] = max(partial[thread], partial[thread + half]);
        }
        workgroupBarrier();
    }
    return partial[0];
}
