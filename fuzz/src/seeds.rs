//! Small files of every kind, made by this project's own writers: what damage begins with.

use fitsio_pure::compress::{Quantize, TileCompression};
use spextral::fits::{Image, Pixels, write_frame, write_images, write_model, write_preproc, write_psf};
use spextral::fits::{Truth, write_truth};
use spextral::frame::Header;
use std::path::Path;
use testkit::files::{folder, frame, packed, preproc, psf, psf_version_2, tiled_preproc};
use testkit::psf_kinds::{mono_spot, named_table, pca_pix, spot_grid, spot_list, text, two_cores};

/// The bytes of a file that `write` writes.
fn file(name: &str, write: impl FnOnce(&Path)) -> Vec<u8> {
    let home = folder();
    let path = home.path().join(name);
    write(&path);
    std::fs::read(path).expect("it has been written")
}

/// Preproc frames: plain, gzipped, tile-compressed in every way that is read, and with scaled integers.
pub fn preprocs() -> Vec<Vec<u8>> {
    let plain =
        |name| file(name, |path| write_preproc(path, &preproc(), true).expect("written").persist().expect("written"));
    let mut all = vec![plain("a.fits"), plain("a.fits.gz"), packed(), scaled()];
    let ways = [
        (TileCompression::gzip().lossless(), TileCompression::rice()),
        (TileCompression::gzip2().lossless(), TileCompression::gzip2().tile_dims(&[4, 3])),
        (TileCompression::rice().quantize(Quantize::new()), TileCompression::rice().tile_rows(5)),
        (TileCompression::gzip().quantize(Quantize::new()), TileCompression::gzip()),
    ];
    all.extend(ways.map(|(floats, bits)| tiled_preproc(&floats, &bits)));
    all
}

/// Gzip files alone.
pub fn gzips() -> Vec<Vec<u8>> {
    let packed =
        file("a.fits.gz", |path| write_preproc(path, &preproc(), true).expect("written").persist().expect("written"));
    let twice = [packed.clone(), packed.clone()].concat();
    let padded = [packed.clone(), vec![0; 512]].concat();
    let model = file("m.fits.gz", |path| {
        write_model(path, &[0.0; 40_000], 200, 200, &Header::new(), true).expect("written").persist().expect("written");
    });
    vec![packed, twice, padded, model]
}

/// An image of integers with BSCALE, BZERO and BLANK.
fn scaled() -> Vec<u8> {
    file("a.fits", |path| {
        let bits: Vec<i32> = (0..30).collect();
        let image = |name| Image { name, unit: "", shape: vec![5, 6], pixels: Pixels::I32(&bits) };
        write_images(path, &Header::new(), &[image("IMAGE"), image("IVAR")], true)
            .expect("written")
            .persist()
            .expect("written");
        let bytes = std::fs::read(path).expect("it has been written");
        let cards = ["BSCALE  = 0.5", "BZERO   = 32768.0", "BLANK   = -1"].map(|card| format!("{card:<80}"));
        // Blank cards before END make room.
        let end = bytes.windows(80).position(|card| card.starts_with(b"END     ")).expect("a header ends");
        let mut more = bytes;
        more[end..end + 240].copy_from_slice(cards.concat().as_bytes());
        more[end + 240..end + 320].copy_from_slice(format!("{:<80}", "END").as_bytes());
        std::fs::write(path, more).expect("written");
    })
}

/// PSFs of both versions.
pub fn psfs() -> Vec<Vec<u8>> {
    let three = file("a.fits", |path| write_psf(path, &psf(), true).expect("written").persist().expect("written"));
    vec![three, psf_version_2(1), psf_version_2(2)]
}

/// PSFs of sampled spots, and of two cores.
pub fn sampled_psfs() -> Vec<Vec<u8>> {
    let at: [(&str, &[f64]); 4] = [
        ("FIBER", &[3.0, 3.0, 20.0, 20.0]),
        ("WAVELENGTH", &[5010.0, 5190.0, 5040.0, 5130.0]),
        ("BUNDLE", &[7.0, 7.0, 9.0, 9.0]),
        ("DX", &[0.4; 4]),
    ];
    let fibres: [(&str, &[f64]); 4] = [
        ("FIBER", &[3.0, 9.0, 17.0]),
        ("BUNDLE", &[7.0, 7.0, 9.0]),
        ("WAVEMIN", &[4000.0; 3]),
        ("WAVEMAX", &[4100.0; 3]),
    ];
    let list = spot_list(&[0, 2, 3, 5], &at, &[text("SPOTNORM", "TOTAL")], &named_table("FIBERS", &fibres));
    vec![spot_grid(&[]), mono_spot(), pca_pix(), two_cores(), list]
}

