//! From return addresses to functions, files and lines.

use core::ffi::c_void;
use core::fmt;
use std::path::{Path, PathBuf};

use hashbrown::HashMap;

use super::trace::Stack;

/// A line of a call stack. Displays as `game::spawn (src/enemies.rs:41)`.
#[derive(Debug, Clone, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[cfg_attr(feature = "snapshots", derive(serde::Serialize, serde::Deserialize))]
#[non_exhaustive]
pub struct StackFrame {
    /// The function's path; its address if the program has no symbols.
    pub function: String,
    /// The source file, relative to the current directory if it lies below that. `None` without debug information.
    pub file: Option<String>,
    /// The line in it.
    pub line: Option<u32>,
}

impl StackFrame {
    pub(super) fn unknown() -> Self {
        Self {
            function: "(unknown)".to_owned(),
            file: None,
            line: None,
        }
    }
}

impl fmt::Display for StackFrame {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.function)?;
        match (&self.file, self.line) {
            (Some(file), Some(line)) => write!(f, " ({file}:{line})"),
            (Some(file), None) => write!(f, " ({file})"),
            _ => Ok(()),
        }
    }
}

/// Looks symbols up, each once. Reading debug information takes a while and allocates; call it with nothing locked.
pub(crate) struct Symbols {
    known: HashMap<usize, Vec<Line>>,
    here: Option<PathBuf>,
}

struct Line {
    frame: StackFrame,
    /// Of framealloc, of a collection that allocates through it, or of the standard library.
    is_plumbing: bool,
}

impl Symbols {
    pub(crate) fn new() -> Self {
        Self {
            known: HashMap::new(),
            here: std::env::current_dir().ok(),
        }
    }

    /// A stack as its reader wants it: the program's own functions, from the one that allocates to `main` or the thread's first.
    /// If there are none, all that there are.
    pub(crate) fn resolve(&mut self, stack: &Stack) -> Vec<StackFrame> {
        for &address in stack.addresses() {
            let here = self.here.as_deref();
            self.known
                .entry(address)
                .or_insert_with(|| look_up(address, here));
        }
        let known = |address| &self.known[address];
        let mut lines: Vec<&Line> = stack.addresses().iter().flat_map(known).collect();
        let end = lines.iter().position(|line| starts_the_program(line));
        lines.truncate(end.unwrap_or(lines.len()));
        if lines.iter().any(|line| !line.is_plumbing) {
            lines.retain(|line| !line.is_plumbing);
        }
        lines.into_iter().map(|line| line.frame.clone()).collect()
    }
}

/// The function at a return address, after those that were inlined into it.
fn look_up(address: usize, here: Option<&Path>) -> Vec<Line> {
    let mut lines = Vec::new();
    backtrace::resolve(address as *mut c_void, |symbol| {
        let Some(name) = symbol.name() else {
            return;
        };
        // The alternate form leaves the hash out.
        let function = format!("{name:#}");
        let path = symbol.filename();
        let is_plumbing = path.is_some_and(is_plumbing_file) || is_plumbing_name(&function, path);
        let file = path.map(|path| {
            let inside = here.and_then(|here| path.strip_prefix(here).ok());
            inside.unwrap_or(path).display().to_string()
        });
        let frame = StackFrame {
            function,
            file,
            line: symbol.lineno(),
        };
        lines.push(Line { frame, is_plumbing });
    });
    if lines.is_empty() {
        let frame = StackFrame {
            function: format!("{address:#x}"),
            file: None,
            line: None,
        };
        lines.push(Line {
            frame,
            is_plumbing: false,
        });
    }
    lines
}

/// Where the sources of this crate are: functions that were inlined are known by their files alone.
const OWN_SOURCES: &str = concat!(env!("CARGO_MANIFEST_DIR"), "/src/");
/// The same where paths are cut short in the build.
const OWN_PACKAGE: &str = concat!("framealloc-", env!("CARGO_PKG_VERSION"), "/src/");

/// Files of framealloc, of the collections that allocate through it, and of the standard library.
fn is_plumbing_file(file: &Path) -> bool {
    let file = file.to_string_lossy().replace('\\', "/");
    let own = file.starts_with(&OWN_SOURCES.replace('\\', "/"));
    let others = [
        OWN_PACKAGE,
        "/backtrace-0.",
        "/allocator-api2-0.",
        "/hashbrown-0.",
        "/library/std/",
        "/library/core/",
        "/library/alloc/",
    ];
    own || others.iter().any(|other| file.contains(other))
}

/// By name where there is no file; and functions of framealloc also where its files are called something else. The compiler's own
/// have neither file nor crate.
fn is_plumbing_name(function: &str, file: Option<&Path>) -> bool {
    let crates: &[&str] = match file {
        Some(_) => &["framealloc"],
        None => &[
            "framealloc",
            "backtrace",
            "allocator_api2",
            "hashbrown",
            "std",
            "core",
            "alloc",
        ],
    };
    if function.starts_with("__rust") {
        return true;
    }
    let function = function.trim_start_matches(['<', '&', '*', '[']);
    let of = function.split_once("::").map(|(first, _)| first);
    of.is_some_and(|of| crates.contains(&of))
}

/// Below this lies what every program or thread begins with.
fn starts_the_program(line: &Line) -> bool {
    line.frame.function.contains("__rust_begin_short_backtrace")
}
