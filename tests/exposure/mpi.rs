//! Runs under mpirun, with more ranks than cores. SPEXTRAL_MPIRUN sets another launcher with its options, such as
//! `mpirun.mpich -disable-auto-cleanup`. Only Open MPI's launcher is known to let the other ranks report a killed one.

use crate::night::{Night, Run, begin, wait_for};
use spextral::fits::read_headers;
use std::path::Path;
use std::process::Command;
use std::time::Duration;
use testkit::{binary, gpu};

/// Time within which all ranks of a broken job end.
pub const SOON: Duration = Duration::from_secs(10);
pub const MINUTE: Duration = Duration::from_secs(60);

/// `mpirun -n RANKS spextral exposure ...`
fn mpirun(night: &Night, ranks: usize, manifest: &str, more: &[&str]) -> Command {
    launch(night, &[], ranks, manifest, more)
}

/// `mpirun -n RANKS WRAPPER... spextral exposure ...`
fn launch(night: &Night, wrapper: &[String], ranks: usize, manifest: &str, more: &[&str]) -> Command {
    under_launcher(night, wrapper, ranks, &night.command(manifest, more))
}

/// `mpirun -n RANKS WRAPPER... COMMAND`
pub fn under_launcher(night: &Night, wrapper: &[String], ranks: usize, alone: &Command) -> Command {
    let launcher = std::env::var("SPEXTRAL_MPIRUN").unwrap_or_else(|_| "mpirun".into());
    let mut words = launcher.split_whitespace();
    let mut command = Command::new(words.next().unwrap());
    command.args(words).args(["-n", &ranks.to_string()]).args(wrapper);
    command.arg(alone.get_program()).args(alone.get_args());
    command.current_dir(night.path("."));
    // For Open MPI 4 and 5, ignored by MPICH: as root, more ranks than cores, in a container.
    for (name, value) in [
        ("OMPI_ALLOW_RUN_AS_ROOT", "1"),
        ("OMPI_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
        ("OMPI_MCA_rmaps_base_oversubscribe", "1"),
        ("PRTE_MCA_rmaps_default_mapping_policy", ":oversubscribe"),
        ("OMPI_MCA_btl_vader_single_copy_mechanism", "none"),
        ("PRTE_ALLOW_RUN_AS_ROOT", "1"),
        ("PRTE_ALLOW_RUN_AS_ROOT_CONFIRM", "1"),
    ] {
        command.env(name, value);
    }
    command
}

/// Returns a wrapper that replaces a word of the command line on the ranks of a pattern.
pub fn replacing(word: &str, by: &str, ranks: &str) -> [String; 4] {
    let script = format!(
        "case ${{OMPI_COMM_WORLD_RANK:-$PMI_RANK}} in {ranks}) for a; do [ \"$a\" = {word} ] && a={by}; \
         set -- \"$@\" \"$a\"; shift; done;; esac; exec \"$@\""
    );
    ["sh".to_string(), "-c".into(), script, "sh".into()]
}

fn run(night: &Night, ranks: usize, manifest: &str, more: &[&str]) -> Run {
    Run::within(MINUTE, begin(mpirun(night, ranks, manifest, more)))
}

/// Lists (rank, process id) of a night's job.
fn processes(night: &Night) -> Vec<(usize, u32)> {
    let home = std::fs::canonicalize(night.path(".")).unwrap();
    let of = |pid: u32| -> Option<(usize, u32)> {
        let folder = Path::new("/proc").join(pid.to_string());
        let own = std::fs::read_link(folder.join("exe")).ok()?.ends_with(binary().file_name()?);
        let here = std::fs::read_link(folder.join("cwd")).ok()? == home;
        let environment = String::from_utf8_lossy(&std::fs::read(folder.join("environ")).ok()?).into_owned();
        let rank = environment.split('\0').find_map(|entry| {
            let (name, value) = entry.split_once('=')?;
            ["OMPI_COMM_WORLD_RANK", "PMI_RANK"].contains(&name).then(|| value.parse().ok())?
        });
        (own && here).then_some((rank?, pid))
    };
    let pids = std::fs::read_dir("/proc").unwrap().flatten().filter_map(|e| e.file_name().to_str()?.parse().ok());
    let mut found: Vec<(usize, u32)> = pids.filter_map(of).collect();
    found.sort();
    found
}

fn kill(signal: &str, pid: u32) {
    // It may already have ended.
    let _ = Command::new("kill").args(["-s", signal, &pid.to_string()]).output();
}

#[test]
fn data_are_the_same_for_any_number_of_ranks_and_ranks_per_frame_in_any_order() {
    let night = Night::new();
    let all = Night::undisturbed();
    for (ranks, of_frame, order) in [
        (1, 1, [0, 1, 2, 3, 4, 5]),
        (2, 1, [5, 4, 3, 2, 1, 0]),
        (2, 2, [0, 1, 2, 3, 4, 5]),
        (3, 1, [1, 3, 5, 0, 2, 4]),
        (3, 2, [0, 1, 2, 3, 4, 5]),
        (5, 1, [0, 1, 2, 3, 4, 5]),
        (5, 2, [5, 4, 3, 2, 1, 0]),
        // More ranks than bundles.
        (5, 5, [0, 1, 2, 3, 4, 5]),
    ] {
        let folder = format!("out-{ranks}-{of_frame}");
        night.manifest("m.csv", &folder, &order);
        let ranks_per_frame = of_frame.to_string();
        // Replaces the report of the previous run.
        let words = ["--ranks-per-frame", &ranks_per_frame, "--report", "r.json", "--overwrite"];
        let run = run(&night, ranks, "m.csv", &words);
        run.ends_with(0, &["6 of 6 frames done"]);
        assert!(night.data(&folder) == all, "{ranks} ranks, {of_frame} per frame");
        let figures = &night.report("r.json")["figures"];
        assert_eq!(figures["ranks"], ranks);
        assert_eq!(figures["groups"], ranks.div_ceil(of_frame));
    }
}

#[test]
fn runs_of_one_frame_and_of_fewer_frames_than_ranks_succeed_and_one_of_no_frame_is_refused() {
    let night = Night::new();
    night.manifest("m.csv", "out", &[]);
    run(&night, 4, "m.csv", &[]).ends_with(1, &["m.csv names no frame"]);
    for frames in [&[1][..], &[0, 1]] {
        night.manifest("m.csv", "out", frames);
        let said = format!("{} of {} frames done", frames.len(), frames.len());
        for of_frame in ["1", "2"] {
            run(&night, 4, "m.csv", &["--overwrite", "--ranks-per-frame", of_frame]).ends_with(0, &[&said]);
        }
    }
}

#[test]
fn a_frame_that_fails_on_any_rank_is_reported_and_the_others_go_on() {
    let night = Night::new();
    let mut all = Night::undisturbed();
    all.remove("3.fits");
    std::fs::write(night.path("in3.fits.gz"), "no frame").unwrap();
    for of_frame in ["1", "3"] {
        let folder = format!("out{of_frame}");
        night.manifest("m.csv", &folder, &[0, 1, 2, 3, 4, 5]);
        // Reading succeeds, the extraction refuses it on whichever rank leads.
        std::fs::write(night.path("m.csv"), {
            let text = std::fs::read_to_string(night.path("m.csv")).unwrap();
            let mut lines = text.lines().map(|line| format!("{line},\n"));
            let header = lines.next().unwrap().replace("model,", "model,specmin");
            header + &lines.collect::<String>() + "in0.fits.gz,psf0.fits,none.fits,,99\n"
        })
        .unwrap();
        let run = run(&night, 3, "m.csv", &["--ranks-per-frame", of_frame]);
        run.ends_with(1, &["in3.fits.gz is not a FITS file", "specmin 99 is beyond", "5 of 7 frames done, 2 failed"]);
        assert!(night.data(&folder) == all);
    }
}

#[test]
fn a_rank_that_loses_its_gpu_is_recorded_in_the_frames_that_it_shares() {
    let gpu = gpu().name().to_string();
    let night = Night::new();
    // Frames in sequence: the state of rank 1 depends on the frames before.
    let words =
        ["--ranks-per-frame", "2", "--device", &gpu, "--solver", "patches", "--report", "r.json", "--overwrite"];
    let run = |folder: &str, fault: &str| {
        // The same input twice, so that the order is that of the manifest.
        std::fs::create_dir_all(night.path(folder)).unwrap();
        let rows = [0, 1].map(|k| format!("in0.fits.gz,psf0.fits,{folder}/{k}.fits\n")).concat();
        std::fs::write(night.path("m.csv"), format!("input,psf,output\n{rows}")).unwrap();
        let alone = night.command("m.csv", &words);
        let mut command = mpirun(&night, 1, "m.csv", &words);
        command.args([":", "-n", "1", "env", &format!("SPEXTRAL_FAULT={fault}")]);
        command.arg(alone.get_program()).args(alone.get_args());
        Run::within(MINUTE, begin(command)).ends_with(0, &["2 of 2 frames done"]);
        [0, 1].map(|k| {
            let header = &read_headers(night.path(&format!("{folder}/{k}.fits"))).unwrap()[0];
            let card = |key: &str| header.get_str(key).unwrap_or_default();
            let retried = night.report("r.json")["frames"][k]["retried"].as_str().unwrap_or_default().to_string();
            assert_eq!(card("SPXRETRY"), retried);
            (card("SPXDEV"), card("SPXPREC"), retried)
        })
    };
    let of = |folder: &str| night.data(folder);
    let [(device, precision, none), _] = run("good", "lost@1000000");
    assert!(!device.contains("CPU") && precision == "f32" && none.is_empty(), "{device} {precision} {none}");
    let [(whole, _, why), second] = run("once", "lost@120");
    assert!(whole == device && why.starts_with("rank 1: ") && why.contains("was lost"), "{whole} {why}");
    assert_eq!((second.0, second.2), (device.clone(), none));
    assert!(of("once") == of("good"), "smaller parts give the same bits");
    let [(first, in_f64, why), (second, mixed, since)] = run("gone", "lost@120+");
    assert!(first.starts_with("CPU f64") && in_f64 == "f64" && why.contains("rank 1: "), "{first} {in_f64} {why}");
    assert!(
        second.contains(&device) && second.contains("CPU f64") && mixed.starts_with("f32, some"),
        "{second} {mixed}"
    );
    assert!(since.starts_with("rank 1: ") && since.contains("cannot be opened anew"), "{since}");
}

#[test]
fn a_nan_option_fails_its_frame_and_no_other() {
    let night = Night::new();
    let rows = "in0.fits.gz,psf0.fits,good.fits,\nin1.fits.gz,psf1.fits,bad.fits,nan\n";
    std::fs::write(night.path("m.csv"), format!("input,psf,output,tolerance\n{rows}")).unwrap();
    let run = run(&night, 3, "m.csv", &["--overwrite"]);
    run.ends_with(1, &["tolerance is NaN", "1 of 2 frames done, 1 failed"]);
}

#[test]
fn an_error_before_any_work_ends_the_job() {
    let night = Night::new();
    night.manifest("m.csv", "out", &[0, 1]);
    night.add_row("m.csv", "a.fits,b.fits,out/0.fits,");
    let twice = run(&night, 3, "m.csv", &[]);
    assert!(twice.code != Some(0) && twice.stderr.contains("error: rank 0 on"), "{twice:?}");
    assert!(twice.stderr.contains("are one file"), "{twice:?}");
    night.manifest("m.csv", "out", &[0, 1]);
    let none = run(&night, 3, "m.csv", &["--device", "no such device"]);
    assert!(none.code != Some(0) && none.stderr.contains("no such device"), "{none:?}");
}

#[test]
fn an_error_before_any_work_is_one_json_object_whichever_ranks_have_it() {
    let night = Night::new();
    night.manifest("m.csv", "out", &[0, 1]);
    night.manifest("twice.csv", "out", &[0, 1, 1]);
    for (manifest, ranks, said) in
        [("m.csv", "1", "rank 1 on"), ("m.csv", "?", "rank 0 on"), ("twice.csv", "x", "one file")]
    {
        // These ranks have no device.
        let command = launch(&night, &replacing("cpu", "nothing", ranks), 3, manifest, &["--json"]);
        let run = Run::within(MINUTE, begin(command));
        assert_eq!(run.code, Some(1), "{run:?}");
        let object: serde_json::Value = serde_json::from_str(&run.stdout).unwrap_or_else(|e| panic!("{e}: {run:?}"));
        assert_eq!(object["schema"], "spextral.error/1");
        let error = object["error"].as_str().unwrap();
        assert!(error.contains(said) && run.stderr.contains(error), "{run:?}");
        assert!(night.names("out").is_empty());
    }
}

#[test]
fn a_panic_on_any_rank_ends_the_job_and_names_rank_and_frame() {
    let night = Night::new();
    let frames: Vec<usize> = (0..20).collect();
    for of_frame in ["1", "3"] {
        night.manifest("m.csv", "out", &frames);
        let mut command = mpirun(&night, 3, "m.csv", &["--overwrite", "--ranks-per-frame", of_frame]);
        command.env("SPEXTRAL_PANIC", "compute:out/7.fits");
        let run = Run::within(SOON, begin(command));
        assert!(run.code != Some(0), "{run:?}");
        let line = run.stderr.lines().find(|line| line.starts_with("error: rank ")).unwrap_or_default();
        assert!(line.contains("a panic while") && line.contains("computing out/7.fits"), "{run:?}");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_killed_rank_ends_the_job_and_is_named_with_its_frames() {
    let night = Night::new();
    let frames: Vec<usize> = (0..400).collect();
    for (victim, of_frame) in [(2, "1"), (1, "3"), (0, "1")] {
        let folder = format!("out{victim}");
        night.manifest("m.csv", &folder, &frames);
        let child = begin(mpirun(&night, 3, "m.csv", &["--ranks-per-frame", of_frame]));
        wait_for(&night.path(&folder).join("5.fits"));
        let pid = processes(&night).into_iter().find(|(rank, _)| *rank == victim).unwrap().1;
        kill("KILL", pid);
        let run = Run::within(SOON, child);
        assert!(run.code != Some(0), "{run:?}");
        // The end of rank 0 is reported by the launcher or by another rank, whichever is first.
        if victim != 0 && std::env::var_os("SPEXTRAL_MPIRUN").is_none() {
            let said = format!("rank {victim} on ");
            // A line of another rank may have been cut short before it.
            let line = run.stderr.lines().find(|l| l.contains("error: rank 0 on ") && l.contains(&said));
            assert!(line.is_some_and(|l| l.contains("has died with") && l.contains(&folder)), "{run:?}");
        }
        assert_eq!(processes(&night), [], "no rank is left");
    }
}

#[cfg(target_os = "linux")]
#[test]
fn a_job_that_is_killed_or_cancelled_leaves_complete_files_and_resume_extracts_the_rest() {
    let night = Night::new();
    let all = Night::undisturbed();
    for (moment, signal) in [(1, "KILL"), (2, "TERM"), (3, "KILL"), (4, "INT")] {
        std::fs::remove_dir_all(night.path("out")).ok();
        night.manifest("m.csv", "out", &[0, 1, 2, 3, 4, 5]);
        let child = begin(mpirun(&night, 3, "m.csv", &["--ranks-per-frame", "2"]));
        wait_for(&night.path("out").join(format!("{moment}.fits")));
        match signal {
            "KILL" => processes(&night).into_iter().for_each(|(_, pid)| kill(signal, pid)),
            _ => kill(signal, child.id()),
        }
        Run::within(SOON, child);
        assert_eq!(processes(&night), []);
        run(&night, 3, "m.csv", &["--resume"]).ends_with(0, &["of 6 frames done"]);
        assert!(night.data("out") == all, "{signal}");
    }
}
