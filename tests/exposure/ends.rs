//! Interrupted runs, and `--resume`.

#[cfg(unix)]
use crate::night::wait_for;
use crate::night::{Night, Run, begin};
use std::fs;
use std::time::{Duration, Instant};

const MINUTE: Duration = Duration::from_secs(60);

#[test]
fn a_job_killed_at_any_moment_is_completed_by_resume() {
    let night = Night::new();
    let all = Night::undisturbed();
    night.manifest("m.csv", "out", &[0, 1, 2, 3, 4, 5]);
    let start = Instant::now();
    night.exposure("m.csv", &[]).succeeds();
    let whole = start.elapsed();
    let mut temporary = 0;
    for moment in 0..20u32 {
        fs::remove_dir_all(night.path("out")).unwrap();
        fs::create_dir(night.path("out")).unwrap();
        let mut child = begin(night.command("m.csv", &[]));
        // Multiples of the golden ratio spread over the run without hitting a period of it.
        std::thread::sleep(whole.mul_f64((f64::from(moment) * 0.618).fract()));
        child.kill().unwrap();
        child.wait().unwrap();
        temporary += night.names("out").iter().filter(|name| name.ends_with(".tmp")).count();
        night.exposure("m.csv", &["--resume"]).succeeds();
        assert!(night.data("out") == all, "killed after {moment} / 20; {:?}", night.names("out"));
    }
    note!("{temporary} temporary files were left and removed");
}

#[test]
fn resume_extracts_only_frames_that_are_missing_damaged_outdated_or_of_other_options() {
    let night = Night::new();
    let all = Night::undisturbed();
    night.manifest("m.csv", "out", &[0, 1, 2, 3, 4, 5]);
    night.exposure("m.csv", &[]).succeeds();
    night.exposure("m.csv", &["--resume"]).ends_with(0, &["6 already complete", "out/0.fits is complete"]);
    // A missing frame; a flipped bit; a newer input; a missing model.
    fs::remove_file(night.path("out/1.fits")).unwrap();
    let mut bytes = fs::read(night.path("out/3.fits")).unwrap();
    let middle = bytes.len() / 2;
    bytes[middle] ^= 1;
    fs::write(night.path("out/3.fits"), bytes).unwrap();
    let input = fs::File::options().write(true).open(night.path("in5.fits.gz")).unwrap();
    input.set_modified(std::time::SystemTime::now() + MINUTE).unwrap();
    fs::remove_file(night.path("out/4-model.fits.gz")).unwrap();
    let run = night.exposure("m.csv", &["--resume"]);
    run.ends_with(0, &["4 of 6 frames done, 2 already complete", "out/0.fits is complete", "out/2.fits is complete"]);
    assert!(night.data("out") == all);
    let run = night.exposure("m.csv", &["--resume", "--regularize", "0.1"]);
    run.ends_with(0, &["6 of 6 frames done"]);
    assert!(night.data("out") != all);
}

#[test]
fn resume_knows_an_input_that_was_replaced_by_an_older_file() {
    let night = Night::new();
    night.manifest("m.csv", "out", &[0]);
    night.exposure("m.csv", &[]).succeeds();
    let replace = |from: &str| {
        let bytes = fs::read(night.path(from)).unwrap();
        fs::remove_file(night.path("in0.fits.gz")).unwrap();
        fs::write(night.path("in0.fits.gz"), bytes).unwrap();
        let input = fs::File::options().write(true).open(night.path("in0.fits.gz")).unwrap();
        input.set_modified(std::time::SystemTime::now() - 1000 * MINUTE).unwrap();
        night.exposure("m.csv", &["--resume"])
    };
    replace("in0.fits.gz").ends_with(0, &["1 already complete"]);
    replace("in1.fits.gz").ends_with(0, &["1 of 1 frames done in "]);
}

#[test]
fn resume_removes_temporary_files_of_dead_runs_and_no_others() {
    let night = Night::new();
    night.manifest("m.csv", "out", &[1]);
    // No process has this id.
    let host = fs::read_to_string("/proc/sys/kernel/hostname").unwrap_or_default();
    let [dead, alive, elsewhere] = [(9_999_999, host.trim()), (std::process::id(), host.trim()), (1, "elsewhere")]
        .map(|(pid, host)| format!(".spextral-7-{pid}-{host}-abc.tmp"));
    for name in [&dead, &alive, &elsewhere] {
        fs::write(night.path("out").join(name), "").unwrap();
    }
    night.exposure("m.csv", &["--resume"]).succeeds();
    let mut expected = vec!["1.fits".to_string(), alive, elsewhere];
    expected.sort();
    if cfg!(target_os = "linux") {
        assert_eq!(night.names("out"), expected);
    }
}

#[cfg(unix)]
#[test]
fn a_signal_ends_a_run_with_complete_files_only_and_resume_extracts_the_rest() {
    let night = Night::new();
    let frames: Vec<usize> = (0..40).collect();
    for (signal, code) in [("TERM", 143), ("INT", 130)] {
        let folder = format!("out{signal}");
        night.manifest("m.csv", &folder, &frames);
        let child = begin(night.command("m.csv", &["--report", &format!("{signal}.json")]));
        wait_for(&night.path(&folder).join("1.fits"));
        let kill = std::process::Command::new("kill").args(["-s", signal, &child.id().to_string()]).status();
        assert!(kill.unwrap().success());
        Run::within(Duration::from_secs(10), child).ends_with(code, &["ended by signal", "--resume does them"]);
        let report = night.report(&format!("{signal}.json"));
        let done = report["figures"]["done"].as_u64().unwrap();
        assert!(done >= 1 && done + report["figures"]["dropped"].as_u64().unwrap() == 40, "{}", report["figures"]);
        let frames = night.data(&folder).keys().filter(|name| !name.contains("model")).count();
        assert_eq!(frames as u64, done, "complete files, as many as reported");
        let left = 40 - done;
        night
            .exposure("m.csv", &["--resume"])
            .ends_with(0, &[&format!("{left} of 40 frames done, {done} already complete")]);
    }
}
