// Roofs of a device: multiply-adds in registers, and a copy through its memory.
#import grid

alias real = f32;

// Invocations of a workgroup.
const THREADS: u32 = 64;
// Turns of the loop, of 32 multiply-adds each.
const TURNS: u32 = 256;

// Threads.
@group(0) @binding(0) var<uniform> args: u32;
@group(0) @binding(1) var<storage, read> x: array<real>;
@group(0) @binding(2) var<storage, read_write> y: array<real>;

// Eight independent chains of multiply-adds on vectors of four. Their result is stored, so that no compiler drops them.
@compute @workgroup_size(THREADS)
fn multiply_adds(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = workgroup_index(group, groups) * THREADS + thread;
    if i >= args {
        return;
    }
    let v = vec4<real>(x[i]);
    let w = vec4<real>(0.5, 0.25, 0.125, 0.0625);
    var a = v;
    var b = v + w;
    var c = v - w;
    var d = v * w;
    var e = 2.0 * v;
    var f = w;
    var g = e + w;
    var h = e - w;
    for (var turn = 0u; turn < TURNS; turn += 1u) {
        a = fma(a, w, v);
        b = fma(b, w, v);
        c = fma(c, w, v);
        d = fma(d, w, v);
        e = fma(e, w, v);
        f = fma(f, w, v);
        g = fma(g, w, v);
        h = fma(h, w, v);
    }
    let sum = (a + b) + (c + d) + (e + f) + (g + h);
    y[i] = sum.x + sum.y + sum.z + sum.w;
}

// One value per thread.
@compute @workgroup_size(THREADS)
fn copies(
    @builtin(workgroup_id) group: vec3<u32>,
    @builtin(num_workgroups) groups: vec3<u32>,
    @builtin(local_invocation_index) thread: u32,
) {
    let i = workgroup_index(group, groups) * THREADS + thread;
    if i < args {
        y[i] = x[i];
    }
}
