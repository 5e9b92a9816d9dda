//! What decides the numbers of a frame: set by the command line, by a row of a manifest, or by the record of another frame.

use super::extract::{Method, ModelFluxWord};
use clap::parser::ValueSource;
use clap::{ArgAction, ArgMatches, Args, Command, Error, FromArgMatches};
use spextral::extract::Request;
use std::collections::BTreeSet;
use std::path::PathBuf;

/// What a row of a manifest may set for its frame.
#[derive(Args, Clone, Debug)]
pub struct Common {
    /// A file with the FIBERMAP, in place of the frame's own
    #[arg(short, long)]
    pub fibermap: Option<PathBuf>,
    /// What a model image shows: the image the fit believes in, or the decorrelated flux projected
    #[arg(long, value_name = "FLUX", default_value = "deconvolved")]
    pub model_flux: ModelFluxWord,
    /// Leave out the SCORES table
    #[arg(long)]
    pub no_scores: bool,
    #[command(flatten)]
    pub method: Method,
}

impl Common {
    /// A frame's request with these options, and a model image where wanted.
    pub fn of(self, request: Request, model: Option<PathBuf>) -> Request {
        Request {
            fibermap: self.fibermap,
            model: model.map(|path| (path, self.model_flux.into())),
            scores: !self.no_scores,
            ..self.method.of(request)
        }
    }
}

/// The long names of the options of `T`.
pub fn names<T: Args>() -> Vec<String> {
    let command = T::augment_args(Command::new("names"));
    command.get_arguments().filter_map(|argument| argument.get_long().map(String::from)).collect()
}

/// Sets options by their long names, by the same words and checks as the command line's.
///
/// # Errors
/// clap's first line, where a value cannot be.
pub fn take<'a, T: Args>(options: &mut T, values: impl Iterator<Item = (&'a str, &'a str)>) -> Result<(), String> {
    let words = values.map(|(name, value)| format!("--{name}={value}"));
    // Only what is given here counts: no defaults; and a flag needs a word to be set or unset by.
    let explicit = |argument: clap::Arg| {
        let flag = matches!(argument.get_action(), ArgAction::SetTrue);
        let argument = argument.default_value(None::<&str>).required(false);
        if flag { argument.action(ArgAction::Set).num_args(1) } else { argument }
    };
    let command = T::augment_args(Command::new("options").no_binary_name(true)).disable_help_flag(true);
    let matches = command.mut_args(explicit).try_get_matches_from(words).map_err(|e| brief(&e))?;
    options.update_from_arg_matches(&matches).map_err(|e| brief(&e))
}

/// The first line of clap's words.
fn brief(error: &Error) -> String {
    let text = error.to_string();
    text.lines().next().unwrap_or_default().trim_start_matches("error: ").to_string()
}

/// The options that stand on the command line itself. A field of this type comes before the others, which take their
/// values out of the matches.
#[derive(Clone, Debug, Default)]
pub struct Given(BTreeSet<String>);

impl Given {
    /// Whether an option, by its long name, is among them.
    pub fn has(&self, name: &str) -> bool {
        self.0.contains(&name.replace('-', "_"))
    }
}

impl FromArgMatches for Given {
    fn from_arg_matches(matches: &ArgMatches) -> Result<Self, Error> {
        let given = |id: &&str| matches.value_source(id) == Some(ValueSource::CommandLine);
        Ok(Self(matches.ids().map(clap::Id::as_str).filter(given).map(String::from).collect()))
    }

    fn update_from_arg_matches(&mut self, matches: &ArgMatches) -> Result<(), Error> {
        *self = Self::from_arg_matches(matches)?;
        Ok(())
    }
}

impl Args for Given {
    fn augment_args(command: Command) -> Command {
        command
    }

    fn augment_args_for_update(command: Command) -> Command {
        command
    }
}

#[cfg(test)]
mod tests {
    use super::super::extract::Repeatable;
    use super::names;
    use spextral::extract::Request;

    /// Which device, and the fibermap, have cards of their own; its memory decides no numbers.
    const NOT_IN_THE_TABLE: [&str; 3] = ["device", "fibermap", "max-device-memory"];

    #[test]
    fn every_option_that_decides_numbers_is_in_the_table_of_what_is_recorded() {
        let mut ours: Vec<String> = names::<Repeatable>();
        ours.retain(|name| !NOT_IN_THE_TABLE.contains(&name.as_str()));
        let request = Request::new("a", "b", "c");
        let mut table: Vec<&str> = request.named_options().map(|(name, _)| name).collect();
        ours.sort();
        table.sort();
        assert_eq!(ours, table);
        assert!(request.named_options().all(|(_, value)| value.is_none_or(|value| !value.contains(' '))));
    }
}
