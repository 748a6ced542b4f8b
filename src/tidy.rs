//! Holds the tree to its own rules: the README's layer table and map, the bans of the never-rules, and the
//! size of files and functions. An ordinary test, so that a breach is an ordinary failure.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

/// Lines a file may have without its tests, and lines a function may have.
const FILE_LINES: usize = 600;
const FUNCTION_LINES: usize = 70;

fn root() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR"))
}

fn read(path: &Path) -> String {
    fs::read_to_string(path).unwrap_or_else(|error| panic!("{}: {error}", path.display()))
}

fn readme() -> String {
    read(&root().join("README.md"))
}

/// Every .rs file under a folder, in the order of paths.
fn sources(folder: &str) -> Vec<PathBuf> {
    let (mut found, mut todo) = (vec![], vec![root().join(folder)]);
    while let Some(folder) = todo.pop() {
        for entry in fs::read_dir(&folder).expect("a folder of the tree") {
            let path = entry.expect("an entry").path();
            if path.is_dir() {
                todo.push(path);
            } else if path.extension().is_some_and(|ending| ending == "rs") {
                found.push(path);
            }
        }
    }
    found.sort();
    found
}

fn shown(path: &Path) -> String {
    path.strip_prefix(root()).unwrap_or(path).display().to_string()
}

/// The file without its tests and without comments; line numbers are kept.
fn code(path: &Path) -> String {
    let text = read(path);
    let end = text.find("#[cfg(test)]\nmod ").unwrap_or(text.len());
    let uncommented =
        |line: &str| if line.trim_start().starts_with("//") { String::new() } else { line.to_string() };
    text[..end].lines().map(uncommented).collect::<Vec<_>>().join("\n")
}

fn complain(faults: &[String]) {
    assert!(faults.is_empty(), "\n{}\n", faults.join("\n"));
}

/// The README's table `| crate | may import |`: crate to the crates it may import.
fn layers() -> BTreeMap<String, BTreeSet<String>> {
    let text = readme();
    let rows = text.lines().skip_while(|line| !line.starts_with("| crate | may import |")).skip(2);
    let mut table = BTreeMap::new();
    for row in rows.take_while(|line| line.starts_with('|')) {
        let cells: Vec<&str> = row.split('|').map(str::trim).collect();
        let names = |cell: &str| -> BTreeSet<String> {
            let words = cell.split(',').map(|word| word.trim().trim_matches('`').to_string());
            words.filter(|word| !word.is_empty() && word != "nothing of ours").collect()
        };
        for name in names(cells[1]) {
            table.insert(name, names(cells[2]));
        }
    }
    assert!(table.len() >= 14, "the README's layer table was not found, or has lost rows");
    table
}

/// Package name and the dependencies named in a manifest, tests' own left out.
fn manifest(path: &Path) -> (String, BTreeSet<String>) {
    let (mut name, mut deps, mut section) = (String::new(), BTreeSet::new(), String::new());
    for line in read(path).lines() {
        if line.starts_with('[') {
            section = line.to_string();
        } else if section == "[package]" && line.starts_with("name = ") {
            name = line.trim_start_matches("name = ").trim_matches('"').to_string();
        } else if section.ends_with("dependencies]")
            && !section.contains("dev-")
            && section != "[workspace.dependencies]"
        {
            let word = line.split(['.', '=', ' ']).next().unwrap_or_default();
            deps.insert(word.to_string());
        }
    }
    (name, deps)
}

fn manifests() -> Vec<PathBuf> {
    let mut found =
        vec![root().join("Cargo.toml"), root().join("sim/Cargo.toml"), root().join("sim/world/Cargo.toml")];
    for entry in fs::read_dir(root().join("src")).expect("src") {
        let path = entry.expect("an entry").path().join("Cargo.toml");
        if path.exists() {
            found.push(path);
        }
    }
    found.sort();
    found
}

#[test]
fn crates_import_what_the_layer_table_allows() {
    let layers = layers();
    let mut faults = vec![];
    for path in manifests() {
        let (name, deps) = manifest(&path);
        if matches!(name.as_str(), "wavetank" | "tank") {
            continue; // the composition root and the tank may import all
        }
        let Some(allowed) = layers.get(&name) else {
            faults.push(format!("{name}: no row in the README's layer table"));
            continue;
        };
        for dep in deps.iter().filter(|dep| layers.contains_key(*dep) || *dep == "tank") {
            if !allowed.contains(dep) {
                faults.push(format!("{}: imports {dep}, which the layer table does not allow", shown(&path)));
            }
        }
    }
    complain(&faults);
}

