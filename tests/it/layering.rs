//! The rooms of the house: imports run downwards only, and no circle ties two of them.
//!
//! The files are parsed. A room is a folder (or a file) directly below `src/`, or below
//! `src/pipeline/`, whose rooms have floors of their own. `docs/architecture.md` draws the same.

use std::collections::{BTreeMap, BTreeSet};
use std::fs;
use std::path::{Path, PathBuf};

use syn::visit::{self, Visit};

/// The rooms from the ground up: a room imports those before it, and no other.
const ROOMS: &[&[&str]] = &[
    &["secrets"],
    &["runtime", "azure", "tokenizer"],
    &["source", "sink"],
    &["fault"],
    &["spool"],
    &["config"],
    &["telemetry"],
    &["verify", "testing"],
    &["convert"],
    &["check", "difference", "scan"],
    &["pipeline"],
    &["serve"],
    &["cli"],
];

/// The same for the rooms of the pipeline.
const PIPELINE: &[&[&str]] = &[
    &["lifecycle", "state"],
    &["error"],
    &["ingest"],
    &["engine"],
    &["actors"],
    &["supervisor"],
    &["run"],
    &["host"],
];

/// What no file of the domain may name: it has no files, clock, chance or runtime.
const IMPURE: &[&str] = &[
    "tokio",
    "actix",
    "actix_rt",
    "reqwest",
    "rand",
    "getrandom",
    "fs",
    "net",
    "env",
    "process",
    "thread",
    "SystemTime",
    "Instant",
    "HashMap",
    "HashSet",
];

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

/// The most lines of a file that is written by hand.
const MOST_LINES: usize = 500;

fn files_below(folder: &Path, endings: &[&str], found: &mut Vec<PathBuf>) {
    for entry in fs::read_dir(folder).expect("a folder") {
        let path = entry.expect("an entry").path();
        let ending = path.extension().and_then(|ending| ending.to_str());
        if path.is_dir() {
            files_below(&path, endings, found);
        } else if ending.is_some_and(|ending| endings.contains(&ending)) {
            found.push(path);
        }
    }
}

/// What a file imports and names: absolute paths, without those of its tests.
#[derive(Default)]
struct Paths {
    /// The module that is being read: `["pipeline", "actors", "fetcher"]`.
    module: Vec<String>,
    found: BTreeSet<Vec<String>>,
    /// Every identifier in a path.
    names: BTreeSet<String>,
}

fn is_test(attributes: &[syn::Attribute]) -> bool {
    attributes.iter().any(|attribute| {
        let syn::Meta::List(list) = &attribute.meta else {
            return attribute.path().is_ident("test");
        };
        list.path.is_ident("cfg")
            && list
                .tokens
                .to_string()
                .split(|c: char| !c.is_alphanumeric())
                .any(|word| word == "test")
    })
}

impl Paths {
    fn note(&mut self, path: Vec<String>) {
        self.names.extend(path.iter().cloned());
        let supers = path.iter().take_while(|part| *part == "super").count();
        let absolute = match path.first().map(String::as_str) {
            Some("crate") => path[1..].to_vec(),
            Some("self") => [&self.module[..], &path[1..]].concat(),
            Some("super") => {
                let kept = self.module.len().saturating_sub(supers);
                [&self.module[..kept], &path[supers..]].concat()
            }
            _ => return,
        };
        self.found.insert(absolute);
    }

    fn tree(&mut self, prefix: &mut Vec<String>, tree: &syn::UseTree) {
        match tree {
            syn::UseTree::Path(path) => {
                prefix.push(path.ident.to_string());
                self.tree(prefix, &path.tree);
                prefix.pop();
            }
            syn::UseTree::Name(name) => {
                self.note([&prefix[..], &[name.ident.to_string()]].concat());
            }
            syn::UseTree::Rename(name) => {
                self.note([&prefix[..], &[name.ident.to_string()]].concat());
            }
            syn::UseTree::Glob(_) => self.note(prefix.clone()),
            syn::UseTree::Group(group) => {
                for tree in &group.items {
                    self.tree(prefix, tree);
                }
            }
        }
    }
}

impl<'ast> Visit<'ast> for Paths {
    fn visit_item_mod(&mut self, item: &'ast syn::ItemMod) {
        if !is_test(&item.attrs) && item.content.is_some() {
            self.module.push(item.ident.to_string());
            visit::visit_item_mod(self, item);
            self.module.pop();
        }
    }

    fn visit_item_fn(&mut self, item: &'ast syn::ItemFn) {
        if !is_test(&item.attrs) {
            visit::visit_item_fn(self, item);
        }
    }

    fn visit_item_use(&mut self, item: &'ast syn::ItemUse) {
        if !is_test(&item.attrs) {
            self.tree(&mut Vec::new(), &item.tree);
        }
    }

    fn visit_path(&mut self, path: &'ast syn::Path) {
        let parts = path.segments.iter().map(|part| part.ident.to_string());
        self.note(parts.collect());
        visit::visit_path(self, path);
    }
}

