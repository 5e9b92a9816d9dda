// Functions in f64, for which WGSL has arithmetic and sqrt alone: drivers accept exp and log, and return garbage.
// tests/gpu/twins/functions.rs compares them with the host's.

// 1 / sqrt(2 pi).
const PHI_0 = 0.3989422804014327;

// 2^n for n = -252..254, as two factors within the range of f32.
fn power_of_two(n: i32) -> f64 {
    let half = n / 2;
    let first = bitcast<f32>(u32(half + 127) << 23u);
    let second = bitcast<f32>(u32(n - half + 127) << 23u);
    return f64(first) * f64(second);
}

// e^x for x <= 170, 0 below -170. With x = n ln 2 + r, |r| <= 0.35, a Taylor series in r with a truncation error of 4e-18. The
// first of ln 2's two parts has 32 bits, so that its product with n is exact.
fn exponential(x: f64) -> f64 {
    if x < -170.0 {
        return 0.0;
    }
    let n = floor(x * 1.4426950408889634 + 0.5);
    let r = (x - n * 0.6931471803691238) - n * 1.9082149292705877e-10;
    var sum: f64 = 1.0 / 6227020800.0;
    sum = sum * r + 1.0 / 479001600.0;
    sum = sum * r + 1.0 / 39916800.0;
    sum = sum * r + 1.0 / 3628800.0;
    sum = sum * r + 1.0 / 362880.0;
    sum = sum * r + 1.0 / 40320.0;
    sum = sum * r + 1.0 / 5040.0;
    sum = sum * r + 1.0 / 720.0;
    sum = sum * r + 1.0 / 120.0;
    sum = sum * r + 1.0 / 24.0;
    sum = sum * r + 1.0 / 6.0;
    sum = sum * r + 0.5;
    return (1.0 + (r + r * r * sum)) * power_of_two(i32(n));
}

// ln x for x > 0 within the range of f32: the logarithm in f32 and one Newton step, whose error is the cube of f32's.
fn logarithm(x: f64) -> f64 {
    let near = f64(log(f32(x)));
    let rest = x * exponential(-near);
    return near + 2.0 * ((rest - 1.0) / (rest + 1.0));
}

// x^y for x > 0.
fn power(x: f64, y: f64) -> f64 {
    return exponential(y * logarithm(x));
}

// sin x for |x| <= pi / 2: a Taylor series with a truncation error of 1e-18.
fn sine(x: f64) -> f64 {
    let s = -x * x;
    var sum: f64 = 1.0 / 51090942171709440000.0;
    sum = sum * s + 1.0 / 121645100408832000.0;
    sum = sum * s + 1.0 / 355687428096000.0;
    sum = sum * s + 1.0 / 1307674368000.0;
    sum = sum * s + 1.0 / 6227020800.0;
    sum = sum * s + 1.0 / 39916800.0;
    sum = sum * s + 1.0 / 362880.0;
    sum = sum * s + 1.0 / 5040.0;
    sum = sum * s + 1.0 / 120.0;
    sum = sum * s + 1.0 / 6.0;
    return x * (sum * s + 1.0);
}

// The normal distribution beyond e, for e > 0, as phi(e) times Mills' ratio. With t = 1 / (1 + e/5) the ratio over t is a
// polynomial in u, -1 to 1. It is the start of the Chebyshev series over e = 0..19, which falls to 1e-18.
fn normal_tail(e: f64, phi: f64) -> f64 {
    let t = 1.0 / (1.0 + 0.2 * e);
    let u = (48.0 * t - 29.0) / 19.0;
    var ratio: f64 = -1.0048139715009241e-11;
    ratio = ratio * u + 8.79164902902462e-11;
    ratio = ratio * u + 8.726884581384973e-11;
    ratio = ratio * u - 1.4286044923016968e-09;
    ratio = ratio * u - 2.2216483372593598e-10;
    ratio = ratio * u + 1.720761290394578e-08;
    ratio = ratio * u - 7.222219883417956e-10;
    ratio = ratio * u - 2.0945206823444786e-07;
    ratio = ratio * u - 7.170275542695757e-08;
    ratio = ratio * u + 2.702050402058768e-06;
    ratio = ratio * u + 4.246119365974295e-06;
    ratio = ratio * u - 3.208384248812378e-05;
    ratio = ratio * u - 0.00014297006745074404;
    ratio = ratio * u + 7.651993641199561e-05;
    ratio = ratio * u + 0.0029328196777722976;
    ratio = ratio * u + 0.015169139636381362;
    ratio = ratio * u + 0.04950009671672529;
    ratio = ratio * u + 0.12063585366822399;
    ratio = ratio * u + 0.23285213175947714;
    ratio = ratio * u + 0.3648363782667389;
    ratio = ratio * u + 0.467479569549005;
    return phi * t * ratio;
}

// The normal distribution between edges a < b; in the wings the difference of two tails.
fn normal_between(a: f64, phi_a: f64, b: f64, phi_b: f64) -> f64 {
    if a > 0.0 {
        return normal_tail(a, phi_a) - normal_tail(b, phi_b);
    }
    if b < 0.0 {
        return normal_tail(-b, phi_b) - normal_tail(-a, phi_a);
    }
    return 1.0 - normal_tail(-a, phi_a) - normal_tail(b, phi_b);
}
