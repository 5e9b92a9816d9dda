//! Line lists: the wavelengths of a lamp, as text or as a FITS table.

use super::error::FitsError;
use super::reader::{FitsFile, is_fits};
use super::table::read_table;
use crate::base::option_name::OptionName::LinesIn;
use crate::base::word_enum::word_enum;
use crate::frame::Table;
use std::path::Path;

/// Columns of wavelengths, by their names in lower case.
const WAVES: [&str; 5] = ["wavelength", "wave", "lambda", "wl", "w"];
/// Columns of the atom or ion.
const IONS: [&str; 4] = ["ion", "element", "species", "name"];
/// Columns of relative intensities.
const WEIGHTS: [&str; 6] = ["weight", "intensity", "amplitude", "flux", "strength", "relint"];
/// Wavelengths of optical and near infrared spectrographs, Angstrom; others are in another unit.
const SOUND: std::ops::RangeInclusive<f64> = 1000.0..=100_000.0;

/// The medium in which wavelengths are measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Medium {
    /// Standard air.
    Air,
    /// Vacuum.
    Vacuum,
}

word_enum!(Medium, "medium", Air = "air", Vacuum = "vacuum");

impl Medium {
    /// Returns the wavelength in vacuum, Angstrom, by the inverse of Morton's (1991) dispersion of air; below 2000
    /// Angstrom wavelengths are those in vacuum by convention.
    pub fn to_vacuum(self, wave: f64) -> f64 {
        if self == Self::Vacuum || wave < 2000.0 {
            return wave;
        }
        let s2 = (1e4 / wave).powi(2);
        // The fit of N. Piskunov, good to 1e-9 from 2000 to 100 000 Angstrom.
        wave * (1.000_083_366_242_12
            + 0.024_089_268_699_68 / (130.106_592_452_2 - s2)
            + 0.000_159_974_089_489_7 / (38.925_687_933_28 - s2))
    }
}

/// A line of a lamp.
#[derive(Clone, Debug, PartialEq)]
pub struct Line {
    /// Wavelength in vacuum, Angstrom.
    pub wave: f64,
    /// Atom or ion; empty where the list has none.
    pub ion: String,
    /// Relative intensity, if the list has one.
    pub weight: Option<f64>,
}

/// Reads a list from a file, as [`read_line_list`](super::read_line_list) describes it.
///
/// # Errors
/// [`FitsError::Read`] if the file cannot be read; [`FitsError::Invalid`] if it has no lines, a wavelength that is none, or
/// does not say its medium.
pub(super) fn read_list(path: &Path, medium: Option<Medium>) -> Result<Vec<Line>, FitsError> {
    let invalid = |what: String| FitsError::Invalid { path: path.into(), hdu: "line list".into(), what };
    let (mut lines, said) = if is_fits(path)? { of_table(path)? } else { of_text(path)? };
    if lines.is_empty() {
        return Err(invalid("has no lines; give a wavelength per line of text, in Angstrom".into()));
    }
    if let Some(what) = not_angstrom(lines.iter().map(|line| line.wave)) {
        return Err(invalid(what));
    }
    if let (None, [_, _, ..]) = (medium, &said[..]) {
        return Err(invalid(format!(
            "says that its wavelengths are in air and in vacuum; keep one of the two, or give {LinesIn}"
        )));
    }
    let Some(medium) = medium.or(said.first().copied()) else {
        let what =
            "does not say whether its wavelengths are in air or in vacuum; add a line `# air` or `# vacuum`, or give";
        return Err(invalid(format!("{what} {LinesIn}")));
    };
    if said.iter().any(|said| *said != medium) {
        tracing::warn!("{}: its wavelengths are taken as in {medium}, though it says otherwise", path.display());
    }
    lines.iter_mut().for_each(|line| line.wave = medium.to_vacuum(line.wave));
    lines.sort_by(|a, b| a.wave.total_cmp(&b.wave));
    Ok(lines)
}

/// Returns a sentence about the first wavelength that is in another unit than Angstrom.
pub(super) fn not_angstrom(mut waves: impl Iterator<Item = f64>) -> Option<String> {
    let wave = waves.find(|wave| !SOUND.contains(wave))?;
    Some(format!("wavelength {wave} is not within 1000 to 100000; give Angstrom"))
}

/// Lines, and the media that the list names, each once.
type Said = (Vec<Line>, Vec<Medium>);

/// Returns the lines of a built-in list, in vacuum and sorted.
pub(super) fn lines_of_text(text: &str) -> Vec<Line> {
    parse(Path::new("built-in list"), text).map_or_else(|_| Vec::new(), |(lines, _)| lines)
}

fn of_text(path: &Path) -> Result<Said, FitsError> {
    let text = std::fs::read_to_string(path).map_err(|source| FitsError::Read { path: path.into(), source })?;
    parse(path, &text)
}

