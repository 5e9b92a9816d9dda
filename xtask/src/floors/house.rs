//! The modules of `src/`: which room and which file a path leads to.

use super::paths::{Names, Path, names};
use super::tokens::tokens;
use std::collections::{BTreeMap, BTreeSet};

/// The name of the package, which stands in the program for the library's `crate`.
const PACKAGE: &str = "spextral";

/// Re-exports of re-exports that are followed.
const DEPTH: usize = 16;

/// An arrow from a line to what it names.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Arrow {
    pub file: String,
    pub line: usize,
    /// The room that names, and the room that is named.
    pub from: String,
    pub to: String,
    /// The file that defines what is named, within the room of the arrow; None for a module by itself and between rooms.
    pub defined_in: Option<String>,
    /// The path as it is written.
    pub path: String,
}

/// One file.
struct Source {
    file: String,
    room: String,
    module: Vec<String>,
    names: Names,
}

/// One module, in a file of its own or inline.
#[derive(Default)]
struct Module {
    file: String,
    defined: BTreeSet<String>,
    /// Names brought into scope, which children may take from here, with where they come from.
    imports: BTreeMap<String, Vec<String>>,
    globs: Vec<Vec<String>>,
}

/// All files of `src/`.
pub struct House {
    sources: Vec<Source>,
    /// By module path; the root is that of the library.
    modules: BTreeMap<Vec<String>, Module>,
}

impl House {
    /// Reads files, given as their paths below `src/` and their text; files for tests only are left out.
    pub fn new(files: &[(String, String)]) -> Self {
        let read: Vec<_> = files.iter().map(|(file, text)| (file, module_of(file), tokens(text))).collect();
        let tests: BTreeSet<Vec<String>> = read
            .iter()
            .flat_map(|(_, module, tokens)| tokens.test_modules.iter().map(|name| child(module, name)))
            .collect();
        let mut house = Self { sources: Vec::new(), modules: BTreeMap::new() };
        for (file, module, tokens) in read {
            if (1..=module.len()).any(|n| tests.contains(&module[..n])) {
                continue;
            }
            let names = names(&tokens.kept);
            house.sources.push(Source { file: file.clone(), room: room_of(file), module, names });
        }
        house.declare();
        house
    }

    /// The rooms there are.
    pub fn rooms(&self) -> BTreeSet<String> {
        self.sources.iter().map(|source| source.room.clone()).collect()
    }

    fn declare(&mut self) {
        for source in self.sources.iter().filter(|source| source.file != "main.rs") {
            let module = self.modules.entry(source.module.clone()).or_default();
            module.file = source.file.clone();
            module.defined = source.names.defined.iter().cloned().collect();
            for (within, name) in &source.names.modules {
                // A module with a file of its own is entered by that file.
                let path = child(&[&source.module[..], within].concat(), name);
                self.modules.entry(path).or_default();
            }
        }
        for source in &self.sources {
            for module in inline_modules(source) {
                if let Some(module) = self.modules.get_mut(&module).filter(|module| module.file.is_empty()) {
                    module.file = source.file.clone();
                }
            }
        }
        let imports: Vec<_> = self.sources.iter().flat_map(|source| self.imports(source)).collect();
        for (module, name, path) in imports {
            let Some(module) = self.modules.get_mut(&module) else { continue };
            if name == "*" {
                module.globs.push(path[..path.len() - 1].to_vec());
            } else {
                module.imports.insert(name, path);
            }
        }
    }

    /// The imports of a file from within the crate: module, name, absolute path.
    fn imports(&self, source: &Source) -> Vec<(Vec<String>, String, Vec<String>)> {
        let import = |path: &Path| {
            let (name, _) = path.import.clone()?;
            let module = [&source.module[..], &path.within].concat();
            let absolute = self.absolute(&path.segments, &module)?;
            (source.file != "main.rs").then_some((module, name, absolute))
        };
        source.names.paths.iter().filter_map(import).collect()
    }

