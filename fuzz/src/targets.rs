//! The targets: readers, and the work that follows a reading.

use crate::memory::most_during;
use crate::seeds;
use spextral::barycentric::factor_of_exposure;
use spextral::compare::{Side, read};
use spextral::exposure::Manifest;
use spextral::extract::{ModelFlux, Request, WaveRange, option_names};
use spextral::fits::read_truth;
use spextral::fits::{
    Medium, PreprocOptions, psf_from_spots, read_fibermap, read_frame, read_headers, read_image_f64, read_line_list,
    read_preproc, read_psf, read_wave_table, verify, write_frame, write_preproc,
};
use spextral::frame::{Header, Table};
use spextral::gpu::DeviceChoice;
use spextral::stages::spots::SpotModel;
use spextral::stages::trace_fit::TraceFit;
use spextral::stages::traces::traces;
use std::collections::BTreeSet;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

/// Memory that any reading may take: buffers that threads have ready, a gzip window, a tile of an image.
const BUFFERS: usize = 64 << 20;
/// Bytes held for each byte of a file: pixels of one byte become numbers of eight, twice for a moment.
const A_BYTE: usize = 32;
/// Bytes of memory per packed byte: gzip and tiles unpack to 1100, and the unpacked numbers are converted.
const A_PACKED_BYTE: usize = 1100 * 9;

/// The kind of bytes a target takes.
#[derive(Clone, Copy, Debug)]
pub enum Kind {
    /// A FITS file, gzipped or not.
    File,
    /// Text, and words that make sense in it.
    Words(&'static [&'static str]),
}

/// Something that meets bytes of any origin.
pub struct Target {
    /// Its name.
    pub name: &'static str,
    /// The damage done to its input.
    pub kind: Kind,
    /// The undamaged inputs.
    pub seeds: fn() -> Vec<Vec<u8>>,
    run: fn(&[u8]),
}

/// All targets.
pub static ALL: [Target; 14] = [
    file("headers", seeds::every_kind, headers),
    file("preproc", seeds::preprocs, preproc),
    file("gzip", seeds::gzips, preproc),
    file("psf", seeds::psfs, psf),
    file("sampled", seeds::sampled_psfs, psf),
    Target { name: "spots", kind: Kind::Words(&SPOTS), seeds: seeds::spots, run: spots },
    Target { name: "waves", kind: Kind::Words(&SPOTS), seeds: seeds::wave_tables, run: waves },
    Target { name: "lines", kind: Kind::Words(&LINES), seeds: seeds::line_lists, run: lines },
    file("frame", seeds::frames, frame),
    file("truth", seeds::truths, truth),
    file("model", seeds::models, model),
    file("fibermap", seeds::preprocs, fibermap),
    Target { name: "manifest", kind: Kind::Words(&MANIFEST), seeds: seeds::manifests, run: manifest },
    Target { name: "options", kind: Kind::Words(&OPTIONS), seeds: seeds::options, run: options },
];

const MANIFEST: [&str; 14] =
    ["\"", "\"\"", ",", "\n", "\r\n", "#", "input", "psf", "output", "\u{feff}", "wavelength", "\0", "model", "ß"];
const SPOTS: [&str; 12] =
    [",", "\n", "\"", "#", "fibre", "GH-1-0", "GH-99-99", "1e999", "nan", "-1", "9223372036854775807", "SIMPLE"];
const LINES: [&str; 8] = ["#", "air", "vacuum", "\n", "1e999", "nan", "-1", "\t"];
const OPTIONS: [&str; 21] = [
    ",",
    "-",
    ".",
    ":",
    "0",
    "9",
    "0x",
    "none",
    "1e999",
    "1e308",
    "1e-308",
    "nan",
    "inf",
    "-1",
    "31",
    "32",
    "ffffffff",
    "18446744073709551616",
    "cpu",
    "auto",
    "ß",
];

const fn file(name: &'static str, seeds: fn() -> Vec<Vec<u8>>, run: fn(&[u8])) -> Target {
    Target { name, kind: Kind::File, seeds, run }
}

/// The target of a name.
pub fn find(name: &str) -> Option<&'static Target> {
    ALL.iter().find(|target| target.name == name)
}

