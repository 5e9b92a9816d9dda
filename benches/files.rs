//! Reading and writing files, timed by file kind: `cargo bench --bench files -- [--nfibre N] [--repeat K] [--json FILE]`.
//!
//! The files are those of a simulated DESI r frame, made anew in a temporary folder. Each time is the best of `repeat`
//! rounds over all kinds; speeds count the bytes of the plain file, so that kinds compare.

use fitsio_pure::compress::{CompressPixel, Quantize, TileCompression, compress_image_hdu};
use fitsio_pure::header::Card;
use fitsio_pure::value::Value;
use spextral::fits::{
    Image, Pixels, Preproc, PreprocOptions, read_frame, read_preproc, read_psf, write_frame, write_images, write_model,
    write_preproc, write_psf,
};
use spextral::frame::{Frame, Spectra, SpectraParts};
use spextral::psf::Psf;
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Simulation, simulate};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

/// Bins of the frame that is written.
const NWAVE: usize = 2326;

/// Something to time, and the size of the plain file.
type Task<'a> = (String, u64, Box<dyn Fn() + 'a>);

fn main() {
    let args: Vec<String> = std::env::args().collect();
    let value = |name: &str| args.iter().position(|a| a == name).and_then(|k| args.get(k + 1)).cloned();
    let number = |name: &str, default| value(name).map_or(default, |v| v.parse::<usize>().expect("a whole number"));
    let psf = Synthetic { nfibre: number("--nfibre", 500), ..Synthetic::default() }.build().expect("a DESI-like PSF");
    let preproc = simulate(&psf, &Simulation::default()).expect("a DESI-like frame").preproc;
    let frame = frame_of(&preproc, psf.nfibre, 2 * psf.half_y + 1);
    let dir = tempfile::tempdir().expect("a temporary folder");
    let tasks = tasks(dir.path(), &psf, &preproc, &frame);
    let times = (0..number("--repeat", 5).max(1)).map(|_| tasks.iter().map(|(_, _, task)| time(task)).collect());
    let best = times.reduce(|a: Vec<Duration>, b: Vec<Duration>| a.into_iter().zip(b).map(|(a, b)| a.min(b)).collect());
    let best = best.expect("at least one round");
    println!("{} fibres, {} threads", psf.nfibre, rayon::current_num_threads());
    println!("{:40} {:>8} {:>9} {:>8}", "file", "MB", "seconds", "MB/s");
    for ((name, bytes, _), time) in tasks.iter().zip(&best) {
        let (mb, seconds) = (*bytes as f64 / 1e6, time.as_secs_f64());
        println!("{name:40} {mb:8.1} {seconds:9.3} {:8.0}", mb / seconds);
    }
    if let Some(path) = value("--json") {
        let row = |((name, bytes, _), time): (&Task, &Duration)| serde_json::json!({ "file": name, "bytes": bytes, "seconds": time.as_secs_f64() });
        let rows: Vec<serde_json::Value> = tasks.iter().zip(&best).map(row).collect();
        std::fs::write(path, serde_json::Value::from(rows).to_string()).expect("the JSON file can be written");
    }
}

fn time(task: &dyn Fn()) -> Duration {
    let start = Instant::now();
    task();
    start.elapsed()
}