#[test]
fn the_map_names_every_folder() {
    let (text, mut faults) = (readme(), vec![]);
    for folder in ["src", "sim"] {
        for entry in fs::read_dir(root().join(folder)).expect("a folder") {
            let path = entry.expect("an entry").path();
            let name = path.file_name().expect("a name").to_string_lossy().into_owned();
            if path.is_dir() && name != "tests" && !text.contains(&format!("{name}/")) {
                faults.push(format!("README.md: the map does not name {}/", shown(&path)));
            }
        }
    }
    complain(&faults);
}

#[test]
fn every_mark_is_on_the_list() {
    let list = read(&root().join("snapshots/marks.txt"));
    let lines = list.lines().filter(|line| !line.starts_with('#') && !line.is_empty());
    let listed: BTreeSet<String> =
        lines.map(|line| line.strip_prefix("must").unwrap_or(line).trim().to_string()).collect();
    let mut marked = BTreeSet::new();
    let own = root().join("src/tidy.rs");
    for path in ["src", "sim"].iter().flat_map(|folder| sources(folder)).filter(|path| *path != own) {
        let code = code(&path);
        let marks = code.split("reached!(").skip(1);
        let names = marks.filter_map(|rest| rest.trim_start().strip_prefix('"')?.split('"').next());
        marked.extend(names.map(str::to_string));
    }
    let faults: Vec<String> = marked
        .difference(&listed)
        .map(|mark| format!("snapshots/marks.txt lacks `{mark}`"))
        .chain(
            listed.difference(&marked).map(|mark| format!("snapshots/marks.txt: `{mark}` is marked nowhere")),
        )
        .collect();
    complain(&faults);
}

/// What may not be named where, and why.
struct Ban {
    word: &'static str,
    folders: &'static [&'static str],
    except: &'static [&'static str],
    why: &'static str,
}

const PURE: &[&str] = &["src/base", "src/raft", "src/store", "src/objects"];
const ALL: &[&str] = &["src", "sim"];

const BANS: &[Ban] = &[
    Ban { word: "rt::", folders: PURE, except: &[], why: "a pure crate does not reach the runtime" },
    Ban { word: "tokio", folders: PURE, except: &[], why: "a pure crate does not reach the runtime" },
    Ban { word: "std::fs", folders: PURE, except: &[], why: "a pure crate touches nothing" },
    Ban { word: "std::net", folders: PURE, except: &[], why: "a pure crate touches nothing" },
    Ban { word: "std::thread", folders: PURE, except: &[], why: "a pure crate touches nothing" },
    Ban { word: "async ", folders: PURE, except: &[], why: "a pure crate waits for nothing" },
    Ban { word: "Mutex", folders: PURE, except: &[], why: "a pure crate has no locks" },
    Ban {
        word: "HashMap",
        folders: ALL,
        except: &["src/rt", "src/tidy.rs"],
        why: "its order is not the seed's",
    },
    Ban {
        word: "HashSet",
        folders: ALL,
        except: &["src/rt", "src/tidy.rs"],
        why: "its order is not the seed's",
    },
    Ban {
        word: "Instant::now",
        folders: ALL,
        except: &["src/rt", "src/clients", "sim", "src/tidy.rs"],
        why: "time is rt's",
    },
    Ban {
        word: "SystemTime",
        folders: ALL,
        except: &["src/rt", "src/clients", "sim", "src/tidy.rs"],
        why: "time is rt's",
    },
    Ban { word: "thread_rng", folders: ALL, except: &["src/tidy.rs"], why: "chance comes from seeds" },
    Ban {
        word: "tokio::select!",
        folders: ALL,
        except: &["src/rt", "src/tidy.rs"],
        why: "rt::select! is biased",
    },
    Ban {
        word: "tokio::",
        folders: &["src"],
        except: &["src/rt", "src/clients/etcd-client", "src/tidy.rs"],
        why: "only rt names the runtime",
    },
    Ban {
        word: "madsim::",
        folders: &["src"],
        except: &["src/rt", "src/tidy.rs"],
        why: "only rt names the runtime",
    },
    Ban {
        word: "world::",
        folders: &["src"],
        except: &["src/rt", "src/tidy.rs"],
        why: "only rt names the world",
    },
    Ban {
        word: "cfg(madsim)",
        folders: &["src"],
        except: &["src/rt", "src/base/marks.rs", "src/tidy.rs"],
        why: "the product does not know that it is simulated",
    },
    Ban {
        word: "member::",
        folders: &["src/api", "sim/check", "sim/model"],
        except: &[],
        why: "judged or served from outside",
    },
    Ban {
        word: "store::",
        folders: &["src/api", "sim/check", "sim/model"],
        except: &[],
        why: "judged or served from outside",
    },
    Ban {
        word: "raft::",
        folders: &["src/api", "sim/check", "sim/model"],
        except: &[],
        why: "judged or served from outside",
    },
    Ban { word: "{:p}", folders: ALL, except: &["src/tidy.rs"], why: "addresses differ from run to run" },
    Ban { word: "todo!(", folders: ALL, except: &["src/tidy.rs"], why: "what lands works" },
    Ban { word: "unimplemented!(", folders: ALL, except: &["src/tidy.rs"], why: "what lands works" },
];

