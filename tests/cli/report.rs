//! `spextral report` and `plot-psf`: their files, and messages about files that do not belong together.

use spextral::fits::write_truth;
use spextral::fits::{Preproc, read_preproc, read_psf, write_preproc, write_psf};
use spextral::simulate::{Simulation, simulate};
use testkit::Folder;

/// A folder with a frame, its model and its truth.
fn folder() -> Folder {
    let folder = Folder::new();
    folder.extract(&["-m", "model.fits"]).succeeds();
    write_truth(folder.path("truth.fits"), &Folder::simulated().truth, false).unwrap().persist().unwrap();
    folder
}

const ALL: [&str; 8] =
    ["report", "frame.fits", "--image", "preproc.fits", "--model", "model.fits", "--truth", "truth.fits"];

fn with<'a>(more: &[&'a str]) -> Vec<&'a str> {
    ALL.iter().copied().chain(more.iter().copied()).collect()
}

#[test]
fn a_page_and_a_picture_are_written_and_nothing_else() {
    let folder = folder();
    let before = folder.names().len();
    let run = folder.run(&with(&["-o", "report.html", "--png", "look.png"]));
    run.succeeds();
    assert!(run.stdout.contains("report.html: ") && run.stdout.contains("look.png: "), "{}", run.stdout);
    assert!(!run.stdout.contains('\u{1b}'), "no escape codes without a terminal");
    assert_eq!(folder.names().len(), before + 2);
    let page = std::fs::read_to_string(folder.path("report.html")).unwrap();
    assert!(page.starts_with("<!DOCTYPE html>") && page.contains("Where the model is worst") && page.contains("chi"));
    assert!(std::fs::read(folder.path("look.png")).unwrap().starts_with(b"\x89PNG"));
    folder.run(&with(&["-o", "report.html"])).fails_saying(&["report.html", "--overwrite"]);
    folder.run(&with(&["-o", "report.html", "--overwrite"])).succeeds();
    folder.run(&with(&["-o", "frame.fits", "--overwrite"])).fails_saying(&["frame.fits"]);
}

#[cfg(unix)]
#[test]
fn no_picture_is_left_where_there_is_no_room_for_the_page() {
    let folder = folder();
    folder.run(&["report", "frame.fits", "--alone", "-o", "page.html", "--png", "look.png"]).succeeds();
    let (room, before) = (folder.bytes_between("look.png", "page.html"), folder.names());
    let words = ["report", "frame.fits", "--alone", "-o", "new.html", "--png", "new.png"];
    folder.run_on_a_full_disk(room, &words).fails_saying(&["cannot write new.html", "space left"]);
    assert_eq!(folder.names(), before);
}

#[test]
fn files_of_another_frame_are_refused_in_one_sentence() {
    let folder = folder();
    let psf = read_psf(folder.path("psf.fits")).unwrap();
    let other = simulate(&psf, &Simulation { expid: 77, ..Simulation::default() }).unwrap();
    write_preproc(folder.path("other.fits"), &other.preproc, false).unwrap().persist().unwrap();
    let image = ["report", "frame.fits", "--image", "other.fits", "--model", "model.fits", "-o", "r.html"];
    folder.run(&image).fails_saying(&["other.fits is of another frame", "EXPID is 77"]);

    folder.extract(&["-i", "other.fits", "-o", "other-frame.fits", "-m", "other-model.fits"]).succeeds();
    let model = ["report", "frame.fits", "--image", "preproc.fits", "--model", "other-model.fits", "-o", "r.html"];
    folder.run(&model).fails_saying(&["other-model.fits is of another frame"]);

    let whole = read_preproc(folder.path("preproc.fits"), &Default::default()).unwrap();
    let (ny, nx) = (whole.ccd.ny() - 1, whole.ccd.nx());
    let [image, ivar] = whole.ccd.into_planes().map(|plane| plane[..ny * nx].to_vec());
    let planes = Preproc::new([ny, nx], image, ivar, None, 0).unwrap();
    let small = Preproc { header: whole.header, fibermap: whole.fibermap, ..planes };
    write_preproc(folder.path("small.fits"), &small, false).unwrap().persist().unwrap();
    let shape = ["report", "frame.fits", "--image", "small.fits", "--model", "model.fits", "-o", "r.html"];
    folder.run(&shape).fails_saying(&["model.fits: MODEL has", "IMAGE of small.fits has", "119"]);

    let grid = Simulation { wave: Some((6660.35, 6700.0, 0.8).into()), ..Simulation::default() };
    write_truth(folder.path("grid.fits"), &simulate(&psf, &grid).unwrap().truth, false).unwrap().persist().unwrap();
    let truth = ["report", "frame.fits", "--truth", "grid.fits", "-o", "r.html"];
    folder.run(&truth).fails_saying(&["grid.fits", "frame.fits", "grid"]);
    folder.run(&["report", "psf.fits", "-o", "r.html"]).fails_saying(&["psf.fits", "FLUX"]);
    assert!(!folder.path("r.html").exists());
}

