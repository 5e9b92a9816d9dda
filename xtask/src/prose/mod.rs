//! Holds committed text to the house's English: the patterns of `rules` and the synonyms of docs/glossary.md.

mod glossary;
mod matching;
mod passages;
mod python;
mod rules;

use crate::steps;
use glossary::Synonym;
use matching::{bare, ends_clause, is_in, matches};
use passages::{Kind, Passage, Word, passages};
use rules::RULES;
use std::collections::BTreeMap;
use std::fs;

const GLOSSARY: &str = "docs/glossary.md";
/// Holds an example of every bad pattern.
const EXAMPLES: &str = "xtask/src/prose/";
/// Words in a sentence of documentation.
const LONGEST: usize = 25;
const LONG: &str = "long-sentence";

/// A line that breaks a rule.
#[derive(Debug, PartialEq)]
struct Fault {
    line: usize,
    rule: &'static str,
    text: String,
    instead: String,
}

/// Checks all files that git knows or would add; sentences that are too long fail if `strict`, else they are counted.
///
/// # Errors
/// Git or a file cannot be read, or a rule is broken.
pub fn run(strict: bool) -> Result<(), String> {
    let root = steps::root();
    let folder = root.display().to_string();
    let list = ["-C", &folder, "ls-files", "--cached", "--others", "--exclude-standard"];
    let files = steps::output("git", &list).ok_or("git does not list the files of this repository")?;
    let glossary = fs::read_to_string(root.join(GLOSSARY)).map_err(|e| format!("{GLOSSARY}: {e}"))?;
    let synonyms = glossary::read(&glossary).map_err(|e| format!("{GLOSSARY}: {e}"))?;
    let mut counts: BTreeMap<(&str, &str), usize> = BTreeMap::new();
    // A file that was removed but not committed is listed, too.
    for file in files.lines().filter(|file| !file.starts_with(EXAMPLES) && root.join(file).is_file()) {
        let Ok(text) = fs::read_to_string(root.join(file)) else { continue };
        for fault in faults(file, &text, &synonyms) {
            let top = file.split_once('/').map_or(".", |(top, _)| top);
            *counts.entry((fault.rule, top)).or_default() += 1;
            if strict || fault.rule != LONG {
                println!("{file}:{}: {}: {} ({})", fault.line, fault.rule, fault.text, fault.instead);
            }
        }
    }
    let failing: usize = counts.iter().filter(|((rule, _), _)| strict || *rule != LONG).map(|(_, n)| n).sum();
    print_counts(&counts);
    if failing == 0 { Ok(()) } else { Err(format!("{failing} places break the rules of prose")) }
}

fn print_counts(counts: &BTreeMap<(&str, &str), usize>) {
    let mut rules: BTreeMap<&str, (usize, String)> = BTreeMap::new();
    for ((rule, top), n) in counts {
        let (total, by_top) = rules.entry(rule).or_default();
        *total += n;
        *by_top += &format!("  {top} {n}");
    }
    for (rule, (total, by_top)) in rules {
        println!("{rule:14} {total:5}:{by_top}");
    }
}

/// Returns the faults of one file, by line.
fn faults(file: &str, text: &str, synonyms: &[Synonym]) -> Vec<Fault> {
    let passages = passages(file, text).unwrap_or_default();
    let mut faults: Vec<Fault> = passages.iter().flat_map(|passage| faults_of(passage, synonyms)).collect();
    faults.sort_by(|a, b| (a.line, a.rule, &a.text).cmp(&(b.line, b.rule, &b.text)));
    // Two patterns of one rule may meet the same words.
    faults.dedup();
    faults
}

fn faults_of(passage: &Passage, synonyms: &[Synonym]) -> Vec<Fault> {
    let words = &passage.words;
    let mut faults = Vec::new();
    for rule in RULES.iter().filter(|rule| rule.kinds.contains(&passage.kind)) {
        for (at, end) in matches(rule.pattern, words) {
            let after = at.checked_sub(1).map(|k| bare(&words[k].raw));
            let before = words.get(end).filter(|_| !ends_clause(&words[end - 1].raw)).map(|word| bare(&word.raw));
            let good = |list: &str, word: Option<String>| word.is_some_and(|word| is_in(list, &word));
            if !good(rule.unless_after, after) && !good(rule.unless_before, before) {
                faults.push(fault(words, at, rule.name, rule.instead.into()));
            }
        }
    }
    if matches!(passage.kind, Kind::Summary | Kind::Errors | Kind::Doc) {
        for Synonym { term, not } in synonyms {
            let found = matches(not, words).into_iter();
            faults.extend(found.map(|(at, _)| fault(words, at, "glossary", format!("not `{not}`: {term}"))));
        }
        let long = long_sentences(words).into_iter();
        faults.extend(long.map(|(at, n)| fault(words, at, LONG, format!("{n} words of at most {LONGEST}"))));
    }
    faults
}

