// Self-test of what every kernel relies on: loops that run to their end, functions, barriers, workgroup memory.
#import grid
#import functions_real
#import reduction

alias real = f32;
alias Partial = u32;

// Invocations of a workgroup.
const THREADS: u32 = 64;
// Invocations of a sum: all of a workgroup.
const LANES: u32 = THREADS;

@group(0) @binding(0) var<uniform> args: u32;
@group(0) @binding(1) var<storage, read> x: array<real>;
@group(0) @binding(2) var<storage, read_write> roots: array<real>;
@group(0) @binding(3) var<storage, read_write> powers: array<real>;
@group(0) @binding(4) var<storage, read_write> counts: array<u32>;
@group(0) @binding(5) var<storage, read_write> sums: array<u32>;
@group(0) @binding(6) var<storage, read_write> fractions: array<real>;

// Counts `args` turns of a loop. The linear congruential generator keeps compilers from replacing the loop by a closed form.
// Mesa 22.3's software Vulkan ends this loop early.
@compute @workgroup_size(1)
fn loop_count() {
    var count = 0u;
    var state = 1u;
    while count < args {
        state = state * 1664525u + 1013904223u;
        count += 1u;
    }
    counts[0] = count;
    counts[1] = state;
}

// sqrt of |x|, exp of x, and the normal distribution between 0 and x, for args values.
@compute @workgroup_size(THREADS)
fn functions(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = workgroup_index(group, groups) * THREADS + thread;
    if i < args {
        roots[i] = sqrt(abs(x[i]));
        powers[i] = exponential(x[i]);
        let low = min(x[i], 0.0);
        let high = max(x[i], 0.0);
        let between = normal_between(low, PHI_0 * exponential(-0.5 * low * low), high, PHI_0 * exponential(-0.5 * high * high));
        fractions[i] = select(-between, between, x[i] > 0.0);
    }
}

// Each of args workgroups sums (workgroup + thread) over its threads.
@compute @workgroup_size(THREADS)
fn barrier_sum(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let g = workgroup_index(group, groups);
    if g >= args {
        return;
    }
    let sum = lanes_sum(thread, g + thread);
    if thread == 0u {
        sums[g] = sum;
    }
}