/// From now on parallel work stays on this thread: the same damage does the same, sooner.
pub fn use_one_thread() {
    // Whoever has built the pool before has decided.
    let _ = rayon::ThreadPoolBuilder::new().num_threads(1).use_current_thread().build_global();
}

impl Target {
    /// Meets some bytes.
    ///
    /// # Panics
    /// Where the target does, or it held more memory than it may.
    pub fn check(&self, bytes: &[u8]) {
        let most = most_during(|| (self.run)(bytes));
        let allowed = self.allowance(bytes);
        assert!(most <= allowed, "{}: {} bytes made it hold {most}, at most {allowed} allowed", self.name, bytes.len());
    }

    fn allowance(&self, bytes: &[u8]) -> usize {
        let packed = bytes.starts_with(&[0x1f, 0x8b]) || bytes.windows(8).any(|word| word == b"ZCMPTYPE");
        BUFFERS + bytes.len() * if packed { A_PACKED_BYTE } else { A_BYTE }
    }
}

/// A file with these bytes, always the same one, in memory where the system has such a place.
fn at_rest(bytes: &[u8]) -> PathBuf {
    static HOME: OnceLock<tempfile::TempDir> = OnceLock::new();
    let memory = Path::new("/dev/shm");
    let make = || if memory.is_dir() { tempfile::tempdir_in(memory) } else { tempfile::tempdir() };
    let path = HOME.get_or_init(|| make().expect("a temporary folder")).path().join("a.fits");
    std::fs::write(&path, bytes).expect("a temporary file");
    path
}

/// Everything that can be asked of cards, once each: a header of many cards takes long to ask of all.
fn ask(header: &Header) {
    let keywords: BTreeSet<&str> = header.keywords().collect();
    for keyword in keywords {
        let _ = (header.get_f64(keyword), header.get_i64(keyword));
    }
    let _ = (header.commentary("COMMENT"), header.commentary("HISTORY"));
    let mut copy = header.clone();
    for keyword in header.keywords().take(8) {
        copy.set(keyword, 1i64, "");
        copy.add_commentary("HISTORY", keyword);
    }
    let _ = factor_of_exposure(header, Some(&copy));
}

/// Everything that can be asked of a table.
fn ask_table(table: &Table) {
    ask(table.header());
    for column in table.columns().iter().take(20) {
        let _ = (table.column_i64(&column.name), table.column_f64(&column.name), table.column_str(&column.name));
    }
    let half = table.slice_rows(table.nrows() / 2..table.nrows());
    assert_eq!(half.nrows(), table.nrows() - table.nrows() / 2);
}

fn headers(bytes: &[u8]) {
    let path = at_rest(bytes);
    if let Ok(all) = read_headers(&path) {
        all.iter().for_each(ask);
    }
    let _ = verify(&path, &[]);
}

/// Writes a frame that could be read, and reads it once more: both are equal.
fn preproc(bytes: &[u8]) {
    let path = at_rest(bytes);
    let options = PreprocOptions { mask_bits: 0x2ff, fibermap: None, ..PreprocOptions::default() };
    let Ok(first) = read_preproc(&path, &options) else { return };
    if let Some(table) = &first.fibermap {
        ask_table(table);
    }
    let again = path.with_file_name("again.fits");
    write_preproc(&again, &first, true)
        .expect("what was read can be written")
        .persist()
        .expect("what was read can be written");
    let second = read_preproc(&again, &options).expect("what was written can be read");
    assert!(
        first.mask == second.mask && first.ccd.image() == second.ccd.image() && first.ccd.ivar() == second.ccd.ivar()
    );
}

fn psf(bytes: &[u8]) {
    if let Ok(psf) = read_psf(at_rest(bytes)) {
        let waves = [psf.wave_min, psf.wave_max];
        let model = SpotModel::new(&psf, false);
        for fibre in [0, psf.nfibre - 1] {
            let spots = model.spots(&traces(&psf, fibre..fibre + 1, &waves, false));
            assert!(spots.iter().all(|p| p.is_finite() && *p >= 0.0));
            assert_eq!(psf.trace_x.of(fibre).len(), psf.trace_x.ncoeff);
            assert!(psf.gh.iter().all(|series| series.of(fibre).iter().all(|c| c.is_finite())));
        }
    }
}

