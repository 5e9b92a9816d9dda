//! Header cards in order, carried verbatim: a card keeps its 80-column records until it is set.

use super::value::{CARD, LONGEST_KEYWORD, Value, format_card, parse_field, printable, record};
use serde::{Deserialize, Serialize};

/// One card with its records, CONTINUE ones included.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
pub(super) struct Card {
    /// Keyword without blanks; of a HIERARCH card the words after HIERARCH.
    pub keyword: String,
    /// 80 bytes, or a multiple for a continued string.
    pub records: Vec<u8>,
}

/// Header cards in order. The readers of this crate drop EXTNAME, checksums and the cards of an HDU's layout (SIMPLE,
/// BITPIX, NAXISn, TFIELDS, …). The writer makes them anew.
#[derive(Clone, Debug, Default, PartialEq, Serialize, Deserialize)]
pub struct Header {
    pub(super) cards: Vec<Card>,
}

impl Header {
    /// Creates a header without cards.
    pub fn new() -> Self {
        Self::default()
    }

    /// Parses the 80-byte records of a header, up to END.
    pub(crate) fn from_records(bytes: &[u8]) -> Self {
        let mut cards: Vec<Card> = Vec::new();
        for raw in bytes.chunks_exact(CARD) {
            let keyword = keyword_of(raw);
            if keyword == "END" {
                break;
            }
            match cards.last_mut() {
                Some(last) if keyword == "CONTINUE" && continues(&last.records) => last.records.extend_from_slice(raw),
                _ => cards.push(Card { keyword, records: raw.to_vec() }),
            }
        }
        while cards.last().is_some_and(|c| c.records.iter().all(|&b| b == b' ')) {
            cards.pop();
        }
        Self { cards }
    }

    /// Returns the records of all cards as they are written.
    pub(crate) fn to_records(&self) -> Vec<u8> {
        self.cards.iter().flat_map(|card| &card.records).copied().collect()
    }

    /// Returns the first record of every card.
    pub(crate) fn first_records(&self) -> impl Iterator<Item = &[u8; CARD]> {
        self.cards.iter().filter_map(|c| c.records.first_chunk())
    }

    /// Keeps the cards whose keyword passes `keep`.
    pub(crate) fn retain(&mut self, keep: impl Fn(&str) -> bool) {
        self.cards.retain(|c| keep(&c.keyword));
    }

    /// Number of cards.
    pub fn len(&self) -> usize {
        self.cards.len()
    }

    /// Returns whether there is no card.
    pub fn is_empty(&self) -> bool {
        self.cards.is_empty()
    }

    /// Lists the keywords in order with repetitions; of a HIERARCH card the words after HIERARCH.
    pub fn keywords(&self) -> impl Iterator<Item = &str> {
        self.cards.iter().map(|c| c.keyword.as_str())
    }

    /// Returns whether a card has this keyword.
    pub fn contains(&self, keyword: &str) -> bool {
        self.find(keyword).is_some()
    }

    /// Returns the value of the first card of this keyword; None if it is absent, commentary, undefined or malformed.
    pub fn get(&self, keyword: &str) -> Option<Value> {
        let card = &self.cards[self.find(keyword)?];
        let (value, _) = parse_field(value_field(&card.records[..CARD])?)?;
        match value {
            Value::Str(first) => Some(Value::Str(join_continued(first, &card.records[CARD..]))),
            other => Some(other),
        }
    }

    /// Returns the value of the first card of this keyword as it stands there, malformed or not; of a string its text. None if the
    /// card is absent, commentary or empty.
    pub fn value_text(&self, keyword: &str) -> Option<String> {
        let text = match self.get(keyword) {
            Some(Value::Str(text)) => text,
            _ => {
                let field = value_field(&self.cards[self.find(keyword)?].records[..CARD])?;
                let field = field.split(|&byte| byte == b'/').next()?;
                String::from_utf8_lossy(field).into_owned()
            }
        };
        Some(text.trim().to_string()).filter(|text| !text.is_empty())
    }

    /// Returns a string without its trailing blanks; None if the value is of another type.
    pub fn get_str(&self, keyword: &str) -> Option<String> {
        match self.get(keyword)? {
            Value::Str(v) => Some(v.trim_end().to_string()),
            _ => None,
        }
    }

    /// Returns a number.
    pub fn get_f64(&self, keyword: &str) -> Option<f64> {
        match self.get(keyword)? {
            Value::Float(v) => Some(v),
            Value::Int(v) => Some(v as f64),
            _ => None,
        }
    }

    /// Returns an integer, also if it is written as a real number.
    pub fn get_i64(&self, keyword: &str) -> Option<i64> {
        match self.get(keyword)? {
            Value::Int(v) => Some(v),
            Value::Float(v) if v.fract() == 0.0 && v.abs() < 2f64.powi(53) => Some(v as i64),
            _ => None,
        }
    }

