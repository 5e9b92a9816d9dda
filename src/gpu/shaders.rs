//! Where shaders come from: sources, imports, template parameters, and the list of all variants.

use std::fmt;

use super::{GpuError, Precision};

/// Sources of `shaders/`, by name.
const SOURCES: &[(&str, &str)] = &[
    ("banded_complement", include_str!("../../shaders/banded_complement.wgsl")),
    ("banded_inverse", include_str!("../../shaders/banded_inverse.wgsl")),
    ("banded_inverse_wide", include_str!("../../shaders/banded_inverse_wide.wgsl")),
    ("banded_normal", include_str!("../../shaders/banded_normal.wgsl")),
    ("banded_residual", include_str!("../../shaders/banded_residual.wgsl")),
    ("banded_root", include_str!("../../shaders/banded_root.wgsl")),
    ("banded_through", include_str!("../../shaders/banded_through.wgsl")),
    ("cholesky", include_str!("../../shaders/cholesky.wgsl")),
    ("decorrelate", include_str!("../../shaders/decorrelate.wgsl")),
    ("goodness", include_str!("../../shaders/goodness.wgsl")),
    ("jacobi", include_str!("../../shaders/jacobi.wgsl")),
    ("model", include_str!("../../shaders/model.wgsl")),
    ("normal_equations", include_str!("../../shaders/normal_equations.wgsl")),
    ("schur", include_str!("../../shaders/schur.wgsl")),
    ("selftest", include_str!("../../shaders/selftest.wgsl")),
    ("spots", include_str!("../../shaders/spots.wgsl")),
    ("traces", include_str!("../../shaders/traces.wgsl")),
];

/// Sources of `shaders/shared/`, by name, for `#import`.
const SHARED: &[(&str, &str)] = &[
    ("banded", include_str!("../../shaders/shared/banded.wgsl")),
    ("block8", include_str!("../../shaders/shared/block8.wgsl")),
    ("functions_f32", include_str!("../../shaders/shared/functions_f32.wgsl")),
    ("functions_f64", include_str!("../../shaders/shared/functions_f64.wgsl")),
    ("grid", include_str!("../../shaders/shared/grid.wgsl")),
    ("inverse", include_str!("../../shaders/shared/inverse.wgsl")),
    ("overlap", include_str!("../../shaders/shared/overlap.wgsl")),
    ("patch", include_str!("../../shaders/shared/patch.wgsl")),
];

/// One shader with values for its template parameters.
#[derive(Clone, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub struct Variant {
    shader: &'static str,
    parameters: Vec<(&'static str, String)>,
}

impl Variant {
    /// The shader `shaders/{shader}.wgsl` with its default parameters.
    pub fn new(shader: &'static str) -> Self {
        Self { shader, parameters: Vec::new() }
    }

    /// Gives the parameter declared by a line `const NAME: u32 = ...;` or `alias NAME = ...;` another value.
    pub fn set(mut self, parameter: &'static str, value: impl fmt::Display) -> Self {
        self.parameters.push((parameter, value.to_string()));
        self
    }

    /// The shader's name.
    pub fn shader(&self) -> &'static str {
        self.shader
    }

    /// The same in a precision: what the shader calls `real`.
    pub fn of_precision(self, precision: Precision) -> Self {
        self.set("real", precision)
    }

    /// What `real` stands for.
    fn real(&self) -> &str {
        self.parameters.iter().rev().find(|(name, _)| *name == "real").map_or("f32", |(_, value)| value)
    }

    /// The complete WGSL text.
    ///
    /// # Errors
    /// [`GpuError::Shader`] where the shader, an import or a parameter does not exist.
    pub fn source(&self) -> Result<String, GpuError> {
        let error = |message| GpuError::Shader { shader: self.to_string(), message };
        let text = find(SOURCES, self.shader).ok_or_else(|| error("no such file in shaders/".to_string()))?;
        let mut text = import(text, self.real()).map_err(error)?;
        for (name, value) in &self.parameters {
            text = substitute(&text, name, value)
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

/// Every variant that the crate may run, on any device: what the translation tests go through.
pub fn all() -> Vec<Variant> {
    let mut variants = super::banded::variants();
    variants.extend(super::cholesky::variants());
    variants.extend(super::decorrelate::variants());
    variants.extend(super::goodness::variants());
    variants.extend(super::jacobi::variants());
    variants.extend(super::model::variants());
    variants.extend(super::normal_equations::variants());
    variants.extend(super::schur::variants());
    variants.extend(super::selftest::variants());
    variants.extend(super::spots::variants());
    variants.extend(super::traces::variants());
    variants
}

fn find(sources: &[(&str, &'static str)], name: &str) -> Option<&'static str> {
    sources.iter().find(|(known, _)| *known == name).map(|(_, text)| *text)
}

/// Replaces `#import name` lines by `shaders/shared/name.wgsl`; shared files import nothing themselves. There is one file a
/// precision where the name ends in `_real`.
fn import(text: &str, real: &str) -> Result<String, String> {
    let mut out = String::with_capacity(text.len());
    for line in text.lines() {
        match line.strip_prefix("#import ") {
            Some(name) => {
                let name = name.trim().replace("_real", &format!("_{real}"));
                out.push_str(find(SHARED, &name).ok_or_else(|| format!("no file shaders/shared/{name}.wgsl"))?);
            }
            None => out.push_str(line),
        }
        out.push('\n');
    }
    Ok(out)
}

/// Puts `value` into the line that declares `name`; None where no line does.
fn substitute(text: &str, name: &str, value: &str) -> Option<String> {
    let (constant, alias) = (format!("const {name}: "), format!("alias {name} = "));
    let mut found = false;
    let lines: Vec<String> = text
        .lines()
        .map(|line| {
            if line.starts_with(&alias) {
                found = true;
                format!("{alias}{value};")
            } else if let Some((kind, _)) = line.strip_prefix(&constant).and_then(|rest| rest.split_once(" = ")) {
                found = true;
                format!("{constant}{kind} = {value};")
            } else {
                line.to_string()
            }
        })
        .collect();
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
