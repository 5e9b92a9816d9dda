//! Cards and table rows go through us unchanged, whatever they hold.

use proptest::prelude::*;
use spextral::fits::{PreprocOptions, read_fibermap, read_preproc, write_preproc};
use spextral::frame::{Header, Table, Value};

use testkit::files::{fibermap, folder, preproc};

/// Writes a header to a file and reads it back.
fn through_a_file(header: &Header) -> Header {
    let (dir, mut frame) = (folder(), preproc());
    let path = dir.path().join("a.fits");
    frame.header = header.clone();
    write_preproc(&path, &frame, false).unwrap().persist().unwrap();
    let mut back = read_preproc(&path, &PreprocOptions::default()).unwrap().header;
    back.remove("BUNIT");
    back
}

/// A file with an empty primary HDU and this table HDU: its cards, its data bytes.
fn table_file(cards: &[&str], data: &[u8]) -> (tempfile::TempDir, std::path::PathBuf) {
    let block = |cards: &[&str]| {
        let text: String = cards.iter().chain(&["END"]).map(|card| format!("{card:<80}")).collect();
        let size = text.len().next_multiple_of(2880);
        format!("{text:<size$}").into_bytes()
    };
    let mut bytes =
        block(&["SIMPLE  =                    T", "BITPIX  =                    8", "NAXIS   =                    0"]);
    bytes.extend(block(cards));
    bytes.extend_from_slice(data);
    bytes.resize(bytes.len().next_multiple_of(2880), 0);
    let dir = folder();
    let path = dir.path().join("a.fits");
    std::fs::write(&path, bytes).unwrap();
    (dir, path)
}

#[test]
fn a_card_whose_keyword_is_broken_scales_no_pixels_once_it_is_written_anew() {
    let (dir, mut frame) = (folder(), preproc());
    let path = |name: &str| dir.path().join(name);
    frame.header.set("BSCALEX", 0.5, "");
    write_preproc(path("a.fits"), &frame, false).unwrap().persist().unwrap();
    let mut bytes = std::fs::read(path("a.fits")).unwrap();
    let at = bytes.windows(8).position(|card| card == b"BSCALEX ").unwrap();
    bytes[at..at + 8].copy_from_slice(b"BSCALE \xad");
    std::fs::write(path("b.fits"), bytes).unwrap();
    let read = |name| read_preproc(path(name), &PreprocOptions::default()).unwrap();
    write_preproc(path("c.fits"), &read("b.fits"), false).unwrap().persist().unwrap();
    assert_eq!((read("b.fits").ccd, read("c.fits").ccd), (read("a.fits").ccd, read("a.fits").ccd));
}

/// Some rows of a table with an unsigned column, a null, bits, a complex number and arrays of variable length.
fn odd_table(rows: std::ops::Range<usize>) -> Table {
    let arrays: [(&[i16], &str); 3] = [(&[1, 2], "abc"), (&[], "fghij"), (&[3], "")];
    let (mut data, mut heap) = (Vec::new(), Vec::new());
    for row in rows.clone() {
        let (shorts, text) = arrays[row];
        data.extend((i16::MIN + row as i16).to_be_bytes());
        data.extend(if row == 1 { -99i32 } else { 7 }.to_be_bytes());
        data.extend([0b1010_1010, 0b1110_0000]);
        data.extend([1.0f64.to_be_bytes(), 2.0f64.to_be_bytes()].concat());
        data.extend([(shorts.len() as u32).to_be_bytes(), (heap.len() as u32).to_be_bytes()].concat());
        heap.extend(shorts.iter().flat_map(|v| v.to_be_bytes()));
        data.extend([(text.len() as u64).to_be_bytes(), (heap.len() as u64).to_be_bytes()].concat());
        heap.extend(text.as_bytes());
    }
    let (naxis2, pcount) = (format!("NAXIS2  = {:>20}", rows.len()), format!("PCOUNT  = {:>20}", heap.len()));
    let cards = [
        "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                   48",
        &naxis2,
        &pcount,
        "GCOUNT  =                    1",
        "TFIELDS =                    6",
        "TTYPE1  = 'U16     '",
        "TFORM1  = 'I       '",
        "TZERO1  =                32768",
        "TTYPE2  = 'NUL     '",
        "TFORM2  = 'J       '",
        "TNULL2  =                  -99",
        "TTYPE3  = 'BITS    '",
        "TFORM3  = '11X     '",
        "TTYPE4  = 'CPLX    '",
        "TFORM4  = '1M      '",
        "TTYPE5  = 'SHORTS  '",
        "TFORM5  = '1PI(2)  '",
        "TTYPE6  = 'TEXTS   '",
        "TFORM6  = '1QA(9)  '",
        "TCOMM6  = 'a comment of a column'",
        "EXTNAME = 'FIBERMAP'",
    ];
    let (_dir, path) = table_file(&cards, &[data, heap].concat());
    read_fibermap(path).unwrap()
}

