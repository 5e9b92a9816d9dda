//! `spextral fit-psf` under mpirun: three bundles of four fibres, of which one has no pixels.

use crate::mpi::{MINUTE, SOON, replacing, under_launcher};
use crate::night::{Night, Run, begin};
use serde_json::Value;
use spextral::fits::{Line, Preproc, write_preproc, write_psf};
use spextral::simulate::synthetic::Synthetic;
use spextral::simulate::{Light, Simulation, simulate};
use std::process::Command;
use testkit::binary;

/// Writes `start.fits`, `lines.txt` and `arc.fits`.
fn arc() -> Night {
    let night = Night::new();
    let small = Synthetic { nfibre: 12, bundlesize: 4, npix_y: Some(300), ..Synthetic::default() };
    let psf = Synthetic { gh_degree: 2, legendre_degree: 1, ..small }.build().unwrap();
    let middle = 0.5 * (psf.wave_min + psf.wave_max);
    let wave = |k: i32| middle + 9.3 * f64::from(k) + 2.0 * f64::from(k * k % 3);
    let lines: Vec<Line> = (-8..9).map(|k| Line { wave: wave(k), ion: "Xx".into(), weight: None }).collect();
    let text: String = lines.iter().map(|line| format!("{} Xx\n", line.wave)).collect();
    std::fs::write(night.path("lines.txt"), format!("# vacuum\n{text}")).unwrap();
    let simulation = Simulation { light: Light::Arc { lines, electrons: 20_000.0 }, ..Simulation::default() };
    let frame = simulate(&psf, &simulation).unwrap().preproc;
    let [image, mut ivar] = frame.ccd.clone().into_planes();
    let ends = [3, 4, 7, 8].map(|fibre| psf.trace_x.of(fibre)[0]);
    let dark = 0.5 * (ends[0] + ends[1])..0.5 * (ends[2] + ends[3]);
    ivar.iter_mut().enumerate().filter(|(i, _)| dark.contains(&((i % psf.npix_x) as f64))).for_each(|(_, w)| *w = 0.0);
    let frame = Preproc::new([psf.npix_y, psf.npix_x], image, ivar, None, 0).unwrap();
    write_preproc(night.path("arc.fits"), &frame, false).unwrap().persist().unwrap();
    write_psf(night.path("start.fits"), &psf, false).unwrap().persist().unwrap();
    night
}

/// Builds the command of `fit-psf`.
fn fit(night: &Night, output: &str) -> Command {
    let mut command = Command::new(binary());
    command.args(["fit-psf", "-i", "arc.fits", "-p", "start.fits", "--lines", "lines.txt", "--json", "-o", output]);
    command.current_dir(night.path("."));
    command
}

#[test]
fn a_psf_has_the_same_bytes_for_any_number_of_ranks_and_a_bundle_that_fails_keeps_the_start() {
    let night = arc();
    Run::of(fit(&night, "alone.fits")).ends_with(1, &["fibres 4 to 7 keep the start's PSF: no fibre has light"]);
    let alone = std::fs::read(night.path("alone.fits")).unwrap();
    // The last has more ranks than bundles.
    for ranks in [1, 2, 3, 5] {
        let output = format!("of-{ranks}.fits");
        let run = Run::within(MINUTE, begin(under_launcher(&night, &[], ranks, &fit(&night, &output))));
        run.ends_with(1, &["fibres 4 to 7 keep the start's PSF: no fibre has light"]);
        let json: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"));
        let fitted = [0, 1, 2].map(|k| json["bundles"][k]["reason"].is_null());
        assert_eq!((json["ranks"].as_u64(), fitted), (Some(ranks as u64), [true, false, true]));
        assert!(std::fs::read(night.path(&output)).unwrap() == alone, "{ranks} ranks");
    }
}

#[test]
fn odd_input_is_said_once_by_all_ranks() {
    let night = arc();
    let mut fit = fit(&night, "psf.fits");
    fit.args(["--lines-in", "air"]);
    let run = Run::within(MINUTE, begin(under_launcher(&night, &[], 3, &fit)));
    assert_eq!(run.stderr.matches("taken as in air, though it says otherwise").count(), 1, "{run:?}");
}

#[test]
fn a_rank_that_cannot_read_its_inputs_ends_the_fit_with_one_sentence_and_no_file() {
    let night = arc();
    for (ranks, said) in [("2", "rank 2 on"), ("?", "rank 0 on")] {
        let wrapper = replacing("arc.fits", "none.fits", ranks);
        let run = Run::within(MINUTE, begin(under_launcher(&night, &wrapper, 3, &fit(&night, "psf.fits"))));
        run.ends_with(1, &[said, "none.fits", "No such file"]);
        let object: Value = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"));
        assert_eq!(object["schema"], "spextral.error/1");
        assert_eq!(run.stderr.matches("none.fits").count(), 1, "{run:?}");
    }
    assert!(!night.path("psf.fits").exists());
}

#[test]
fn a_panic_on_any_rank_ends_the_fit_and_leaves_no_file() {
    let night = arc();
    for panicking in ["0", "2"] {
        let script =
            format!("[ ${{OMPI_COMM_WORLD_RANK:-$PMI_RANK}} = {panicking} ] || unset SPEXTRAL_PANIC; exec \"$@\"");
        let wrapper = ["sh".to_string(), "-c".into(), script, "sh".into()];
        let mut command = under_launcher(&night, &wrapper, 3, &fit(&night, "psf.fits"));
        command.env("SPEXTRAL_PANIC", "compute:psf.fits");
        let run = Run::within(SOON, begin(command));
        assert!(run.code != Some(0), "{run:?}");
        let said = format!("error: rank {panicking} on ");
        let line = run.stderr.lines().find(|line| line.contains(&said)).unwrap_or_default();
        assert!(line.contains("a panic while computing psf.fits"), "{run:?}");
        assert!(!night.path("psf.fits").exists());
    }
}
