//! Cards with a number, from the headers of an exposure.

use super::BarycentricError;
use crate::frame::Header;

/// The headers of an exposure with their names, the one with precedence first.
pub(super) struct Headers<'a>(pub Vec<(&'a Header, &'static str)>);

impl Headers<'_> {
    /// Finds the first header with a value of these keywords, the best first; an error if it is not a number within the limits.
    pub fn number(
        &self,
        keys: &[&'static str],
        allowed: [f64; 2],
        wanted: &'static str,
    ) -> Result<Option<Card>, BarycentricError> {
        self.0.iter().find_map(|(header, _)| Card::find(header, keys, allowed, wanted)).transpose()
    }

    /// Returns the first value of a keyword as text.
    pub fn text(&self, keyword: &str) -> Option<String> {
        self.0.iter().find_map(|(header, _)| header.value_text(keyword))
    }

    /// Returns the place in the list of the first header with a value of one of these keywords.
    pub fn first_with(&self, keys: &[&str]) -> Option<usize> {
        self.0.iter().position(|(header, _)| keys.iter().any(|key| header.value_text(key).is_some()))
    }
}

/// A card with a number, which may be written as a string.
pub(super) struct Card {
    pub keyword: &'static str,
    pub text: String,
    pub number: f64,
}

impl Card {
    /// Finds the first of these keywords that has a value; an error if it is not a number within the limits.
    pub fn find(
        header: &Header,
        keys: &[&'static str],
        allowed: [f64; 2],
        wanted: &'static str,
    ) -> Option<Result<Self, BarycentricError>> {
        let (keyword, text) = keys.iter().find_map(|&key| Some((key, header.value_text(key)?)))?;
        let number = header.get_f64(keyword).or_else(|| header.get_str(keyword)?.trim().parse().ok());
        let within = number.filter(|n: &f64| (allowed[0]..=allowed[1]).contains(n));
        let card = Self { keyword, text, number: within.unwrap_or_default() };
        Some(if within.is_some() { Ok(card) } else { Err(card.refused(wanted)) })
    }

    /// Builds the error of a value that cannot be.
    pub fn refused(&self, wanted: &'static str) -> BarycentricError {
        BarycentricError::Value { keyword: self.keyword, value: self.text.clone(), wanted }
    }

    /// Builds the error of a position of which a card is missing.
    pub fn alone(&self, missing: &'static str) -> BarycentricError {
        BarycentricError::HalfSite { given: self.keyword, value: self.text.clone(), missing }
    }
}
