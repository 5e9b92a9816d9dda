//! PSFs of every kind: read as their files mean them, written, refused.

use spextral::fits::{read_psf, write_psf};
use spextral::geometry::SpotShape;
use spextral::psf::{Dispersion, Form, Psf};
use spextral::simulate::synthetic::Synthetic;
use spextral::stages::spot_samples::{GridSize, sampled};
use spextral::stages::spot_widths::Moments;
use spextral::stages::spots::{SpotModel, spot};
use spextral::stages::traces::{legendre, shape_series, traces, unit};
use std::path::PathBuf;
use testkit::files::folder;
use testkit::psf_kinds::{
    OVERSAMPLING, PIXELS, mono_spot, named_table, pca_pix, spot_grid, spot_list, text, two_cores,
};

fn file(bytes: &[u8]) -> (tempfile::TempDir, PathBuf) {
    let dir = folder();
    let path = dir.path().join("a.fits");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

pub fn read(bytes: &[u8]) -> Psf {
    let (_dir, path) = file(bytes);
    read_psf(&path).unwrap()
}

fn error(bytes: &[u8]) -> String {
    let (_dir, path) = file(bytes);
    let error = read_psf(&path).expect_err("must be refused").to_string();
    assert!(error.contains("a.fits"), "names the file: {error}");
    error
}

/// The spots of a fibre at wavelengths over the whole range, with the exact positions of the trace: `(x, y, x0, y0, spot)`.
fn spots_of(psf: &Psf, fibre: usize, tails: bool) -> Vec<(f64, f64, i64, i64, Vec<f64>)> {
    let wave: Vec<f64> = (0..47).map(|k| psf.wave_min + (psf.wave_max - psf.wave_min) * f64::from(k) / 46.0).collect();
    let (t, model) = (traces(psf, fibre..fibre + 1, &wave, tails), SpotModel::new(psf, tails));
    let shape = *model.shape();
    let all = model.spots(&t);
    let of_bin = |(k, spot): (usize, &[f64])| {
        let at = |pixel: i32, offset: f64| f64::from(pixel) + offset;
        let corner = |pixel: i32, half: usize| i64::from(pixel) - half as i64;
        let (x, y) = (at(t.pixel_x[k], t.offset_x[k]), at(t.pixel_y[k], t.offset_y[k]));
        (x, y, corner(t.pixel_x[k], shape.half_x), corner(t.pixel_y[k], shape.half_y), spot.to_vec())
    };
    all.chunks(shape.size()).enumerate().map(of_bin).collect()
}

/// One spot by its definition: every sample, moved to the trace, covers a square of its own size on the CCD. It is shared by
/// the four parts of pixels that the square lies on. `[y, x]` of a CCD region from `corner` on.
fn placed(image: &[f64], n: usize, per_pixel: usize, [x, y]: [f64; 2], corner: [i64; 2], size: [usize; 2]) -> Vec<f64> {
    let r = per_pixel as f64;
    let mut out = vec![0.0; size[0] * size[1]];
    for (k, sample) in image.iter().enumerate() {
        let part = |at: f64, index: usize| {
            let place = r * (at + 0.5) + index as f64 - 0.5 * n as f64;
            let rest = place - place.floor();
            [(place.floor() as i64, 1.0 - rest), (place.floor() as i64 + 1, rest)]
        };
        for (row, of_row) in part(y, k / n) {
            for (column, of_column) in part(x, k % n) {
                let pixel = [column, row].map(|part| part.div_euclid(per_pixel as i64));
                let at = [pixel[0] - corner[0], pixel[1] - corner[1]].map(|p| usize::try_from(p).unwrap_or(usize::MAX));
                if at[0] < size[0] && at[1] < size[1] {
                    out[at[1] * size[0] + at[0]] += of_row * of_column * sample;
                }
            }
        }
    }
    // Beyond the ends of the grid images are extrapolated: their wings may be below 0.
    let sum: f64 = out.iter().map(|p| p.max(0.0)).sum();
    out.iter().map(|p| p.max(0.0) / sum).collect()
}

#[test]
fn a_spot_of_a_grid_is_its_four_images_placed_on_the_trace_at_edges_of_the_ccd_too() {
    let psf = read(&spot_grid(&[]));
    let Form::Grid(grid) = &psf.form else { panic!("{:?}", psf.form.name()) };
    let parts = grid.images.parts();
    let n = OVERSAMPLING * PIXELS;
    assert_eq!((psf.half_x, psf.half_y, parts.nx, psf.psferr), (4, 4, n, 0.02));
    for fibre in 0..psf.nfibre {
        let spots = spots_of(&psf, fibre, false);
        for (k, (x, y, x0, y0, found)) in spots.iter().enumerate() {
            let wave = psf.wave_min + (psf.wave_max - psf.wave_min) * k as f64 / 46.0;
            let position = [-0.3, 1.5, 4.2][fibre] / 4.0;
            let at = if wave < 5080.0 { 0 } else { 1 };
            let nodes = [5010.0, 5080.0, 5190.0];
            let w = (wave - nodes[at]) / (nodes[at + 1] - nodes[at]);
            let sample = |p: usize, w: usize, k: usize| parts.samples[(p * 3 + w) * n * n + k];
            let image: Vec<f64> = (0..n * n)
                .map(|k| {
                    let [low, high] = [0, 1].map(|p| (1.0 - w) * sample(p, at, k) + w * sample(p, at + 1, k));
                    (1.0 - position) * low + position * high
                })
                .collect();
            let expected = placed(&image, n, OVERSAMPLING, [*x, *y], [*x0, *y0], [9, 9]);
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-13, "fibre {fibre}, bin {k}: {worst:e}");
        }
    }
}

