//! `spextral extract --like FRAME`: the inputs and options that a frame records, except for those given.

use super::json::text;
use serde_json::{Value, json};
use spextral::WriteError;
use spextral::base::option_name::OptionName;
use spextral::base::output_path::check_apart;
use spextral::base::version::VERSION;
use spextral::extract::{Digests, Done, Record, Request, differing_data, option_kind};
use spextral::fits::read_headers;
use spextral::frame::Header;
use spextral::gpu::DeviceChoice;
use std::error::Error;
use std::path::{Path, PathBuf};

/// The comparison of a new frame with the one that it repeats.
#[derive(Debug)]
pub struct Verdict {
    /// Whether the data are the same, or an option, the version or the device explains the difference.
    pub as_asked: bool,
    /// For `--json`.
    pub json: Value,
}

/// A frame to repeat.
#[derive(Debug)]
pub struct Like {
    frame: PathBuf,
    record: Record,
    /// Its headers, read before an output may replace it.
    headers: Vec<Header>,
}

impl Like {
    /// Reads the record of a frame.
    ///
    /// # Errors
    /// The file cannot be read, is no frame, or lacks the record.
    pub fn read(frame: &Path) -> Result<Self, Box<dyn Error>> {
        let headers = read_headers(frame)?;
        // Models have the same cards.
        if !headers.iter().any(|header| header.get_str("EXTNAME").is_some_and(|name| name == "FLUX")) {
            return Err(format!("{}: has no HDU FLUX, so it is no frame; give --like a frame", frame.display()).into());
        }
        Ok(Self { frame: frame.into(), record: Record::read(frame)?, headers })
    }

    /// Sets the recorded options that are not `given`, and the fibermap unless that is; requires the recorded digests.
    ///
    /// # Errors
    /// An option that this version does not have, or a fibermap that is not where it was.
    pub fn set(
        &self,
        request: &mut Request,
        given: impl Fn(OptionName) -> bool,
        fibermap_given: bool,
    ) -> Result<(), String> {
        let frame = self.frame.display();
        let known = |(name, value): &(String, String)| match name.parse() {
            Ok(known) if option_kind(known).is_some() => Ok((known, value.clone())),
            _ => Err(format!(
                "{frame} was made with {name}={value}, which this version ({VERSION}) has no option for; use version {}",
                self.record.version
            )),
        };
        let recorded = self.record.options.iter().map(known).collect::<Result<Vec<_>, _>>()?;
        for (name, value) in recorded.iter().filter(|(name, _)| !given(*name)) {
            request.set_option(*name, value).map_err(|error| format!("{frame}, SPXOPT: {error}"))?;
        }
        let digests = self.record.digests.clone();
        request.expected = Some(Digests { fibermap: digests.fibermap.filter(|_| !fibermap_given), ..digests });
        if !fibermap_given {
            let fibermap = self.record.fibermap.as_deref();
            request.fibermap = fibermap.map(|path| self.existing(path, "-f")).transpose()?;
        }
        if request.wavelength_table.is_none() && !given(OptionName::Wavelength) {
            let table = self.record.wavelength_table.as_deref();
            request.wavelength_table = table.map(|path| self.existing(path, "--wavelength-table")).transpose()?;
        }
        Ok(())
    }

    /// Returns the recorded device, where it is there.
    pub fn device(&self) -> Option<DeviceChoice> {
        DeviceChoice::recorded(&self.record.device)
    }

    /// Refuses an output that is the frame to repeat, whatever links or spellings lead there.
    ///
    /// # Errors
    /// [`WriteError`] if an output is the frame.
    pub fn check_kept(&self, outputs: &[&Path]) -> Result<(), WriteError> {
        check_apart(&[&self.frame], outputs)
    }

    /// Returns the inputs: those given, else those recorded.
    ///
    /// # Errors
    /// A recorded input is not where it was.
    pub fn inputs(&self, input: Option<&Path>, psf: Option<&Path>) -> Result<[PathBuf; 2], String> {
        let find = |given: Option<&Path>, recorded, option| match given {
            Some(path) => Ok(path.to_path_buf()),
            None => self.existing(recorded, option),
        };
        Ok([find(input, &self.record.input, "-i")?, find(psf, &self.record.psf, "-p")?])
    }

    /// Returns a recorded input that still exists, where it was or beside the frame: as it was named from there, or by its name.
    fn existing(&self, recorded: &Path, option: &str) -> Result<PathBuf, String> {
        let (frame, path) = (self.frame.display(), recorded.display());
        let gone = || format!("{frame} was made of {path}, which is not there; give its new place with {option}");
        let folder = self.frame.parent().unwrap_or(Path::new(""));
        let beside = recorded.file_name().map(|name| folder.join(name)).unwrap_or_default();
        let places = [recorded.to_path_buf(), folder.join(recorded), beside];
        places.into_iter().find(|path| path.exists()).ok_or_else(gone)
    }

    /// Returns the default output: beside the old frame, `NAME-again.fits`.
    pub fn output(&self) -> PathBuf {
        let name = self.frame.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let (stem, kind) = name.split_once(".fits").map_or((name.as_str(), String::new()), |(s, k)| (s, k.to_string()));
        self.frame.with_file_name(format!("{stem}-again.fits{kind}"))
    }

    /// Logs the options that differ from the recorded ones, and what else may change bits.
    pub fn log_differences(&self, request: &Request, device: &str) {
        let frame = self.frame.display();
        for (name, now) in self.overridden(request) {
            let value = |value: Option<&str>| value.unwrap_or("its default").to_string();
            let (now, then) = (value(now.as_deref()), value(self.recorded(name)));
            tracing::warn!("{} is {now} here, {then} in {frame}", name.word());
        }
        let differences = self.record.differences(device);
        if !differences.is_empty() {
            tracing::warn!("the numbers may not be those of {frame} to the last bit: {}", differences.join("; "));
        }
        if let Some(untold) = self.untold_build() {
            tracing::info!("{untold}");
        }
    }

    /// Returns a sentence where it is unknown whether this build made the frame.
    fn untold_build(&self) -> Option<String> {
        let sentence = || {
            let (version, commit) = (&self.record.version, &self.record.commit);
            format!(
                "it is unknown whether this build made {}: its header has version {version}, commit {commit}",
                self.frame.display()
            )
        };
        self.record.same_build().is_none().then(sentence)
    }

    /// Returns the recorded value of an option; None for its default.
    fn recorded(&self, name: OptionName) -> Option<&str> {
        self.record.options.iter().find(|(known, _)| known == name.word()).map(|(_, value)| value.as_str())
    }

    /// Returns the options whose values differ from the recorded ones.
    fn overridden(&self, request: &Request) -> Vec<(OptionName, Option<String>)> {
        // It matters only where both have a model image.
        let counts = |name| name != OptionName::ModelFlux || request.model.is_some() && self.recorded(name).is_some();
        let differs =
            |(name, now): &(OptionName, Option<String>)| counts(*name) && now.as_deref() != self.recorded(*name);
        request.recorded_options().filter(differs).collect()
    }

    /// Compares the data of the new frame with those of the old one.
    ///
    /// # Errors
    /// The new frame cannot be read.
    pub fn verdict(&self, request: &Request, done: &Done) -> Result<Verdict, Box<dyn Error>> {
        let differing = differing_data(&self.headers, &read_headers(&request.output)?);
        let otherwise = self.record.differences(&done.device);
        let mut overridden: Vec<&str> = self.overridden(request).iter().map(|(name, _)| name.word()).collect();
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