    /// Resolves a path from the crate's root; None for one that leads out of the crate.
    fn absolute(&self, segments: &[String], module: &[String]) -> Option<Vec<String>> {
        let first = segments.first()?.as_str();
        let rest = &segments[1..];
        match first {
            "crate" | PACKAGE => Some(rest.to_vec()),
            "self" => Some([module, rest].concat()),
            "super" => {
                let mut parent = module.to_vec();
                let ups = segments.iter().take_while(|segment| *segment == "super").count();
                parent.truncate(module.len().checked_sub(ups)?);
                Some([&parent[..], &segments[ups..]].concat())
            }
            _ if self.modules.contains_key(&child(module, first)) => Some([module, segments].concat()),
            _ => {
                // A module that was brought into scope; any other name makes its arrow where it is imported.
                let target = self.modules.get(module)?.imports.get(first)?;
                self.modules.contains_key(target).then(|| [&target[..], rest].concat())
            }
        }
    }

    /// Returns the file that defines what an absolute path names; None for a module by itself.
    fn defined_in(&self, path: &[String], depth: usize) -> Option<&str> {
        let mut n = 0;
        while n < path.len() && self.modules.contains_key(&path[..n + 1]) {
            n += 1;
        }
        let module = self.modules.get(&path[..n])?;
        let name = path.get(n)?;
        if depth == 0 || module.defined.contains(name) {
            return Some(&module.file);
        }
        if let Some(target) = module.imports.get(name) {
            return self.defined_in(&[&target[..], &path[n + 1..]].concat(), depth - 1);
        }
        let of_glob = module.globs.iter().filter_map(|glob| self.modules.get(glob));
        let file = of_glob.into_iter().find(|module| module.defined.contains(name)).map(|module| &module.file);
        Some(file.unwrap_or(&module.file))
    }

    /// All arrows, between rooms and between files inside one.
    pub fn arrows(&self) -> Vec<Arrow> {
        let mut arrows: Vec<Arrow> = self.sources.iter().flat_map(|source| self.arrows_of(source)).collect();
        arrows.sort();
        arrows.dedup();
        arrows
    }

    fn arrows_of<'a>(&'a self, source: &'a Source) -> impl Iterator<Item = Arrow> + 'a {
        source.names.paths.iter().filter_map(move |path| {
            let module = [&source.module[..], &path.within].concat();
            let absolute = self.absolute(&path.segments, &module)?;
            let to = self.room(&absolute)?;
            // A name that is only passed on is declared, not used: it makes no circle inside a room.
            let passed_on =
                path.import.as_ref().is_some_and(|(name, visible)| *visible && !source.names.used.contains(name));
            let inside = to == source.room && !passed_on;
            let defined_in = inside.then(|| self.defined_in(&absolute, DEPTH)).flatten();
            Some(Arrow {
                file: source.file.clone(),
                line: path.line,
                from: source.room.clone(),
                to,
                defined_in: defined_in.map(String::from),
                path: path.segments.join("::"),
            })
        })
    }

    /// The room an absolute path names: the first segment, or where the library's root has its name from.
    fn room(&self, absolute: &[String]) -> Option<String> {
        let first = absolute.first()?;
        if self.modules.contains_key(std::slice::from_ref(first)) {
            return Some(first.clone());
        }
        let root = self.modules.get(&[][..])?;
        root.imports
            .get(first)
            .filter(|path| path.first() != Some(first))
            .map_or(Some("lib".into()), |path| self.room(path))
    }
}

fn child(module: &[String], name: &str) -> Vec<String> {
    [module, &[name.to_string()]].concat()
}

fn inline_modules(source: &Source) -> impl Iterator<Item = Vec<String>> {
    source.names.modules.iter().map(|(within, name)| child(&[&source.module[..], within].concat(), name))
}

/// The module a file is, by its path below `src/`.
fn module_of(file: &str) -> Vec<String> {
    let path = file.trim_end_matches(".rs");
    let path = path.strip_suffix("/mod").unwrap_or(path);
    if matches!(path, "lib" | "main") { Vec::new() } else { path.split('/').map(String::from).collect() }
}

/// The room a file is in: the folder or file directly in `src/`.
fn room_of(file: &str) -> String {
    file.split('/').next().unwrap_or(file).trim_end_matches(".rs").into()
}
