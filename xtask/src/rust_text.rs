//! Splits Rust and WGSL text into code, comments and literals, by a scanner in place of a parser: `cargo xtask` must build in seconds.

/// The three sorts of text in a source file.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    Code,
    /// One line comment with its slashes, or a whole block comment.
    Comment,
    /// The inside of a string or character literal, escapes unresolved.
    Literal,
}

/// A run of text of one kind.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Piece<'a> {
    pub kind: Kind,
    /// The line it begins on, from 1.
    pub line: usize,
    pub text: &'a str,
}

/// Splits a source into pieces, in order; quotes belong to no piece.
pub fn pieces(source: &str) -> Vec<Piece<'_>> {
    let mut scan = Scan { source, at: 0, begin: 0, line: 1, pieces: Vec::new() };
    while let Some(c) = scan.peek(0) {
        let word_before = source[..scan.at].chars().next_back().is_some_and(is_word);
        if scan.rest().starts_with("//") {
            scan.take(Kind::Comment, 0, scan.rest().find('\n').unwrap_or(scan.rest().len()), 0);
        } else if scan.rest().starts_with("/*") {
            scan.take(Kind::Comment, 0, block_comment(scan.rest()), 0);
        } else if let Some((open, close)) = (!word_before).then(|| raw_string(scan.rest())).flatten() {
            let inside = scan.rest()[open..].find(&close).unwrap_or(scan.rest().len() - open);
            scan.take(Kind::Literal, open, inside, close.len());
        } else if c == '"' {
            scan.take(Kind::Literal, 1, until_quote(&scan.rest()[1..], '"'), 1);
        } else if c == '\'' && (scan.peek(1) == Some('\\') || scan.peek(2) == Some('\'')) {
            scan.take(Kind::Literal, 1, until_quote(&scan.rest()[1..], '\''), 1);
        } else {
            scan.at += c.len_utf8();
        }
    }
    scan.flush();
    scan.pieces
}

/// Whether a character may be part of a name.
pub fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

struct Scan<'a> {
    source: &'a str,
    at: usize,
    /// Where the code begins that no piece has yet.
    begin: usize,
    /// The line of `begin`.
    line: usize,
    pieces: Vec<Piece<'a>>,
}

impl<'a> Scan<'a> {
    fn rest(&self) -> &'a str {
        &self.source[self.at..]
    }

    fn peek(&self, n: usize) -> Option<char> {
        self.rest().chars().nth(n)
    }

    /// Ends the code before `at`.
    fn flush(&mut self) {
        self.push(Kind::Code, self.begin, self.at);
    }

    fn push(&mut self, kind: Kind, from: usize, to: usize) {
        self.line += self.source[self.begin..from].matches('\n').count();
        let text = &self.source[from..to];
        if kind == Kind::Literal || !text.is_empty() {
            self.pieces.push(Piece { kind, line: self.line, text });
        }
        self.line += text.matches('\n').count();
        self.begin = to;
    }

    /// Takes a piece of `inside` bytes between delimiters of `open` and `close` bytes.
    fn take(&mut self, kind: Kind, open: usize, inside: usize, close: usize) {
        self.flush();
        let from = self.at + open;
        self.push(kind, from, from + inside);
        self.at = (from + inside + close).min(self.source.len());
        self.begin = self.at;
    }
}

/// Returns the length of a block comment; they nest.
fn block_comment(text: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while at < text.len() {
        let rest = &text[at..];
        if rest.starts_with("/*") {
            (depth, at) = (depth + 1, at + 2);
        } else if rest.starts_with("*/") {
            (depth, at) = (depth - 1, at + 2);
            if depth == 0 {
                return at;
            }
        } else {
            at += rest.chars().next().map_or(1, char::len_utf8);
        }
    }
    text.len()
}

/// Returns the length of a raw string's opening, and its closing delimiter.
fn raw_string(text: &str) -> Option<(usize, String)> {
    let prefix = ["r", "br", "cr"].into_iter().find(|p| {
        text.strip_prefix(p).is_some_and(|rest| rest.trim_start_matches('#').starts_with('"') && rest.len() > 1)
    })?;
    let hashes = text[prefix.len()..].chars().take_while(|&c| c == '#').count();
    Some((prefix.len() + hashes + 1, format!("\"{}", "#".repeat(hashes))))
}

fn until_quote(text: &str, quote: char) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if c == quote => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn of(kind: Kind, source: &str) -> Vec<(usize, &str)> {
        pieces(source).into_iter().filter(|p| p.kind == kind).map(|p| (p.line, p.text)).collect()
    }

    #[test]
    fn comments_and_literals_are_told_from_code() {
        let source = "a // one\n\"s // \\\" t\"\n/* b /* c */ d */ 'x' '\\'' &'a str r#\"q\"z\"# //! two";
        assert_eq!(of(Kind::Comment, source), [(1, "// one"), (3, "/* b /* c */ d */"), (3, "//! two")]);
        assert_eq!(of(Kind::Literal, source), [(2, "s // \\\" t"), (3, "x"), (3, "\\'"), (3, "q\"z")]);
        assert!(of(Kind::Code, source).iter().any(|(line, text)| *line == 3 && text.contains("&'a str")));
    }

    #[test]
    fn text_without_an_end_is_taken_to_the_end() {
        for source in ["\"abc", "r#\"abc", "/* abc", "'\\", "// é"] {
            assert!(!pieces(source).is_empty(), "{source}");
        }
    }
}