#[test]
fn slices_hold_their_rows_and_only_their_arrays() {
    let whole = odd_table(0..3);
    for range in [0..3, 0..1, 1..3, 2..3, 1..1] {
        assert_eq!(whole.slice_rows(range.clone()), odd_table(range));
    }
}

#[test]
fn columns_come_out_as_the_numbers_they_mean() {
    let table = odd_table(0..3);
    assert_eq!(table.column_i64("u16").unwrap(), [0, 1, 2]);
    assert_eq!(table.column_f64("U16").unwrap(), [0.0, 1.0, 2.0]);
    let null = table.column_f64("NUL").unwrap();
    assert!(null[0] == 7.0 && null[1].is_nan());
    assert_eq!((table.column_i64("TEXTS"), table.column_f64("CPLX"), table.column_str("NUL")), (None, None, None));
    assert_eq!(table.column_i64("ABSENT"), None);
    let made = fibermap(3);
    assert_eq!(made.column_f64("XY").unwrap(), [0.0, 1.0, 2.0, 3.0, 4.0, 5.0]);
    assert_eq!(made.column_str("OBJTYPE").unwrap(), ["SKY", "TGT", ""]);
    assert_eq!(made.column_i64("GOOD").unwrap(), [1, 0, 1]);
}

#[test]
fn every_column_type_survives_a_file() {
    let (dir, mut frame) = (folder(), preproc());
    for (name, table) in
        [("odd.fits", odd_table(0..3)), ("made.fits", fibermap(7)), ("empty.fits", fibermap(7).slice_rows(3..3))]
    {
        let path = dir.path().join(name);
        frame.fibermap = Some(table);
        write_preproc(&path, &frame, false).unwrap().persist().unwrap();
        let back = read_preproc(&path, &PreprocOptions::default()).unwrap();
        assert_eq!(back.fibermap, frame.fibermap, "{name}");
    }
}

#[test]
fn repeated_comments_and_long_strings_keep_their_order_and_text() {
    let header = testkit::files::rich_header();
    let back = through_a_file(&header);
    assert_eq!(back, header);
    assert_eq!(back.commentary("HISTORY"), ["made", "made"]);
    assert_eq!(back.get_str("O'NAME").as_deref(), Some("it's a star"));
    assert_eq!(back.get_str("HIERARCH ESO DET CHIP1 NAME").as_deref(), Some("blue"));
    assert_eq!(back.get_str("INPUTS").unwrap().matches("'quotes'").count(), 5);
}

#[test]
fn setting_a_card_keeps_its_place_and_comment() {
    let mut header = testkit::files::rich_header();
    let order: Vec<String> = header.keywords().map(String::from).collect();
    header.set("expid", 7i64, "");
    assert_eq!(header.get_i64("EXPID"), Some(7));
    assert_eq!(header.keywords().map(String::from).collect::<Vec<_>>(), order);
    let mut fresh = Header::new();
    fresh.set("EXPID", 7i64, "exposure");
    let mut other = Header::new();
    other.set("EXPID", 8i64, "exposure");
    other.set("EXPID", 7i64, "");
    assert_eq!(other, fresh);
}

fn value() -> impl Strategy<Value = Value> {
    prop_oneof![
        any::<bool>().prop_map(Value::Bool),
        any::<i64>().prop_map(Value::Int),
        any::<f64>().prop_filter("FITS has finite numbers only", |v| v.is_finite()).prop_map(Value::Float),
        "[ -~]{0,300}".prop_map(|s| Value::Str(s.trim_end().to_string())),
    ]
}

/// Returns the header of FIBERMAP as it is written when it was read with these cards.
fn through_a_fibermap(raw: &[String]) -> Vec<u8> {
    let mut cards = vec![
        "XTENSION= 'BINTABLE'",
        "BITPIX  =                    8",
        "NAXIS   =                    2",
        "NAXIS1  =                    2",
        "NAXIS2  =                    2",
        "PCOUNT  =                    0",
        "GCOUNT  =                    1",
        "TFIELDS =                    1",
        "TFORM1  = 'I       '",
    ];
    let ends = |card: &&String| !card.trim_end().is_empty() && !card.starts_with("END");
    cards.extend(raw.iter().filter(ends).map(String::as_str));
    let (dir, path) = table_file(&cards, &[0, 1, 0, 2]);
    let mut frame = preproc();
    frame.fibermap = Some(read_fibermap(path).unwrap());
    let out = dir.path().join("out.fits");
    write_preproc(&out, &frame, false).unwrap().persist().unwrap();
    let bytes = std::fs::read(&out).unwrap();
    let table = bytes.windows(20).rposition(|w| w == b"XTENSION= 'BINTABLE'").unwrap();
    bytes[table..].to_vec()
}