    /// Returns a logical value.
    pub fn get_bool(&self, keyword: &str) -> Option<bool> {
        match self.get(keyword)? {
            Value::Bool(v) => Some(v),
            _ => None,
        }
    }

    /// Returns the texts of all cards of a commentary keyword (COMMENT, HISTORY), in order.
    pub fn commentary(&self, keyword: &str) -> Vec<String> {
        let of_keyword = self.cards.iter().filter(|c| c.keyword == keyword);
        of_keyword.map(|c| String::from_utf8_lossy(&c.records[8..CARD]).trim_end().to_string()).collect()
    }

    /// Sets a keyword in place, or at the end if it is new. Keywords that are not 1-8 of A-Z 0-9 - _ become HIERARCH cards,
    /// cut at 40 characters. An empty comment keeps the present one.
    pub fn set(&mut self, keyword: &str, value: impl Into<Value>, comment: &str) {
        let keyword = canonical(keyword);
        let found = self.find(&keyword);
        let kept = match found {
            Some(i) if comment.is_empty() => self.comment_at(i),
            _ => comment.to_string(),
        };
        let card = Card { records: format_card(&keyword, &value.into(), &kept), keyword };
        match found {
            Some(i) => self.cards[i] = card,
            None => self.cards.push(card),
        }
    }

    /// Appends a COMMENT or HISTORY text, wrapped at 72 characters.
    pub fn add_commentary(&mut self, keyword: &str, text: &str) {
        let text = printable(text);
        let mut rest = text.as_str();
        loop {
            let (line, more) = rest.split_at(rest.len().min(CARD - 8));
            self.cards.push(Card { keyword: keyword.to_string(), records: record(&format!("{keyword:<8}{line}")) });
            rest = more;
            if rest.is_empty() {
                return;
            }
        }
    }

    /// Appends the cards of another header verbatim.
    pub fn append(&mut self, other: &Header) {
        self.cards.extend_from_slice(&other.cards);
    }

    /// Removes every card of this keyword.
    pub fn remove(&mut self, keyword: &str) {
        let keyword = canonical(keyword);
        self.cards.retain(|c| c.keyword != keyword);
    }

    fn find(&self, keyword: &str) -> Option<usize> {
        let keyword = canonical(keyword);
        self.cards.iter().position(|c| c.keyword == keyword)
    }

    /// Returns the comment of a card, of a continued one that of its last record.
    fn comment_at(&self, index: usize) -> String {
        let records = &self.cards[index].records;
        let field = value_field(&records[records.len() - CARD..]);
        field.and_then(parse_field).map(|(_, comment)| comment).unwrap_or_default()
    }
}

/// Returns a keyword in upper case, without a leading `HIERARCH`.
fn canonical(keyword: &str) -> String {
    let upper = printable(keyword).trim().to_ascii_uppercase().replace('=', "_");
    let mut bare = upper.strip_prefix("HIERARCH ").map_or(upper.as_str(), str::trim).to_string();
    bare.truncate(LONGEST_KEYWORD);
    bare
}

fn keyword_of(raw: &[u8]) -> String {
    let first = String::from_utf8_lossy(&raw[..8]).trim_end().to_string();
    if first != "HIERARCH" {
        return first;
    }
    let rest = String::from_utf8_lossy(&raw[8..CARD]).to_string();
    match rest.split_once('=') {
        Some((words, _)) => words.trim().to_ascii_uppercase(),
        None => first,
    }
}

/// Returns the part of a record after `=`, of a CONTINUE record after its keyword.
fn value_field(raw: &[u8]) -> Option<&[u8]> {
    if raw.starts_with(b"HIERARCH") {
        return raw.iter().position(|&b| b == b'=').map(|at| &raw[at + 1..]);
    }
    if raw.starts_with(b"CONTINUE") {
        return Some(&raw[8..]);
    }
    (raw[8] == b'=').then(|| &raw[9..])
}

/// Returns whether a card's string ends with the ampersand that a CONTINUE card continues.
fn continues(records: &[u8]) -> bool {
    let last = value_field(&records[records.len() - CARD..]).and_then(parse_field);
    matches!(last, Some((Value::Str(text), _)) if text.trim_end().ends_with('&'))
}

fn join_continued(first: String, more: &[u8]) -> String {
    let mut text = first;
    for raw in more.chunks_exact(CARD) {
        let Some((Value::Str(part), _)) = value_field(raw).and_then(parse_field) else {
            break;
        };
        text.truncate(text.trim_end().len());
        text.pop();
        text.push_str(&part);
    }
    text
}
