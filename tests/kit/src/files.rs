//! Small files of every kind, made by our own writers, and a folder for them.

use fitsio_pure::compress::{CompressPixel, TileCompression, compress_image_hdu};
use fitsio_pure::header::Card;
use fitsio_pure::value::Value;
use spextral::fits::{Preproc, write_preproc};
use spextral::frame::Scores;
use spextral::frame::{ColumnData, Header, Table};
use spextral::frame::{Frame, Spectra, SpectraParts, specmask};
use spextral::psf::{Dispersion, Form, LegendreSeries, Psf, PsfParts, Tails};

/// A folder of its own for a test.
pub fn folder() -> tempfile::TempDir {
    tempfile::tempdir().unwrap()
}

/// Names of the files in a folder.
pub fn files_in(folder: &tempfile::TempDir) -> Vec<String> {
    let mut names: Vec<String> =
        std::fs::read_dir(folder.path()).unwrap().map(|e| e.unwrap().file_name().into_string().unwrap()).collect();
    names.sort();
    names
}

/// Cards of every kind that a header carries.
pub fn rich_header() -> Header {
    let mut header = Header::new();
    header.set("CAMERA", "r0", "camera name");
    header.set("EXPID", 51060i64, "exposure");
    header.set("MJD-OBS", 58899.2533017, "start");
    header.set("AIRMASS", 1.0 / 3.0, "");
    header.set("SHUTTER", true, "open?");
    header.set("O'NAME", "it's a star", "a HIERARCH card for its apostrophe");
    header.set("ESO DET CHIP1 NAME", "blue", "a HIERARCH card");
    let long = "a path that no card can hold, with 'quotes' in it: ".repeat(5);
    header.set("INPUTS", long.as_str(), "continued");
    header.set("EMPTY", "", "");
    header.add_commentary("COMMENT", "first of two comments");
    header.add_commentary("COMMENT", &"a comment longer than one card ".repeat(6));
    header.add_commentary("HISTORY", "made");
    header.add_commentary("HISTORY", "made");
    header
}

/// A fibermap of `n` fibres with columns of every type that we make.
pub fn fibermap(n: usize) -> Table {
    let every = |f: &dyn Fn(usize) -> f64| (0..n).map(f).collect::<Vec<f64>>();
    let mut table = Table::new(n)
        .with_column("TARGETID", "", &ColumnData::I64((0..n as i64).map(|i| 39627000000000000 + i).collect()))
        .with_column("FIBER", "", &ColumnData::I32((0..n as i32).collect()))
        .with_column("PETAL_LOC", "", &ColumnData::I16(vec![3; n]))
        .with_column("TARGET_RA", "deg", &ColumnData::F64(every(&|i| 150.0 + 0.001 * i as f64)))
        .with_column("FLUX_R", "nanomaggy", &ColumnData::F32((0..n).map(|i| i as f32 * 0.5).collect()))
        .with_column("OBJTYPE", "", &ColumnData::Str((0..n).map(|i| ["SKY", "TGT", ""][i % 3].into()).collect()))
        .with_column("GOOD", "", &ColumnData::Bool((0..n).map(|i| i % 2 == 0).collect()))
        .with_column("XY", "mm", &ColumnData::F64((0..2 * n).map(|i| i as f64).collect()));
    table.header_mut().set("TNULL2", -1i64, "");
    table.header_mut().set("TARGTRA", 150.1, "only here");
    table.header_mut().add_commentary("HISTORY", "assigned");
    table
}

/// A frame of 6 x 5 pixels, one of them masked.
pub fn preproc() -> Preproc {
    let (nx, ny) = (6, 5);
    let mut mask = vec![0; nx * ny];
    mask[7] = 1 << 2;
    mask[8] = 1 << 8;
    let image = (0..nx * ny).map(|i| i as f32 * 1.5 - 3.0).collect();
    let planes = Preproc::new([ny, nx], image, vec![0.25; nx * ny], Some(mask), 0).unwrap();
    Preproc { readnoise: Some(vec![3.0; nx * ny]), header: rich_header(), fibermap: Some(fibermap(4)), ..planes }
}

/// A PSF of two fibres with all its parts.
pub fn psf() -> Psf {
    let series = |ncoeff: usize, start: f64, domain| LegendreSeries {
        domain,
        ncoeff,
        coeff: (0..2 * ncoeff).map(|i| start + 0.1 * i as f64).collect(),
    };
    // Like those of an instrument: they vary little along a fibre.
    let row = |start: f64| LegendreSeries {
        domain: [5543.0, 7827.0],
        ncoeff: 3,
        coeff: (0..6).map(|i| if i % 3 == 0 { start + 0.1 * f64::from(i) } else { 0.01 * f64::from(i) }).collect(),
    };
    Psf::new(PsfParts {
        nfibre: 2,
        fibermin: 25,
        dispersion: Dispersion::AlongY,
        trace_x: series(4, 100.0, [5543.0, 7826.0]),
        trace_y: series(4, 2000.0, [5543.0, 7826.0]),
        form: Form::GaussHermite,
        sigma_x: row(1.0),
        sigma_y: row(1.1),
        // Unlike those of the widths, as no terms are left over.
        gh: (0..6)
            .map(|k| LegendreSeries {
                coeff: [if k == 0 { 0.9 } else { 0.01 * f64::from(k) }, 0.0, 0.02 + 0.001 * f64::from(k)].repeat(2),
                ..row(0.0)
            })
            .collect(),
        gh_degree_x: 1,
        gh_degree_y: 2,
        tails: Some(Tails {
            amplitude: row(0.1),
            core: row(0.2),
            x_scale: row(0.3),
            y_scale: row(0.4),
            index: row(2.0),
        }),
        half_x: 8,
        half_y: 5,
        npix_x: 4114,
        npix_y: 4128,
        ranges: None,
        numbers: None,
        waves: None,
        wave_min: 5543.0,
        wave_max: 7827.0,
        psferr: 0.02,
        camera: Some("r0".into()),
    })
    .unwrap()
}

