//! Makes functions of the examples in the registry of codes, so that they are compiled, and run, like everything else that
//! readers are shown.

use std::fmt::Write;
use std::path::Path;
use std::{env, fs};

use framealloc_codes::{Category, DiagnosticCode};

/// Codes of parts that do not exist yet. Whoever builds one takes its codes off this list.
const WAITING: &[&str] = &[
    "FA211", "FA212", "FA213", "FA214", "FA215", "FA604", "FA605",
];

/// Codes whose examples need the feature `debug`.
const OF_DEBUG: &[&str] = &["FA540"];

fn main() {
    println!("cargo::rerun-if-changed=build.rs");
    // As the library has it.
    let sanitizers = env::var("CARGO_CFG_SANITIZE").unwrap_or_default();
    if sanitizers.split(',').any(|name| name == "address") {
        println!("cargo::rustc-cfg=framealloc_asan");
    }
    let has_debug = env::var_os("CARGO_FEATURE_DEBUG").is_some();
    let (bevy, core) = DiagnosticCode::ALL
        .iter()
        .copied()
        .filter(|code| !WAITING.contains(&code.name()))
        .filter(|code| has_debug || !OF_DEBUG.contains(&code.name()))
        .partition::<Vec<_>, _>(|code| code.info().category == Category::Bevy);
    write_examples("examples.rs", &core, "use framealloc::*;");
    write_examples(
        "bevy_examples.rs",
        &bevy,
        "use bevy::ecs::schedule::ScheduleLabel;\nuse bevy::prelude::*;\nuse framealloc::bevy::*;",
    );
}

/// Writes a module with a function for each example, and `EXAMPLES`, the table of them: code, wrong, right.
fn write_examples(file: &str, codes: &[DiagnosticCode], names: &str) {
    let mut functions = String::new();
    let mut table = String::new();
    for code in codes {
        let Some(example) = code.info().example else {
            continue;
        };
        let name = code.name().to_lowercase();
        for (which, body) in [("wrong", example.wrong), ("right", example.right)] {
            let allow = "#[allow(unused, clippy::all)]";
            writeln!(
                functions,
                "{allow}\npub fn {name}_{which}() {{\n{names}\n{body}}}\n"
            )
            .unwrap();
        }
        writeln!(
            table,
            "(framealloc::DiagnosticCode::{code}, {name}_wrong as fn(), {name}_right as fn()),"
        )
        .unwrap();
    }
    let table = format!(
        "pub type Row = (framealloc::DiagnosticCode, fn(), fn());\npub const EXAMPLES: &[Row] = &[\n{table}];\n"
    );
    let folder = env::var_os("OUT_DIR").expect("cargo names a folder");
    fs::write(Path::new(&folder).join(file), functions + &table)
        .expect("the folder can be written");
}
