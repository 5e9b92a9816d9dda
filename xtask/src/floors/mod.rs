//! Holds `src/` to the table of floors: arrows point down, and no circle runs through rooms or through the files of one.

mod circles;
mod house;
mod paths;
mod table;
mod tokens;

use crate::steps;
use circles::{Graph, circles};
use house::{Arrow, House};
use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::Path;
use table::{CIRCLES_INSIDE_ROOMS, Floor};

/// The page that has the table of floors.
const PAGE: &str = "CONTRIBUTING.md";

/// Checks the floors of this repository.
///
/// # Errors
/// The table or a file cannot be read, an arrow points up, a circle runs through rooms, or too many run inside rooms.
pub fn run() -> Result<(), String> {
    let root = steps::root();
    let page = fs::read_to_string(root.join(PAGE)).map_err(|e| format!("{PAGE}: {e}"))?;
    let floors = table::read(&page).map_err(|e| format!("{PAGE}: {e}"))?;
    let mut files = Vec::new();
    read_folder(&root.join("src"), "", &mut files)?;
    let house = House::new(&files);
    let arrows = house.arrows();

    let mut faults = strangers(&house.rooms(), &floors);
    faults.extend(upward(&arrows, &floors));
    faults.extend(between_rooms(&arrows));
    let inside = inside_rooms(&arrows);
    for line in faults.iter().chain(&inside) {
        println!("{line}");
    }
    println!(
        "{} files in {} rooms: {} faults between rooms; circles inside rooms: {} ({CIRCLES_INSIDE_ROOMS} tolerated)",
        files.len(),
        house.rooms().len(),
        faults.len(),
        inside.len(),
    );
    let beyond = inside.len().saturating_sub(CIRCLES_INSIDE_ROOMS);
    match faults.len() {
        0 if beyond == 0 => Ok(()),
        0 => Err(format!("{} circles inside rooms, {CIRCLES_INSIDE_ROOMS} tolerated", inside.len())),
        n => Err(format!("{n} faults against the table of floors in {PAGE}")),
    }
}

/// Reads all Rust files below a folder, by their paths below `src/`.
fn read_folder(folder: &Path, prefix: &str, files: &mut Vec<(String, String)>) -> Result<(), String> {
    let failed = |e: std::io::Error| format!("{}: {e}", folder.display());
    let mut entries: Vec<_> = folder.read_dir().map_err(failed)?.flatten().map(|entry| entry.path()).collect();
    entries.sort();
    for path in entries {
        let name = path.file_name().unwrap_or_default().to_string_lossy().into_owned();
        if path.is_dir() {
            read_folder(&path, &format!("{prefix}{name}/"), files)?;
        } else if name.ends_with(".rs") {
            files.push((format!("{prefix}{name}"), fs::read_to_string(&path).map_err(failed)?));
        }
    }
    Ok(())
}

/// Lists rooms without a row and rows without a room.
fn strangers(rooms: &BTreeSet<String>, floors: &[Floor]) -> Vec<String> {
    let named: BTreeSet<String> = floors.iter().flat_map(|floor| floor.rooms.iter().cloned()).collect();
    let without_row = rooms.difference(&named).map(|room| format!("src/{room}: no row in the table of floors"));
    let without_room = named.difference(rooms).map(|room| format!("{PAGE}: no room src/{room}"));
    without_row.chain(without_room).collect()
}

/// Lists arrows that point up.
fn upward(arrows: &[Arrow], floors: &[Floor]) -> Vec<String> {
    let of_room = |floor: &Floor| floor.rooms.iter().map(|room| (room.clone(), floor.number)).collect::<Vec<_>>();
    let floor: BTreeMap<String, usize> = floors.iter().flat_map(of_room).collect();
    let is_up = |arrow: &&Arrow| matches!((floor.get(&arrow.from), floor.get(&arrow.to)), (Some(a), Some(b)) if b > a);
    let line = |arrow: &Arrow| {
        let Arrow { file, line, from, to, path, .. } = arrow;
        format!("src/{file}:{line}: up: {from} (floor {}) names {to} (floor {}): {path}", floor[from], floor[to])
    };
    arrows.iter().filter(is_up).map(line).collect()
}

/// Lists circles between rooms, each with its arrows, of which one room's arrows to another are listed once.
fn between_rooms(arrows: &[Arrow]) -> Vec<String> {
    let mut first: BTreeMap<(&str, &str), &Arrow> = BTreeMap::new();
    for arrow in arrows.iter().filter(|arrow| arrow.from != arrow.to) {
        first.entry((&arrow.from, &arrow.to)).or_insert(arrow);
    }
    let list = first.into_iter().map(|((from, to), arrow)| (from.to_string(), to.to_string(), arrow));
    describe("rooms", list.collect())
}

/// Lists circles between files of one room.
fn inside_rooms(arrows: &[Arrow]) -> Vec<String> {
    let mut first: BTreeMap<(&str, &str), &Arrow> = BTreeMap::new();
    for arrow in arrows.iter().filter(|arrow| arrow.from == arrow.to) {
        if let Some(to) = arrow.defined_in.as_deref().filter(|to| *to != arrow.file) {
            first.entry((&arrow.file, to)).or_insert(arrow);
        }
    }
    let list = first.into_iter().map(|((from, to), arrow)| (format!("src/{from}"), format!("src/{to}"), arrow));
    describe("files", list.collect())
}

