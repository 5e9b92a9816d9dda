//! Cards as the FITS standard has them: those of other programs that are not are written anew.
//!
//! Readers repair such cards while they read. That changes bytes that a checksum covers, and some cannot open the file.

use super::header::{Card, Header};
use super::value::{CARD, KEYWORD, Value, parse_field, record};

impl Header {
    /// Writes cards anew that the standard does not have, and returns their keywords. Values stay what they mean; a value
    /// that means nothing becomes a string of its text, a card that is none a comment.
    pub(crate) fn mend(&mut self) -> Vec<String> {
        let mut mended = Vec::new();
        let mut cards = std::mem::take(&mut self.cards).into_iter().peekable();
        while let Some(card) = cards.next() {
            let mut card = Card { records: printable_records(&card.records), ..card };
            if card.records.chunks_exact(CARD).enumerate().all(|(i, raw)| is_standard(raw, i > 0)) && !is_orphan(&card)
            {
                self.cards.push(card);
                continue;
            }
            // A string whose quote is not closed may go on all the same.
            while open_string(&card.records).is_some_and(|text| text.ends_with('&'))
                && cards.peek().is_some_and(is_orphan)
            {
                card.records.extend(cards.next().map(|more| printable_records(&more.records)).unwrap_or_default());
            }
            let anew = anew(&card);
            mended.push(if card.keyword.is_empty() { "a card without keyword".into() } else { card.keyword });
            self.cards.push(anew);
        }
        mended
    }
}

/// Replaces bytes that are not printable ASCII by blanks. In keywords, all but white space become underscores, so that readers
/// see the same keyword.
fn printable_records(records: &[u8]) -> Vec<u8> {
    let clean = |(at, &byte): (usize, &u8)| match byte {
        b' '..=b'~' => byte,
        _ if at % CARD < KEYWORD && !(byte.is_ascii() && char::from(byte).is_whitespace()) => b'_',
        _ => b' ',
    };
    records.iter().enumerate().map(clean).collect()
}

/// Whether a card continues none before it.
fn is_orphan(card: &Card) -> bool {
    card.keyword == "CONTINUE"
}

/// Whether a record is a card of the standard; one that `continues` another is a CONTINUE record with a string.
fn is_standard(raw: &[u8], continues: bool) -> bool {
    let (name, rest) = raw.split_at(KEYWORD);
    let bare = name.trim_ascii_end();
    if continues {
        return bare == b"CONTINUE" && rest.starts_with(b"  ") && is_value(&rest[2..], true);
    }
    match bare {
        b"" | b"COMMENT" | b"HISTORY" => true,
        b"HIERARCH" => is_hierarch(rest),
        _ => {
            let legal = |b: &u8| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_');
            bare.iter().all(legal) && rest.starts_with(b"= ") && is_value(&rest[2..], false)
        }
    }
}

/// Whether this is ` WORDS = value` of a HIERARCH card with words without small letters, one blank between them.
fn is_hierarch(rest: &[u8]) -> bool {
    let Some(equals) = rest.windows(3).position(|w| w == b" = ") else { return false };
    let Some(words) = rest[..equals].strip_prefix(b" ") else { return false };
    let legal = |b: &u8| !b.is_ascii_lowercase() && *b != b'=';
    words.split(|&b| b == b' ').all(|word| !word.is_empty() && word.iter().all(legal))
        && is_value(&rest[equals + 3..], false)
}

/// Whether this is a value of the standard, or none, with or without a comment behind a slash.
fn is_value(field: &[u8], only_string: bool) -> bool {
    let text = field.trim_ascii();
    let ends = |rest: &[u8]| {
        let after = rest.trim_ascii_start();
        after.is_empty() || after.starts_with(b"/")
    };
    if let Some(string) = text.strip_prefix(b"'") {
        return closing_quote(string).is_some_and(|at| ends(&string[at + 1..]) && !string[at + 1..].starts_with(b"'"));
    }
    if only_string {
        return false;
    }
    if let Some(pair) = text.strip_prefix(b"(") {
        let Some(at) = pair.iter().position(|&b| b == b')') else { return false };
        let mut parts = pair[..at].split(|&b| b == b',');
        return parts.clone().count() == 2 && parts.all(|part| is_number(part.trim_ascii())) && ends(&pair[at + 1..]);
    }
    let end = text.iter().position(|&b| b == b' ' || b == b'/').unwrap_or(text.len());
    let (word, rest) = text.split_at(end);
    (word.is_empty() || word == b"T" || word == b"F" || is_number(word)) && ends(rest)
}