fn fault(words: &[Word], at: usize, rule: &'static str, instead: String) -> Fault {
    let shown: Vec<&str> = words[at.saturating_sub(3)..].iter().take(10).map(|word| word.raw.as_str()).collect();
    Fault { line: words[at].line, rule, text: shown.join(" "), instead }
}

/// Returns where sentences of more than [`LONGEST`] words begin, and how many they have.
fn long_sentences(words: &[Word]) -> Vec<(usize, usize)> {
    let mut long = Vec::new();
    let (mut begin, mut count) = (0, 0);
    for (at, word) in words.iter().enumerate() {
        count += usize::from(word.raw.contains(char::is_alphanumeric));
        if at + 1 == words.len() || word.raw.trim_end_matches([')', '`', '"']).ends_with(['.', '!', '?']) {
            if count > LONGEST {
                long.push((begin, count));
            }
            (begin, count) = (at + 1, 0);
        }
    }
    long
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Writes a text as a passage of that kind in a Rust file.
    fn written(kind: Kind, text: &str) -> String {
        match kind {
            Kind::Errors => format!("/// Does it.\n///\n/// # Errors\n/// {text}\nfn f() {{}}\n"),
            _ => format!("/// {text}\nfn f() {{}}\n"),
        }
    }

    #[test]
    fn every_rule_finds_its_bad_example_and_passes_its_good_one() {
        for rule in RULES {
            let found = |text: &str| {
                let faults = faults("a.rs", &written(rule.kinds[0], text), &[]);
                faults.iter().filter(|fault| fault.rule == rule.name).count()
            };
            assert_eq!((found(rule.bad), found(rule.good)), (1, 0), "{}: {}", rule.name, rule.pattern);
            assert!(!matches(rule.pattern, &passages("a.md", rule.bad).unwrap()[0].words).is_empty(), "{rule:?}");
        }
    }

    #[test]
    fn a_headless_summary_is_found_with_its_line() {
        let found = faults("src/a.rs", "//! An idea.\n\n/// What a device\n/// reports.\npub struct A;\n", &[]);
        assert_eq!(found.len(), 1);
        assert_eq!((found[0].line, found[0].rule, found[0].text.as_str()), (3, "what", "What a device reports."));
    }

    #[test]
    fn rates_are_found_wherever_users_read_them() {
        let places = [
            ("a.rs", "fn f() { print(\"seven frames an hour\") }"),
            ("a.md", "Some\nframes an\nhour.\n"),
            ("a.wgsl", "fn f() {\n    // One thread a\n    // bin.\n}\n"),
            ("a.py", "def f():\n    '''Electron a bin.'''\n"),
        ];
        for (file, text) in places {
            let rules: Vec<_> = faults(file, text, &[]).iter().map(|fault| fault.rule).collect();
            assert_eq!(rules, ["rate"], "{file}");
        }
        assert_eq!(faults("a.rs", "// All bins. A fibre has many.\n", &[]), []);
    }

    #[test]
    fn synonyms_are_found_in_documentation_as_whole_words_only() {
        let synonyms = glossary::read("| retry | more | tried again |\n").unwrap();
        assert_eq!(faults("a.rs", "/// It is tried again.\nfn f() {}\n", &synonyms).len(), 1);
        assert_eq!(faults("a.rs", "/// It retried against it.\n// tried again\nfn f() {}\n", &synonyms), []);
    }

    #[test]
    fn sentences_are_counted_by_words() {
        let sentence = |n: usize| format!("{}end.", "word ".repeat(n - 1));
        let text = format!("/// {} {}\nfn f() {{}}\n", sentence(25), sentence(26));
        let found = faults("a.rs", &text, &[]);
        assert!(found.len() == 1 && found[0].rule == LONG && found[0].instead.starts_with("26 words"), "{found:?}");
    }
}