/// All kinds of files, written once so that they can be read.
fn tasks<'a>(dir: &Path, psf: &'a Psf, preproc: &'a Preproc, frame: &'a Frame) -> Vec<Task<'a>> {
    let path = |name: &str| dir.join(name);
    let options = PreprocOptions::default();
    let plain = path("preproc.fits");
    write_preproc(&plain, preproc, true).expect("written").persist().expect("written");
    let bytes = size(&plain);
    let mut tasks: Vec<Task> = Vec::new();
    let mut read = |name: String, file: PathBuf| {
        let options = options.clone();
        tasks.push((
            format!("read {name}"),
            bytes,
            Box::new(move || drop(read_preproc(&file, &options).expect("read"))),
        ));
    };
    let packed = path("preproc.fits.gz");
    write_preproc(&packed, preproc, true).expect("written").persist().expect("written");
    read("preproc.fits".into(), plain);
    read("preproc.fits.gz".into(), packed);
    let kinds = [
        ("RICE_1", TileCompression::rice().quantize(Quantize::new()), TileCompression::rice()),
        ("GZIP_1", TileCompression::gzip().lossless(), TileCompression::gzip()),
        ("GZIP_2", TileCompression::gzip2().lossless(), TileCompression::gzip2()),
    ];
    for (name, floats, bits) in kinds {
        let file = path(&format!("{name}.fits.fz"));
        std::fs::write(&file, tiled(dir, preproc, &floats, &bits)).expect("written");
        read(format!("preproc.fits.fz, {name}"), file);
    }
    let file = path("psf.fits");
    write_psf(&file, psf, true).expect("written").persist().expect("written");
    tasks.push(("read psf.fits".into(), size(&file), Box::new(move || drop(read_psf(&file).expect("read")))));
    for name in ["preproc.fits", "preproc.fits.gz"] {
        let file = path(name);
        tasks.push((
            format!("write {name}"),
            bytes,
            Box::new(move || write_preproc(&file, preproc, true).expect("written").persist().expect("written")),
        ));
    }
    let plain = path("frame.fits");
    write_frame(&plain, frame, true).expect("written").persist().expect("written");
    let bytes = size(&plain);
    for name in ["frame.fits", "frame.fits.gz"] {
        let file = path(name);
        tasks.push((
            format!("write {name}"),
            bytes,
            Box::new(move || write_frame(&file, frame, true).expect("written").persist().expect("written")),
        ));
    }
    tasks.push(("read frame.fits".into(), bytes, Box::new(move || drop(read_frame(&plain).expect("read")))));
    let file = path("model.fits");
    let write = move || {
        write_model(&file, preproc.ccd.image(), preproc.ccd.nx(), preproc.ccd.ny(), &preproc.header, true)
            .expect("written")
            .persist()
            .expect("written")
    };
    tasks.push(("write model.fits".into(), 4 * preproc.ccd.image().len() as u64, Box::new(write)));
    tasks
}

fn size(file: &Path) -> u64 {
    std::fs::metadata(file).expect("it has been written").len()
}

/// IMAGE, IVAR and MASK tile-compressed, as fpack does it.
fn tiled(dir: &Path, preproc: &Preproc, floats: &TileCompression, bits: &TileCompression) -> Vec<u8> {
    let primary = dir.join("primary.fits");
    let empty = Image { name: "", unit: "", shape: vec![0], pixels: Pixels::F32(&[]) };
    write_images(&primary, &preproc.header, &[empty], true).expect("written").persist().expect("written");
    let mut bytes = std::fs::read(primary).expect("read");
    bytes.extend(hdu("IMAGE", preproc, preproc.ccd.image(), floats));
    bytes.extend(hdu("IVAR", preproc, preproc.ccd.ivar(), floats));
    bytes.extend(hdu("MASK", preproc, preproc.mask.as_ref().expect("simulated frames have one"), bits));
    bytes
}

fn hdu<T: CompressPixel>(name: &str, preproc: &Preproc, pixels: &[T], by: &TileCompression) -> Vec<u8> {
    let extname = Card::new("EXTNAME", Value::String(name.into())).expect("a card");
    compress_image_hdu(&[preproc.ccd.nx(), preproc.ccd.ny()], pixels, by, &[extname]).expect("compressed")
}

/// A frame of spectra that look like noise, as real ones do to a file.
fn frame_of(preproc: &Preproc, nspec: usize, ndiag: usize) -> Frame {
    let noise =
        |n: usize| preproc.ccd.image().iter().cycle().map(|&p| f64::from(p) * (1.0 + 1e-9)).take(n).collect::<Vec<_>>();
    let n = nspec * NWAVE;
    let spectra = Spectra::new(SpectraParts {
        nspec,
        nwave: NWAVE,
        ndiag,
        flux: noise(n),
        ivar: noise(n),
        resolution: noise(n * ndiag).into(),
        chi2pix: noise(n),
        pixmask_fraction: Vec::new(),
        mask: vec![0; n],
    })
    .unwrap();
    let wave = (0..NWAVE).map(|i| 5760.0 + 0.8 * i as f64).collect();
    let fibermap = preproc.fibermap.as_ref().map(|table| table.slice_rows(0..nspec));
    Frame { spectra, wave, header: preproc.header.clone(), fibermap, scores: None }
}
