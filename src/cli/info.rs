//! `spextral info`: what a file is, what it holds, and how it was made.

use super::json::{Json, object, print_object, text};
use super::output::{Outcome, print};
use super::psf_info;
use serde_json::{Map, Value as JsonValue, json};
use spextral::extract::psf_facts;
use spextral::fits::{Header, Value, read_headers, read_psf};
use spextral::frame::path_of_card;
use std::error::Error;
use std::path::{Path, PathBuf};
use std::process::ExitCode;

/// Cards that say which exposure a file is of, and how it was made.
const CARDS: [&str; 14] = [
    "CAMERA", "NIGHT", "EXPID", "OBSTYPE", "EXPTIME", "NSPEC", "WAVEMIN", "WAVEMAX", "WAVESTEP", "SPXVER", "SPXDEV",
    "SPXSOLV", "SPXOPT", "PSFTYPE",
];
/// Cards of files that it was made from.
const INPUTS: [&str; 4] = ["IN_IMG", "IN_PSF", "IN_FMAP", "IN_WTAB"];

/// Say what a file holds: kind, HDUs with their shapes and units, exposure, and how it was made
///
/// Any FITS file: a preproc frame, a PSF, a frame of spectra, a model image, a truth.
#[derive(clap::Args, Debug)]
pub struct Arguments {
    /// Files
    #[arg(value_name = "FILE", required = true)]
    files: Vec<PathBuf>,
    #[command(flatten)]
    pub json: Json,
}

/// Reads and prints.
///
/// # Errors
/// A file that can't be read as FITS.
pub fn run(args: &Arguments) -> Outcome {
    let facts = args.files.iter().map(|path| Facts::of(path)).collect::<Result<Vec<_>, _>>()?;
    if args.json.is_wanted() {
        let files: Vec<JsonValue> = facts.iter().map(Facts::json).collect();
        print_object("info", object(json!({ "files": files })))?;
    } else {
        print(&facts.iter().map(Facts::lines).collect::<Vec<_>>().join("\n\n"))?;
    }
    Ok(ExitCode::SUCCESS)
}

/// The facts about one file.
struct Facts {
    path: PathBuf,
    kind: &'static str,
    hdus: Vec<Hdu>,
    /// Cards of the list above, each from the first HDU that has it.
    cards: Vec<(&'static str, Value)>,
    inputs: Vec<String>,
    /// Lines about a PSF.
    psf: Option<String>,
}

/// One HDU that holds something.
struct Hdu {
    name: String,
    is_table: bool,
    /// Slowest axis first; of a table its rows and columns.
    shape: Vec<i64>,
    unit: Option<String>,
}

impl Hdu {
    /// None for an HDU without data.
    fn of(index: usize, header: &Header) -> Option<Self> {
        let is_table = header.get_str("XTENSION").is_some_and(|kind| kind.ends_with("TABLE"));
        let is_tiled = header.get_bool("ZIMAGE") == Some(true);
        let prefix = if is_tiled { "Z" } else { "" };
        let axes = header.get_i64(&format!("{prefix}NAXIS")).unwrap_or(0);
        let mut shape: Vec<i64> =
            (1..=axes.min(999)).rev().filter_map(|axis| header.get_i64(&format!("{prefix}NAXIS{axis}"))).collect();
        let is_table = is_table && !is_tiled;
        if is_table {
            shape.truncate(1);
            shape.extend(header.get_i64("TFIELDS"));
        }
        let name = header.get_str("EXTNAME").unwrap_or_else(|| format!("HDU {index}"));
        (!shape.is_empty()).then(|| Self { name, is_table, shape, unit: header.get_str("BUNIT") })
    }

    fn line(&self) -> String {
        let shape = self.shape.iter().map(i64::to_string).collect::<Vec<_>>();
        match (self.is_table, &self.shape[..]) {
            (true, [rows, columns]) => format!("table of {rows} rows, {columns} columns"),
            _ => format!(
                "{}{}",
                shape.join(" x "),
                self.unit.iter().map(|unit| format!(" [{unit}]")).collect::<String>()
            ),
        }
    }
}

/// Returns the kind of a file by the names of its HDUs.
fn kind(hdus: &[Hdu], has_psf: bool) -> &'static str {
    let has = |name: &str| hdus.iter().any(|hdu| hdu.name == name);
    match () {
        () if has_psf => "PSF",
        () if has("FLUX") && has("RESOLUTION") => "frame of spectra",
        () if has("FLUX") && has("WAVELENGTH") => "spectra, as the truth of a simulation",
        () if has("RDIAGS") => "reference spectra",
        () if has("MODEL") => "model image",
        () if has("IMAGE") => "preprocessed CCD frame",
        () if has("FIBERMAP") => "fibermap",
        () if hdus.iter().any(|hdu| !hdu.is_table) => "image",
        () if !hdus.is_empty() => "tables",
        () => "FITS file without data",
    }
}

