//! Words and signs of Rust code, without comments, literals and whatever is compiled for tests only.

use crate::rust_text::{Kind, is_word, pieces};

/// A word or a sign, with the line it stands on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Token<'a> {
    pub line: usize,
    /// A name, `::`, or a single other character.
    pub text: &'a str,
}

impl Token<'_> {
    pub fn is_name(&self) -> bool {
        self.text.starts_with(|c: char| c.is_alphabetic() || c == '_')
    }
}

/// The tokens of a file that belong to the library or the program.
#[derive(Debug, Default, PartialEq)]
pub struct Tokens<'a> {
    pub kept: Vec<Token<'a>>,
    /// Modules declared for tests only, whose files do not count.
    pub test_modules: Vec<&'a str>,
}

/// Items that may hold a comma of their own, outside of all brackets.
const ITEMS: [&str; 14] = [
    "fn",
    "struct",
    "enum",
    "trait",
    "impl",
    "type",
    "const",
    "static",
    "mod",
    "use",
    "unsafe",
    "async",
    "extern",
    "macro_rules",
];

/// Reads a file's tokens and drops every item under `#[cfg(test)]`.
pub fn tokens(source: &str) -> Tokens<'_> {
    let all = split(source);
    let mut out = Tokens::default();
    let mut at = 0;
    while at < all.len() {
        let Some((end, inner)) = attribute(&all, at) else {
            out.kept.push(all[at]);
            at += 1;
            continue;
        };
        match is_for_tests(&all[at..end]) {
            true if inner => return Tokens::default(),
            true => {
                let last = item(&all, end);
                let texts: Vec<&str> = all[end..last].iter().map(|t| t.text).collect();
                if let [.., "mod", name, ";"] = texts[..] {
                    out.test_modules.push(name);
                }
                at = last;
            }
            false => at = end,
        }
    }
    out
}

fn split(source: &str) -> Vec<Token<'_>> {
    let mut out = Vec::new();
    for piece in pieces(source) {
        match piece.kind {
            Kind::Comment => continue,
            // Whatever stands before a literal does not go on behind it.
            Kind::Literal => out.push(Token { line: piece.line, text: "\"" }),
            Kind::Code => split_code(piece.text, piece.line, &mut out),
        }
    }
    out
}

fn split_code<'a>(code: &'a str, mut line: usize, out: &mut Vec<Token<'a>>) {
    let mut rest = code;
    while let Some(c) = rest.chars().next() {
        let len = match c {
            _ if is_word(c) => rest.find(|c| !is_word(c)).unwrap_or(rest.len()),
            ':' if rest.starts_with("::") => 2,
            _ => c.len_utf8(),
        };
        if !c.is_whitespace() {
            out.push(Token { line, text: &rest[..len] });
        }
        line += usize::from(c == '\n');
        rest = &rest[len..];
    }
}

/// Returns the end of the attribute at `at`, and whether it is an inner one (`#![..]`).
fn attribute(tokens: &[Token], at: usize) -> Option<(usize, bool)> {
    let text = |k: usize| tokens.get(k).map_or("", |t| t.text);
    let inner = text(at + 1) == "!";
    let open = at + 1 + usize::from(inner);
    if text(at) != "#" || text(open) != "[" {
        return None;
    }
    let mut depth = 0;
    for k in open..tokens.len() {
        match text(k) {
            "[" => depth += 1,
            "]" => depth -= 1,
            _ => {}
        }
        if depth == 0 {
            return Some((k + 1, inner));
        }
    }
    None
}

fn is_for_tests(attribute: &[Token]) -> bool {
    let has = |word: &str| attribute.iter().any(|t| t.text == word);
    has("cfg") && has("test") && !has("not") && !has("any")
}

/// Returns the end of the item, field or variant that begins at `at`.
fn item(tokens: &[Token], mut at: usize) -> usize {
    while let Some((end, _)) = attribute(tokens, at) {
        at = end;
    }
    let head: Vec<&str> = tokens[at..].iter().take(6).map(|t| t.text).collect();
    let is_use = head.contains(&"use");
    let is_item = head.iter().any(|word| ITEMS.contains(word));
    let mut depth = 0;
    for (k, token) in tokens.iter().enumerate().skip(at) {
        match token.text {
            "(" | "[" | "{" => depth += 1,
            ")" | "]" | "}" => depth -= 1,
            _ => {}
        }
        match token.text {
            _ if depth < 0 => return k,
            ";" if depth == 0 => return k + 1,
            "}" if depth == 0 && !is_use => return k + 1,
            "," if depth == 0 && !is_item => return k + 1,
            _ => {}
        }
    }
    tokens.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn kept(source: &str) -> String {
        tokens(source).kept.iter().map(|t| t.text).collect::<Vec<_>>().join(" ")
    }

    #[test]
    fn items_for_tests_are_dropped_and_the_next_one_is_kept() {
        assert_eq!(kept("#[cfg(test)]\nmod tests { fn a() {} }\nb"), "b");
        assert_eq!(kept("#[cfg(test)] use x::{y, z}; b"), "b");
        assert_eq!(kept("#[cfg(test)] #[inline] pub fn f<A, B>(a: A) -> B { {} } b"), "b");
        assert_eq!(kept("struct S { #[cfg(test)] a: u8, b: u8 }"), "struct S { b : u8 }");
        assert_eq!(kept("#![cfg(test)] a"), "");
        assert_eq!(kept("#[cfg(not(test))] a #[cfg(feature = \"mpi\")] b"), "a b");
    }

    #[test]
    fn modules_for_tests_are_named() {
        assert_eq!(tokens("#[cfg(test)]\nmod tests;").test_modules, ["tests"]);
    }
}
