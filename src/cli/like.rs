//! `spextral extract --like FRAME`: the inputs and options that a frame records, but for those that are given.

use super::common::{Given, names, take};
use super::extract::Repeatable;
use super::json::text;
use serde_json::{Value, json};
use spextral::extract::{Digests, Record, Request, differing_data};
use spextral::fits::{FitsError, Header, check_apart, read_headers};
use spextral::gpu::DeviceChoice;
use std::error::Error;
use std::path::{Path, PathBuf};

/// A frame to be made again.
#[derive(Debug)]
pub struct Like {
    frame: PathBuf,
    record: Record,
    /// Its headers, read before anything may replace it.
    headers: Vec<Header>,
}

impl Like {
    /// Reads a frame's record.
    ///
    /// # Errors
    /// It cannot be read, is no frame, or does not say how it was made.
    pub fn read(frame: &Path) -> Result<Self, Box<dyn Error>> {
        let headers = read_headers(frame)?;
        // Models have the same cards.
        if !headers.iter().any(|header| header.get_str("EXTNAME").is_some_and(|name| name == "FLUX")) {
            return Err(format!("{}: has no HDU FLUX, so it is no frame; give --like a frame", frame.display()).into());
        }
        Ok(Self { frame: frame.into(), record: Record::read(frame)?, headers })
    }

    /// Sets what is not given by what is recorded, the device too, where it is there.
    ///
    /// # Errors
    /// An option that this version does not have.
    pub fn set(&self, options: &mut Repeatable, given: &Given) -> Result<(), String> {
        let recorded = self.record.options.iter().map(|(name, value)| (name.as_str(), value.as_str()));
        let (known, frame) = (names::<Repeatable>(), self.frame.display());
        if let Some((name, value)) = recorded.clone().find(|(name, _)| !known.iter().any(|k| k == name)) {
            let (then, now) = (&self.record.version, spextral::version::VERSION);
            return Err(format!(
                "{frame} was made with {name}={value}, which this version ({now}) has no option for; use version {then}"
            ));
        }
        take(options, recorded.filter(|(name, _)| !given.has(name)))
            .map_err(|what| format!("{frame}, SPXOPT: {what}"))?;
        if !given.has("fibermap") {
            self.record.fibermap.as_deref().map(|path| self.there(path, "-f")).transpose()?;
            options.common.fibermap.clone_from(&self.record.fibermap);
        }
        if !given.has("device") {
            options.device.device = DeviceChoice::recorded(&self.record.device).unwrap_or_default();
        }
        Ok(())
    }

    /// Says whether the frame stays as it is: no output is it, whatever links or spellings lead there.
    ///
    /// # Errors
    /// An output is.
    pub fn check_kept(&self, outputs: &[&Path]) -> Result<(), FitsError> {
        check_apart(&[&self.frame], outputs)
    }

    /// The inputs: those given, else those recorded.
    ///
    /// # Errors
    /// A recorded one is not where it was.
    pub fn inputs(&self, input: Option<PathBuf>, psf: Option<PathBuf>) -> Result<[PathBuf; 2], String> {
        let found = |given: Option<PathBuf>, recorded: &Path, option| match given {
            Some(path) => Ok(path),
            None => self.there(recorded, option).map(Path::to_path_buf),
        };
        Ok([found(input, &self.record.input, "-i")?, found(psf, &self.record.psf, "-p")?])
    }

    /// A recorded input, where it still is.
    fn there<'a>(&self, recorded: &'a Path, option: &str) -> Result<&'a Path, String> {
        let (frame, path) = (self.frame.display(), recorded.display());
        let gone = || format!("{frame} was made of {path}, which is not there; say by {option} where it is now");
        recorded.exists().then_some(recorded).ok_or_else(gone)
    }

    /// Where the new frame goes if nothing else is said: beside the old one, `NAME-again.fits`.
    pub fn output(&self) -> PathBuf {
        let name = self.frame.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (stem, kind) = name.split_once(".fits").map_or((name.as_str(), String::new()), |(s, k)| (s, k.to_string()));
        self.frame.with_file_name(format!("{stem}-again.fits{kind}"))
    }

    /// What the inputs must be; a fibermap that is given may be another one.
    pub fn digests(&self, given: &Given) -> Digests {
        let fibermap = self.record.digests.fibermap.clone().filter(|_| !given.has("fibermap"));
        Digests { fibermap, ..self.record.digests.clone() }
    }

    /// Says what will not be as it was: the options given, and what else may make other bits.
    pub fn say_differences(&self, request: &Request, device: &str) {
        let frame = self.frame.display();
        for (name, now) in self.overridden(request) {
            let then = self.record.options.iter().find(|(known, _)| known == name).map(|(_, value)| value.as_str());
            let words = |value: Option<&str>| value.unwrap_or("its default").to_string();
            tracing::warn!("{name} is {} here, {} in {frame}", words(now.as_deref()), words(then));
        }
        let differences = self.record.differences(device);
        if !differences.is_empty() {
            tracing::warn!("the numbers may not be those of {frame} to the last bit: {}", differences.join("; "));
        }
    }

    /// The options whose values are others than those recorded.
    fn overridden(&self, request: &Request) -> Vec<(&'static str, Option<String>)> {
        let recorded = |name: &str| self.record.options.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        // Without a model there is nothing for it to show.
        let counts = |name: &str| name != "model-flux" || request.model.is_some() && recorded(name).is_some();
        request.named_options().filter(|(name, now)| counts(name) && now.as_ref() != recorded(name)).collect()
    }

    /// Says whether the new frame's data are those of the old one; the same for `--json`.
    ///
    /// # Errors
    /// The new frame cannot be read.
    pub fn verdict(&self, request: &Request, device: &str) -> Result<Value, Box<dyn Error>> {
        let differing = differing_data(&self.headers, &read_headers(&request.output)?);
        let (frame, output) = (self.frame.display(), request.output.display());
        match differing.is_empty() {
            true => tracing::info!("the data of {output} are those of {frame}: all have the same checksums"),
            false => tracing::warn!("the data of {output} differ from those of {frame} in {}", differing.join(", ")),
        }
        let overridden: Vec<&str> = self.overridden(request).iter().map(|(name, _)| *name).collect();
        Ok(json!({
            "frame": text(&self.frame), "differing_hdus": differing, "options_overridden": overridden,
            "made_otherwise": self.record.differences(device),
        }))
    }
}
