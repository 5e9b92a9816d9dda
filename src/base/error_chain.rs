//! An error and its causes as one sentence.

use std::error::Error;

/// Joins an error and its causes; a cause that the text already quotes is left out.
pub fn error_chain(error: &dyn Error) -> String {
    let mut text = error.to_string();
    let mut cause = error.source();
    while let Some(error) = cause {
        let more = error.to_string();
        if !text.contains(&more) {
            text = format!("{text}: {more}");
        }
        cause = error.source();
    }
    text
}

/// Joins the lines of a text, as drivers give errors, to one line.
pub fn one_line(text: &str) -> String {
    text.lines().map(str::trim).filter(|line| !line.is_empty()).collect::<Vec<_>>().join("; ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(&'static str, #[source] Option<Box<Said>>);

    #[test]
    fn the_lines_of_a_text_become_one() {
        assert_eq!(
            one_line("Validation Error\n\nCaused by:\r\n  In a pass\n"),
            "Validation Error; Caused by:; In a pass"
        );
        assert_eq!(one_line("one  line"), "one  line");
    }

    #[test]
    fn causes_are_joined_and_none_is_repeated() {
        let disk = || Some(Box::new(Said("disk full", None)));
        assert_eq!(error_chain(&Said("cannot write a.fits", disk())), "cannot write a.fits: disk full");
        assert_eq!(error_chain(&Said("cannot write a.fits: disk full!", disk())), "cannot write a.fits: disk full!");
    }
}
