//! Matches a pattern of words against a passage.
//!
//! A pattern is words with blanks between them, and case does not count. `a|b` is either word. `^` before the first word holds
//! it to the passage's beginning, `$` behind the last one to its end. `word*` and `*word` are the beginning and the end of a word
//! as it is written, signs included. `UNIT` and `ITEM` stand for the lists in `rules`. No match runs over the end of a sentence or
//! a clause.

use super::passages::Word;
use super::rules::{ITEMS, UNITS};

/// Returns where a pattern matches: the index of its first word, and the one behind its last.
pub fn matches(pattern: &str, words: &[Word]) -> Vec<(usize, usize)> {
    let (begins, pattern) = pattern.strip_prefix('^').map_or((false, pattern), |rest| (true, rest));
    let (ends, pattern) = pattern.strip_suffix('$').map_or((false, pattern), |rest| (true, rest));
    let elements: Vec<&str> = pattern.split_whitespace().collect();
    let Some(last) = words.len().checked_sub(elements.len()) else { return Vec::new() };
    let from = if ends { last } else { 0 };
    let to = if begins { 0 } else { last };
    (from..=to).filter(|&at| fits(&elements, &words[at..])).map(|at| (at, at + elements.len())).collect()
}

fn fits(elements: &[&str], words: &[Word]) -> bool {
    let last = elements.len().saturating_sub(1);
    let fits = |(n, (element, word)): (usize, (&&str, &Word))| {
        (n == last || !ends_clause(&word.raw)) && fits_word(element, &word.raw)
    };
    elements.iter().zip(words).enumerate().all(fits)
}

/// Whether a sentence or a clause ends with a word.
pub fn ends_clause(raw: &str) -> bool {
    raw.ends_with(['.', ',', ';', ':', '!', '?', ')'])
}

fn fits_word(element: &str, raw: &str) -> bool {
    let (bare, raw) = (bare(raw), raw.to_lowercase());
    let fits = |element: &str| match (element.strip_suffix('*'), element.strip_prefix('*')) {
        (Some(beginning), _) => raw.starts_with(beginning),
        (_, Some(end)) => raw.ends_with(end),
        _ => bare == element,
    };
    match element {
        "UNIT" => is_in(UNITS, &bare),
        "ITEM" => is_in(ITEMS, &bare),
        _ => element.to_lowercase().split('|').any(fits),
    }
}

/// Whether a list has a word.
pub fn is_in(list: &str, word: &str) -> bool {
    list.split_whitespace().any(|other| other == word)
}

/// The word without the signs around it, in lower case.
pub fn bare(raw: &str) -> String {
    raw.trim_matches(|c: char| !c.is_alphanumeric()).to_lowercase()
}