/// Makes a PSF of measured spots: what is fitted has finite series.
fn spots(bytes: &[u8]) {
    let how = TraceFit { npix: [40, 200], trace_degree: 4, width_degree: 2, half: [None, None], camera: None };
    if let Ok(fitted) = psf_from_spots(at_rest(bytes), &how, [1.0, 1.0]) {
        assert!(fitted.psf.trace_x.coeff.iter().all(|c| c.is_finite()));
    }
}

/// Reads a table of wavelengths: rows ascend.
fn waves(bytes: &[u8]) {
    if let Ok((table, _)) = read_wave_table(at_rest(bytes)) {
        for row in 0..table.rows() {
            assert!(table.row(row).windows(2).all(|pair| pair[0] < pair[1]));
        }
    }
}

/// Reads a line list: wavelengths are numbers above 0, in order.
fn lines(bytes: &[u8]) {
    if let Ok(lines) = read_line_list(at_rest(bytes), Some(Medium::Vacuum)) {
        assert!(lines.iter().all(|line| line.wave > 0.0 && line.wave.is_finite()));
        assert!(lines.is_sorted_by(|a, b| a.wave <= b.wave));
    }
}

fn frame(bytes: &[u8]) {
    let path = at_rest(bytes);
    let Ok(first) = read_frame(&path) else { return };
    let _ = Side::of_frame("a frame", &first);
    let again = path.with_file_name("again.fits");
    write_frame(&again, &first, true)
        .expect("what was read can be written")
        .persist()
        .expect("what was read can be written");
    let second = read_frame(&again).expect("what was written can be read");
    assert_eq!(first.spectra.mask, second.spectra.mask);
}

fn truth(bytes: &[u8]) {
    let path = at_rest(bytes);
    let _ = (read_truth(&path), read(&path));
}

fn model(bytes: &[u8]) {
    if let Ok((shape, pixels)) = read_image_f64(at_rest(bytes), "MODEL") {
        assert_eq!(shape.iter().product::<usize>(), pixels.len());
    }
}

fn fibermap(bytes: &[u8]) {
    if let Ok(table) = read_fibermap(at_rest(bytes)) {
        ask_table(&table);
    }
}

fn manifest(bytes: &[u8]) {
    if let Ok(manifest) = Manifest::read(&at_rest(bytes)) {
        for row in &manifest.rows {
            assert!(row.line > 1 && row.get("input").is_none_or(|cell| !cell.is_empty()));
        }
    }
}

fn options(bytes: &[u8]) {
    let Ok(text) = std::str::from_utf8(bytes) else { return };
    if let Ok(range) = text.parse::<WaveRange>()
        && let Ok(grid) = range.grid()
    {
        assert!(grid.nwave() > 0 && grid.wave().iter().all(|w| w.is_finite()));
    }
    let model = Some(("model.fits".into(), ModelFlux::default()));
    for name in option_names() {
        let mut request = Request { model: model.clone(), ..Request::new("in.fits", "psf.fits", "out.fits") };
        if request.set_option(name, text).is_ok()
            && let Some(record) = request.option(name)
        {
            request.set_option(name, &record).expect("an option reads its own record");
            assert_eq!(request.option(name), Some(record), "{name:?} is the same by its record");
        }
    }
    let Ok(choice) = text.parse::<DeviceChoice>();
    let again = choice.to_string().parse::<DeviceChoice>();
    assert_eq!(again.as_ref(), Ok(&choice), "a device is the same by its own words");
}

/// A folder for the seeds of libFuzzer, which reads them from disk.
///
/// # Errors
/// The folder cannot be written.
pub fn write_seeds(target: &Target, folder: &Path) -> std::io::Result<()> {
    std::fs::create_dir_all(folder)?;
    let mut each = (target.seeds)().into_iter().enumerate();
    each.try_for_each(|(i, bytes)| std::fs::write(folder.join(format!("seed-{i}")), bytes))
}
