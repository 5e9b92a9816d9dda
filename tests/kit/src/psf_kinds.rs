//! PSFs of every kind but Gauss-Hermite: small files as bytes, and a Gauss-Hermite PSF with spots of another kind.

use crate::files::{empty_primary, header};
use spextral::psf::{
    Form, LegendreSeries, PixelPolynomial, PolynomialImages, PolynomialParts, Psf, Remainder, SecondCore, SpotGrid,
    SpotImages,
};
use spextral::stages::spot_samples::{GridSize, sampled};
use std::sync::Arc;

/// Fibres of the files, and pixels of their CCD.
pub const NFIBRE: usize = 3;
pub const CCD: [usize; 2] = [60, 80];
/// Wavelengths of the traces' ends, Angstrom.
pub const DOMAIN: [f64; 2] = [5000.0, 5200.0];
/// Samples per pixel.
pub const OVERSAMPLING: usize = 3;
/// Pixels of an oversampled image.
pub const PIXELS: usize = 7;

/// An HDU of its cards and data.
fn hdu(cards: &[String], data: &[u8]) -> Vec<u8> {
    let cards: Vec<&str> = cards.iter().map(String::as_str).collect();
    let mut bytes = header(&cards);
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    bytes
}

fn card(keyword: &str, value: impl std::fmt::Display) -> String {
    format!("{keyword:<8}= {value:>20}")
}

/// A card of a text.
pub fn text(keyword: &str, value: &str) -> String {
    format!("{keyword:<8}= '{value:<8}'")
}

/// An image extension of reals; `shape` is numpy's.
pub fn image(name: &str, shape: &[usize], values: &[f64], more: &[String]) -> Vec<u8> {
    let mut cards = vec![text("XTENSION", "IMAGE"), card("BITPIX", -64), card("NAXIS", shape.len())];
    cards.extend(shape.iter().rev().enumerate().map(|(k, n)| card(&format!("NAXIS{}", k + 1), n)));
    cards.extend([card("PCOUNT", 0), card("GCOUNT", 1)]);
    if !name.is_empty() {
        cards.push(text("EXTNAME", name));
    }
    cards.extend_from_slice(more);
    hdu(&cards, &values.iter().flat_map(|v| v.to_be_bytes()).collect::<Vec<u8>>())
}

/// A table of columns of one real per row, or one integer where the name is that of a number or a bundle.
fn table(columns: &[(&str, &[f64])]) -> Vec<u8> {
    named_table("", columns)
}

/// Such a table with a name.
pub fn named_table(name: &str, columns: &[(&str, &[f64])]) -> Vec<u8> {
    let is_whole = |name: &str| matches!(name, "FIBER" | "BUNDLE");
    let rows = columns[0].1.len();
    let mut cards = vec![text("XTENSION", "BINTABLE"), card("BITPIX", 8), card("NAXIS", 2)];
    cards.extend([card("NAXIS1", 8 * columns.len()), card("NAXIS2", rows), card("PCOUNT", 0), card("GCOUNT", 1)]);
    cards.push(card("TFIELDS", columns.len()));
    if !name.is_empty() {
        cards.push(text("EXTNAME", name));
    }
    for (k, (name, _)) in columns.iter().enumerate() {
        let form = if is_whole(name) { "K" } else { "D" };
        cards.extend([text(&format!("TTYPE{}", k + 1), name), text(&format!("TFORM{}", k + 1), form)]);
    }
    let cell = |name: &str, value: f64| if is_whole(name) { (value as i64).to_be_bytes() } else { value.to_be_bytes() };
    let data = (0..rows).flat_map(|row| columns.iter().flat_map(move |(name, values)| cell(name, values[row])));
    hdu(&cards, &data.collect::<Vec<u8>>())
}

/// The primary HDU of a kind.
fn primary(kind: &str) -> Vec<u8> {
    let mut cards: Vec<String> =
        vec![card("SIMPLE", "T"), card("BITPIX", 8), card("NAXIS", 0), text("PSFTYPE", kind), card("NSPEC", NFIBRE)];
    cards.extend([card("NPIX_X", CCD[0]), card("NPIX_Y", CCD[1]), card("PSFERR", "0.02")]);
    cards.extend([card("CCDPIXSZ", "0.015"), card("PIXSIZE", 0.015 / OVERSAMPLING as f64)]);
    hdu(&cards, &[])
}

