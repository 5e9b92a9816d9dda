//! Cuts committed text into passages: summaries, `# Errors` sections, comments, messages and pages.

use super::python;
use crate::rust_text::{Kind as Sort, Piece, pieces};

/// The place of a passage, on which the rules depend.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// The first paragraph of a doc comment, a docstring, or a comment at the margin of a shader.
    Summary,
    /// The first paragraph below `# Errors`.
    Errors,
    /// The rest of a doc comment.
    Doc,
    /// A comment inside code.
    Comment,
    /// A string: help, messages.
    Message,
    /// A paragraph or a row of a Markdown page.
    Page,
}

/// A word as it is written, with its line.
#[derive(Clone, Debug, PartialEq)]
pub struct Word {
    pub line: usize,
    pub raw: String,
}

/// A paragraph, a list item, a row of a table or a string.
#[derive(Debug, PartialEq)]
pub struct Passage {
    pub kind: Kind,
    pub words: Vec<Word>,
}

/// Text with line numbers, free of comment marks.
pub type Lines<'a> = Vec<(usize, &'a str)>;

/// Cuts a file by the ending of its name; None where no rule applies to such files.
pub fn passages(file: &str, text: &str) -> Option<Vec<Passage>> {
    match file.rsplit_once('.')?.1 {
        "rs" => Some(of_rust(text)),
        "wgsl" => Some(of_wgsl(text)),
        "py" | "pyi" => Some(python::passages(text)),
        "md" => Some(paragraphs(&numbered(text, 1)).into_iter().map(|p| passage(Kind::Page, p.words)).collect()),
        _ => None,
    }
}

fn passage(kind: Kind, words: Vec<Word>) -> Passage {
    Passage { kind, words }
}

fn of_rust(text: &str) -> Vec<Passage> {
    let pieces = pieces(text);
    let mut out = Vec::new();
    for (mark, lines) in comments(&pieces, text) {
        match mark {
            "///" | "//!" => out.extend(documentation(&lines)),
            _ => out.extend(paragraphs(&lines).into_iter().map(|p| passage(Kind::Comment, p.words))),
        }
    }
    let literals = pieces.iter().filter(|piece| piece.kind == Sort::Literal);
    out.extend(literals.map(|piece| message(piece.text, piece.line)));
    out
}

fn of_wgsl(text: &str) -> Vec<Passage> {
    let pieces = pieces(text);
    let mut out = Vec::new();
    for (_, lines) in comments(&pieces, text) {
        let at_margin = text.lines().nth(lines[0].0 - 1).is_some_and(|line| line.starts_with("//"));
        match at_margin {
            true => out.extend(documentation(&lines)),
            false => out.extend(paragraphs(&lines).into_iter().map(|p| passage(Kind::Comment, p.words))),
        }
    }
    out
}

/// A string's passage, whose `\n` end a sentence.
pub fn message(text: &str, line: usize) -> Passage {
    let broken = text.replace("\\n", " | ");
    passage(Kind::Message, words(&numbered(&broken, line)))
}

/// Joins line comments of one mark on successive lines; a comment behind code stands alone.
fn comments<'a>(pieces: &[Piece<'a>], source: &str) -> Vec<(&'a str, Lines<'a>)> {
    let mut blocks: Vec<(&str, Lines)> = Vec::new();
    let lines: Vec<&str> = source.lines().collect();
    for piece in pieces.iter().filter(|piece| piece.kind == Sort::Comment && piece.text.starts_with("//")) {
        let mark = ["///", "//!", "//"].into_iter().find(|mark| piece.text.starts_with(mark)).unwrap_or("//");
        let behind_code = !lines[piece.line - 1].trim_start().starts_with("//");
        let line = (piece.line, &piece.text[mark.len()..]);
        match blocks.last_mut() {
            Some((before, block))
                if *before == mark && !behind_code && block.last().is_some_and(|l| l.0 + 1 == piece.line) =>
            {
                block.push(line);
            }
            _ => blocks.push((mark, vec![line])),
        }
    }
    blocks
}

