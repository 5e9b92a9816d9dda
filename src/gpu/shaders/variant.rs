//! Variants of shaders: imports, constants and template parameters put into the source.

use std::fmt;

use super::registry::{SHADERS, SHARED};
use crate::gpu::{GpuError, Precision};

/// One shader with values for its template parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    shader: &'static str,
    parameters: Vec<(&'static str, String)>,
}

impl Variant {
    /// Returns `shaders/{shader}.wgsl` with its default parameters.
    pub fn new(shader: &'static str) -> Self {
        Self { shader, parameters: Vec::new() }
    }

    /// Sets the parameter declared by a line `const NAME: u32 = ...;` or `alias NAME = ...;`.
    pub fn set(mut self, parameter: &'static str, value: impl fmt::Display) -> Self {
        self.parameters.push((parameter, value.to_string()));
        self
    }

    /// Returns the shader's name.
    pub fn shader(&self) -> &'static str {
        self.shader
    }

    /// Sets the precision, which the shader calls `real`.
    pub fn of_precision(self, precision: Precision) -> Self {
        self.set("real", precision)
    }

    /// Returns the type that `real` stands for.
    fn real(&self) -> &str {
        self.parameters.iter().rev().find(|(name, _)| *name == "real").map_or("f32", |(_, value)| value)
    }

    /// Returns the complete WGSL text.
    ///
    /// # Errors
    /// [`GpuError::Shader`] if the shader, an import or a parameter does not exist.
    pub fn source(&self) -> Result<String, GpuError> {
        let error = |message| GpuError::Shader { shader: self.to_string(), message };
        let shader = SHADERS.iter().find(|shader| shader.name == self.shader);
        let shader = shader.ok_or_else(|| error("no such file in shaders/".to_string()))?;
        let mut text = import(shader.source, self.real()).map_err(error)?;
        let constants = shader.constants.iter().map(|(name, value)| (*name, value.to_string()));
        for (name, value) in constants.chain(self.parameters.iter().cloned()) {
            text = substitute(&text, name, &value)
                .ok_or_else(|| error(format!("has no line `const {name}: ...;` or `alias {name} = ...;`")))?;
        }
        Ok(text)
    }
}

impl fmt::Display for Variant {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parameters: Vec<String> = self.parameters.iter().map(|(name, value)| format!("{name}={value}")).collect();
        write!(f, "{}{{{}}}", self.shader, parameters.join(", "))
    }
}

/// Replaces `#import name` lines by `shaders/shared/name.wgsl`, which import nothing themselves. A name that ends in `_real` has
/// one file per precision.
fn import(text: &str, real: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match line.strip_prefix("#import ") {
            Some(name) => {
                let name = name.trim().replace("_real", &format!("_{real}"));
                let file = SHARED.iter().find(|(known, _)| *known == name);
                out.push_str(file.ok_or_else(|| format!("no file shaders/shared/{name}.wgsl"))?.1);
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    Ok(out)
}

/// Puts `value` into the line that declares `name`; None if no line does.
fn substitute(text: &str, name: &str, value: &str) -> Option<String> {
    let mut found = false;
    let declared = |line: &str| {
        let rest = line.strip_prefix("const ").or_else(|| line.strip_prefix("alias "))?.strip_prefix(name)?;
        let typed = rest.starts_with(": ") || rest.starts_with(" = ");
        typed.then(|| line.find(" = ")).flatten()
    };
    let lines = text.lines().map(|line| match declared(line) {
        Some(at) => {
            found = true;
            format!("{} = {value};", &line[..at])
        }
        None => line.to_string(),
    });
    let lines: Vec<String> = lines.collect();
    found.then(|| lines.join("\n"))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn parameters_replace_the_declared_default_and_nothing_else() {
        let text = "const N: u32 = 4;\nalias real = f32;\nlet x = N; // const N: u32 = 4;";
        let text = substitute(text, "N", "8").and_then(|t| substitute(&t, "real", "f64")).unwrap();
        assert_eq!(text, "const N: u32 = 8;\nalias real = f64;\nlet x = N; // const N: u32 = 4;");
        assert_eq!(substitute(&text, "M", "1"), None);
        assert_eq!(substitute("const FLOOR = 1e-14;", "FLOOR", "2"), Some("const FLOOR = 2;".to_string()));
        assert_eq!(substitute("const FLOORS = 1e-14;", "FLOOR", "2"), None);
    }

    #[test]
    fn constants_shared_with_rust_are_the_defaults_of_the_shaders() {
        for shader in SHADERS {
            let text = import(shader.source, "f32").unwrap();
            for (name, value) in shader.constants {
                let declared = |line: &&str| line.starts_with(&format!("const {name}"));
                let line = text.lines().find(declared).unwrap_or_else(|| panic!("{}: no {name}", shader.name));
                let default = line.split_once(" = ").unwrap().1.trim_end_matches([';', 'u']);
                assert_eq!(default.parse::<f64>().unwrap(), *value, "{}: {name}", shader.name);
            }
        }
    }

    #[test]
    fn an_unknown_parameter_is_named_in_the_error() {
        let error = Variant::new("selftest").set("NOPE", 1).source().unwrap_err().to_string();
        assert!(error.contains("selftest{NOPE=1}") && error.contains("const NOPE"), "{error}");
    }

    #[test]
    fn an_unknown_import_is_named_in_the_error() {
        assert_eq!(import("#import nope", "f32").unwrap_err(), "no file shaders/shared/nope.wgsl");
    }
}
