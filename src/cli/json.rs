//! `--json`: one object on the standard output, described in docs/json.md.

use super::output::print;
use serde_json::{Map, Value, json};
use spextral::base::version::{COMMIT, VERSION};
use spextral::extract::{Done, Request};
use spextral::gpu::MemoryUse;
use spextral::shift::{Departure, Quantity};
use std::borrow::Cow;
use std::io;
use std::path::Path;

/// The flag `--json`.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Json {
    /// Print one JSON object in place of text; docs/json.md has its fields. Of an error it is {"error": ...}
    #[arg(long)]
    #[arg(help_heading = "Messages", display_order = 999)]
    json: bool,
}

impl Json {
    /// Whether it is given.
    pub fn is_wanted(self) -> bool {
        self.json
    }
}

/// Prints an object of the kind `name` ("extract", …).
///
/// # Errors
/// An [`io::Error`] if the standard output cannot be written.
pub fn print_object(name: &str, fields: Map<String, Value>) -> io::Result<()> {
    print(&format!("{:#}", with_schema(name, fields)))
}

/// Returns an object of the kind `name` with its schema, and the version of the program.
pub fn with_schema(name: &str, mut fields: Map<String, Value>) -> Value {
    fields.insert("schema".into(), format!("spextral.{name}/1").into());
    fields.insert("version".into(), VERSION.into());
    fields.insert("commit".into(), COMMIT.into());
    Value::Object(fields)
}

/// Prints an error as an object. A standard output that cannot be written is no second error.
pub fn print_error(sentence: &str) {
    let _ = print_object("error", object(json!({ "error": sentence })));
}

/// Returns a path for JSON, with U+FFFD in place of what is no Unicode.
pub fn text(path: &Path) -> Cow<'_, str> {
    path.to_string_lossy()
}

/// Returns the fields of an object.
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_string(), other)]),
    }
}

/// Returns the fields of an extraction; `like` is the comparison of a repeated frame.
pub fn extraction_fields(request: &Request, done: &Done, like: Option<Value>) -> Value {
    let file = |path: &Path, blake3: &str| json!({ "path": text(path), "blake3": blake3 });
    let (digests, summary) = (&done.digests, &done.summary);
    let fibermap = request.fibermap.as_ref().zip(digests.fibermap.as_ref());
    let table = request.wavelength_table.as_ref().zip(digests.wavelength_table.as_ref());
    let options: Map<String, Value> =
        request.recorded_options().map(|(name, value)| (name.word().into(), value.into())).collect();
    let memory = |used: MemoryUse| json!({ "planned_bytes": used.planned, "peak_bytes": used.peak });
    let stages = summary.stage_time.iter().map(|(stage, time)| (stage.name().into(), time.as_secs_f64().into()));
    let [wave_min, wave_max, wave_step] = done.grid;
    let mut fields = object(json!({
        "output": text(&request.output),
        "model": request.model.as_ref().map(|(path, _)| text(path)),
        "input": file(&request.input, &digests.input),
        "psf": file(&request.psf, &digests.psf),
        "fibermap": fibermap.map(|(path, digest)| file(path, digest)),
        "options": options,
        "device": done.device,
        "device_memory": summary.device_memory.map(memory),
        "retried": summary.retried,
        "fallbacks": summary.fallbacks,
        "precision": summary.precision(),
        "solver": summary.solver(),
        "bundles": {
            "sizes": summary.groups.to_string(), "cuts": summary.groups.cuts(),
            "auto": request.options.patches.bundlesize.is_none(), "overlap_across_cuts": summary.overlap,
            "forced_cut": summary.forced_cut,
        },
        "resolution_cut_rows": summary.cut_rows,
        "solver_as_requested": summary.is_by(request.options.solver).is_none(),
        "nspec": done.nspec, "nwave": done.nwave,
        "wave_min": wave_min, "wave_max": wave_max, "wave_step": wave_step,
        "barycentric_factor": done.barycentric.as_ref().map(|correction| correction.factor),
        "bad_pixels": done.bad_pixels,
        "bad_fibres": done.bad_fibres,
        "notes": done.notes,
        "bins_without_information": summary.no_information,
        "fibres_without_information": summary.dark.fibres(),
        "bins_without_result": summary.no_result,
        "flux_error": summary.flux_error,
        "above_tolerance": summary.above_tolerance,
        "information": summary.information,
        "noise_gain": summary.noise_gain,
        "bundles_banded": summary.banded,
        "bundles_in_patches": summary.in_patches,
        "patches": summary.patches, "patches_unsolved": summary.failed, "redone": summary.redone,
        "read_seconds": done.read.as_secs_f64(),
        "compute_seconds": done.compute.as_secs_f64(),
        "write_seconds": done.write.as_secs_f64(),
        "stage_seconds": stages.collect::<Map<String, Value>>(),
        "like": like,
    }));
    fields.insert("fit".into(), json!(summary.fit));
    let table = table.map_or(Value::Null, |(path, digest)| file(path, digest));
    fields.insert("wavelength_table".into(), table);
    fields.insert("barycentric_site".into(), json!(done.barycentric.as_ref().map(|correction| &correction.site)));
    fields.insert("wave_dln".into(), done.log_step.into());
    fields.insert("dispaxis".into(), done.dispersion.dispaxis().into());
    let traces = done.shifts.as_ref().map(|shifts| Value::Object(quantity_fields(|q| shifts.departure(q))));
    fields.insert("traces".into(), traces.into());
    Value::Object(fields)
}

/// Returns the fields `dx`, `dy`, `ln_sigma_x` and `ln_sigma_y` of a bundle or a camera.
pub fn quantity_fields(of: impl Fn(Quantity) -> Option<Departure>) -> Map<String, Value> {
    let names = ["dx", "dy", "ln_sigma_x", "ln_sigma_y"];
    let value = |d: Departure| json!({ "mean": d.mean, "error": d.error, "least": d.ends[0], "most": d.ends[1] });
    let fields = Quantity::ALL.into_iter().zip(names);
    fields.map(|(quantity, name)| (name.to_string(), of(quantity).map_or(Value::Null, value))).collect()
}