/// The module of a file below a source folder.
fn module_of(sources: &Path, file: &Path) -> Vec<String> {
    let path = file
        .strip_prefix(sources)
        .expect("below")
        .with_extension("");
    let parts = path.iter().map(|part| part.to_string_lossy().into_owned());
    let mut module: Vec<String> = parts.collect();
    if module
        .last()
        .is_some_and(|last| last == "mod" || last == "lib")
    {
        module.pop();
    }
    module
}

fn read(sources: &Path) -> BTreeMap<PathBuf, Paths> {
    let mut files = Vec::new();
    files_below(sources, &["rs"], &mut files);
    assert!(files.len() > 5, "{} has its sources", sources.display());
    let is_of_tests = |file: &Path| {
        let inside = file.strip_prefix(sources).expect("below");
        inside
            .iter()
            .any(|part| part == "tests" || part == "tests.rs" || part == "bin")
    };
    files.retain(|file| !is_of_tests(file));
    let parse = |file: PathBuf| {
        let text = fs::read_to_string(&file).expect("a file");
        let parsed = syn::parse_file(&text).unwrap_or_else(|e| panic!("{}: {e}", file.display()));
        let mut paths = Paths {
            module: module_of(sources, &file),
            ..Paths::default()
        };
        paths.visit_file(&parsed);
        (file, paths)
    };
    files.into_iter().map(parse).collect()
}

fn floor(rooms: &[&[&str]], room: &str) -> Option<usize> {
    rooms.iter().position(|floor| floor.contains(&room))
}

/// Every import from one room into another that does not lead downwards.
fn upward(files: &BTreeMap<PathBuf, Paths>, below: &[&str], rooms: &[&[&str]]) -> Vec<String> {
    let depth = below.len();
    let room_of = |path: &[String]| {
        let inside = path.len() > depth && path.iter().zip(below).all(|(part, of)| part == of);
        inside.then(|| path[depth].clone())
    };
    let mut wrong = Vec::new();
    for (file, paths) in files {
        let Some(own) = room_of(&paths.module) else {
            continue;
        };
        let Some(own_floor) = floor(rooms, &own) else {
            // `main.rs` and the like have no floor and are imported by nobody.
            if depth > 0 || own != "main" {
                wrong.push(format!("{} stands in no room", file.display()));
            }
            continue;
        };
        for path in &paths.found {
            let Some(other) = room_of(path).filter(|other| *other != own) else {
                continue;
            };
            if floor(rooms, &other).is_some_and(|other| other >= own_floor) {
                wrong.push(format!("{}: {}", file.display(), path.join("::")));
            }
        }
    }
    wrong
}

#[test]
fn no_file_is_too_long() {
    let endings = ["rs", "kql", "html", "css", "js", "mjs", "py", "sh"];
    let mut files = Vec::new();
    for folder in [
        "src", "crates", "tests", "benches", "examples", "fuzz", "findings", "queries",
    ] {
        files_below(&root().join(folder), &endings, &mut files);
    }
    // What a build has left beside the sources.
    files.retain(|file| !file.iter().any(|part| part == "target"));
    let lines = |file: &Path| fs::read_to_string(file).expect("text").lines().count();
    let long: Vec<String> = (files.iter().map(|file| (file, lines(file))))
        .filter(|(_, lines)| *lines > MOST_LINES)
        .map(|(file, lines)| format!("{}: {lines} lines", file.display()))
        .collect();
    assert!(long.is_empty(), "split these files: {}", long.join(", "));
}

#[test]
fn imports_run_downwards() {
    let files = read(&root().join("src"));
    let wrong = upward(&files, &[], ROOMS);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn imports_of_the_pipeline_run_downwards() {
    let files = read(&root().join("src"));
    let wrong = upward(&files, &["pipeline"], PIPELINE);
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_folder_has_a_floor() {
    for (below, rooms, known) in [
        ("src", ROOMS, &["lib", "main", "bin"][..]),
        ("src/pipeline", PIPELINE, &["mod"][..]),
    ] {
        for entry in fs::read_dir(root().join(below)).expect("a folder") {
            let name = entry.expect("an entry").path().with_extension("");
            let name = name
                .file_name()
                .expect("a name")
                .to_string_lossy()
                .into_owned();
            let is_known = floor(rooms, &name).is_some() || known.contains(&&*name);
            assert!(is_known, "{below}/{name} stands on no floor");
        }
    }
}

#[test]
fn the_domain_is_pure() {
    for (file, paths) in read(&root().join("crates/gleaner-domain/src")) {
        for name in IMPURE {
            assert!(!paths.names.contains(*name), "{}: {name}", file.display());
        }
    }
}

/// What only a program may do: ending the process, signal handlers, hooks.
#[test]
fn the_library_takes_nothing_over() {
    for (file, paths) in read(&root().join("src")) {
        let room = paths.module.first().map_or("", String::as_str);
        if ["cli", "main"].contains(&room) {
            continue;
        }
        for name in ["exit", "set_hook", "ctrl_c", "signal", "set_global_default"] {
            let named = paths.names.contains(name)
                && paths
                    .names
                    .iter()
                    .any(|n| ["process", "panic", "System", "tracing", "signal"].contains(&&**n));
            assert!(!named || room == "serve", "{}: {name}", file.display());
        }
    }
}