#[test]
fn every_kind_is_read_with_the_widths_that_its_spots_have() {
    for (bytes, name, width) in
        [(spot_grid(&[]), "SPOTGRID", 1.2), (mono_spot(), "MONOSPOT", 1.0), (pca_pix(), "PCA-PIX", 1.0)]
    {
        let psf = read(&bytes);
        assert_eq!((psf.form.name(), psf.nfibre, psf.npix_x, psf.npix_y), (name, 3, 60, 80));
        let sigma = legendre(psf.sigma_y.of(1), unit(psf.sigma_y.domain, 5100.0));
        assert!((sigma / width - 1.0).abs() < 0.25, "{name}: {sigma}");
        assert_eq!(shape_series(&psf, false).len(), if name == "PCA-PIX" { 3 } else { 2 });
        assert!(psf.defects().fibres.is_empty(), "{:?}", psf.defects());
    }
}

#[test]
fn one_image_is_moved_by_whole_samples_and_then_by_a_sinc() {
    let psf = read(&mono_spot());
    let centres: Vec<[f64; 2]> = spots_of(&psf, 1, false)
        .iter()
        .map(|(x, y, x0, y0, spot)| {
            let moments = Moments::of(spot, 9).unwrap();
            [*x0 as f64 + 4.0 + moments.centroid[0] - x, *y0 as f64 + 4.0 + moments.centroid[1] - y]
        })
        .collect();
    // The spot's own centroid lies beside its middle sample; it stays there wherever the trace is.
    for axis in 0..2 {
        let values = centres.iter().map(|c| c[axis]);
        let [low, high] = values.fold([f64::MAX, f64::MIN], |[low, high], v| [low.min(v), high.max(v)]);
        assert!(high - low < 0.01, "axis {axis}: {low} to {high}");
    }
}

#[test]
fn two_cores_are_their_sum_within_the_cut_and_the_even_window() {
    let psf = read(&two_cores());
    let Form::TwoCores(core) = &psf.form else { panic!("{}", psf.form.name()) };
    assert_eq!((psf.half_x, psf.half_y, core.gh.len(), psf.gh.len()), (7, 6, 1, 4));
    let one = SpotShape { half_x: 7, half_y: 6, degree_x: 1, degree_y: 1, tails: false };
    for (x, y, x0, y0, found) in spots_of(&psf, 2, false) {
        // The trace y is linear in u.
        let u = (y - 39.5) / 42.1;
        let value = |series: &spextral::psf::LegendreSeries| legendre(series.of(2), u);
        let params: Vec<f64> = [&psf.sigma_x, &psf.sigma_y].into_iter().chain(&psf.gh).map(value).collect();
        let offset = (x - x0 as f64 - 7.0, y - y0 as f64 - 6.0);
        // Un-normalised cores: their quotient by a spot of sum 1 is the same everywhere.
        let mut first = vec![0.0; one.size()];
        spot(&one, offset, &params, &mut first);
        let mut second = vec![0.0; one.size()];
        let wide = SpotShape { degree_x: 0, degree_y: 0, ..one };
        spot(&wide, offset, &[value(&core.sigma_x), value(&core.sigma_y), 1.0], &mut second);
        let lit = |k: usize| found[k] > 0.0;
        for k in 0..one.size() {
            let (dx, dy) = ((k % 15) as f64 - 7.0 - offset.0, (k / 15) as f64 - 6.0 - offset.1);
            let from =
                [(x0 + (k % 15) as i64, x), (y0 + (k / 15) as i64, y)].map(|(pixel, at)| pixel - at.floor() as i64);
            let inside = (-6..6).contains(&from[0]) && (-5..5).contains(&from[1]);
            assert_eq!(lit(k), inside, "pixel {k} at {x}, {y}");
            let cut = (dx / params[0]).powi(2) + (dy / params[1]).powi(2) >= 3.5 * 3.5;
            if cut && inside {
                let ratio = found[k] / second[k];
                assert!((0.04..0.06).contains(&ratio), "pixel {k}: only the second core is there, {ratio}");
            }
        }
    }
}