/// The traces of every kind: three fibres, the first of them at the edge of the CCD.
fn traces() -> Vec<u8> {
    let ends = [card("WAVEMIN", DOMAIN[0]), card("WAVEMAX", DOMAIN[1])];
    let x = [1.2, 0.7, 0.1, 20.3, 0.7, 0.1, 41.9, 0.7, 0.1];
    let y = [39.5, 42.1, 0.4, 39.7, 42.0, 0.4, 39.4, 41.9, 0.4];
    [image("XCOEFF", &[NFIBRE, 3], &x, &ends), image("YCOEFF", &[NFIBRE, 3], &y, &ends)].concat()
}

/// A spot that is neither round nor even, of `n` x `n` samples, `per_pixel` of them in a pixel.
fn sampled_spot(n: usize, per_pixel: usize, width: f64, skew: f64) -> Vec<f64> {
    let at = |k: usize| (k as f64 - 0.5 * (n as f64 - 1.0)) / per_pixel as f64;
    let value = |k: usize| {
        let (x, y) = (at(k % n), at(k / n));
        let core = -0.5 * ((x - skew * y * y).powi(2) + (y + 0.2 * x).powi(2)) / (width * width);
        core.exp() * (1.0 + 0.2 * x.tanh())
    };
    (0..n * n).map(value).collect()
}

/// A SPOTGRID of 2 x 3 images; `more` are cards of SPOTS.
pub fn spot_grid(more: &[String]) -> Vec<u8> {
    let (positions, waves, n) = ([0.0, 4.0], [5010.0, 5080.0, 5190.0], OVERSAMPLING * PIXELS);
    let spots = positions.iter().flat_map(|p| {
        waves.iter().flat_map(move |w| sampled_spot(n, OVERSAMPLING, 0.9 + 0.05 * p + 0.001 * (w - 5000.0), 0.02 * p))
    });
    let spots = image("SPOTS", &[2, 3, n, n], &spots.collect::<Vec<f64>>(), more);
    let places = [("SPOTPOS", &positions[..]), ("SPOTWAVE", &waves), ("FIBERPOS", &[-0.3, 1.5, 4.2])];
    let places = places.map(|(name, values)| image(name, &[values.len()], values, &[]));
    [primary("SPOTGRID"), traces(), spots, places.concat()].concat()
}

/// Makes a SPOTGRID of some images of [`spot_grid`], `[position, wave]` in one number, at places of their own. It has the
/// columns `at` in SPOTAT, `more` cards of SPOTS, and `rest`, further HDUs. With cards the sum of an image is 1.
pub fn spot_list(images: &[usize], at: &[(&str, &[f64])], more: &[String], rest: &[u8]) -> Vec<u8> {
    let (positions, waves, n) = ([0.0, 4.0], [5010.0, 5080.0, 5190.0], OVERSAMPLING * PIXELS);
    let of = |k: &usize| {
        let (p, w) = (positions[k / 3], waves[k % 3]);
        let image = sampled_spot(n, OVERSAMPLING, 0.9 + 0.05 * p + 0.001 * (w - 5000.0), 0.02 * p);
        let sum: f64 = if more.is_empty() { 1.0 } else { image.iter().sum() };
        image.into_iter().map(move |p| p / sum)
    };
    let spots = image("SPOTS", &[images.len(), n, n], &images.iter().flat_map(of).collect::<Vec<f64>>(), more);
    let fibres = image("FIBERPOS", &[NFIBRE], &[-0.3, 1.5, 4.2], &[]);
    [primary("SPOTGRID"), traces(), spots, named_table("SPOTAT", at), fibres, rest.to_vec()].concat()
}

/// A MONOSPOT.
pub fn mono_spot() -> Vec<u8> {
    let n = OVERSAMPLING * PIXELS;
    let spot = image("SPOT", &[n, n], &sampled_spot(n, OVERSAMPLING, 1.0, 0.05), &[card("SCALE", OVERSAMPLING)]);
    [primary("MONOSPOT"), traces(), spot].concat()
}

