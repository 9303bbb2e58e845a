//! The pages of the diagnostic codes, and the README's table of them: written from the registry in `codes/`.

use std::collections::BTreeMap;
use std::fmt::Write;
use std::path::PathBuf;

use anyhow::{Context, Result, bail};
use framealloc_codes::{CodeInfo, DiagnosticCode, RaisedBy};
use xshell::Shell;

use crate::root;

const WRITTEN: &str =
    "<!-- Written by `cargo xtask codes` from the registry in codes/src/. -->\n\n";
const TABLE_STARTS: &str = "<!-- codes: written by cargo xtask codes -->\n";
const TABLE_ENDS: &str = "<!-- end of codes -->";

/// Writes every file that is out of date, and removes pages of codes that are gone.
pub fn write(sh: &Shell) -> Result<()> {
    for (file, text) in texts(sh)? {
        if sh.read_file(&file).ok().as_ref() != Some(&text) {
            sh.write_file(&file, text)?;
            println!("{}", file.display());
        }
    }
    for stale in stale(sh)? {
        sh.remove_path(&stale)?;
        println!("{} is gone", stale.display());
    }
    Ok(())
}

/// Fails if any file is out of date.
pub fn check(sh: &Shell) -> Result<()> {
    let mut wrong = stale(sh)?;
    for (file, text) in texts(sh)? {
        if sh.read_file(&file).ok() != Some(text) {
            wrong.push(file);
        }
    }
    if !wrong.is_empty() {
        let list = wrong.iter().map(|file| file.display().to_string());
        bail!(
            "out of date, run `cargo xtask codes`: {}",
            list.collect::<Vec<_>>().join(", ")
        );
    }
    Ok(())
}

fn folder() -> PathBuf {
    root().join("docs/codes")
}

/// What each file is to hold.
fn texts(sh: &Shell) -> Result<BTreeMap<PathBuf, String>> {
    let mut texts = BTreeMap::new();
    for code in DiagnosticCode::ALL {
        texts.insert(folder().join(format!("{code}.md")), page(code.info()));
    }
    texts.insert(folder().join("README.md"), index());
    let readme = root().join("README.md");
    let text = with_table(&sh.read_file(&readme)?)?;
    texts.insert(readme, text);
    Ok(texts)
}

/// Pages that belong to no code.
fn stale(sh: &Shell) -> Result<Vec<PathBuf>> {
    if !sh.path_exists(folder()) {
        return Ok(Vec::new());
    }
    let texts = texts(sh)?;
    let mut files = sh.read_dir(folder())?;
    files.retain(|file| !texts.contains_key(file));
    Ok(files)
}

fn page(info: &CodeInfo) -> String {
    let CodeInfo {
        code,
        name,
        level,
        category,
        ..
    } = info;
    let by = raised_by(info);
    let mut page = format!(
        "{WRITTEN}# {code}: {}\n\n`{name}`: {level}, {by} ([{category}](README.md#{})).\n\n",
        info.meaning,
        anchor(info)
    );
    write!(
        page,
        "**Cause:** {}.\n\n**Remedy:** {}.\n",
        info.cause, info.remedy
    )
    .expect("text can be written");
    if let Some(example) = info.example {
        for (title, text) in [("Wrong", example.wrong), ("Right", example.right)] {
            write!(page, "\n## {title}\n\n```rust\n{text}```\n").expect("text can be written");
        }
    }
    page
}

fn raised_by(info: &CodeInfo) -> &'static str {
    match info.raised_by {
        RaisedBy::RunTime => "reported at run time",
        RaisedBy::Analysis => "found by static analysis",
        RaisedBy::Both => "reported at run time and found by static analysis",
    }
}

/// What a page makes of the heading of the code's category.
fn anchor(info: &CodeInfo) -> String {
    info.category.name().to_lowercase().replace(' ', "-")
}

fn index() -> String {
    let mut index = format!(
        "{WRITTEN}# Diagnostic codes\n\n\
         A code has one meaning, wherever it appears: in the allocator's reports while a program runs, in what static analysis \
         finds in its\nsources, and here. [`framealloc::diagnostics`](../../src/diagnostics/mod.rs) says where reports go, and \
         how to make them panic.\n"
    );
    let mut category = None;
    for code in DiagnosticCode::ALL {
        let info = code.info();
        if category.replace(info.category) != Some(info.category) {
            write!(
                index,
                "\n## {}\n\n| code | name | level | found | meaning |\n|---|---|---|---|---|\n",
                info.category
            )
            .expect("text can be written");
        }
        let found = match info.raised_by {
            RaisedBy::RunTime => "at run time",
            RaisedBy::Analysis => "by analysis",
            RaisedBy::Both => "both ways",
        };
        writeln!(
            index,
            "| [{code}]({code}.md) | `{}` | {} | {found} | {} |",
            info.name, info.level, info.meaning
        )
        .expect("text can be written");
    }
    index
}

/// The README with its table of the codes that are reported at run time.
fn with_table(readme: &str) -> Result<String> {
    let mut table = String::from("| code | | meaning |\n|---|---|---|\n");
    for code in DiagnosticCode::ALL {
        let info = code.info();
        if info.raised_by.at_run_time() {
            writeln!(
                table,
                "| [{code}](docs/codes/{code}.md) | {} | {} |",
                info.level, info.meaning
            )
            .expect("text can be written");
        }
    }
    let (before, rest) = readme
        .split_once(TABLE_STARTS)
        .context("README.md has no table of codes")?;
    let (_, after) = rest
        .split_once(TABLE_ENDS)
        .context("README.md's table of codes has no end")?;
    Ok(format!("{before}{TABLE_STARTS}{table}{TABLE_ENDS}{after}"))
}
