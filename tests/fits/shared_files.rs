//! Real files, against numbers that astropy 8.0 read from them.

use std::time::Instant;

use spextral::fits::{
    PreprocOptions, read_frame, read_image_f64, read_preproc, read_psf, write_frame, write_preproc, write_psf,
};
use spextral::frame::Value;
use spextral::frame::{Frame, Spectra, SpectraParts};

use testkit::files::folder;
use testkit::shared;

/// Sums over millions of pixels: astropy's and ours differ by the order of the terms.
fn assert_near(found: f64, expected: f64) {
    assert!((found - expected).abs() <= 1e-12 * expected.abs(), "{found} for {expected}");
}

fn sum(values: &[f32]) -> f64 {
    values.iter().map(|&v| f64::from(v)).sum()
}

#[test]
fn preproc_reads_as_astropy_reads_it() {
    let path = shared("frames/preproc-r0-sim11.fits.gz");
    let start = Instant::now();
    let frame = read_preproc(path, &PreprocOptions::default()).unwrap();
    note!("read_preproc: {:.2} s", start.elapsed().as_secs_f64());
    assert_eq!((frame.ccd.ny(), frame.ccd.nx(), frame.ccd.rejected().total()), (4128, 4114, 0));
    assert_near(sum(frame.ccd.image()), 320388472.39243996);
    assert_eq!(frame.ccd.image()[2000 * 4114 + 100], -1.769_046_1);
    // With the mask's bits applied.
    assert_near(sum(frame.ccd.ivar()), 70544.43957951387);
    assert_eq!(frame.ccd.ivar().iter().filter(|v| **v > 0.0).count(), 943269);
    let mask = frame.mask.unwrap();
    let count = |bits| mask.iter().filter(|m| **m == bits).count();
    assert_eq!([0, 1, 4, 16, 17].map(count), [16976421, 4126, 1200, 843, 2]);
    assert_eq!(frame.header.get("EXPTIME"), Some(Value::Float(1000.0)));
    assert_eq!(frame.header.get_i64("EXPID"), Some(51060));
    assert_eq!(frame.header.get_str("CAMERA").as_deref(), Some("r0"));
    let fibermap = frame.fibermap.unwrap();
    assert_eq!((fibermap.nrows(), fibermap.row_bytes(), fibermap.columns().len()), (500, 73, 13));
    assert_eq!(fibermap.column_i64("TARGETID").unwrap()[499], 39627000000000499);
    assert_eq!(fibermap.column_f64("TARGET_RA").unwrap()[3], 149.51579783605456);
    assert_eq!(fibermap.column_f64("FLUX_R").unwrap()[3], f64::from(71.05745f32));
    assert_eq!(fibermap.column_str("SIMTYPE").unwrap()[499], "GAL_ELG");
    assert_eq!(fibermap.column_str("OBJTYPE").unwrap()[3], "TGT");
}

#[test]
fn psf_v3_reads_as_astropy_reads_it() {
    let path = shared("psf/psf-r0-00051060.fits");
    let psf = read_psf(path).unwrap();
    assert_eq!((psf.nfibre, psf.fibermin, psf.half_x, psf.half_y), (500, 0, 8, 5));
    assert_eq!((psf.npix_x, psf.npix_y, psf.gh_degree_x, psf.gh_degree_y), (4114, 4128, 6, 6));
    assert_eq!((psf.trace_x.domain, psf.trace_x.ncoeff), ([5543.0, 7826.0], 7));
    assert_eq!((psf.sigma_x.domain, psf.sigma_x.ncoeff), ([5543.0, 7827.0], 4));
    assert_eq!(psf.camera.as_deref(), Some("r0"));
    assert_eq!(psf.psferr, 0.01, "PSFERROR = 0 is another keyword");
    assert_eq!(psf.trace_x.of(499)[..3], [3946.0731367247754, 5.384647140877807, 3.3061456749375515]);
    assert_eq!(psf.trace_y.of(3)[..3], [2089.154706241808, 2156.4728157657796, 61.53805728415921]);
    let sigma = [1.041783237652938, 0.046075766298279607, 0.03876858923938403, 0.02366938269931112];
    assert_eq!(psf.sigma_x.of(7), sigma);
    let gh21 = [-0.012973488264883901, 0.0036334504656362282, 0.05025717306584035, -0.003707831271834106];
    assert_eq!(psf.gh[2 * 7 + 1].of(100), gh21);
    assert_eq!(psf.tails.as_ref().unwrap().index.of(1)[0], 1.9999999999999998);
}