#[test]
fn a_gauss_hermite_psf_sampled_on_a_grid_differs_as_the_square_of_the_samples_size_and_survives_its_file() {
    let synthetic = Synthetic { nfibre: 4, bundlesize: 4, npix_y: Some(200), ..Synthetic::default() };
    let psf = synthetic.build().unwrap();
    let worst = |oversampling: usize| {
        let grid = sampled(&psf, GridSize { oversampling, positions: 4, waves: 9 }).unwrap();
        let mut worst = 0.0f64;
        for ((_, _, x0, y0, own), (_, _, x1, y1, of_grid)) in
            spots_of(&psf, 2, false).iter().zip(spots_of(&grid, 2, false))
        {
            let (nx, wide) = (2 * psf.half_x + 1, 2 * grid.half_x + 1);
            let peak = own.iter().copied().fold(0.0, f64::max);
            for (k, p) in own.iter().enumerate() {
                let at = ((k / nx) as i64 + y0 - y1) * wide as i64 + (k % nx) as i64 + x0 - x1;
                worst = worst.max((p - of_grid[at as usize]).abs() / peak);
            }
        }
        worst
    };
    let [coarse, fine] = [3, 9].map(worst);
    // Linear weights smear by up to 1/8 of a sample squared: 1/8 / 9 of a pixel squared in 3 samples per pixel.
    assert!(coarse < 0.02 && fine < coarse / 5.0, "{coarse:e}, {fine:e}");
    let grid = sampled(&psf, GridSize { oversampling: 3, positions: 4, waves: 3 }).unwrap();
    let dir = folder();
    let path = dir.path().join("grid.fits");
    write_psf(&path, &grid, false).unwrap().persist().unwrap();
    assert_eq!(read_psf(&path).unwrap(), grid);
}

/// Columns of SPOTAT for all six images of the grid, in the order 5, 0, 3, 1, 4, 2.
const MIXED: [usize; 6] = [5, 0, 3, 1, 4, 2];
const AT: [(&str, &[f64]); 2] =
    [("SLITPOS", &[4.0, 0.0, 4.0, 0.0, 4.0, 0.0]), ("WAVELENGTH", &[5190.0, 5010.0, 5010.0, 5080.0, 5080.0, 5190.0])];

