// Reductions over groups of LANES threads of a workgroup by a tree, at most one per entry point. The importing file declares
// THREADS and LANES, powers of two, and `alias Partial`.

var<workgroup> partial: array<Partial, THREADS>;

// Returns the sum of eight values, the first one at `first`, at a distance of `step`. Three levels of the tree.
fn sum_of_eight(first: u32, step: u32) -> Partial {
    let even = (partial[first] + partial[first + 4u * step]) + (partial[first + 2u * step] + partial[first + 6u * step]);
    let odd = (partial[first + step] + partial[first + 5u * step]) + (partial[first + 3u * step] + partial[first + 7u * step]);
    return even + odd;
}

// Returns the sum over the LANES consecutive threads that this one belongs to. Barriers cost more than loads: one per three
// levels, and every thread does the last levels for itself.
fn lanes_sum(thread: u32, value: Partial) -> Partial {
    let lane = thread % LANES;
    partial[thread] = value;
    workgroupBarrier();
    for (var count = LANES; count > 8u; count /= 8u) {
        if lane < count / 8u {
            partial[thread] = sum_of_eight(thread, count / 8u);
        }
        workgroupBarrier();
    }
    return last_levels(thread - lane);
}

// Returns what `lanes_sum` has returned to the threads from `first` on.
fn last_levels(first: u32) -> Partial {
    var count = LANES;
    while count > 8u {
        count /= 8u;
    }
    if count == 8u {
        return sum_of_eight(first, 1u);
    }
    var sum = partial[first];
    if count == 4u {
        sum += partial[first + 2u];
        return sum + (partial[first + 1u] + partial[first + 3u]);
    }
    if count == 2u {
        sum += partial[first + 1u];
    }
    return sum;
}

// Returns the largest value of all threads of a workgroup.
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
