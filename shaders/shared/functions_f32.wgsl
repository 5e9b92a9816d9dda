// Functions in f32: WGSL's, and the normal distribution.

// 1 / sqrt(2 pi).
const PHI_0 = 0.3989422804014327;

// e^x.
fn exponential(x: f32) -> f32 {
    return exp(x);
}

// x^y for x > 0.
fn power(x: f32, y: f32) -> f32 {
    return exp2(y * log2(x));
}

// sin x for |x| <= pi / 2: a Taylor series with a truncation error of 7e-10. Drivers' own sine may be wrong by 5e-4.
fn sine(x: f32) -> f32 {
    let s = -x * x;
    var sum: f32 = 1.0 / 6227020800.0;
    sum = sum * s + 1.0 / 39916800.0;
    sum = sum * s + 1.0 / 362880.0;
    sum = sum * s + 1.0 / 5040.0;
    sum = sum * s + 1.0 / 120.0;
    sum = sum * s + 1.0 / 6.0;
    return x * (sum * s + 1.0);
}

// The normal distribution between 0 and e, for |e| <= 1: a Taylor series with a truncation error of 3e-9 at the end.
fn normal_core(e: f32) -> f32 {
    let s = -0.5 * e * e;
    var sum = 1.0 / 75600.0;
    sum = sum * s + 1.0 / 9360.0;
    sum = sum * s + 1.0 / 1320.0;
    sum = sum * s + 1.0 / 216.0;
    sum = sum * s + 1.0 / 42.0;
    sum = sum * s + 1.0 / 10.0;
    sum = sum * s + 1.0 / 3.0;
    return PHI_0 * e * (sum * s + 1.0);
}

// The normal distribution beyond e, for e > 0, as phi(e) times Mills' ratio. The ratio is a polynomial in
// t = 1 / (1 + e/4) fitted over e = 0..14 to 8e-9 of its value, so that tails keep their digits.
fn normal_tail(e: f32, phi: f32) -> f32 {
    let t = 1.0 / (1.0 + 0.25 * e);
    var ratio: f32 = 0.041559271514;
    ratio = ratio * t - 0.157397925854;
    ratio = ratio * t + 0.129476144910;
    ratio = ratio * t + 0.071274526417;
    ratio = ratio * t + 0.031866449863;
    ratio = ratio * t + 0.217215448618;
    ratio = ratio * t + 0.180476099253;
    ratio = ratio * t + 0.239422351122;
    ratio = ratio * t + 0.249390855432;
    ratio = ratio * t + 0.250030905008;
    return phi * t * ratio;
}

// The normal distribution between 0 and e.
fn normal_from_0(e: f32, phi: f32) -> f32 {
    if abs(e) <= 1.0 {
        return normal_core(e);
    }
    return sign(e) * (0.5 - normal_tail(abs(e), phi));
}

// The normal distribution between edges a and b; in the wings the difference of two tails.
fn normal_between(a: f32, phi_a: f32, b: f32, phi_b: f32) -> f32 {
    if min(a, b) > 1.0 {
        return normal_tail(a, phi_a) - normal_tail(b, phi_b);
    }
    if max(a, b) < -1.0 {
        return normal_tail(-b, phi_b) - normal_tail(-a, phi_a);
    }
    return normal_from_0(b, phi_b) - normal_from_0(a, phi_a);
}