fn parse(path: &Path, text: &str) -> Result<Said, FitsError> {
    let (mut lines, mut said, mut names) = (Vec::new(), Vec::new(), None);
    for (number, row) in text.lines().enumerate() {
        let invalid = |what: String| FitsError::Invalid {
            path: path.into(),
            hdu: format!("line {}", number + 1),
            what: format!("`{}` {what}", row.trim()),
        };
        let (content, comment) = row.split_once('#').unwrap_or((row, ""));
        if let Ok(medium) = comment.trim().to_lowercase().parse()
            && !said.contains(&medium)
        {
            said.push(medium);
        }
        let words: Vec<&str> = content.split([' ', '\t', ',', ';', '|']).filter(|word| !word.is_empty()).collect();
        // Rulers of tables are no lines.
        if words.is_empty() || words.iter().all(|word| word.chars().all(|c| "-=+".contains(c))) {
            continue;
        }
        if lines.is_empty() && names.is_none() && words.iter().all(|word| word.parse::<f64>().is_err()) {
            let heading: Vec<String> = words.iter().map(|word| word.to_lowercase()).collect();
            if !heading.iter().any(|name| WAVES.contains(&name.as_str())) {
                let what = "names no column of wavelengths; call one `wavelength`, or put `#` before a comment";
                return Err(invalid(what.into()));
            }
            names = Some(heading);
            continue;
        }
        if let Some(number) = decimal_comma(content) {
            let what = format!("has `{number}`, one number or two; write a point in a number, spaces between numbers");
            return Err(invalid(what));
        }
        let line = match &names {
            Some(names) => by_names(names, &words),
            None => by_place(&words),
        };
        let what = "has no wavelength; give `wavelength [ion] [weight]`, or `#` before a comment";
        lines.push(line.ok_or_else(|| invalid(what.into()))?);
    }
    Ok((lines, said))
}

/// Returns the word with the first number of a row if it may have a decimal comma: whole numbers before and after.
fn decimal_comma(content: &str) -> Option<&str> {
    let is_whole = |part: &&str| !part.is_empty() && part.bytes().all(|byte| byte.is_ascii_digit());
    let is_number = |part: &&str| part.parse::<f64>().is_ok();
    let word = content.split_whitespace().find(|word| word.split(',').any(|part| is_number(&part)))?;
    let mut parts = word.split(',').skip_while(|part| !is_number(part));
    (is_whole(&parts.next()?) && is_whole(&parts.next()?)).then_some(word)
}

fn by_names(names: &[String], words: &[&str]) -> Option<Line> {
    let find = |known: &[&str]| names.iter().position(|name| known.contains(&name.as_str())).and_then(|i| words.get(i));
    let wave = find(&WAVES)?.parse().ok()?;
    let ion = find(&IONS).map_or(String::new(), |ion| ion.to_string());
    Some(Line { wave, ion, weight: find(&WEIGHTS).and_then(|weight| positive(weight.parse().ok()?)) })
}

fn by_place(words: &[&str]) -> Option<Line> {
    let numbers: Vec<f64> = words.iter().filter_map(|word| word.parse().ok()).collect();
    let ion: Vec<&str> = words.iter().filter(|word| word.parse::<f64>().is_err()).copied().collect();
    let weight = numbers.get(1..)?.last().and_then(|&weight| positive(weight));
    Some(Line { wave: *numbers.first()?, ion: ion.join(" "), weight })
}

fn positive(weight: f64) -> Option<f64> {
    (weight > 0.0 && weight.is_finite()).then_some(weight)
}

fn of_table(path: &Path) -> Result<Said, FitsError> {
    let file = FitsFile::open(path)?;
    let Some(hdu) = file.hdus.iter().find(|hdu| hdu.header.get_str("XTENSION").is_some_and(|x| x.trim() == "BINTABLE"))
    else {
        let what = "has no table; give a table of WAVELENGTH, ION, WEIGHT".into();
        return Err(FitsError::Invalid { path: path.into(), hdu: file.present(), what });
    };
    let table = read_table(&file, hdu, &mut Vec::new())?;
    let name = |known: &[&str]| {
        let columns = table.columns().iter().map(|column| column.name.clone());
        columns.into_iter().find(|name| known.contains(&name.to_lowercase().as_str()))
    };
    let Some(waves) = name(&WAVES).and_then(|name| numbers(&table, &name)) else {
        return Err(file.invalid(hdu, "has no column WAVELENGTH; give a table of WAVELENGTH, ION, WEIGHT"));
    };
    let ions = name(&IONS).and_then(|name| table.column_str(&name));
    let weights = name(&WEIGHTS).and_then(|name| numbers(&table, &name));
    let line = |(i, &wave): (usize, &f64)| Line {
        wave,
        ion: ions.as_ref().and_then(|ions| ions.get(i)).map_or(String::new(), |ion| ion.trim().into()),
        weight: weights.as_ref().and_then(|weights| positive(*weights.get(i)?)),
    };
    let said = file.hdus.iter().find_map(|hdu| hdu.header.get_str("AIRORVAC")).map(|said| said.trim().to_lowercase());
    let said = said.and_then(|said| match said.as_str() {
        "air" => Some(Medium::Air),
        "vac" | "vacuum" => Some(Medium::Vacuum),
        _ => None,
    });
    Ok((waves.iter().enumerate().map(line).collect(), said.into_iter().collect()))
}