#[test]
fn options_that_belong_together_are_asked_for() {
    let folder = Folder::new();
    folder.run(&["report", "frame.fits", "-o", "r.html", "--model", "m.fits"]).is_refused_saying(&["--image"]);
    folder.run(&["report", "frame.fits", "-o", "r.html", "--image", "m.fits"]).is_refused_saying(&["--model"]);
    folder.run(&["report", "frame.fits", "-o", "r.html"]).fails_saying(&["frame.fits"]);
}

#[test]
fn a_psf_is_drawn_and_a_frame_is_no_psf() {
    let folder = Folder::new();
    folder.run(&["plot-psf", "psf.fits"]).succeeds();
    let decoder = png::Decoder::new(std::io::Cursor::new(std::fs::read(folder.path("psf.png")).unwrap()));
    assert!(decoder.read_info().unwrap().info().width > 1000);
    folder.run(&["plot-psf", "preproc.fits", "-o", "other.png"]).fails_saying(&["preproc.fits"]);
    let mut one = read_psf(folder.path("psf.fits")).unwrap();
    one.update(|psf| psf.psferr = 0.02).unwrap();
    write_psf(folder.path("one.fits"), &one, false).unwrap().persist().unwrap();
    folder.run(&["plot-psf", "one.fits"]).fails_saying(&["psf.png", "--overwrite"]);
}

#[test]
fn a_frame_alone_finds_its_image_by_its_header_and_gets_a_verdict() {
    let folder = Folder::new();
    folder.extract(&[]).succeeds();
    let before = folder.names();
    let run = folder.run(&["report", "frame.fits"]);
    run.succeeds();
    assert!(["green: ", "amber: ", "red: "].iter().any(|light| run.stdout.contains(light)), "{}", run.stdout);
    let page = std::fs::read_to_string(folder.path("frame.html")).unwrap();
    assert!(page.contains("Where the model is worst") && page.contains("class=\"verdict "), "the residual is there");
    assert_eq!(folder.names().len(), before.len() + 1, "nothing else is left");

    std::fs::rename(folder.path("preproc.fits"), folder.path("elsewhere.fits")).unwrap();
    let run = folder.run(&["report", "frame.fits", "--overwrite"]);
    assert_eq!(run.code, Some(0), "{}", run.stderr);
    for words in ["no residual of the CCD", "preproc.fits, which is not there", "give --image and --model"] {
        assert!(run.stderr.contains(words), "{}", run.stderr);
    }
    let alone = std::fs::read_to_string(folder.path("frame.html")).unwrap();
    assert!(!alone.contains("Where the model is worst"));
    let quiet = folder.run(&["report", "frame.fits", "--alone", "--overwrite"]);
    assert!(!quiet.stderr.contains("no residual"), "{}", quiet.stderr);
}

#[test]
fn an_extraction_makes_its_page_and_leaves_no_model() {
    let folder = Folder::new();
    folder.extract(&["--report", "page.html"]).succeeds();
    let page = std::fs::read_to_string(folder.path("page.html")).unwrap();
    assert!(page.contains("Where the model is worst") && !folder.names().iter().any(|name| name.contains("model")));
    folder.run(&["report", "frame.fits", "-o", "same.html"]).succeeds();
    assert_eq!(std::fs::read_to_string(folder.path("same.html")).unwrap(), page);
}

#[test]
fn several_frames_have_pages_and_an_index() {
    let folder = Folder::new();
    folder.extract(&["-o", "a.fits"]).succeeds();
    folder.extract(&["-o", "b.fits.gz", "-n", "2"]).succeeds();
    folder.run(&["report", "a.fits", "b.fits.gz", "--alone"]).succeeds();
    let index = std::fs::read_to_string(folder.path("index.html")).unwrap();
    assert!(index.contains("href=\"a.html\"") && index.contains("href=\"b.html\"") && folder.path("b.html").exists());
    folder.run(&["report", "a.fits", "b.fits.gz", "--png", "x.png"]).fails_saying(&["of one frame"]);
}

#[test]
fn a_psf_that_is_off_is_named_in_the_verdict_and_one_that_fits_is_not() {
    let folder = Folder::new();
    folder.run(&["make-psf", "-o", "day.fits", "--nfibre", "6", "--bundlesize", "6", "--npix-y=700"]).succeeds();
    let mut psf = read_psf(folder.path("day.fits")).unwrap();
    psf.update(|parts| parts.trace_x.coeff.iter_mut().step_by(parts.trace_x.ncoeff).for_each(|c| *c += 0.1)).unwrap();
    write_psf(folder.path("night.fits"), &psf, false).unwrap().persist().unwrap();
    folder.run(&["simulate", "-p", "night.fits", "-o", "sky.fits", "--seed", "2"]).succeeds();
    for (psf, frame, off) in [("night.fits", "fits.fits", false), ("day.fits", "off.fits", true)] {
        let words = ["extract", "-i", "sky.fits", "-p", psf, "-o", frame, "--device", "cpu", "--loglevel", "error"];
        folder.run(&words).succeeds();
        let run = folder.run(&["report", frame]);
        assert_eq!(run.code, Some(0), "{}", run.stderr);
        let named = run.stdout.contains("pixels off in x");
        assert!(named == off && run.stdout.contains("amber: ") == off, "{frame}: {}", run.stdout);
    }
}
