//! `spextral extract --like FRAME`: the inputs and options that a frame records, but for those that are given.

use super::common::{Given, names, take};
use super::extract::Repeatable;
use super::json::text;
use serde_json::{Value, json};
use spextral::WriteError;
use spextral::base::output_path::check_apart;
use spextral::extract::{Digests, Done, Record, Request, differing_data};
use spextral::fits::read_headers;
use spextral::frame::Header;
use spextral::gpu::DeviceChoice;
use std::error::Error;
use std::path::{Path, PathBuf};

/// How a new frame compares with the one to be made again.
#[derive(Debug)]
pub struct Verdict {
    /// Whether it is that one, or something was asked for or is there that makes another one of it.
    pub as_asked: bool,
    /// For `--json`.
    pub json: Value,
}

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
            let (then, now) = (&self.record.version, spextral::base::version::VERSION);
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
    pub fn check_kept(&self, outputs: &[&Path]) -> Result<(), WriteError> {
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
        if let Some(untold) = self.untold_build() {
            tracing::info!("{untold}");
        }
    }

    /// That it cannot be told whether this build made the frame, where that is so.
    fn untold_build(&self) -> Option<String> {
        let words = || {
            let (version, commit) = (&self.record.version, &self.record.commit);
            format!(
                "whether the same build made {} cannot be told: it is version {version}, commit {commit}",
                self.frame.display()
            )
        };
        self.record.same_build().is_none().then(words)
    }

    /// The options whose values are others than those recorded.
    fn overridden(&self, request: &Request) -> Vec<(&'static str, Option<String>)> {
        let recorded = |name: &str| self.record.options.iter().find(|(known, _)| known == name).map(|(_, value)| value);
        // Without a model there is nothing for it to show.
        let counts = |name: &str| name != "model-flux" || request.model.is_some() && recorded(name).is_some();
        request.named_options().filter(|(name, now)| counts(name) && now.as_ref() != recorded(name)).collect()
    }

    /// Says whether the new frame's data are those of the old one.
    ///
    /// # Errors
    /// The new frame cannot be read.
    pub fn verdict(&self, request: &Request, done: &Done) -> Result<Verdict, Box<dyn Error>> {
        let differing = differing_data(&self.headers, &read_headers(&request.output)?);
        let otherwise = self.record.differences(&done.device);
        let mut overridden: Vec<&str> = self.overridden(request).iter().map(|(name, _)| *name).collect();
        if done.digests.fibermap != self.record.digests.fibermap {
            overridden.push("fibermap");
        }
        let as_asked = differing.is_empty() || !overridden.is_empty() || !otherwise.is_empty();
        let (frame, output, hdus) = (self.frame.display(), request.output.display(), differing.join(", "));
        match differing.is_empty() {
            true => tracing::info!("the data of {output} are those of {frame}: all have the same checksums"),
            false if as_asked => tracing::warn!("the data of {output} differ from those of {frame} in {hdus}"),
            false => {
                let untold = self.untold_build().map(|words| format!("; {words}")).unwrap_or_default();
                tracing::error!(
                    "{frame} is not repeated: the data of {output}, which is kept, differ from its own in {hdus}, \
                     although inputs, options, version and device are the same{untold}"
                );
            }
        }
        let json = json!({
            "frame": text(&self.frame), "differing_hdus": differing, "options_overridden": overridden,
            "made_otherwise": otherwise, "same_build": self.record.same_build(),
        });
        Ok(Verdict { as_asked, json })
    }
}