/// Returns the place of the quote that closes a string; doubled quotes belong to it.
fn closing_quote(string: &[u8]) -> Option<usize> {
    let mut at = 0;
    loop {
        at += string[at..].iter().position(|&b| b == b'\'')?;
        if string.get(at + 1) != Some(&b'\'') {
            return Some(at);
        }
        at += 2;
    }
}

/// Whether this is an integer or a real number as the standard writes them, within what an f64 holds: others cannot be read.
fn is_number(word: &[u8]) -> bool {
    let unsigned = |word: &[u8]| word.strip_prefix(b"+").or(word.strip_prefix(b"-")).unwrap_or(word).to_vec();
    let digits = |word: &[u8]| word.iter().all(u8::is_ascii_digit);
    let mut parts = word.splitn(2, |b| matches!(b, b'E' | b'D'));
    let mantissa = unsigned(parts.next().unwrap_or_default());
    let exponent = parts.next().map(unsigned);
    let halves: Vec<&[u8]> = mantissa.splitn(2, |&b| b == b'.').collect();
    let sound = halves.iter().all(|half| digits(half)) && halves.iter().any(|half| !half.is_empty());
    let held = || String::from_utf8_lossy(word).replace('D', "E").parse().is_ok_and(f64::is_finite);
    sound && exponent.is_none_or(|digits_of| !digits_of.is_empty() && digits(&digits_of)) && held()
}

/// Returns the text of a card's last record, whose string has no closing quote.
fn open_string(records: &[u8]) -> Option<String> {
    let raw = &records[records.len() - CARD..];
    let field =
        if raw.starts_with(b"CONTINUE") { &raw[KEYWORD..] } else { &raw[raw.iter().position(|&b| b == b'=')? + 1..] };
    let string = field.trim_ascii().strip_prefix(b"'")?;
    closing_quote(string).is_none().then(|| String::from_utf8_lossy(string).into_owned())
}

/// Writes a card anew.
fn anew(card: &Card) -> Card {
    let first = &card.records[..CARD];
    let equals = first.iter().position(|&b| b == b'=').filter(|&at| at <= KEYWORD || first.starts_with(b"HIERARCH"));
    let keyword = |bytes: &[u8]| {
        let legal = |b: &u8| if b.is_ascii_alphanumeric() || matches!(b, b'-' | b'_') { char::from(*b) } else { '_' };
        bytes.trim_ascii().iter().map(legal).collect::<String>().to_ascii_uppercase()
    };
    let name = match equals {
        Some(at) => match first.strip_prefix(b"HIERARCH") {
            Some(_) if at > KEYWORD => {
                let words = String::from_utf8_lossy(&first[KEYWORD..at]).to_ascii_uppercase();
                words.split_whitespace().collect::<Vec<_>>().join(" ")
            }
            _ => keyword(&first[..at]),
        },
        None => String::new(),
    };
    let Some(at) = equals.filter(|_| !name.is_empty() && name != "CONTINUE") else {
        let text = String::from_utf8_lossy(first).trim_end().to_string();
        let records = record(&format!("COMMENT {text}")[..CARD.min(KEYWORD + text.len())]);
        return Card { keyword: "COMMENT".into(), records };
    };
    let (mut value, mut comment) = value_anew(&first[at + 1..]);
    for raw in card.records[CARD..].chunks_exact(CARD) {
        let (more, last) = value_anew(&raw[KEYWORD..]);
        if let (Value::Str(text), Value::Str(more)) = (&mut value, more) {
            let kept = text.trim_end().strip_suffix('&').unwrap_or(text).to_string();
            *text = kept + &more;
            comment = last;
        }
    }
    // The ampersand of a string that nothing continues says so by mistake.
    if let (Value::Str(text), Some(_)) = (&mut value, open_string(&card.records)) {
        *text = text.trim_end().strip_suffix('&').unwrap_or(text).trim_end().to_string();
    }
    let mut header = Header::new();
    header.set(&name, value, &comment);
    header.cards.pop().unwrap_or(Card { keyword: "COMMENT".into(), records: record("COMMENT") })
}

