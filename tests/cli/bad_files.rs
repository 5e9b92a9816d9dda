//! Files that cannot be used: one sentence with file, HDU, value and remedy, and nothing left behind.

use spextral::fits::{Image, Pixels, write_images, write_preproc, write_psf};
use spextral::frame::Header;
use testkit::{Folder, bytes, fails_and_leaves_nothing as fails, small_psf};

#[test]
fn a_missing_file_is_named() {
    let folder = Folder::new();
    fails(&folder, &["-i", "none.fits"], &["none.fits", "No such file", "check the path"]);
    fails(&folder, &["-p", "none.fits"], &["none.fits", "No such file"]);
    fails(&folder, &["-f", "none.fits"], &["none.fits", "No such file"]);
}

#[test]
fn a_truncated_file_is_named_with_its_hdu_and_sizes() {
    let folder = Folder::new();
    folder.cut("preproc.fits", 0.5);
    fails(&folder, &[], &["preproc.fits is truncated", "needs", "bytes", "fetch the file again"]);
}

#[test]
fn a_truncated_gzip_file_is_named() {
    let folder = Folder::new();
    write_preproc(folder.path("preproc.fits.gz"), &Folder::simulated().preproc, false).unwrap().persist().unwrap();
    folder.cut("preproc.fits.gz", 0.5);
    fails(&folder, &["-i", "preproc.fits.gz"], &["preproc.fits.gz", "gzip"]);
}

#[test]
fn a_file_that_is_not_fits_is_named() {
    let folder = Folder::new();
    std::fs::write(folder.path("notes.txt"), "no pixels here").unwrap();
    fails(&folder, &["-i", "notes.txt"], &["notes.txt is not a FITS file"]);
}

#[test]
fn a_missing_hdu_is_named_with_those_there_are() {
    let folder = Folder::new();
    folder.patch("preproc.fits", "'IVAR    '", "'IVOR    '");
    fails(&folder, &[], &["preproc.fits has no IVAR HDU", "IMAGE", "IVOR", "--readnoise"]);
}

#[test]
fn a_missing_keyword_is_named_with_its_hdu() {
    let folder = Folder::new();
    folder.patch("psf.fits", "WAVEMIN ", "WAVEMUN ");
    fails(&folder, &[], &["psf.fits", "WAVEMIN"]);
}

#[test]
fn an_ivar_of_another_shape_than_the_image_is_said_with_both_shapes() {
    let folder = Folder::new();
    let image = |name, ny: usize, pixels| Image { name, unit: "", shape: vec![ny, 30], pixels: Pixels::F32(pixels) };
    let images = [image("IMAGE", 20, &[0.0; 600]), image("IVAR", 19, &[1.0; 570])];
    write_images(folder.path("odd.fits"), &Header::new(), &images, false).unwrap().persist().unwrap();
    fails(&folder, &["-i", "odd.fits"], &["odd.fits", "IVAR", "19", "20", "30"]);
}

#[test]
fn a_psf_of_another_ccd_is_said_with_both_sizes() {
    let folder = Folder::new();
    let mut taller = small_psf();
    taller.update(|parts| parts.npix_y += 8).unwrap();
    write_psf(folder.path("taller.fits"), &taller, false).unwrap().persist().unwrap();
    fails(&folder, &["-p", "taller.fits"], &["preproc.fits", "taller.fits", "120", "128", "PSF of this camera"]);
}

#[test]
fn an_unsupported_psf_type_is_named() {
    let folder = Folder::new();
    folder.patch("psf.fits", "'GAUSS-HERMITE'", "'SPOTTED      '");
    fails(&folder, &[], &["psf.fits", "SPOTTED", "GAUSS-HERMITE"]);
}

