//! `--json`: one object on the standard output, described in docs/json.md.

use super::print;
use serde_json::{Map, Value, json};
use spextral::version::{COMMIT, VERSION};
use std::io;

/// `--json` of a command.
#[derive(clap::Args, Clone, Copy, Debug)]
pub struct Json {
    /// Print one JSON object on the standard output in place of text, {"error": ...} where it fails; docs/json.md has its fields
    #[arg(long)]
    #[arg(help_heading = "Messages", display_order = 999)]
    json: bool,
}

impl Json {
    /// Whether it was asked for.
    pub fn is_wanted(self) -> bool {
        self.json
    }
}

/// Prints an object of the kind `name` ("extract", …).
///
/// # Errors
/// The standard output cannot be written.
pub fn print_object(name: &str, mut fields: Map<String, Value>) -> io::Result<()> {
    fields.insert("schema".into(), format!("spextral.{name}/1").into());
    fields.insert("version".into(), VERSION.into());
    fields.insert("commit".into(), COMMIT.into());
    print(&format!("{:#}", Value::Object(fields)))
}

/// Prints what kept a command from being done; that nothing can be printed is no second error.
pub fn print_error(sentence: &str) {
    let _ = print_object("error", object(json!({ "error": sentence })));
}

/// The fields of an object.
pub fn object(value: Value) -> Map<String, Value> {
    match value {
        Value::Object(fields) => fields,
        other => Map::from_iter([("value".to_string(), other)]),
    }
}
