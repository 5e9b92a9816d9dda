//! Errors in words.

use std::error::Error;

/// An error and its causes as one sentence; causes that a message already quotes are not said twice.
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

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Debug, thiserror::Error)]
    #[error("{0}")]
    struct Said(&'static str, #[source] Option<Box<Said>>);

    #[test]
    fn causes_are_joined_and_none_is_said_twice() {
        let disk = || Some(Box::new(Said("disk full", None)));
        assert_eq!(error_chain(&Said("cannot write a.fits", disk())), "cannot write a.fits: disk full");
        assert_eq!(error_chain(&Said("cannot write a.fits: disk full!", disk())), "cannot write a.fits: disk full!");
    }
}