#[test]
fn nan_inf_and_negative_ivar_pixels_count_as_masked_with_a_warning() {
    let folder = Folder::new();
    let preproc = Folder::simulated().preproc.clone();
    let (shape, [mut image, mut ivar]) = (vec![preproc.ccd.ny(), preproc.ccd.nx()], preproc.ccd.into_planes());
    let lit = |k: usize| 60 * shape[1] + k;
    image[lit(10)] = f32::NAN;
    image[lit(20)] = f32::INFINITY;
    ivar[lit(30)] = -1.0;
    let plane = |name, pixels| Image { name, unit: "", shape: shape.clone(), pixels: Pixels::F32(pixels) };
    let planes = [plane("IMAGE", &image), plane("IVAR", &ivar)];
    write_images(folder.path("hurt.fits"), &preproc.header, &planes, false).unwrap().persist().unwrap();
    let run = folder.extract(&["-i", "hurt.fits"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    let warnings: Vec<&str> = run.stderr.lines().collect();
    let expected = ["hurt.fits: it has no MASK HDU", "hurt.fits: it has no FIBERMAP HDU", "hurt.fits: 3 pixels"];
    assert_eq!(warnings.len(), expected.len(), "{}", run.stderr);
    for (warning, expected) in warnings.iter().zip(expected) {
        assert!(warning.starts_with(&format!("warning: {expected}")), "{warning}");
    }
}

#[test]
fn a_fibermap_without_the_fibres_is_said_with_its_rows() {
    let folder = Folder::new();
    let mut preproc = Folder::simulated().preproc.clone();
    preproc.fibermap = preproc.fibermap.map(|table| table.slice_rows(0..1));
    write_preproc(folder.path("short.fits"), &preproc, false).unwrap().persist().unwrap();
    fails(
        &folder,
        &["-i", "short.fits"],
        &["short.fits", "FIBERMAP has no row of fibre 1", "it has 1 rows", "give the FIBERMAP of this frame"],
    );
}

#[test]
fn a_frame_that_does_not_say_where_it_points_has_no_barycentric_correction() {
    let folder = Folder::new();
    let mut preproc = Folder::simulated().preproc.clone();
    for keyword in ["TARGTRA", "SKYRA", "TELRA", "RA"] {
        preproc.header.remove(keyword);
        if let Some(fibermap) = &mut preproc.fibermap {
            fibermap.header_mut().remove(keyword);
        }
    }
    write_preproc(folder.path("lost.fits"), &preproc, false).unwrap().persist().unwrap();
    let more = ["-i", "lost.fits", "--barycentric-correction"];
    fails(&folder, &more, &["lost.fits", "TARGTRA, SKYRA, TELRA or RA", "leave out the barycentric correction"]);
}

#[test]
fn a_frame_of_another_observatory_without_its_position_has_no_barycentric_correction() {
    let folder = Folder::new();
    let mut preproc = Folder::simulated().preproc.clone();
    preproc.header.set("TELESCOP", "ESO-VISTA", "");
    write_preproc(folder.path("vista.fits"), &preproc, false).unwrap().persist().unwrap();
    let said = ["vista.fits", "no position of TELESCOP = ESO-VISTA", "add OBSGEO-X", "OBS-LONG"];
    fails(&folder, &["-i", "vista.fits", "--barycentric-correction"], &said);
}

#[test]
fn an_output_that_is_an_input_is_refused_whatever_it_is_called() {
    let folder = Folder::new();
    let before = bytes(&folder.path("preproc.fits"));
    for output in ["preproc.fits", "./preproc.fits", "psf.fits"] {
        fails(&folder, &["-o", output, "--overwrite"], &["output", output, "is the input", "another name"]);
    }
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(folder.path("preproc.fits"), folder.path("link.fits")).unwrap();
        std::fs::hard_link(folder.path("preproc.fits"), folder.path("twin.fits")).unwrap();
        for output in ["link.fits", "twin.fits"] {
            fails(&folder, &["-m", output, "--overwrite"], &["output", output, "is the input"]);
        }
    }
    assert!(bytes(&folder.path("preproc.fits")) == before);
}

#[test]
fn an_existing_output_is_kept_unless_told_otherwise() {
    let folder = Folder::new();
    std::fs::write(folder.path("frame.fits"), "precious").unwrap();
    fails(&folder, &[], &["frame.fits exists already", "--overwrite"]);
    fails(&folder, &["-o", "other.fits", "-m", "frame.fits"], &["frame.fits exists already"]);
    assert_eq!(bytes(&folder.path("frame.fits")), b"precious");
    folder.extract(&["--overwrite"]).succeeds();
    assert!(bytes(&folder.path("frame.fits")).starts_with(b"SIMPLE"));
}

#[test]
fn an_output_that_cannot_be_written_is_said_before_any_work() {
    let folder = Folder::new();
    std::fs::create_dir(folder.path("folder.fits")).unwrap();
    // The input is missing too: the message shows which check comes first.
    let absent = ["-i", "none.fits", "-o"];
    let with = |output| [&absent[..], &[output]].concat();
    fails(&folder, &with("no/such/frame.fits"), &["cannot write no/such/frame.fits", "folder does not exist"]);
    fails(&folder, &with("folder.fits"), &["cannot write folder.fits", "no regular file"]);
    fails(&folder, &["-m", "frame.fits"], &["frame.fits and frame.fits are one file", "another name"]);
}

#[test]
fn two_spellings_of_one_output_are_refused_by_every_command() {
    let folder = Folder::new();
    let before = folder.names();
    let simulate = |truth: &str| folder.run(&["simulate", "-p", "psf.fits", "-o", "x.fits", "--truth", truth]);
    let absolute = folder.path("x.fits").display().to_string();
    for twin in ["x.fits", "./x.fits", absolute.as_str()] {
        folder.extract(&["-o", "x.fits", "-m", twin]).fails_saying(&["x.fits", twin, "are one file"]);
        simulate(twin).fails_saying(&["x.fits", twin, "are one file"]);
    }
    assert_eq!(folder.names(), before);
    #[cfg(unix)]
    {
        std::os::unix::fs::symlink(".", folder.path("here")).unwrap();
        folder.extract(&["-o", "x.fits", "-m", "here/x.fits"]).fails_saying(&["here/x.fits", "are one file"]);
        simulate("here/x.fits").fails_saying(&["here/x.fits", "are one file"]);
    }
}

#[test]
fn simulate_and_make_psf_check_their_outputs_before_any_work() {
    let folder = Folder::new();
    let before = folder.names();
    let simulate = |more: &[&str]| folder.run(&[&["simulate", "-p", "psf.fits"], more].concat());
    simulate(&["-o", "psf.fits", "--overwrite"]).fails_saying(&["output psf.fits is the input psf.fits"]);
    simulate(&["-o", "no/x.fits", "-s", "99"]).fails_saying(&["cannot write no/x.fits", "folder does not exist"]);
    folder.run(&["make-psf", "-o", "no/x.fits", "--nfibre", "0"]).fails_saying(&["cannot write no/x.fits"]);
    assert_eq!(folder.names(), before);
}

#[cfg(unix)]
#[test]
fn a_full_disk_is_an_error_that_leaves_nothing_behind() {
    let folder = Folder::new();
    let before = folder.names();
    for more in [&[][..], &["-m", "model.fits"]] {
        let run = folder.extract_on_a_full_disk(2048, more);
        run.fails_saying(&["cannot write", "File too large", "space left on the disk"]);
        assert_eq!(folder.names(), before);
    }
}

#[cfg(unix)]
#[test]
fn earlier_outputs_survive_a_run_that_cannot_write_all_of_its_own() {
    let folder = Folder::new();
    let all = ["-m", "model.fits", "-n", "8", "--overwrite"];
    folder.extract(&all).succeeds();
    let bytes_allowed = folder.bytes_between("model.fits", "frame.fits");
    for name in ["model.fits", "frame.fits"] {
        std::fs::write(folder.path(name), "precious").unwrap();
    }
    folder.extract_on_a_full_disk(bytes_allowed, &all).fails_saying(&["cannot write frame.fits"]);
    for name in ["model.fits", "frame.fits"] {
        assert_eq!(bytes(&folder.path(name)), b"precious", "{name}");
    }
}

#[cfg(unix)]
#[test]
fn a_simulation_that_cannot_write_its_frame_leaves_no_truth() {
    let folder = Folder::new();
    let simulate = ["simulate", "-p", "psf.fits", "-o", "x.fits", "--truth", "truth.fits", "--overwrite"];
    folder.run(&simulate).succeeds();
    let bytes_allowed = folder.bytes_between("truth.fits", "x.fits");
    for name in ["truth.fits", "x.fits"] {
        std::fs::remove_file(folder.path(name)).unwrap();
    }
    let before = folder.names();
    folder.run_on_a_full_disk(bytes_allowed, &simulate).fails_saying(&["cannot write x.fits"]);
    assert_eq!(folder.names(), before);
}