/// A PCA-PIX of two groups and three images of 9 x 7 pixels each.
pub fn pca_pix() -> Vec<u8> {
    let base = |width: f64| {
        (0..63)
            .map(move |k| (-0.5 * ((f64::from(k % 7) - 3.0).powi(2) + (f64::from(k / 7) - 4.0).powi(2)) / width).exp())
    };
    let group = |g: f64| {
        let tilt = base(1.0).zip(0..).map(move |(p, k)| 0.1 * p * (f64::from(k % 7) - 3.0 + g));
        base(1.0 + g).chain(tilt).chain(base(2.0).map(|p| 0.05 * p))
    };
    let images: Vec<f64> = group(0.0).chain(group(0.3)).collect();
    let powers = table(&[("IMODEL", &[0.0, 1.0, 2.0]), ("XEXP", &[0.0, 1.0, 0.0]), ("YEXP", &[0.0, 0.0, 2.0])]);
    let fibres = table(&[
        ("IGROUP", &[0.0, 0.0, 1.0]),
        ("X0", &[30.0; 3]),
        ("XSCALE", &[0.02; 3]),
        ("Y0", &[40.0; 3]),
        ("YSCALE", &[0.015; 3]),
    ]);
    [primary("PCA-PIX"), traces(), powers, fibres, image("", &[2, 3, 9, 7], &images, &[])].concat()
}

/// A GAUSS-HERMITE2, PSFVER 1: traces as rows of the table, degrees 1 and 0, two terms per series.
pub fn two_cores() -> Vec<u8> {
    let rows: [(&str, [f64; 2]); 17] = [
        ("X", [20.3, 0.7]),
        ("Y", [39.5, 42.1]),
        ("GHSIGX", [1.0, 0.02]),
        ("GHSIGY", [1.1, 0.03]),
        ("GHNSIG", [3.5, 0.0]),
        ("GHSIGX2", [2.0, 0.1]),
        ("GHSIGY2", [2.2, 0.0]),
        ("GH-0-0", [1.0, 0.0]),
        ("GH-0-1", [0.02, 0.0]),
        ("GH-1-0", [-0.01, 0.01]),
        ("GH-1-1", [0.03, 0.0]),
        ("GH2-0-0", [0.05, 0.0]),
        ("TAILAMP", [0.001, 0.0]),
        ("TAILCORE", [1.0, 0.0]),
        ("TAILXSCA", [1.0, 0.0]),
        ("TAILYSCA", [1.0, 0.0]),
        ("TAILINDE", [2.0, 0.0]),
    ];
    let mut cards = vec![text("XTENSION", "BINTABLE"), card("BITPIX", 8), card("NAXIS", 2)];
    cards.extend([
        card("NAXIS1", 8 + 8 * 2 * NFIBRE),
        card("NAXIS2", rows.len()),
        card("PCOUNT", 0),
        card("GCOUNT", 1),
    ]);
    cards.extend([card("TFIELDS", 2), text("TTYPE1", "PARAM"), text("TFORM1", "8A"), text("TTYPE2", "COEFF")]);
    cards.push(text("TFORM2", &format!("{}D", 2 * NFIBRE)));
    cards.extend([
        text("PSFTYPE", "GAUSS-HERMITE2"),
        text("PSFVER", "1"),
        card("WAVEMIN", DOMAIN[0]),
        card("WAVEMAX", DOMAIN[1]),
    ]);
    let numbers = [("FIBERMIN", 0), ("FIBERMAX", NFIBRE - 1), ("NPIX_X", CCD[0]), ("NPIX_Y", CCD[1]), ("HSIZEX", 6)];
    let degrees = [("HSIZEY", 5), ("GHDEGX", 1), ("GHDEGY", 1), ("GHDEGX2", 0), ("GHDEGY2", 0), ("LEGDEG", 1)];
    cards.extend(numbers.into_iter().chain(degrees).map(|(keyword, value)| card(keyword, value)));
    let data = rows.iter().flat_map(|(name, coeff)| {
        let fibres = (0..NFIBRE).flat_map(move |fibre| {
            let first = coeff[0] + if *name == "X" { 10.0 * fibre as f64 } else { 0.0 };
            first.to_be_bytes().into_iter().chain(coeff[1].to_be_bytes())
        });
        format!("{name:<8}").into_bytes().into_iter().chain(fibres)
    });
    [empty_primary(), hdu(&cards, &data.collect::<Vec<u8>>())].concat()
}

