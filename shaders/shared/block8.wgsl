// Cholesky factors and triangular solves of 4 x 4 and 8 x 8 blocks in registers: no index is dynamic.

// A lower triangular 4 x 4 block; `failed` is the first pivot that was not positive and finite, 4 if none.
struct Lower4 {
    l10: real, l20: real, l30: real, l21: real, l31: real, l32: real,
    inverse: vec4<real>,
    failed: u32,
}

// A lower triangular 8 x 8 block: [upper 0; left lower], row r of `left` in left[r].
struct Lower8 {
    upper: Lower4,
    left: mat4x4<real>,
    lower: Lower4,
}

struct Eight {
    lo: vec4<real>,
    hi: vec4<real>,
}

// Whether a pivot is positive, finite and normal, by its bits. Compilers may assume that NaN does not occur, and devices may take
// denormal numbers for 0.
fn usable(pivot: real) -> bool {
    return bitcast<u32>(f32(pivot)) - 0x00800000u < 0x7f000000u;
}

// Factors a symmetric block with row i, up to the diagonal, in a[i]. A failed pivot counts as 1.
fn factor4(a: mat4x4<real>) -> Lower4 {
    var f: Lower4;
    f.failed = 4u;
    let p0 = a[0].x;
    f.inverse.x = 1.0 / sqrt(select(1.0, p0, usable(p0)));
    f.l10 = a[1].x * f.inverse.x;
    f.l20 = a[2].x * f.inverse.x;
    f.l30 = a[3].x * f.inverse.x;
    let p1 = a[1].y - f.l10 * f.l10;
    f.inverse.y = 1.0 / sqrt(select(1.0, p1, usable(p1)));
    f.l21 = (a[2].y - f.l20 * f.l10) * f.inverse.y;
    f.l31 = (a[3].y - f.l30 * f.l10) * f.inverse.y;
    let p2 = a[2].z - f.l20 * f.l20 - f.l21 * f.l21;
    f.inverse.z = 1.0 / sqrt(select(1.0, p2, usable(p2)));
    f.l32 = (a[3].z - f.l30 * f.l20 - f.l31 * f.l21) * f.inverse.z;
    let p3 = a[3].w - f.l30 * f.l30 - f.l31 * f.l31 - f.l32 * f.l32;
    f.inverse.w = 1.0 / sqrt(select(1.0, p3, usable(p3)));
    f.failed = select(f.failed, 3u, !usable(p3));
    f.failed = select(f.failed, 2u, !usable(p2));
    f.failed = select(f.failed, 1u, !usable(p1));
    f.failed = select(f.failed, 0u, !usable(p0));
    return f;
}

// Solves L y = b.
fn forward4(l: Lower4, b: vec4<real>) -> vec4<real> {
    let x = b.x * l.inverse.x;
    let y = (b.y - l.l10 * x) * l.inverse.y;
    let z = (b.z - l.l20 * x - l.l21 * y) * l.inverse.z;
    let w = (b.w - l.l30 * x - l.l31 * y - l.l32 * z) * l.inverse.w;
    return vec4<real>(x, y, z, w);
}

// Solves transpose(L) x = b.
fn backward4(l: Lower4, b: vec4<real>) -> vec4<real> {
    let w = b.w * l.inverse.w;
    let z = (b.z - l.l32 * w) * l.inverse.z;
    let y = (b.y - l.l21 * z - l.l31 * w) * l.inverse.y;
    let x = (b.x - l.l10 * y - l.l20 * z - l.l30 * w) * l.inverse.x;
    return vec4<real>(x, y, z, w);
}

// Factors [a 0; b c], rows as in factor4.
fn factor8(a: mat4x4<real>, b: mat4x4<real>, c: mat4x4<real>) -> Lower8 {
    var f: Lower8;
    f.upper = factor4(a);
    f.left[0] = forward4(f.upper, b[0]);
    f.left[1] = forward4(f.upper, b[1]);
    f.left[2] = forward4(f.upper, b[2]);
    f.left[3] = forward4(f.upper, b[3]);
    let schur = c - transpose(f.left) * f.left;
    f.lower = factor4(schur);
    return f;
}

// Returns the first failed pivot of an 8 x 8 block, 8 if none.
fn failed8(l: Lower8) -> u32 {
    return select(l.upper.failed, 4u + l.lower.failed, l.upper.failed == 4u);
}

// Solves L y = b.
fn forward8(l: Lower8, b: Eight) -> Eight {
    let lo = forward4(l.upper, b.lo);
    let hi = forward4(l.lower, b.hi - lo * l.left);
    return Eight(lo, hi);
}

// Solves transpose(L) x = b.
fn backward8(l: Lower8, b: Eight) -> Eight {
    let hi = backward4(l.lower, b.hi);
    let lo = backward4(l.upper, b.lo - l.left * hi);
    return Eight(lo, hi);
}