/// The largest difference of the spots of two PSFs with windows of one size, over all fibres.
fn farthest(a: &Psf, b: &Psf) -> f64 {
    let of_fibre = |fibre: usize| {
        let pairs = spots_of(a, fibre, false).into_iter().zip(spots_of(b, fibre, false));
        pairs.flat_map(|(a, b)| a.4.into_iter().zip(b.4)).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    (0..a.nfibre).map(of_fibre).fold(0.0, f64::max)
}

/// Writes a PSF and reads it again.
fn again(psf: &Psf) -> Psf {
    let dir = folder();
    let path = dir.path().join("again.fits");
    write_psf(&path, psf, false).unwrap().persist().unwrap();
    read_psf(&path).unwrap()
}

#[test]
fn images_listed_in_any_order_are_those_of_the_grid_that_they_lie_on() {
    let (grid, list) = (read(&spot_grid(&[])), read(&spot_list(&MIXED, &AT, &[], &[])));
    assert_eq!(list.form.name(), "SPOTGRID");
    assert_eq!(farthest(&grid, &list), 0.0);
    let total = read(&spot_list(&MIXED, &AT, &[text("SPOTNORM", "TOTAL")], &[]));
    assert!(farthest(&total, &list) < 0.1);
    assert_eq!(again(&list), list);
    assert_eq!(again(&total), total);
}

#[test]
fn between_images_at_places_of_their_own_every_slit_position_is_a_line_in_wavelength() {
    let at: [(&str, &[f64]); 2] =
        [("SLITPOS", &[0.0, 0.0, 4.0, 4.0]), ("WAVELENGTH", &[5010.0, 5190.0, 5040.0, 5130.0])];
    let psf = read(&spot_list(&[0, 2, 3, 5], &at, &[], &[]));
    let Form::Grid(grid) = &psf.form else { panic!("{}", psf.form.name()) };
    let (parts, n) = (grid.images.parts(), OVERSAMPLING * PIXELS);
    assert_eq!((parts.waves.len(), parts.is_regular()), (2, false));
    for fibre in 0..psf.nfibre {
        for (k, (x, y, x0, y0, found)) in spots_of(&psf, fibre, false).iter().enumerate() {
            let wave = psf.wave_min + (psf.wave_max - psf.wave_min) * k as f64 / 46.0;
            let p = [-0.3, 1.5, 4.2][fibre] / 4.0;
            let [low, high] = [(wave - 5010.0) / 180.0, (wave - 5040.0) / 90.0];
            let weights = [(1.0 - p) * (1.0 - low), (1.0 - p) * low, p * (1.0 - high), p * high];
            let of = |k: usize| weights.iter().zip(parts.samples.chunks(n * n)).map(|(w, image)| w * image[k]).sum();
            let image: Vec<f64> = (0..n * n).map(of).collect();
            let expected = placed(&image, n, OVERSAMPLING, [*x, *y], [*x0, *y0], [9, 9]);
            let worst = found.iter().zip(&expected).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max);
            assert!(worst < 1e-13, "fibre {fibre}, bin {k}: {worst:e}");
        }
    }
    assert_eq!(farthest(&again(&psf), &psf), 0.0);
}

#[test]
fn an_image_lies_where_dx_and_dy_say() {
    let centred = read(&spot_list(&MIXED, &AT, &[], &[]));
    let off: [(&str, &[f64]); 2] = [("DX", &[0.4; 6]), ("DY", &[-1.25; 6])];
    let moved = read(&spot_list(&MIXED, &[AT, off].concat(), &[], &[]));
    assert_eq!([moved.half_x, moved.half_y], [centred.half_x + 2, centred.half_y + 2]);
    for (a, b) in spots_of(&centred, 1, false).iter().zip(spots_of(&moved, 1, false)) {
        let [[ax, ay], [bx, by]] = [(a, 9), (&b, 13)].map(|(of, nx)| Moments::of(&of.4, nx).unwrap().centroid);
        assert!((bx - ax - 0.4).abs() < 1e-3 && (by - ay + 1.25).abs() < 1e-3, "{ax} {ay} {bx} {by}");
    }
}

#[test]
fn light_beside_an_image_stays_out_of_the_flux_where_sums_are_parts_of_all_light() {
    let total = read(&spot_list(&MIXED, &AT, &[text("SPOTNORM", "TOTAL")], &[]));
    let Form::Grid(grid) = &total.form else { panic!("{}", total.form.name()) };
    let mut parts = grid.images.parts().clone();
    parts.samples.iter_mut().for_each(|sample| *sample *= 0.9);
    let images = std::sync::Arc::new(spextral::psf::SpotImages::new(parts).unwrap());
    let mut dimmed = total.clone();
    let form = Form::Grid(Box::new(spextral::psf::SpotGrid { images, ..(**grid).clone() }));
    dimmed.update(|parts| parts.form = form).unwrap();
    let sums = |psf: &Psf| spots_of(psf, 1, false).into_iter().map(|of| of.4.iter().sum::<f64>()).collect::<Vec<_>>();
    for (all, part) in sums(&total).into_iter().zip(sums(&dimmed)) {
        assert!((all - 1.0).abs() < 0.01 && (part - 0.9 * all).abs() < 1e-12, "{all} {part}");
    }
}