/// A series that has one value per fibre of `psf`.
fn constants(psf: &Psf, value: impl Fn(usize) -> f64) -> LegendreSeries {
    LegendreSeries { domain: psf.trace_y.domain, ncoeff: 1, coeff: (0..psf.nfibre).map(value).collect() }
}

/// A Gauss-Hermite PSF, its first core cut off at 3 sigma, with a second one of degrees 1 and 2.
pub fn with_second_core(mut psf: Psf) -> Psf {
    let gh = (0..6)
        .map(|k| constants(&psf, |fibre| [0.1, 0.004, -0.002, 0.003, 0.001, -0.003][k] * (1.0 + 0.05 * fibre as f64)));
    let core = SecondCore {
        cut: constants(&psf, |_| 3.0),
        sigma_x: constants(&psf, |fibre| 1.9 + 0.02 * fibre as f64),
        sigma_y: constants(&psf, |_| 2.1),
        gh: gh.collect(),
        degree_x: 1,
        degree_y: 2,
    };
    psf.update(|parts| parts.form = Form::TwoCores(Box::new(core))).unwrap();
    psf
}

/// A Gauss-Hermite PSF with one of its spots everywhere, moved by a sinc.
pub fn with_one_image(psf: &Psf) -> Psf {
    let mut psf = sampled(psf, GridSize { oversampling: 5, positions: 2, waves: 2 }).unwrap();
    let Form::Grid(grid) = &psf.form else { unreachable!("a grid") };
    let mut parts = grid.images.parts().clone();
    parts.samples.truncate(parts.ny * parts.nx);
    (parts.positions, parts.waves) = (vec![0.0], vec![vec![5000.0]]);
    parts.remainder = Remainder::Sinc;
    let images = Arc::new(SpotImages::new(parts).unwrap());
    let position = constants(&psf, |_| 0.0);
    let form = Form::Grid(Box::new(SpotGrid { images, position, ..(**grid).clone() }));
    psf.update(|parts| parts.form = form).unwrap();
    psf
}

/// A Gauss-Hermite PSF with images in pixels of two groups, and powers of the position up to the second.
pub fn with_powers(mut psf: Psf) -> Psf {
    let (ny, nx) = (2 * psf.half_y + 1, 2 * psf.half_x + 1);
    let spot = |k: usize, width: f64| {
        let [x, y] = [(k % nx) as f64 - psf.half_x as f64, (k / nx) as f64 - psf.half_y as f64];
        ((-0.5 * (x * x + y * y) / (width * width)).exp(), x, y)
    };
    let powers = vec![[0, 0], [1, 0], [0, 1], [1, 1], [0, 2]];
    let value = |group: usize, term: usize, k: usize| {
        let (core, x, y) = spot(k, 1.1 + 0.15 * group as f64);
        core * [1.0, 0.05 * x, 0.04 * y, 0.02 * x * y, 0.03 * (x * x - y * y)][term]
    };
    let pixels = ny * nx;
    let images =
        (0..2 * powers.len() * pixels).map(|k| value(k / pixels / powers.len(), k / pixels % powers.len(), k % pixels));
    let images = PolynomialParts { images: images.collect(), powers, ny, nx };
    let scaled = |trace: &LegendreSeries, n: usize| {
        let (mut series, half) = (trace.clone(), 0.5 * n as f64);
        for of_fibre in series.coeff.chunks_exact_mut(series.ncoeff) {
            of_fibre.iter_mut().for_each(|c| *c /= half);
            of_fibre[0] -= 1.0;
        }
        series
    };
    let polynomial = PixelPolynomial {
        images: Arc::new(PolynomialImages::new(images).unwrap()),
        group: constants(&psf, |fibre| (fibre % 2) as f64),
        x: scaled(&psf.trace_x, psf.npix_x),
        y: scaled(&psf.trace_y, psf.npix_y),
    };
    psf.update(|parts| {
        (parts.gh, parts.gh_degree_x, parts.gh_degree_y, parts.tails) = (Vec::new(), 0, 0, None);
        parts.form = Form::Polynomial(Box::new(polynomial));
    })
    .unwrap();
    psf
}