#[test]
fn psf_v2_reads_as_astropy_reads_it() {
    let path = shared("psf/psf-gausshermite-v2.fits");
    let psf = read_psf(path).unwrap();
    assert_eq!((psf.nfibre, psf.half_x, psf.half_y, psf.npix_x, psf.npix_y), (25, 14, 8, 4114, 4128));
    assert_eq!((psf.camera.as_deref(), psf.ndiag(), psf.gh.len()), (None, 17, 81));
    assert_eq!((psf.trace_x.domain, psf.trace_x.ncoeff), ([5564.0, 7805.0], 8));
    let x1 = [177.12074797507137, -5.480364198434099, -3.593849087507469, -0.18317250222943832];
    assert_eq!(psf.trace_x.of(1)[..4], x1);
    assert_eq!(psf.sigma_x.of(24)[6..], [5.051544620514549e-06, 4.7958442257934654e-06]);
    assert!(psf.tails.is_some());
}

#[test]
fn both_psf_files_survive_our_writer() {
    for name in ["psf/psf-r0-00051060.fits", "psf/psf-gausshermite-v2.fits"] {
        let path = shared(name);
        let (dir, psf) = (folder(), read_psf(path).unwrap());
        let copy = dir.path().join("psf.fits");
        write_psf(&copy, &psf, false).unwrap().persist().unwrap();
        assert_eq!(read_psf(&copy).unwrap(), psf, "{name}");
    }
}

#[test]
fn references_read_with_their_numpy_shape() {
    let path = shared("reference/patch-mid.fits.gz");
    let (shape, values) = read_image_f64(path, "RDIAGS").unwrap();
    assert_eq!(shape, [5, 11, 50]);
    assert_eq!(values.len(), 5 * 11 * 50);
}

/// A whole frame, read plain and written, in times that are printed: the machine decides them.
#[test]
fn a_full_size_frame_survives_our_writer() {
    let path = shared("frames/preproc-r0-sim11.fits.gz");
    let options = PreprocOptions { mask_bits: 0, fibermap: None, ..PreprocOptions::default() };
    let (dir, frame) = (folder(), read_preproc(path, &options).unwrap());
    let copy = dir.path().join("preproc.fits");
    let timed = |what: &str, start: Instant| note!("{what}: {:.2} s", start.elapsed().as_secs_f64());
    let start = Instant::now();
    write_preproc(&copy, &frame, false).unwrap().persist().unwrap();
    timed("write_preproc", start);
    let start = Instant::now();
    let back = read_preproc(&copy, &options).unwrap();
    timed("read_preproc, not gzipped", start);
    assert_eq!((&back.ccd, &back.mask, &back.fibermap), (&frame.ccd, &frame.mask, &frame.fibermap));
    let (nspec, nwave, ndiag) = (500, 2326, 11);
    let bins = vec![1.0; nspec * nwave];
    let resolution = vec![0.125; nspec * ndiag * nwave];
    let (flux, mask) = (bins.clone(), vec![0; nspec * nwave]);
    let spectra = Spectra::new(SpectraParts {
        nspec,
        nwave,
        ndiag,
        flux,
        ivar: bins.clone(),
        resolution: resolution.into(),
        chi2pix: bins,
        pixmask_fraction: Vec::new(),
        mask,
    })
    .unwrap();
    let wave = (0..nwave).map(|j| 5760.0 + 0.8 * j as f64).collect();
    let extracted = Frame { spectra, wave, header: back.header, fibermap: back.fibermap, scores: None };
    let (out, start) = (dir.path().join("frame.fits"), Instant::now());
    write_frame(&out, &extracted, false).unwrap().persist().unwrap();
    timed("write_frame", start);
    let start = Instant::now();
    assert_eq!(read_frame(&out).unwrap().spectra, extracted.spectra);
    timed("read_frame", start);
}