/// Returns a column of numbers of any type.
fn numbers(table: &Table, name: &str) -> Option<Vec<f64>> {
    let whole = || Some(table.column_i64(name)?.into_iter().map(|v| v as f64).collect());
    table.column_f64(name).or_else(whole)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fits::writer::{Image, Pixels, write_file};
    use crate::frame::{ColumnData, Header};

    fn lines(text: &str, medium: Option<Medium>) -> Result<Vec<Line>, String> {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.txt");
        std::fs::write(&path, text).unwrap();
        read_list(&path, medium).map_err(|e| e.to_string())
    }

    #[test]
    fn columns_are_known_by_their_place_or_by_their_names() {
        let line = |wave, ion: &str, weight| Line { wave, ion: ion.into(), weight };
        let expected = [line(5460.5, "HgI", None), line(6507.0, "Ne I", Some(30.0))];
        for text in ["# vacuum\n6507.0 Ne I 30\n5460.5 HgI # green\n", "#Vacuum\nHgI 5460.5\nNe I 6507.0 4 30\n"] {
            assert_eq!(lines(text, None).unwrap(), expected, "{text}");
        }
        let table = "| ion | wave | NIST | amplitude |\n|---|---|---|---|\n| Ne | 6507.0 | 1 | 30 |\n";
        assert_eq!(lines(table, Some(Medium::Vacuum)).unwrap(), [line(6507.0, "Ne", Some(30.0))]);
    }

    #[test]
    fn wavelengths_in_air_become_those_in_vacuum() {
        // The helium-neon laser, and the mercury line: NIST's wavelengths in air and in vacuum.
        for (air, vacuum) in [(6328.165, 6329.914), (5460.750, 5462.268), (4046.565, 4047.708)] {
            let found = lines(&format!("{air}"), Some(Medium::Air)).unwrap()[0].wave;
            assert!((found - vacuum).abs() < 1.5e-3, "{air}: {found}");
        }
    }

    #[test]
    fn a_list_that_says_too_little_is_refused_with_the_line_and_the_remedy() {
        assert!(lines("5460.7\n", None).unwrap_err().contains("lines-in"));
        assert!(lines("# air\n546.07\n", None).unwrap_err().contains("546.07 is not within 1000"));
        assert!(lines("# air\n5460.7\nHgI\n", None).unwrap_err().contains("line 3: `HgI` has no wavelength"));
        assert!(lines("# air\n", None).unwrap_err().contains("has no lines"));
        let heading = lines("wavelength_air ion\n5460.7 HgI\n", None).unwrap_err();
        assert!(heading.contains("line 1: `wavelength_air ion` names no column of wavelengths"), "{heading}");
    }

    #[test]
    fn a_list_that_can_be_read_in_two_ways_is_refused() {
        let both = "# air\n5460.7\n# vacuum\n";
        assert!(lines(both, None).unwrap_err().contains("in air and in vacuum"));
        assert_eq!(lines(both, Some(Medium::Vacuum)).unwrap()[0].wave, 5460.7);
        for row in ["5852,488 NeI", "NeI,5852,488", "5852,488"] {
            let refused = lines(&format!("# vacuum\n{row}\n"), None).unwrap_err();
            assert!(refused.contains("line 2") && refused.contains("one number or two"), "{refused}");
        }
        for row in ["5852.488,1000,20", "NeI,5852.488,30", "5852,NeI,30", "5852 1000,5"] {
            assert!(lines(&format!("# vacuum\n{row}\n"), None).is_ok(), "{row}");
        }
    }

    #[test]
    fn a_table_gives_its_lines_and_its_medium() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("lines.fits");
        let mut table = Table::new(2)
            .with_column("ION", "", &ColumnData::Str(vec!["Ne".into(), "Hg".into()]))
            .with_column("WAVE", "Angstrom", &ColumnData::F64(vec![6507.0, 5460.5]))
            .with_column("INTENSITY", "", &ColumnData::I32(vec![30, 0]));
        table.header_mut().set("AIRORVAC", "vac", "");
        let image = Image { name: "NONE", unit: "", shape: vec![1], pixels: Pixels::F32(&[0.0]) };
        let written = write_file(&path, false, |out| {
            out.image(&image, &Header::new())?;
            out.table("LINES", &table)
        });
        written.unwrap().persist().unwrap();
        let found = read_list(&path, None).unwrap();
        assert_eq!(found[1], Line { wave: 6507.0, ion: "Ne".into(), weight: Some(30.0) });
        assert_eq!((found[0].wave, found[0].weight), (5460.5, None));
    }
}