/// Returns value and comment of a field that the standard does not have.
fn value_anew(field: &[u8]) -> (Value, String) {
    let text = String::from_utf8_lossy(field).trim().to_string();
    if let Some(string) = text.strip_prefix('\'') {
        return match closing_quote(string.as_bytes()) {
            Some(end) => {
                let comment = string[end + 1..].trim_start().trim_start_matches('/').trim();
                (Value::Str(string[..end].replace("''", "'").trim_end().into()), comment.into())
            }
            None => (Value::Str(string.replace("''", "'")), String::new()),
        };
    }
    let (word, comment) = text.split_once('/').map_or((text.as_str(), ""), |(word, comment)| (word, comment.trim()));
    let word = word.trim();
    let number = word.to_ascii_uppercase().replace('D', "E");
    let value = match parse_field(format!("{word:<70}").as_bytes()) {
        Some((value @ (Value::Int(_) | Value::Bool(_)), _)) => value,
        _ if word.is_empty() => Value::Undefined,
        _ if is_number(number.as_bytes()) => match number.parse() {
            Ok(value) if f64::is_finite(value) => Value::Float(value),
            _ => Value::Str(word.into()),
        },
        _ => Value::Str(word.into()),
    };
    (value, comment.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mended(cards: &[&str]) -> (Vec<String>, Vec<String>) {
        let bytes: Vec<u8> = cards.iter().flat_map(|card| record(&format!("{card:<80}"))).collect();
        let mut header = Header::from_records(&bytes);
        let names = header.mend();
        let records = header.to_records();
        let text = |raw: &[u8]| String::from_utf8_lossy(raw).trim_end().to_string();
        (names, records.chunks_exact(CARD).map(text).collect())
    }

    #[test]
    fn cards_of_the_standard_are_carried_to_the_byte() {
        let cards = [
            "EXPID   =                    7 / exposure",
            "A-_9    = 'it''s'              / text",
            "T       =                    T",
            "X       =              -1.5D+3/",
            "Y       = .5",
            "Z       = 5.",
            "C       = (1.0, -2E5)",
            "NONE    =",
            "NONE2   =                      / nothing",
            "COMMENT = 'anything' / goes",
            "HISTORY",
            "        a card of blanks",
            "HIERARCH ESO DET CHIP1 = 'blue' / a chip",
            "LONG    = 'begins &'",
            "CONTINUE  'and ends' / here",
        ];
        let (names, records) = mended(&cards);
        assert_eq!((names.len(), records), (0, cards.map(String::from).to_vec()));
    }

    #[test]
    fn other_cards_keep_their_value_in_a_card_of_the_standard() {
        for (card, expected) in [
            ("DUSTA   =                  NAN / unquoted", "DUSTA   = 'NAN     '           / unquoted"),
            ("X       =               1.5e-3 / small", "X       =               0.0015 / small"),
            ("lower   =                    7", "LOWER   =                    7"),
            ("N=5", "N       =                    5"),
            ("N       =5 / c", "N       =                    5 / c"),
            ("A B     =                    1", "A_B     =                    1"),
            ("OPEN    = 'no end", "OPEN    = 'no end  '"),
            ("OPEN    = 'no end &", "OPEN    = 'no end  '"),
            ("QUOTE   = 'a' b'", "QUOTE   = 'a       '           / b'"),
            ("DATE    = 2021-01-01", "DATE    = '2021-01-01'"),
            ("BIG     = 1E999", "BIG     = '1E999   '"),
            ("NOVALUE just words", "COMMENT NOVALUE just words"),
            ("CONTINUE  'of nothing'", "COMMENT CONTINUE  'of nothing'"),
            ("HIERARCH lower case = 3", "HIERARCH LOWER CASE = 3"),
            ("HIERARCH no value", "COMMENT HIERARCH no value"),
        ] {
            let (names, records) = mended(&[card]);
            assert_eq!((names.len(), &records[..]), (1, &[expected.to_string()][..]), "{card}");
        }
        let open = format!("PROGRAM = '{}i&", "t".repeat(67));
        let (_, records) = mended(&[&open, "CONTINUE  'so it goes on'"]);
        let header = Header::from_records(&records.iter().flat_map(|card| record(card)).collect::<Vec<u8>>());
        assert_eq!(header.get_str("PROGRAM"), Some(format!("{}iso it goes on", "t".repeat(67))));
    }
}
