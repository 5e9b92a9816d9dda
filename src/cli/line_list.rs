//! Values of options that take a line list: a file, or built-in lines.

use clap::builder::{PathBufValueParser, TypedValueParser};
use spextral::fits::{arc_lines, builtin_elements};
use std::path::PathBuf;

/// Returns the parser of a line list, which knows the elements of built-in lines.
pub fn line_list() -> impl TypedValueParser<Value = PathBuf> {
    PathBufValueParser::new().try_map(|path| match builtin_elements(&path).map(arc_lines) {
        Some(Err(reason)) => Err(reason),
        _ => Ok(path),
    })
}