/// True when the text names the word as a word of its own (`restore::` does not name `store::`).
fn names(text: &str, word: &str) -> bool {
    text.match_indices(word).any(|(at, _)| {
        let before = text[..at].chars().next_back();
        !before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':')
    })
}

#[test]
fn nothing_names_what_it_must_not() {
    let mut faults = vec![];
    for ban in BANS {
        for path in ban.folders.iter().flat_map(|folder| sources(folder)) {
            let shown = shown(&path);
            if ban.except.iter().any(|except| shown.starts_with(except)) || shown.contains("/tests/") {
                continue;
            }
            for (number, line) in code(&path).lines().enumerate() {
                if names(line, ban.word) {
                    faults.push(format!("{shown}:{}: names `{}`: {}", number + 1, ban.word, ban.why));
                }
            }
        }
    }
    complain(&faults);
}

/// What differs from run to run of one seed (measured), and by which name clippy forbids it. What no name can be
/// given for stands in `BANS`: macros that draw, locks and threads in pure crates.
const UNSEEDED: &[&str] = &[
    "futures::select",
    "madsim::task::JoinHandle::id",
    "rand::SeedableRng::from_entropy",
    "rand::random",
    "rand::rngs::OsRng",
    "rand::rngs::ThreadRng",
    "rand::thread_rng",
    "std::collections::HashMap",
    "std::collections::HashSet",
    "std::hash::RandomState",
    "std::thread::Builder::spawn",
    "std::thread::Scope::spawn",
    "std::thread::ThreadId",
    "std::thread::current",
    "std::thread::spawn",
    "std::time::Instant::now",
    "std::time::SystemTime::now",
    "tokio::sync::broadcast::Sender::new",
    "tokio::sync::broadcast::channel",
    "tokio::sync::watch::Sender::new",
    "tokio::sync::watch::channel",
    "tokio_stream::StreamMap",
];

/// Crates that ask the operating system, an address or a counter of the whole process for chance.
const UNSEEDED_CRATES: &[&str] =
    &["ahash", "dashmap", "fastrand", "foldhash", "getrandom", "ring", "tempfile", "uuid"];

#[test]
fn no_randomness_is_there_but_the_seeds() {
    let lints = read(&root().join(".clippy.toml"));
    let unnamed = UNSEEDED.iter().filter(|name| !lints.contains(&format!("path = \"{name}\"")));
    let mut faults: Vec<String> =
        unnamed.map(|name| format!(".clippy.toml: does not forbid {name}")).collect();
    for path in manifests() {
        for line in read(&path).lines() {
            let name = line.split(['.', ' ', '=']).next().unwrap_or_default();
            if UNSEEDED_CRATES.contains(&name) {
                faults.push(format!("{}: depends on {name}, whose chance comes from no seed", shown(&path)));
            }
        }
    }
    complain(&faults);
}

#[test]
fn every_file_says_what_it_promises_and_is_no_longer_than_it_may() {
    let mut faults = vec![];
    let tests = |path: &PathBuf| shown(path).contains("/tests/");
    for path in ALL.iter().flat_map(|folder| sources(folder)).filter(|path| !tests(path)) {
        let lines = code(&path).lines().count();
        if lines > FILE_LINES {
            faults.push(format!("{}: {lines} lines without tests, {FILE_LINES} are allowed", shown(&path)));
        }
        let text = read(&path);
        let opening = text.lines().find(|line| !line.starts_with("#![") && !line.trim().is_empty());
        if !opening.is_some_and(|line| line.starts_with("//!")) {
            faults.push(format!("{}: does not open with what it promises (`//!`)", shown(&path)));
        }
    }
    complain(&faults);
}

