//! Names that one file takes from others: its `use` declarations and its inline paths.

use super::tokens::Token;
use std::collections::BTreeSet;

/// A path as it is written, or one branch of a `use` tree.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Segments; a glob ends with `*`.
    pub segments: Vec<String>,
    pub line: usize,
    /// Inline modules of the file around it.
    pub within: Vec<String>,
    /// For a `use`: the name it brings into scope, and whether it has a visibility.
    pub import: Option<(String, bool)>,
}

/// Paths and definitions of one file.
#[derive(Debug, Default)]
pub struct Names {
    pub paths: Vec<Path>,
    /// Modules declared, in files of their own or inline, by the inline modules around them.
    pub modules: Vec<(Vec<String>, String)>,
    /// Items defined here.
    pub defined: Vec<String>,
    /// Names that stand anywhere but in a `use` or a `mod` declaration.
    pub used: BTreeSet<String>,
}

const DEFINING: [&str; 9] = ["fn", "struct", "enum", "trait", "type", "const", "static", "union", "macro_rules"];

/// Collects the names of a file.
pub fn names(tokens: &[Token]) -> Names {
    let text = |k: usize| tokens.get(k).map_or("", |t| t.text);
    let is_name = |k: usize| tokens.get(k).is_some_and(Token::is_name);
    let mut out = Names::default();
    // The inline modules that are open, each with the depth of braces inside it.
    let mut open: Vec<(String, usize)> = Vec::new();
    let (mut depth, mut at) = (0, 0);
    while at < tokens.len() {
        let within = || open.iter().map(|(name, _)| name.clone()).collect::<Vec<_>>();
        match text(at) {
            "{" => depth += 1,
            "}" => {
                depth = usize::saturating_sub(depth, 1);
                open.pop_if(|(_, inside)| depth < *inside);
            }
            "mod" if is_name(at + 1) && matches!(text(at + 2), ";" | "{") => {
                out.modules.push((within(), text(at + 1).into()));
                if text(at + 2) == "{" {
                    depth += 1;
                    open.push((text(at + 1).into(), depth));
                }
                at += 2;
            }
            "use" if is_name(at + 1) || text(at + 1) == "{" => {
                let visible = at > 0 && matches!(text(at - 1), "pub" | ")");
                let mut tree = Tree { tokens, at: at + 1, visible, within: within(), paths: &mut out.paths };
                tree.branch(&[]);
                at = tree.at;
            }
            word if DEFINING.contains(&word) && (is_name(at + 1) || text(at + 1) == "!") => {
                out.defined.push(text(at + 1 + usize::from(text(at + 1) == "!")).into());
            }
            _ if is_name(at) && text(at + 1) == "::" && (at == 0 || text(at - 1) != "::") => {
                let mut path =
                    Path { segments: vec![text(at).into()], line: tokens[at].line, within: within(), import: None };
                while text(at + 1) == "::" && is_name(at + 2) {
                    path.segments.push(text(at + 2).into());
                    at += 2;
                }
                out.used.extend(path.segments.iter().cloned());
                out.paths.push(path);
            }
            word if is_name(at) => {
                out.used.insert(word.into());
            }
            _ => {}
        }
        at += 1;
    }
    out
}

/// A `use` tree while it is read.
struct Tree<'a, 'b> {
    tokens: &'b [Token<'a>],
    at: usize,
    visible: bool,
    within: Vec<String>,
    paths: &'b mut Vec<Path>,
}

impl<'a> Tree<'a, '_> {
    fn text(&self) -> &'a str {
        self.tokens.get(self.at).map_or(";", |t| t.text)
    }

    /// Reads one branch behind `prefix`; leaves `at` behind it.
    fn branch(&mut self, prefix: &[String]) {
        let line = self.tokens.get(self.at).map_or(0, |t| t.line);
        let mut segments = prefix.to_vec();
        loop {
            match self.text() {
                "," | "}" | ";" => break,
                "::" => self.at += 1,
                "as" => {
                    self.at += 1;
                    let name = self.text().to_string();
                    self.at += 1;
                    return self.push(segments, name, line);
                }
                "{" => {
                    self.at += 1;
                    while !matches!(self.text(), "}" | ";") {
                        self.branch(&segments);
                        self.at += usize::from(self.text() == ",");
                    }
                    self.at += 1;
                    return;
                }
                "self" if !segments.is_empty() => self.at += 1,
                name => {
                    segments.push(name.into());
                    self.at += 1;
                }
            }
        }
        if let Some(name) = segments.last().cloned() {
            self.push(segments, name, line);
        }
    }

    fn push(&mut self, segments: Vec<String>, name: String, line: usize) {
        let (within, import) = (self.within.clone(), Some((name, self.visible)));
        self.paths.push(Path { segments, line, within, import });
    }
}

#[cfg(test)]
mod tests {
    use super::super::tokens::tokens;
    use super::*;

    #[test]
    fn use_trees_inline_paths_and_modules_are_read() {
        let source = "pub(crate) use crate::a::{self, b::{C, D as E}};\nuse super::x::*;\nmod m { fn f() { self::g() } }\n\
            fn h() -> crate::n::T { std::mem::take::<u8>() }";
        let kept = tokens(source).kept;
        let names = names(&kept);
        let seen: Vec<String> = names.paths.iter().map(|p| format!("{}:{}", p.line, p.segments.join("::"))).collect();
        let expected =
            ["1:crate::a", "1:crate::a::b::C", "1:crate::a::b::D", "2:super::x::*", "3:self::g", "4:crate::n::T"];
        assert_eq!(seen[..6], expected);
        assert_eq!(names.paths[2].import, Some(("E".into(), true)));
        assert_eq!(names.paths[3].import, Some(("*".into(), false)));
        assert_eq!((&names.paths[4].within, &names.paths[5].within), (&vec!["m".to_string()], &vec![]));
        assert_eq!(names.modules, [(vec![], "m".to_string())]);
        assert_eq!(names.defined, ["f", "h"]);
    }
}