#[test]
fn fibres_take_the_images_of_their_own_bundle_and_have_their_own_numbers() {
    let at: [(&str, &[f64]); 3] = [
        ("FIBER", &[3.0, 3.0, 20.0, 20.0]),
        ("WAVELENGTH", &[5010.0, 5190.0, 5010.0, 5190.0]),
        ("BUNDLE", &[7.0, 7.0, 9.0, 9.0]),
    ];
    let fibers = |numbers: &[f64], bundles: &[f64]| named_table("FIBERS", &[("FIBER", numbers), ("BUNDLE", bundles)]);
    let psf = read(&spot_list(&[0, 2, 3, 5], &at, &[], &fibers(&[3.0, 9.0, 17.0], &[7.0, 7.0, 9.0])));
    assert_eq!([0, 1, 2].map(|row| psf.number(row)), [3, 9, 17]);
    assert_eq!((psf.row_of(9), psf.row_of(10)), (Some(1), None));
    let grid = read(&spot_list(&[0, 2, 0, 2], &at[..2], &[], &fibers(&[3.0, 9.0, 17.0], &[7.0, 7.0, 9.0])));
    let of = |psf: &Psf, fibre: usize| spots_of(psf, fibre, false).into_iter().map(|of| of.4).collect::<Vec<_>>();
    let worst = |a: Vec<Vec<f64>>, b: Vec<Vec<f64>>| {
        a.into_iter().flatten().zip(b.into_iter().flatten()).map(|(a, b)| (a - b).abs()).fold(0.0, f64::max)
    };
    for fibre in [0, 1] {
        assert!(worst(of(&psf, fibre), of(&grid, fibre)) < 1e-14, "fibre {fibre} has nothing of the other bundle");
    }
    assert!(worst(of(&psf, 2), of(&grid, 2)) > 1e-3);
    let written = again(&psf);
    assert_eq!(([0, 1, 2].map(|row| written.number(row)), farthest(&written, &psf)), ([3, 9, 17], 0.0));
}

#[test]
fn every_hazard_of_listed_images_and_of_fibres_is_refused_by_a_sentence() {
    let with = |changes: &[(&'static str, &'static [f64])]| {
        let mut at: Vec<(&str, &[f64])> = AT.to_vec();
        for change in changes {
            at.retain(|(name, _)| *name != change.0);
            at.push(*change);
        }
        spot_list(&MIXED, &at, &[], &[])
    };
    let fibers = |columns: &[(&str, &[f64])]| spot_list(&MIXED, &AT, &[], &named_table("FIBERS", columns));
    let bundles = |of_spots: &[f64], of_fibres: &[f64]| {
        let at = [&AT[..], &[("BUNDLE", of_spots)]].concat();
        spot_list(&MIXED, &at, &[], &named_table("FIBERS", &[("BUNDLE", of_fibres)]))
    };
    let cases = [
        (
            with(&[("WAVELENGTH", &[5190.0, 5010.0, 5190.0, 5080.0, 5080.0, 5190.0])]),
            "has rows 0 and 2 (from 0) at one place",
        ),
        (with(&[("WAVELENGTH", &[f64::NAN; 6])]), "row 0 (from 0) has WAVELENGTH NaN"),
        (with(&[("DX", &[65.0; 6])]), "has DX or DY 65"),
        (with(&[("DY", &[60.0; 6])]), "DX or DY is 60 pixels, far beyond images of 21 x 21"),
        (with(&[("BUNDLE", &[1.0, 2.0, 1.0, 2.0, 1.0, 2.0])]), "give the column BUNDLE of a table FIBERS"),
        (spot_list(&MIXED, &AT[..1], &[], &[]), "has no columns FIBER or SLITPOS, and WAVELENGTH, of 6 numbers"),
        (spot_list(&MIXED[..5], &AT, &[], &[]), "of 5 numbers, one per image of SPOTS"),
        (bundles(&[1.0, 1.0, 1.0, 2.0, 1.0, 1.0], &[1.0; 3]), "images of two bundles at the place 0"),
        (bundles(&[2.0, 1.0, 2.0, 1.0, 2.0, 1.0], &[1.0, 1.0, 1.0]), "of which one has no fibre in FIBERS"),
        (bundles(&[2.0, 1.0, 2.0, 1.0, 2.0, 1.0], &[2.0, 1.0, 2.0]), "do not follow one another along the slit"),
        (fibers(&[("FIBER", &[1.0, 2.0])]), "has no integer per fibre in column FIBER, of 3 fibres"),
        (fibers(&[("FIBER", &[5.0, 5.0, 7.0])]), "fibre 5 follows fibre 5"),
        (fibers(&[("WAVEMIN", &[4000.0; 3])]), "has one of WAVEMIN and WAVEMAX"),
        (
            fibers(&[("WAVEMIN", &[4000.0; 3]), ("WAVEMAX", &[3000.0; 3])]),
            "WAVERANGE has WAVEMIN 4000 and WAVEMAX 3000",
        ),
    ];
    for (bytes, expected) in cases {
        let error = error(&bytes);
        assert!(error.contains(expected), "{expected}: {error}");
    }
}

