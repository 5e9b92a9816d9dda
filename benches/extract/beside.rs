//! Another program beside this one, stage by stage: both on one thread, in turns, so that a busy machine slows both down alike.
//!
//! Its last line is a JSON object of ns per bin by stage, with the names of this program's stages.

use crate::plan::Wanted;
use serde_json::Value;
use std::collections::BTreeMap;
use std::path::Path;
use std::process::{Command, Stdio};

/// ns per bin by stage.
type Times = BTreeMap<String, f64>;

/// Prints the best times of both, and their ratios.
pub fn compare(wanted: &Wanted, folder: &Path, program: &str) -> Result<(), String> {
    let (mut ours, mut theirs) = (Times::new(), Times::new());
    for _ in 0..wanted.rounds() {
        let case = wanted.beside_case();
        let bins = case.bins();
        let outcome = case.in_process(folder)?;
        let stages = outcome.stages.iter().map(|(stage, seconds)| (stage.clone(), 1e9 * seconds / bins));
        let all = ("all".to_string(), 1e9 * outcome.seconds / bins);
        keep_best(&mut ours, stages.chain([all]).collect());
        keep_best(&mut theirs, run(program)?);
    }
    let sum: f64 = theirs.values().sum();
    theirs.insert("all".into(), sum);
    println!(
        "{:18} {:>8} {:>8} {:>6}  ns per bin, one thread, best of {}",
        "stage",
        "this",
        "beside",
        "ratio",
        wanted.rounds()
    );
    for (stage, ours) in &ours {
        match theirs.get(stage) {
            Some(theirs) => println!("{stage:18} {ours:8.0} {theirs:8.0} {:6.2}", ours / theirs),
            None => println!("{stage:18} {ours:8.0}"),
        }
    }
    if let Some(path) = &wanted.json {
        let json = serde_json::json!({ "this": ours, "beside": theirs });
        std::fs::write(path, json.to_string()).map_err(|e| format!("cannot write {path}: {e}"))?;
    }
    Ok(())
}

fn keep_best(best: &mut Times, new: Times) {
    for (stage, time) in new {
        let least = best.entry(stage).or_insert(time);
        *least = least.min(time);
    }
}

fn run(program: &str) -> Result<Times, String> {
    let mut words = program.split_whitespace();
    let first = words.next().ok_or("--beside needs a program")?;
    let output =
        Command::new(first).args(words).stderr(Stdio::inherit()).output().map_err(|e| format!("{first}: {e}"))?;
    let text = String::from_utf8_lossy(&output.stdout);
    let last = text.lines().last().unwrap_or_default();
    let Ok(Value::Object(stages)) = serde_json::from_str(last) else {
        return Err(format!("{first} ends with {last:?}: give one JSON object of ns per bin by stage"));
    };
    Ok(stages.into_iter().filter_map(|(stage, time)| Some((stage, time.as_f64()?))).collect())
}