/// A frame of 3 fibres x 8 bins whose numbers are exact in f32.
pub fn frame() -> Frame {
    let (nspec, nwave, ndiag) = (3, 8, 5);
    let many = |n: usize, step: f64| (0..n).map(|i| i as f64 * step).collect::<Vec<f64>>();
    let mut mask = vec![0; nspec * nwave];
    mask[3] = specmask::SOMEBADPIX | specmask::BAD2DFIT;
    mask[4] = 1 << 31;
    let spectra = Spectra::new(SpectraParts {
        nspec,
        nwave,
        ndiag,
        flux: many(nspec * nwave, 0.25),
        ivar: many(nspec * nwave, 0.5),
        resolution: many(nspec * ndiag * nwave, 0.125).into(),
        chi2pix: many(nspec * nwave, 1.0),
        pixmask_fraction: Vec::new(),
        mask,
    })
    .unwrap();
    let wave: Vec<f64> = (0..nwave).map(|j| 6000.0 + 0.8 * j as f64).collect();
    let fibermap = fibermap(10).slice_rows(2..5);
    let scores = Scores::of(&spectra, &wave, fibermap.column_i64("TARGETID"));
    Frame { spectra, wave, header: rich_header(), fibermap: Some(fibermap), scores }
}

/// A header block of these cards.
pub fn header(cards: &[&str]) -> Vec<u8> {
    let text: String = cards.iter().chain(&["END"]).map(|card| format!("{card:<80}")).collect();
    format!("{text:<2880}").into_bytes()
}

/// A primary HDU without data.
pub fn empty_primary() -> Vec<u8> {
    header(&["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0"])
}

/// A PSF file of PSFVER 2: traces as rows, WAVEMIN and WAVEMAX as columns with that many numbers per row.
pub fn psf_version_2(numbers: usize) -> Vec<u8> {
    let params = ["X", "Y", "GHSIGX", "GHSIGY", "GH-0-0"];
    let domain = |wave: f64| ColumnData::F64(vec![wave; numbers * params.len()]);
    let mut table = Table::new(params.len())
        .with_column("PARAM", "", &ColumnData::Str(params.map(String::from).to_vec()))
        .with_column("WAVEMIN", "", &domain(5600.0))
        .with_column("WAVEMAX", "", &domain(7800.0))
        .with_column("COEFF", "", &ColumnData::F64(vec![1.0; params.len() * 2 * 3]));
    table.header_mut().set("PSFTYPE", "GAUSS-HERMITE", "");
    let cards = [("FIBERMIN", 0i64), ("FIBERMAX", 1), ("LEGDEG", 2), ("GHDEGX", 0), ("GHDEGY", 0)];
    let sizes = [("HSIZEX", 8), ("HSIZEY", 5), ("NPIX_X", 4114), ("NPIX_Y", 4128)];
    cards.into_iter().chain(sizes).for_each(|(key, value)| table.header_mut().set(key, value, ""));
    let dir = folder();
    let path = dir.path().join("a.fits");
    write_preproc(&path, &Preproc { fibermap: Some(table), ..preproc() }, false).unwrap().persist().unwrap();
    std::fs::read(path).unwrap()
}

/// A tile-compressed image, `[ny, nx]`.
pub fn tiled<T: CompressPixel>(name: &str, shape: [usize; 2], pixels: &[T], by: &TileCompression) -> Vec<u8> {
    let card = |key: &str, value| Card::new(key, value).unwrap();
    let extra = [card("EXTNAME", Value::String(name.into())), card("CAMERA", Value::String("b7".into()))];
    compress_image_hdu(&[shape[1], shape[0]], pixels, by, &extra).unwrap()
}

/// The test frame with all images compressed.
pub fn tiled_preproc(floats: &TileCompression, bits: &TileCompression) -> Vec<u8> {
    let frame = preproc();
    let shape = [frame.ccd.ny(), frame.ccd.nx()];
    let image = tiled("IMAGE", shape, frame.ccd.image(), floats);
    let ivar = tiled("IVAR", shape, frame.ccd.ivar(), floats);
    [empty_primary(), image, ivar, tiled("MASK", shape, frame.mask.as_ref().unwrap(), bits)].concat()
}

/// A file whose images are tile-compressed integers.
pub fn packed() -> Vec<u8> {
    let pixels: Vec<i32> = (0..300).map(|i| i * i % 97).collect();
    let image = |name, by: TileCompression| tiled(name, [15, 20], &pixels, &by);
    [empty_primary(), image("IMAGE", TileCompression::rice()), image("IVAR", TileCompression::gzip2())].concat()
}