/// Tables of wavelengths, as text and as images.
pub fn wave_tables() -> Vec<Vec<u8>> {
    let text = "fibre,wavelength\n1,5000\n1,5000.8\n1,5001.7\n2,5000.1\n2,5000.9\n2,5001.8\n";
    let wave = [5000.0, 5000.8, 5001.6, 5000.1, 5000.9, 5001.7];
    let image = |path: &Path| {
        let image = [Image { name: "WAVELENGTH", unit: "Angstrom", shape: vec![2, 3], pixels: Pixels::F64(&wave) }];
        write_images(path, &Header::new(), &image, true).expect("written").persist().expect("written");
    };
    vec![text.into(), b"wavelength\n5000\n5001\n5002\n".to_vec(), file("a.fits", image)]
}

/// Line lists, as text.
pub fn line_lists() -> Vec<Vec<u8>> {
    let lists = ["# air\n4046.565 HgI 3\n4077.837 HgI\n", "# vacuum\n5000\n5001.5 Xx 0.5\n"];
    lists.map(|list| list.as_bytes().to_vec()).to_vec()
}

/// Tables of measured spots as text.
pub fn spots() -> Vec<Vec<u8>> {
    let row = |k: usize| format!("{},{},{},{},1.1,1.3,0.01\n", k / 4, 5000 + 10 * k, 5 + k / 4 * 9, 10 * (k % 4));
    let rows: String = (0..12).map(row).collect();
    let plain = format!("fibre,wavelength,x,y,sigma_x,sigma_y,GH-1-0\n{rows}");
    vec![plain.clone().into_bytes(), format!("# spots\r\n\n{}", plain.replace('\n', "\r\n")).into_bytes()]
}

/// Frames, plain and gzipped.
pub fn frames() -> Vec<Vec<u8>> {
    ["a.fits", "a.fits.gz"]
        .map(|name| file(name, |path| write_frame(path, &frame(), true).expect("written").persist().expect("written")))
        .to_vec()
}

/// Truths, and arrays to compare with.
pub fn truths() -> Vec<Vec<u8>> {
    let truth = Truth { fibres: vec![3, 4], wave: vec![6000.0, 6000.8, 6001.6], flux: vec![1.5; 6] };
    let arrays = file("b.fits", |path| {
        let (wave, flux, resolution) = ([6000.0, 6000.8, 6001.6], [1.5; 6], [0.2; 30]);
        let image = |name, shape: &[usize], pixels| Image { name, unit: "", shape: shape.to_vec(), pixels };
        let images = [
            image("FLUX", &[2, 3], Pixels::F64(&flux)),
            image("IVAR", &[2, 3], Pixels::F64(&flux)),
            image("RDIAGS", &[2, 5, 3], Pixels::F64(&resolution)),
            image("PIXMASK_FRACTION", &[2, 3], Pixels::F64(&flux)),
            image("WAVELENGTH", &[3], Pixels::F64(&wave)),
        ];
        write_images(path, &Header::new(), &images, true).expect("written").persist().expect("written");
    });
    vec![file("a.fits", |path| write_truth(path, &truth, true).expect("written").persist().expect("written")), arrays]
}

/// Model images.
pub fn models() -> Vec<Vec<u8>> {
    let model = |path: &Path| {
        write_model(path, &[1.0; 30], 6, 5, &Header::new(), true).expect("written").persist().expect("written")
    };
    vec![file("a.fits", model)]
}

/// A file of every kind, for what reads any.
pub fn every_kind() -> Vec<Vec<u8>> {
    [preprocs(), psfs(), frames(), truths(), models()].concat()
}

/// Manifests.
pub fn manifests() -> Vec<Vec<u8>> {
    let tables = [
        "input,psf,output\na.fits,p.fits,f.fits\n",
        "\u{feff}input,PSF,output,Mask_Bits\r\n# a comment\n\na.fits,p.fits, f.fits ,\"0-7,9\"\n",
        "input,psf,output,wavelength,nspec,model\na,p,\"g \"\"1\"\".fits\",\"5760,7620,0.8\",5,m\n",
    ];
    tables.map(|table| table.as_bytes().to_vec()).to_vec()
}

/// Values of options.
pub fn options() -> Vec<Vec<u8>> {
    let words = ["5760,7620,0.8", "0-7,9", "0x2ff", "none", "auto", "0000:3b:00.0", "jacobi", "4.5e3,1e4,.1"];
    words.map(|word| word.as_bytes().to_vec()).to_vec()
}
