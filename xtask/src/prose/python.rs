//! Cuts Python text: docstrings, comments and strings.

use super::passages::{Kind, Lines, Passage, Word, documentation, message, numbered};

/// Cuts a Python file; docstrings count as doc comments.
pub fn passages(source: &str) -> Vec<Passage> {
    let mut out = Vec::new();
    let (mut at, mut line) = (0, 1);
    // Whether only blanks stand between the line's beginning and here, as before a docstring.
    let mut fresh = true;
    let mut comment: Option<(usize, Vec<Word>)> = None;
    while let Some(c) = source[at..].chars().next() {
        let rest = &source[at..];
        let mut len = c.len_utf8();
        if c == '#' {
            len = rest.find('\n').unwrap_or(rest.len());
            add_comment(&mut comment, &mut out, line, &rest[1..len], fresh);
        } else if let Some(mark) = ["\"\"\"", "'''", "\"", "'"].into_iter().find(|mark| rest.starts_with(mark)) {
            let inside = end_of_string(&rest[mark.len()..], mark);
            let text = &rest[mark.len()..mark.len() + inside];
            if mark.len() == 3 && fresh {
                let lines: Lines = numbered(text, line);
                out.extend(documentation(&lines));
            } else {
                out.push(message(text, line));
            }
            len = (2 * mark.len() + inside).min(rest.len());
        }
        line += rest[..len].matches('\n').count();
        fresh = c == '\n' || (fresh && c.is_whitespace());
        at += len;
    }
    out.extend(comment.map(|(_, words)| Passage { kind: Kind::Comment, words }));
    out
}

/// Joins comments on successive lines.
fn add_comment(open: &mut Option<(usize, Vec<Word>)>, out: &mut Vec<Passage>, line: usize, text: &str, fresh: bool) {
    let words = text.split_whitespace().map(|raw| Word { line, raw: raw.into() });
    match open {
        Some((last, all)) if fresh && *last + 1 == line => {
            *last = line;
            all.extend(words);
        }
        _ => {
            let before = open.replace((line, words.collect()));
            out.extend(before.map(|(_, words)| Passage { kind: Kind::Comment, words }));
        }
    }
}

fn end_of_string(text: &str, mark: &str) -> usize {
    let mut escaped = false;
    for (at, c) in text.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            _ if text[at..].starts_with(mark) => return at,
            _ => {}
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn docstrings_comments_and_strings_are_told_apart() {
        let text = "# one\n# two\ndef f():\n    \"\"\"Three.\n\n    Four.\n    \"\"\"\n    return \"fi've\"  # six\n";
        let seen: Vec<(Kind, usize, usize)> =
            passages(text).iter().map(|p| (p.kind, p.words[0].line, p.words.len())).collect();
        let expected = [
            (Kind::Summary, 4, 1),
            (Kind::Doc, 6, 1),
            (Kind::Message, 8, 1),
            (Kind::Comment, 1, 2),
            (Kind::Comment, 8, 1),
        ];
        assert_eq!(seen, expected);
    }
}
