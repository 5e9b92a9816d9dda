//! The report in a real browser: no error, every picture painted, values under the pointer, and a bounded size.
//!
//! Needs Chromium. Without it the tests are reported as ignored; with SPEXTRAL_REQUIRE_BROWSER set they fail.

#[macro_use(test)]
extern crate testkit;

use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::sync::OnceLock;
use testkit::{binary, ignore};

/// Script appended to the page: acts like a reader, then records what it saw.
const PROBE: &str = include_str!("probe.js");
const NAMES: [&str; 5] = ["chromium", "chromium-browser", "google-chrome", "google-chrome-stable", "chrome"];

fn browser() -> &'static Path {
    static FOUND: OnceLock<Option<PathBuf>> = OnceLock::new();
    let found = FOUND.get_or_init(|| {
        let folders: Vec<PathBuf> = std::env::var_os("PATH").iter().flat_map(std::env::split_paths).collect();
        let files = NAMES.iter().flat_map(|name| folders.iter().map(move |folder| folder.join(name)));
        files.into_iter().find(|file| file.is_file())
    });
    found.as_deref().unwrap_or_else(|| {
        assert!(std::env::var_os("SPEXTRAL_REQUIRE_BROWSER").is_none(), "a browser is required, and there is none");
        ignore("there is no Chromium on the PATH (Debian: apt install chromium)")
    })
}

/// A simulated frame of one bundle with cosmics and a bad column, extracted by the binary.
fn scene() -> &'static Path {
    static SCENE: OnceLock<tempfile::TempDir> = OnceLock::new();
    let folder = SCENE.get_or_init(|| {
        let folder = tempfile::tempdir().unwrap();
        let at = folder.path();
        spextral(at, &["make-psf", "-o", "psf.fits", "--nfibre", "25", "--npix-y", "500"]);
        spextral(at, &["simulate", "-p", "psf.fits", "-o", "preproc.fits", "--truth", "truth.fits"]);
        let out = ["-o", "frame.fits", "-m", "model.fits", "--device", "cpu"];
        spextral(at, &[&["extract", "-i", "preproc.fits", "-p", "psf.fits"][..], &out].concat());
        folder
    });
    folder.path()
}

fn spextral(folder: &Path, arguments: &[&str]) {
    let run = Command::new(binary()).args(arguments).current_dir(folder).output().unwrap();
    assert!(run.status.success(), "{arguments:?}: {}", String::from_utf8_lossy(&run.stderr));
}

/// Opens a page with the probe in a window of `width` pixels; returns the probe's record.
fn open(browser: &Path, page: &str, width: u32) -> serde_json::Value {
    let home = tempfile::tempdir().unwrap();
    let file = home.path().join("page.html");
    std::fs::write(&file, page.replace("</body>", &format!("<script>{PROBE}</script></body>"))).unwrap();
    let profile = home.path().join("profile");
    let run = Command::new(browser)
        .args(["--headless", "--no-sandbox", "--disable-gpu", "--disable-quic", "--no-first-run"])
        .args(["--disable-background-networking", "--disable-component-update", "--disable-sync"])
        .args(["--disable-dev-shm-usage", "--enable-logging=stderr", "--v=0", "--virtual-time-budget=20000"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .arg(format!("--window-size={width},1000"))
        .arg("--dump-dom")
        .arg(format!("file://{}", file.display()))
        .stdin(Stdio::null())
        .output()
        .unwrap();
    let (dom, log) = (String::from_utf8_lossy(&run.stdout), String::from_utf8_lossy(&run.stderr));
    let messages: Vec<&str> = log.lines().filter(|line| line.contains("CONSOLE")).collect();
    assert!(messages.is_empty(), "the page logs to the console: {messages:#?}");
    let start = "<pre id=\"probe\">";
    let from = dom.find(start).unwrap_or_else(|| panic!("the probe did not end: {log}")) + start.len();
    let text = dom[from..].split("</pre>").next().unwrap();
    serde_json::from_str(text).unwrap_or_else(|e| panic!("{e}: {text}"))
}

fn report(name: &str, more: &[&str]) -> String {
    let path = scene().join(name);
    spextral(scene(), &[&["report", "frame.fits", "-o", name][..], more].concat());
    std::fs::read_to_string(path).unwrap()
}

#[test]
fn a_page_with_everything_is_painted_and_answers_the_pointer() {
    let browser = browser();
    let files = ["--image", "preproc.fits", "--model", "model.fits", "--truth", "truth.fits"];
    let page = report("all.html", &files);
    assert!(page.len() < 2_000_000, "{} bytes", page.len());
    let saw = open(browser, &page, 1300);
    let painted = saw["painted"].as_object().unwrap();
    let expected = ["flux", "spectrum", "snr-fibre", "snr-wave", "residual", "chi2pix", "sigma", "sigma-wave", "chi"];
    for name in expected {
        assert!(painted[name].as_u64().is_some_and(|colours| colours > 3), "{name} has colours: {saw}");
    }
    assert!(saw["images"].as_u64().unwrap() >= 16, "three pictures per outlier, and the large ones: {saw}");
    assert_eq!(saw["broken"], 0);
    let readout = |id: &str| saw["readouts"][id].as_str().unwrap_or_default().to_string();
    assert!(readout("flux").contains("fibre 12") && readout("flux").contains("electron/Å"), "{saw}");
    assert!(readout("spectrum").contains('±') && readout("spectrum").contains("R·truth"), "{saw}");
    assert!(readout("residual").contains('σ') || readout("residual").contains("masked"), "{saw}");
    assert_eq!(saw["chosen"], "fibre 12", "a click on the heat map of all spectra selects one: {saw}");
    assert_eq!(saw["address"], "#fibre=12", "{saw}");
    assert!(saw["smoothed"] == true && saw["beside"].as_str().is_some_and(|text| text.contains("fibre 3 ")), "{saw}");
    assert!(saw["said"].as_str().is_some_and(|text| text.contains("bins of fibre 12 are copied")), "{saw}");
    assert!(
        saw["drawn"] == "svg" && saw["svg"]["paths"].as_u64() > Some(20),
        "a picture is saved as it is shown: {saw}"
    );
    assert_eq!(saw["zoomed"], true, "a drag zooms every figure over wavelength, a double click resets it: {saw}");
    assert!(saw["masked"].as_u64().unwrap() > 50, "the bad column and cosmics are green in the residual: {saw}");
    assert_eq!(saw["unnamed"], 0, "every picture has a description");
}

#[test]
fn pictures_that_are_not_drawn_by_the_script_are_saved_with_their_colours() {
    let browser = browser();
    let saw = open(browser, &report("found.html", &[]), 1300);
    let still = saw["still"].as_array().unwrap();
    assert!(!still.is_empty(), "the arrows of the traces are on the page: {saw}");
    assert!(still.iter().all(|picture| picture[0] == "svg" && picture[1].as_u64() > Some(5)), "{saw}");
}

#[test]
fn a_page_of_a_frame_alone_fits_a_narrow_window() {
    let browser = browser();
    let saw = open(browser, &report("alone.html", &["--alone"]), 500);
    assert!(saw["overflow"].as_i64().unwrap() <= 0, "nothing sticks out to the right: {saw}");
    assert!(saw["painted"]["flux"].as_u64().is_some_and(|colours| colours > 3), "{saw}");
    assert!(saw["painted"].get("residual").is_none() && saw["painted"].get("chi").is_none(), "{saw}");
}

fn main() -> std::process::ExitCode {
    testkit::main()
}
