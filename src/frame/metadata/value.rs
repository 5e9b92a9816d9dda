//! Values of header cards, from text to number and back.

/// Columns per card.
pub(crate) const CARD: usize = 80;
/// Columns per keyword.
pub(crate) const KEYWORD: usize = 8;
/// Longest keyword of a HIERARCH card; it leaves room for every number on the card.
pub(crate) const LONGEST_KEYWORD: usize = 40;

/// Value of a header card.
#[derive(Clone, Debug, PartialEq)]
pub enum Value {
    /// T or F.
    Bool(bool),
    /// Integer.
    Int(i64),
    /// Real number; written as undefined if not finite, since FITS has no text for it.
    Float(f64),
    /// String; beyond 68 characters it continues on CONTINUE cards.
    Str(String),
    /// Keyword without a value.
    Undefined,
}

macro_rules! value_from {
    ($($from:ty => $variant:ident),* $(,)?) => {
        $(impl From<$from> for Value {
            fn from(v: $from) -> Self {
                Value::$variant(v.into())
            }
        })*
    };
}
value_from!(bool => Bool, i64 => Int, i32 => Int, u32 => Int, f64 => Float, f32 => Float, &str => Str, String => Str);

impl From<usize> for Value {
    fn from(v: usize) -> Self {
        // Counts of objects in memory are far below 2^63.
        Value::Int(i64::try_from(v).unwrap_or(i64::MAX))
    }
}

impl std::fmt::Display for Value {
    /// Formats the value as on a card, a string without its quotes.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Value::Str(text) => f.write_str(text.trim_end()),
            other => f.write_str(&other.text()),
        }
    }
}

impl Value {
    /// Formats a value that is not a string, as on the card.
    fn text(&self) -> String {
        match self {
            Value::Bool(true) => "T".into(),
            Value::Bool(false) => "F".into(),
            Value::Int(v) => v.to_string(),
            // The shortest text that reads back as the same f64.
            Value::Float(v) if v.is_finite() => {
                let text = format!("{v:?}").replace('e', "E");
                if text.contains('.') { text } else { text.replacen('E', ".0E", 1) }
            }
            _ => String::new(),
        }
    }
}

/// Replaces everything but printable ASCII by `?`.
pub(crate) fn printable(text: &str) -> String {
    text.chars().map(|c| if (' '..='~').contains(&c) { c } else { '?' }).collect()
}

/// Formats a card as 80-column records: one, or more if a string continues.
pub(crate) fn format_card(keyword: &str, value: &Value, comment: &str) -> Vec<u8> {
    let standard = keyword.len() <= 8
        && keyword.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || b == b'-' || b == b'_');
    let head = if standard { format!("{keyword:<8}= ") } else { format!("HIERARCH {keyword} = ") };
    let comment = printable(comment);
    match value {
        Value::Str(text) => format_string(&head, &printable(text), &comment),
        other => {
            let width = if standard { 20 } else { 0 };
            let mut line = format!("{head}{:>width$}", other.text());
            if !comment.is_empty() {
                line.push_str(" / ");
                line.push_str(&comment);
            }
            record(&line)
        }
    }
}

/// Formats a string card; a long one continues by the CONTINUE convention (FITS standard 4.0, 4.2.1.2).
fn format_string(head: &str, text: &str, comment: &str) -> Vec<u8> {
    let quoted = text.replace('\'', "''");
    let tail = if comment.is_empty() { String::new() } else { format!(" / {comment}") };
    let whole = format!("{head}'{quoted:<8}'");
    if whole.len() <= CARD {
        // Comments of short values are aligned; astropy's checksum relies on it.
        let width = head.len() + 20;
        return record(&format!("{whole:<width$}{tail}"));
    }
    let mut out = Vec::new();
    let mut rest = quoted.as_str();
    let mut lead = head.to_string();
    loop {
        // Two quotes and the ampersand take three columns.
        let room = CARD - lead.len() - 3;
        if rest.len() <= room {
            let last = format!("{lead}'{rest}'{tail}");
            if last.len() <= CARD {
                out.extend(record(&last));
            } else {
                out.extend(record(&format!("{lead}'{rest}&'")));
                out.extend(record(&format!("CONTINUE  ''{tail}")));
            }
            return out;
        }
        let cut = unsplit(rest, room);
        out.extend(record(&format!("{lead}'{}&'", &rest[..cut])));
        rest = &rest[cut..];
        lead = "CONTINUE  ".to_string();
    }
}

/// Returns the largest cut within `room` that leaves doubled quotes together.
fn unsplit(quoted: &str, room: usize) -> usize {
    let quotes = quoted[..room].bytes().rev().take_while(|&b| b == b'\'').count();
    room - quotes % 2
}

/// Returns one 80-column record, cut or padded with blanks.
pub(crate) fn record(line: &str) -> Vec<u8> {
    let mut bytes = line.as_bytes().to_vec();
    bytes.resize(CARD, b' ');
    bytes
}

/// Parses the value and the comment of a card's value field; None if there is no value or it is malformed.
pub(crate) fn parse_field(field: &[u8]) -> Option<(Value, String)> {
    use fitsio_pure::value::Value as Parsed;
    let (value, comment) = fitsio_pure::value::parse_value(field)?;
    let value = match value {
        Parsed::Logical(v) => Value::Bool(v),
        Parsed::Integer(v) => Value::Int(v),
        Parsed::Float(v) => Value::Float(v),
        Parsed::String(v) => Value::Str(v),
        _ => return None,
    };
    Some((value, comment.unwrap_or_default().to_string()))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn text(records: &[u8]) -> String {
        String::from_utf8(records.to_vec()).unwrap()
    }

    #[test]
    fn cards_follow_the_fixed_format() {
        assert_eq!(
            text(&format_card("NAXIS", &Value::Int(2), "axes")).trim_end(),
            "NAXIS   =                    2 / axes"
        );
        assert_eq!(text(&format_card("NAME", &"r0".into(), "")).trim_end(), "NAME    = 'r0      '");
        assert_eq!(text(&format_card("X", &1e-7.into(), "")).trim_end(), "X       =               1.0E-7");
        assert!(text(&format_card("ESO A B", &Value::Int(1), "")).starts_with("HIERARCH ESO A B = "));
    }

    #[test]
    fn doubled_quotes_are_never_cut_apart() {
        let quoted = "a''''b''";
        for room in 1..quoted.len() {
            let cut = unsplit(quoted, room);
            assert_eq!(quoted[..cut].matches('\'').count() % 2, 0, "cut at {cut}");
        }
    }

    #[test]
    fn floats_read_back_bit_for_bit() {
        for v in [0.1, -1.5e-300, f64::MAX, 58899.25, 1.0 / 3.0, f64::MIN_POSITIVE] {
            let card = format_card("V", &v.into(), "");
            assert_eq!(parse_field(&card[10..]).unwrap().0, Value::Float(v));
        }
    }
}