#[test]
fn every_hazard_of_sampled_psfs_is_refused_by_a_sentence() {
    let changed = |bytes: Vec<u8>, from: &str, to: &str| {
        let at = bytes.windows(from.len()).position(|w| w == from.as_bytes()).expect("the card is there");
        let mut bytes = bytes;
        bytes[at..at + to.len()].copy_from_slice(to.as_bytes());
        bytes
    };
    let size = format!("{:<8}= {:>20}", "PIXSIZE", 0.005);
    let cases = [
        (
            changed(spot_grid(&[]), &size, &format!("{:<8}= {:>20}", "PIXSIZE", 0.006)),
            "CCDPIXSZ / PIXSIZE is 2.5, not a whole",
        ),
        (
            changed(spot_grid(&[]), &size, &format!("{:<8}= {:>20}", "PIXSIZE", 0.0075)),
            "images have 21 rows, 2 samples per CCD pixel",
        ),
        (
            changed(mono_spot(), "SCALE   =                    3", "SCALE   =                  2.5"),
            "SCALE is 2.5, not a whole",
        ),
        (spot_grid(&[text("SPOTINTR", "CUBIC")]), "SPOTINTR is CUBIC, and only LINEAR is known"),
        (spot_grid(&[text("SPOTNORM", "PEAK")]), "SPOTNORM is PEAK: it is WINDOW or TOTAL"),
        (spot_grid(&[text("SPOTNORM", "TOTAL")]), "with SPOTNORM TOTAL the sum is the part of the light"),
        (
            changed(spot_grid(&[]), "NSPEC   =                    3", "NSPEC   =                    4"),
            "NSPEC is 4, traces x and y are of 3 and 3",
        ),
        (changed(spot_grid(&[]), "'FIBERPOS'", "'FIBREPOS'"), "has no FIBERPOS HDU"),
        (changed(pca_pix(), "'XEXP    '", "'XPOW    '"), "has no column XEXP of 3 numbers"),
        (changed(two_cores(), "GHNSIG  ", "GHNSIGMA"), "has no row of PARAM GHNSIG"),
        (changed(spot_grid(&[]), "'SPOTGRID'", "'SPOTGRAD'"), "PSFTYPE SPOTGRAD is not supported"),
    ];
    for (bytes, expected) in cases {
        let error = error(&bytes);
        assert!(error.contains(expected), "{expected}: {error}");
    }
    let nan = changed(spot_grid(&[]), "SPOTPOS ", "SPOTPOT ");
    assert!(error(&nan).contains("has no SPOTPOS HDU"));
}

#[test]
fn a_psf_turned_has_its_spots_turned_and_twice_turned_is_itself() {
    let synthetic = Synthetic { nfibre: 3, npix_y: Some(200), half_x: 7, tail_amplitude: 0.01, ..Synthetic::default() };
    let kinds = [spot_grid(&[]), mono_spot(), pca_pix(), two_cores()].map(|bytes| read(&bytes));
    for psf in kinds.into_iter().chain([synthetic.build().unwrap()]) {
        let turned = psf.clone().turned();
        assert_eq!((turned.dispersion, turned.npix_x, turned.half_y), (Dispersion::AlongX, psf.npix_y, psf.half_x));
        for tails in [false, psf.tails.is_some()] {
            let shape = [2 * psf.half_y + 1, 2 * psf.half_x + 1];
            for (own, other) in spots_of(&psf, 1, tails).into_iter().zip(spots_of(&turned, 1, tails)) {
                assert_eq!(((own.0, own.1), (own.2, own.3)), ((other.1, other.0), (other.3, other.2)));
                assert_eq!(own.4.len(), shape[0] * shape[1]);
                let worst =
                    (0..own.4.len()).map(|k| (own.4[k] - other.4[k % shape[1] * shape[0] + k / shape[1]]).abs());
                // A sinc goes on from the end of a row to the next one, or of a column.
                let bound = if matches!(psf.form.name(), "MONOSPOT" | "PCA-PIX") { 1e-3 } else { 1e-15 };
                assert!(worst.fold(0.0, f64::max) < bound, "{}", psf.form.name());
            }
        }
        assert_eq!(turned.turned(), psf, "{}", psf.form.name());
    }
}
