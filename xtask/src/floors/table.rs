//! The table of floors: CONTRIBUTING.md holds it, once, for people and for this check.

/// Circles between files inside one room that are tolerated.
pub const CIRCLES_INSIDE_ROOMS: usize = 0;

const BEGIN: &str = "<!-- floors: begin -->";
const END: &str = "<!-- floors: end -->";

/// One floor: rooms that may name each other in one direction only, and every room further down.
#[derive(Debug, PartialEq)]
pub struct Floor {
    pub number: usize,
    pub rooms: Vec<String>,
}

/// Reads the rows between the markers, from the bottom floor up.
///
/// # Errors
/// A marker or the table is missing, numbers do not rise, or a room stands twice.
pub fn read(page: &str) -> Result<Vec<Floor>, String> {
    let (_, rest) = page.split_once(BEGIN).ok_or_else(|| format!("no line `{BEGIN}`"))?;
    let (table, _) = rest.split_once(END).ok_or_else(|| format!("no line `{END}`"))?;
    let mut floors: Vec<Floor> = Vec::new();
    for row in table.lines().filter(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.trim_matches('|').split('|').map(str::trim).collect();
        // The header and the rule under it have no number.
        let Some(number) = cells.first().and_then(|cell| cell.parse().ok()) else { continue };
        if floors.last().is_some_and(|below| below.number >= number) {
            return Err(format!("floor {number} stands above one with a number that is not smaller"));
        }
        let named = cells.get(1).copied().unwrap_or_default();
        let rooms: Vec<String> = named.split('`').skip(1).step_by(2).map(String::from).collect();
        if rooms.is_empty() {
            return Err(format!("floor {number} has no room in backticks"));
        }
        floors.push(Floor { number, rooms });
    }
    let mut all: Vec<&String> = floors.iter().flat_map(|floor| &floor.rooms).collect();
    all.sort();
    match all.windows(2).find(|pair| pair[0] == pair[1]) {
        Some(pair) => Err(format!("the room {} stands twice", pair[0])),
        None if all.is_empty() => Err("no floor between the markers".into()),
        None => Ok(floors),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn page(rows: &str) -> String {
        format!("text\n{BEGIN}\n| floor | rooms | holds |\n|---|---|---|\n{rows}\n{END}\n| 9 | `other` | |\n")
    }

    #[test]
    fn rows_are_read_from_the_bottom_up() {
        let floors = read(&page("| 1 | `base` | `not this` |\n| 3 | `fits`, `plan` | files |")).unwrap();
        assert_eq!(floors[0], Floor { number: 1, rooms: vec!["base".into()] });
        assert_eq!(floors[1], Floor { number: 3, rooms: vec!["fits".into(), "plan".into()] });
    }

    #[test]
    fn a_table_that_contradicts_itself_is_refused() {
        assert!(read("no markers").is_err());
        assert!(read(&page("")).is_err_and(|e| e.contains("no floor")));
        assert!(read(&page("| 2 | `a` | |\n| 1 | `b` | |")).is_err_and(|e| e.contains("floor 1")));
        assert!(read(&page("| 1 | `a` | |\n| 2 | `a` | |")).is_err_and(|e| e.contains("twice")));
        assert!(read(&page("| 1 | a | |")).is_err_and(|e| e.contains("backticks")));
    }
}
