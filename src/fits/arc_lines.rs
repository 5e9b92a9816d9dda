//! Lines of a lamp by a name: of a file, or of elements, whose lines are built in: `builtin:HgCdNe`.

use super::error::FitsError;
use super::line_list::{Line, Medium, lines_of_text, read_list};
use crate::base::option_name::OptionName::LinesIn;
use std::path::Path;

/// The lines of all elements, with their sources.
const ARC_LINES: &str = include_str!("arc_lines.txt");
/// Elements of the list.
const ELEMENTS: [&str; 7] = ["Hg", "Cd", "Ne", "Ar", "Kr", "Xe", "Th"];
/// Beginning of the name of a built-in list, which stands in the place of a path.
const BUILTIN: &str = "builtin:";

/// Reads a line list, `wavelength [ion] [weight]` per line in Angstrom, in any order of wavelength: text or a FITS table. Or takes
/// built-in lines ([`arc_lines`]), where `builtin:HgCdNe` is in the place of its path.
///
/// Text has columns apart by blanks, commas or bars; `#` begins a comment. A first line of names has the names of the columns.
/// Without it the first number is the wavelength and the last one, if there are more, the weight. A FITS table has
/// such columns in its first table. `medium` is that of the wavelengths; without it the list itself has it, as a comment
/// `# vacuum` or `# air`, or by the card AIRORVAC. Lines come back by ascending wavelength in vacuum.
///
/// # Errors
/// [`FitsError::Read`] if the file cannot be read; [`FitsError::Invalid`] if it has no lines, a wavelength that is none, or
/// does not say its medium. So it is for elements without built-in lines.
pub fn read_line_list(path: impl AsRef<Path>, medium: Option<Medium>) -> Result<Vec<Line>, FitsError> {
    let path = path.as_ref();
    let Some(elements) = builtin_elements(path) else { return read_list(path, medium) };
    let lines = match medium {
        Some(Medium::Air) => Err(format!("is built in, in vacuum; leave out {LinesIn}")),
        _ => arc_lines(elements),
    };
    lines.map_err(|what| FitsError::Invalid { path: path.into(), hdu: "line list".into(), what })
}

/// Returns the elements that the name of a built-in list has; None for the path of a file.
pub fn builtin_elements(path: &Path) -> Option<&str> {
    path.to_str()?.strip_prefix(BUILTIN)
}

/// Returns the lines of arc lamps from 3500 to 10 500 Angstrom, in vacuum, by ascending wavelength. `elements` are symbols
/// such as `HgCdNe`, or apart: `hg,cd,ne`. Weights are relative intensities, which compare lines of one spectrum only.
///
/// # Errors
/// A clause that names the symbol of which there are no lines, and the elements of which there are.
pub fn arc_lines(elements: &str) -> Result<Vec<Line>, String> {
    let symbols = symbols(elements);
    let known = |symbol: &String| ELEMENTS.iter().find(|element| element.eq_ignore_ascii_case(symbol)).copied();
    let advice = || format!("choose of {}, as in {BUILTIN}{}", ELEMENTS.join(", "), ELEMENTS[..3].concat());
    if symbols.is_empty() {
        return Err(format!("names no element; {}", advice()));
    }
    if let Some(other) = symbols.iter().find(|symbol| known(symbol).is_none()) {
        return Err(format!("names `{other}`, of which there are no built-in lines; {}", advice()));
    }
    let chosen: Vec<&str> = symbols.iter().filter_map(known).collect();
    let mut lines = lines_of_text(ARC_LINES);
    lines.retain(|line| chosen.iter().any(|element| line.ion.starts_with(element)));
    Ok(lines)
}

/// Returns the symbols of a word: apart by what is no letter, or each from a capital on.
fn symbols(word: &str) -> Vec<String> {
    let mut symbols: Vec<String> = Vec::new();
    let mut inside = false;
    for c in word.chars() {
        match symbols.last_mut() {
            Some(symbol) if inside && c.is_alphabetic() && !c.is_uppercase() => symbol.push(c),
            _ if c.is_alphabetic() => symbols.push(c.into()),
            _ => {}
        }
        inside = c.is_alphabetic();
    }
    symbols
}

#[cfg(test)]
mod tests {
    use super::*;