fn describe(what: &str, arrows: Vec<(String, String, &Arrow)>) -> Vec<String> {
    let mut graph = Graph::new();
    for (from, to, _) in &arrows {
        graph.entry(from.clone()).or_default().insert(to.clone());
    }
    let describe = |circle: Vec<String>| {
        let mut text = format!("circle of {} {what}: {}", circle.len(), circle.join(", "));
        for (_, to, arrow) in arrows.iter().filter(|(from, to, _)| circle.contains(from) && circle.contains(to)) {
            text += &format!("\n    src/{}:{}: {} -> {to}", arrow.file, arrow.line, arrow.path);
        }
        text
    };
    circles(&graph).into_iter().map(describe).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn house(files: &[(&str, &str)]) -> House {
        House::new(&files.iter().map(|(file, text)| (file.to_string(), text.to_string())).collect::<Vec<_>>())
    }

    fn floors() -> Vec<Floor> {
        let floor =
            |(number, rooms): (usize, &str)| Floor { number, rooms: rooms.split(' ').map(String::from).collect() };
        [(1, "base"), (2, "fits plot"), (3, "lib main")].into_iter().map(floor).collect()
    }

    #[test]
    fn an_arrow_up_is_found_with_its_line_whichever_way_it_is_written() {
        for up in ["use crate::fits::X;", "use crate::{a, fits::X};", "fn f() -> crate::fits::X {}", "use super::fits;"]
        {
            let arrows = house(&[("base.rs", &format!("\n{up}")), ("fits/mod.rs", "pub struct X;")]).arrows();
            let found = upward(&arrows, &floors());
            assert!(found.len() == 1 && found[0].starts_with("src/base.rs:2: up: base (floor 1)"), "{up}: {found:?}");
            let down = house(&[("base.rs", ""), ("fits/mod.rs", &up.replace("fits", "base"))]).arrows();
            assert_eq!((down.len(), upward(&down, &floors())), (1, vec![]), "{up}");
        }
    }

    #[test]
    fn tests_comments_and_other_crates_make_no_arrow() {
        let text = "// use crate::fits::X;\n#[cfg(test)]\nmod tests { use crate::fits::X; }\n#[cfg(test)]\nmod more;\nuse std::fmt;";
        let more = ("base/more.rs", "use crate::fits::X;");
        assert_eq!(house(&[("base/mod.rs", text), more, ("fits.rs", "")]).arrows(), []);
    }

    #[test]
    fn two_rooms_of_a_floor_may_name_each_other_one_way() {
        let one_way = [("fits.rs", "use crate::plot::A;"), ("plot.rs", "")];
        assert!(between_rooms(&house(&one_way).arrows()).is_empty());
        let both = [("fits.rs", "use crate::plot::A;"), ("plot.rs", "use crate::fits::B;")];
        let found = between_rooms(&house(&both).arrows());
        assert!(found[0].contains("circle of 2 rooms: fits, plot") && found[0].contains("src/plot.rs:1"), "{found:?}");
    }

    #[test]
    fn rooms_and_rows_must_be_the_same() {
        let found = strangers(&house(&[("base.rs", ""), ("new/mod.rs", ""), ("lib.rs", "")]).rooms(), &floors());
        assert_eq!(found.len(), 4, "new without a row; fits, main and plot without a room: {found:?}");
    }

    #[test]
    fn the_program_names_rooms_of_the_library_through_its_root() {
        let files = [
            ("lib.rs", "mod base; pub use base::sentence;"),
            ("base.rs", "pub fn sentence() {}"),
            ("main.rs", "fn main() { spextral::sentence(); spextral::Own; }"),
        ];
        let named: Vec<_> = house(&files).arrows().into_iter().map(|a| (a.from, a.to)).collect();
        assert_eq!(named, [("lib", "base"), ("main", "base"), ("main", "lib")].map(|(a, b)| (a.into(), b.into())));
    }

    #[test]
    fn a_mod_file_that_defines_what_its_children_take_makes_a_circle_and_one_that_passes_on_does_not() {
        let defines =
            [("fits/mod.rs", "mod a; use a::A; pub struct X(A);"), ("fits/a.rs", "use super::X; pub struct A;")];
        let found = inside_rooms(&house(&defines).arrows());
        assert!(found.len() == 1 && found[0].contains("src/fits/a.rs, src/fits/mod.rs"), "{found:?}");
        let passes_on = [
            ("fits/mod.rs", "mod a; mod b; pub use a::A; pub use b::B;"),
            ("fits/a.rs", "use super::B; pub struct A;"),
            ("fits/b.rs", "pub struct B;"),
        ];
        assert!(inside_rooms(&house(&passes_on).arrows()).is_empty());
        let siblings = [passes_on[0], passes_on[1], ("fits/b.rs", "use super::a; pub struct B(a::A);")];
        let found = inside_rooms(&house(&siblings).arrows());
        assert!(found.len() == 1 && found[0].contains("src/fits/a.rs, src/fits/b.rs"), "{found:?}");
    }
}
