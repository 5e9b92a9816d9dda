//! Synonyms that docs/glossary.md rules out, from the column `not` of its tables.

/// A term, and one word or phrase that must not stand for it.
#[derive(Debug, PartialEq)]
pub struct Synonym {
    pub term: String,
    pub not: String,
}

/// Reads the rows `| term | meaning | not |`.
///
/// # Errors
/// There is no such table, or a row has another number of cells.
pub fn read(page: &str) -> Result<Vec<Synonym>, String> {
    let mut synonyms = Vec::new();
    let mut terms = 0;
    for (line, row) in (1..).zip(page.lines()).filter(|(_, row)| row.starts_with('|')) {
        let cells: Vec<&str> = row.trim().trim_matches('|').split('|').map(str::trim).collect();
        let [term, meaning, not] = cells[..] else {
            return Err(format!("line {line}: {} cells, not term, meaning and synonyms", cells.len()));
        };
        if meaning.starts_with("---") || meaning == "meaning" {
            continue;
        }
        terms += 1;
        let phrases = not.split(',').map(str::trim).filter(|phrase| !phrase.is_empty());
        synonyms.extend(phrases.map(|not| Synonym { term: term.into(), not: not.into() }));
    }
    if terms == 0 { Err("no table of terms".into()) } else { Ok(synonyms) }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn synonyms_are_read_and_rows_may_have_none() {
        let page = "| term | meaning | not |\n|---|---|---|\n| retry | once more | tried again, once more |\n| bin | a step | |\n";
        let seen: Vec<_> = read(page).unwrap().into_iter().map(|s| (s.term, s.not)).collect();
        assert_eq!(seen, ["tried again", "once more"].map(|not| ("retry".to_string(), not.to_string())));
        assert!(read("| a | b |\n").is_err() && read("text").is_err());
    }
}