    fn all() -> Vec<Line> {
        arc_lines(&ELEMENTS.concat()).unwrap()
    }

    #[test]
    fn lines_ascend_within_their_range_and_every_element_has_some_with_intensities() {
        let lines = all();
        assert!(lines.is_sorted_by(|a, b| a.wave <= b.wave));
        assert!(lines.iter().all(|line| (3500.0..=10_500.0).contains(&line.wave) && line.weight.is_some()));
        for (element, least) in ELEMENTS.iter().zip([25, 15, 200, 90, 70, 90, 500]) {
            let own = arc_lines(element).unwrap();
            assert!(own.len() >= least && own.iter().all(|line| line.ion.starts_with(element)), "{element}");
        }
        let sum: usize = ELEMENTS.iter().map(|element| arc_lines(element).unwrap().len()).sum();
        assert_eq!(sum, lines.len());
    }

    #[test]
    fn wavelengths_in_vacuum_and_in_air_are_those_of_one_line() {
        let rows = ARC_LINES.lines().filter(|row| row.starts_with(|c: char| c.is_ascii_digit()));
        let columns: Vec<Vec<&str>> = rows.map(|row| row.split(' ').collect()).collect();
        assert_eq!(columns.len(), all().len());
        for row in columns {
            let [vacuum, air] = [0, 1].map(|k| row[k].parse::<f64>().unwrap());
            assert!((Medium::Air.to_vacuum(air) - vacuum).abs() < 1.1e-3, "{row:?}");
            assert!(row.len() == 5 && ["A", "H", "R"].contains(&row[4]), "{row:?}");
        }
    }

    #[test]
    fn lines_of_one_spectrum_are_farther_apart_than_their_mean_would_tell() {
        let lines = all();
        for (i, line) in lines.iter().enumerate() {
            let next = lines[i + 1..].iter().find(|next| next.ion == line.ion);
            assert!(next.is_none_or(|next| next.wave - line.wave > 0.0985), "{line:?} {next:?}");
        }
    }

    #[test]
    fn well_known_lines_are_where_textbooks_have_them() {
        // In air: the lines e, g and h of mercury; F' and C' of cadmium; the former standards of length of cadmium (6438.470)
        // and krypton; laser and lamp lines of neon, argon, xenon, thorium.
        let known = [
            ("HgI", 4046.565),
            ("HgI", 4358.337),
            ("HgI", 5460.750),
            ("CdI", 4799.912),
            ("CdI", 6438.470),
            ("KrI", 5870.916),
            ("KrI", 7601.546),
            ("NeI", 5852.488),
            ("NeI", 6402.248),
            ("ArI", 6965.431),
            ("ArI", 7635.106),
            ("ArII", 4764.865),
            ("XeI", 8231.634),
            ("XeI", 8819.411),
            ("ThI", 5760.551),
            ("ThII", 4019.129),
        ];
        let lines = all();
        for (ion, air) in known {
            let wave = Medium::Air.to_vacuum(air);
            let near = |line: &&Line| line.ion == ion && (line.wave - wave).abs() < 0.004;
            assert!(lines.iter().any(|line| near(&line)), "{ion} {air} {wave}");
        }
    }

    #[test]
    fn names_choose_elements_in_any_spelling_and_others_are_refused_with_what_there_is() {
        let chosen = arc_lines("HgNe").unwrap();
        for name in ["hg,ne", "Ne Hg", "Ne+Hg", "NeHgNe"] {
            assert_eq!(arc_lines(name).unwrap(), chosen, "{name}");
        }
        for (name, word) in [("HgXx", "`Xx`"), ("", "names no element"), ("HG", "`H`")] {
            let error = arc_lines(name).unwrap_err();
            assert!(error.contains(word) && error.contains("Hg, Cd, Ne, Ar, Kr, Xe, Th"), "{error}");
        }
        assert_eq!(read_line_list("builtin:HgNe", Some(Medium::Vacuum)).unwrap(), chosen);
        let error = |name: &str, medium| read_line_list(name, medium).unwrap_err().to_string();
        assert!(error("builtin:HgXx", None).starts_with("builtin:HgXx"));
        assert!(error("builtin:Hg", Some(Medium::Air)).contains("vacuum"));
    }
}