/// Cuts a doc comment: its summary, what it says of errors, and the rest.
pub fn documentation(lines: &Lines) -> Vec<Passage> {
    let mut previous = None;
    let mut out = Vec::new();
    for (n, Paragraph { heading, words }) in paragraphs(lines).into_iter().enumerate() {
        let begins = previous.replace(heading.clone()) != Some(heading.clone());
        let kind = match heading.as_deref() {
            None if n == 0 => Kind::Summary,
            Some("Errors") if begins => Kind::Errors,
            _ => Kind::Doc,
        };
        out.push(passage(kind, words));
    }
    out
}

struct Paragraph {
    /// The heading above it.
    heading: Option<String>,
    words: Vec<Word>,
}

/// Cuts Markdown into paragraphs, list items, rows and headings; leaves out fenced blocks.
fn paragraphs(lines: &Lines) -> Vec<Paragraph> {
    let mut out: Vec<Paragraph> = Vec::new();
    let mut open = Lines::new();
    let (mut heading, mut fenced) = (None, false);
    let mut end = |open: &mut Lines, heading: &Option<String>| {
        let words = words(&std::mem::take(open));
        if !words.is_empty() {
            out.push(Paragraph { heading: heading.clone(), words });
        }
    };
    for &(line, text) in lines {
        let text = text.trim();
        let is_item = ["- ", "* "].iter().any(|mark| text.starts_with(mark))
            || text.split_once(['.', ')']).is_some_and(|(n, rest)| n.parse::<u8>().is_ok() && rest.starts_with(' '));
        if fenced || text.is_empty() || text.starts_with(['|', '#', '<']) || text.starts_with("```") || is_item {
            end(&mut open, &heading);
        }
        if text.starts_with("```") {
            fenced = !fenced;
        } else if let (false, Some(title)) =
            (fenced, text.strip_prefix('#').filter(|rest| rest.starts_with(['#', ' '])))
        {
            heading = Some(title.trim_matches(['#', ' ']).into());
        } else if !fenced {
            open.push((line, text));
        }
    }
    end(&mut open, &heading);
    out
}

/// Numbers the lines of a text, the first one as `line`.
pub fn numbered(text: &str, line: usize) -> Lines<'_> {
    (line..).zip(text.lines()).collect()
}

fn words(lines: &Lines) -> Vec<Word> {
    let of_line = |&(line, text): &(usize, &str)| {
        let words = text.split_whitespace().filter(|raw| *raw != "\\");
        words.map(|raw| Word { line, raw: raw.into() }).collect::<Vec<_>>()
    };
    lines.iter().flat_map(of_line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seen(file: &str, text: &str) -> Vec<(Kind, usize, String)> {
        let text_of = |words: &[Word]| words.iter().map(|w| w.raw.as_str()).collect::<Vec<_>>().join(" ");
        let of = |p: Passage| (p.kind, p.words.first().map_or(0, |w| w.line), text_of(&p.words));
        passages(file, text).unwrap().into_iter().map(of).collect()
    }

    #[test]
    fn rust_is_cut_into_summaries_errors_comments_and_messages() {
        let text = "/// One\n/// two.\n///\n/// Three.\n/// # Errors\n/// Four.\n///\n/// ```\n/// code\n/// ```\n\
            fn f() { // five\n    \"six \\\n     seven\" }\n";
        let expected = [
            (Kind::Summary, 1, "One two."),
            (Kind::Doc, 4, "Three."),
            (Kind::Errors, 6, "Four."),
            (Kind::Comment, 11, "five"),
            (Kind::Message, 12, "six seven"),
        ];
        assert_eq!(seen("a.rs", text), expected.map(|(kind, line, text)| (kind, line, text.to_string())));
    }

    #[test]
    fn pages_are_cut_into_paragraphs_items_and_rows() {
        let text = "# Title\none\ntwo\n- three\n  four\n| a | b |\n| c | d |\n\n```sh\ncode\n```\nfive\n";
        let expected = [(2, "one two"), (4, "- three four"), (6, "| a | b |"), (7, "| c | d |"), (12, "five")];
        assert_eq!(seen("a.md", text), expected.map(|(line, text)| (Kind::Page, line, text.to_string())));
    }

    #[test]
    fn shaders_have_their_summaries_at_the_margin() {
        let text = "// One.\nfn f() {\n    // two\n}\n";
        let expected = [(Kind::Summary, 1, "One."), (Kind::Comment, 3, "two")];
        assert_eq!(seen("a.wgsl", text), expected.map(|(kind, line, text)| (kind, line, text.to_string())));
    }
}