/// Whether a card is one of the FITS standard (4.0, 4.1 and 4.2, with CONTINUE and HIERARCH). It follows the text of the
/// standard, not the code under test.
fn standard(card: &str) -> bool {
    let (name, rest) = card.split_at(8);
    let bare = name.trim_end();
    let value = |field: &str| {
        let field = field.trim();
        let (value, comment) = match field.strip_prefix('\'') {
            Some(string) => {
                let mut at = 0;
                loop {
                    match string[at..].find('\'') {
                        None => return false,
                        Some(quote) if string[at + quote + 1..].starts_with('\'') => at += quote + 2,
                        Some(quote) => break ("T".to_string(), string[at + quote + 1..].trim()),
                    }
                }
            }
            None => {
                let (value, comment) = field.split_at(field.find('/').unwrap_or(field.len()));
                (value.trim().to_string(), comment)
            }
        };
        let number = value.trim_start_matches(['+', '-']).replace('D', "E");
        let legal = number.bytes().all(|b| b.is_ascii_digit() || matches!(b, b'.' | b'E' | b'+' | b'-'));
        let known = value.is_empty() || value == "T" || value == "F" || legal && number.parse::<f64>().is_ok();
        (known || value.starts_with('(')) && (comment.is_empty() || comment.starts_with('/'))
    };
    match bare {
        "" | "COMMENT" | "HISTORY" => true,
        "CONTINUE" => rest.trim_start().starts_with('\'') && value(rest),
        "HIERARCH" => rest.split_once('=').is_some_and(|(words, field)| words == words.to_uppercase() && value(field)),
        _ => {
            let legal = bare.bytes().all(|b| b.is_ascii_uppercase() || b.is_ascii_digit() || matches!(b, b'-' | b'_'));
            legal && rest.starts_with("= ") && value(&rest[2..])
        }
    }
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(200))]

    #[test]
    fn any_value_set_is_read_back_from_a_file(
        cards in proptest::collection::vec(("X[A-Z0-9_-]{0,7}|Y[A-Z]{2,9} [A-Z]{1,20}", value(), "[ -~]{0,90}"), 1..20),
    ) {
        let mut header = Header::new();
        for (keyword, value, comment) in &cards {
            header.set(keyword, value.clone(), comment);
        }
        let back = through_a_file(&header);
        prop_assert_eq!(&back, &header);
        for (keyword, _, _) in &cards {
            let expected = &cards.iter().rev().find(|(k, _, _)| k == keyword).unwrap().1;
            prop_assert_eq!(back.get(keyword), Some(expected.clone()), "{}", keyword);
        }
    }

    #[test]
    fn standard_cards_of_a_fibermap_are_carried_byte_for_byte(
        raw in proptest::collection::vec(
            "[XY][A-Z0-9_-]{7}= ( {0,9}-?[0-9]{1,9}| {0,9}[TF]| {0,9}[0-9]{1,3}\\.[0-9]{0,9}(E-[0-9]{1,2})?|'[ -&(-~]{0,30}')( {0,9}/[ -~]{0,20})?",
            0..40,
        ),
    ) {
        let out = through_a_fibermap(&raw);
        let carried: String = raw.iter().map(|card| format!("{card:<80}")).collect();
        let carried = carried.into_bytes();
        prop_assert!(carried.is_empty() || out.windows(carried.len()).any(|w| w == carried));
    }

    #[test]
    fn whatever_the_cards_are_every_card_written_is_standard(
        raw in proptest::collection::vec("([XYxy][ -~]{0,79}|[A-Z]{1,8} {0,3}= ?[ -~]{0,60}|(HIERARCH|CONTINUE|COMMENT)[ -~]{0,72}|[ -~]{0,80})", 0..40),
    ) {
        let out = through_a_fibermap(&raw);
        for card in out.chunks_exact(80).take_while(|card| !card.starts_with(b"END ")) {
            let card = std::str::from_utf8(card).unwrap();
            prop_assert!(standard(card), "`{card}` of {raw:?}");
        }
    }

    #[test]
    fn any_rows_cut_from_a_table_are_the_rows_of_its_columns(n in 1usize..30, from in 0usize..30, len in 0usize..30) {
        let (from, to) = (from.min(n), (from + len).min(n));
        let (whole, part) = (fibermap(n), fibermap(n).slice_rows(from..to));
        prop_assert_eq!(part.nrows(), to - from);
        prop_assert_eq!(&part.column_i64("TARGETID").unwrap(), &whole.column_i64("TARGETID").unwrap()[from..to]);
        prop_assert_eq!(&part.column_f64("XY").unwrap(), &whole.column_f64("XY").unwrap()[2 * from..2 * to]);
        prop_assert_eq!(&part.column_str("OBJTYPE").unwrap(), &whole.column_str("OBJTYPE").unwrap()[from..to]);
    }
}
