// Products of two spots; the importing file imports `patch`.

// Values of workgroup memory for spots: at least ny nx for each.
const SPOT: u32 = 256;

// Spots times W, 0 off the patch.
var<workgroup> weighted: array<real, SPOT>;

// Pixels that two spots share: rows and columns of the first, and the distance of the second.
struct Shared {
    y: vec2<i32>,
    x: vec2<i32>,
    dy: i32,
    dx: i32,
}

fn shared_pixels(a: Stamp, b: Stamp) -> Shared {
    let dy = b.y - a.y;
    let dx = b.x - a.x;
    let ny = i32(spot_ny());
    let nx = i32(spot_nx());
    return Shared(vec2(max(dy, 0), ny + min(dy, 0)), vec2(max(dx, 0), nx + min(dx, 0)), dy, dx);
}

// Returns the sum of the values from `first` of `weighted`, which are those of a spot at a, times the spot at b.
fn overlap(first: u32, a: Stamp, b: Stamp) -> real {
    let s = shared_pixels(a, b);
    let nx = i32(spot_nx());
    var sum: real = 0.0;
    for (var y = s.y.x; y < s.y.y; y += 1) {
        let left = i32(first) + y * nx;
        let right = i32(b.first) + (y - s.dy) * nx - s.dx;
        for (var x = s.x.x; x < s.x.y; x += 1) {
            sum += weighted[left + x] * spots[right + x];
        }
    }
    return sum;
}