impl Facts {
    fn of(path: &Path) -> Result<Self, Box<dyn Error>> {
        let headers = read_headers(path)?;
        let first = |keyword: &str| headers.iter().find_map(|header| header.get(keyword));
        let cards: Vec<_> = CARDS.iter().filter_map(|&keyword| Some((keyword, first(keyword)?))).collect();
        let hdus: Vec<Hdu> = headers.iter().enumerate().filter_map(|(index, header)| Hdu::of(index, header)).collect();
        let name = |keyword: &&str| Some(text(&path_of_card(&first(keyword)?.to_string())).into_owned());
        let inputs = INPUTS.iter().filter_map(name).collect();
        // A PSF that can't be used still has its HDUs.
        let of_psf = |_| match read_psf(path) {
            Ok(psf) => psf_info::lines(&psf_facts(&psf)),
            Err(error) => format!("  not usable  {error}"),
        };
        let psf = first("PSFTYPE").map(of_psf);
        Ok(Self { path: path.into(), kind: kind(&hdus, psf.is_some()), hdus, cards, inputs, psf })
    }

    fn card(&self, keyword: &str) -> Option<String> {
        self.cards.iter().find(|(of, _)| *of == keyword).map(|(_, value)| value.to_string())
    }

    fn lines(&self) -> String {
        let of_exposure = [("CAMERA", "camera"), ("NIGHT", "night"), ("EXPID", "exposure"), ("OBSTYPE", "type")];
        let exposure = of_exposure.iter().filter_map(|(card, name)| Some(format!(", {name} {}", self.card(card)?)));
        let mut lines = vec![format!("{}: {}{}", self.path.display(), self.kind, exposure.collect::<String>())];
        let width = self.hdus.iter().map(|hdu| hdu.name.len()).max().unwrap_or(0).max(10);
        lines.extend(self.hdus.iter().map(|hdu| format!("  {:width$}  {}", hdu.name, hdu.line())));
        lines.extend(self.psf.clone());
        let mut say = |name: &str, what: Option<String>| lines.extend(what.map(|what| format!("  {name:10}  {what}")));
        let rounded = |card: String| card.parse().map_or(card, |wave: f64| ((1e4 * wave).round() / 1e4).to_string());
        let grid = ["WAVEMIN", "WAVEMAX", "WAVESTEP"].map(|keyword| self.card(keyword).map(rounded));
        if let [Some(from), Some(to), Some(by)] = grid {
            say("grid", Some(format!("{from} to {to} by {by} Angstrom")));
        }
        let made = self.card("SPXVER").map(|version| {
            let on = self.card("SPXDEV").map(|device| format!(" on {device}")).unwrap_or_default();
            format!("by spextral {version}{on}, solver {}", self.card("SPXSOLV").unwrap_or_else(|| "unknown".into()))
        });
        say("made", made);
        say("from", (!self.inputs.is_empty()).then(|| self.inputs.join(", ")));
        say("options", self.card("SPXOPT"));
        lines.join("\n")
    }

    fn json(&self) -> JsonValue {
        let hdu = |hdu: &Hdu| {
            json!({
                "name": hdu.name, "kind": if hdu.is_table { "table" } else { "image" }, "shape": hdu.shape, "unit": hdu.unit,
            })
        };
        let value = |value: &Value| match value {
            Value::Bool(value) => json!(value),
            Value::Int(value) => json!(value),
            Value::Float(value) => json!(value),
            other => json!(other.to_string()),
        };
        let cards: Map<String, JsonValue> = self.cards.iter().map(|(name, of)| (name.to_string(), value(of))).collect();
        json!({
            "path": text(&self.path), "kind": self.kind, "hdus": self.hdus.iter().map(hdu).collect::<Vec<_>>(),
            "cards": cards, "inputs": self.inputs,
        })
    }
}