/// Functions by rustfmt's indentation: from `fn` to the closing brace at the same depth.
fn long_functions(path: &Path) -> Vec<String> {
    let text = code(path);
    let lines: Vec<&str> = text.lines().collect();
    let mut faults = vec![];
    for (start, line) in lines.iter().enumerate() {
        let trimmed = line.trim_start();
        let is_function =
            ["fn ", "pub fn ", "async fn ", "pub async fn ", "pub(crate) fn ", "pub(crate) async fn "]
                .iter()
                .any(|opening| trimmed.starts_with(opening));
        if !is_function || line.ends_with(';') || line.ends_with('}') {
            continue;
        }
        let close = format!("{}}}", " ".repeat(line.len() - trimmed.len()));
        let length = lines[start..].iter().position(|line| *line == close).map_or(0, |end| end + 1);
        if length > FUNCTION_LINES {
            faults.push(format!(
                "{}:{}: a function of {length} lines, {FUNCTION_LINES} are allowed",
                shown(path),
                start + 1
            ));
        }
    }
    faults
}

#[test]
fn no_function_is_longer_than_it_may() {
    let faults: Vec<String> =
        ALL.iter().flat_map(|folder| sources(folder)).flat_map(|path| long_functions(&path)).collect();
    complain(&faults);
}

/// What is wrong with the third column of a row of claims: files and functions that it names and that do not exist.
fn absent(held_by: &str) -> Vec<String> {
    let (mut faults, mut source) = (vec![], None);
    for token in held_by.split('`').skip(1).step_by(2) {
        let path = root().join(token);
        match (&source, token.contains('/')) {
            (_, true) if !path.exists() => faults.push(format!("`{token}` does not exist")),
            (_, true) => source = token.ends_with(".rs").then(|| (token.to_string(), read(&path))),
            (Some((file, text)), false) if !text.contains(&format!("fn {token}(")) => {
                faults.push(format!("{file} has no function `{token}`"));
            }
            (Some(_), false) => {}
            (None, false) => faults.push(format!("`{token}` follows no source file")),
        }
    }
    faults
}

/// The lists of what etcd's tests claim, of whichever of its folders.
fn claims() -> Vec<PathBuf> {
    let entries = fs::read_dir(root().join("src/clients")).expect("a folder of the tree");
    let paths = entries.map(|entry| entry.expect("an entry").path());
    let is_list = |path: &PathBuf| {
        let name = path.file_name().expect("a name").to_string_lossy();
        name.starts_with("claims") && name.ends_with(".md")
    };
    let mut found: Vec<PathBuf> = paths.filter(is_list).collect();
    found.sort();
    found
}

#[test]
fn claims_are_held_by_tests_that_exist() {
    let (lists, mut faults) = (claims(), vec![]);
    assert!(lists.len() > 1, "the lists of claims were not found: {lists:?}");
    for list in lists {
        let (shown, mut rows) = (shown(&list), 0);
        for (number, line) in (1..).zip(read(&list).lines()) {
            // what holds a claim stands last; a claim itself has no backticks
            let Some(row) = line.strip_prefix("| ").and_then(|row| row.strip_suffix(" |")) else { continue };
            let Some(cell) = row.split(" | ").last().filter(|_| row.contains("Test")) else { continue };
            rows += 1;
            faults.extend(absent(cell).iter().map(|fault| format!("{shown}:{number}: {fault}")));
        }
        assert!(rows > 100, "the rows of {shown} were not found, or it has lost some: {rows}");
    }
    complain(&faults);
}

#[test]
fn a_breach_would_be_seen() {
    assert!(names("use store::Store;", "store::"));
    assert!(names("let x = raft::Node::new();", "raft::"));
    assert!(!names("self.restore::<T>()", "store::"));
    assert!(!names("crate::store::x", "store::"));
    assert_eq!(absent("`src/tidy.rs`: `a_breach_would_be_seen`; `scenarios/store` (all)").len(), 0);
    assert_eq!(absent("`src/tidy.rs`: `a_breach_would_be`; `src/untidy.rs`; `alone`").len(), 3);
}
