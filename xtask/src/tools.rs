//! Programs that stages need and crates.io has: installed on first use, in a folder of their own.

use anyhow::{Result, bail};
use std::ffi::OsString;
use std::path::PathBuf;
use xshell::{Shell, cmd};

/// The folder with `tool` in this version.
pub fn folder_with(sh: &Shell, tool: &str, version: &str) -> Result<PathBuf> {
    let tools = cache_dir()?;
    let folder = tools.join("bin");
    let installed = folder.join(tool);
    let wanted = format!("{tool} {version}");
    let found = cmd!(sh, "{installed} --version")
        .quiet()
        .ignore_stderr()
        .read();
    if found.is_ok_and(|found| found == wanted) {
        return Ok(folder);
    }
    println!("installing {wanted}, once; it takes some minutes");
    cmd!(
        sh,
        "cargo install {tool} --version ={version} --locked --force --root {tools}"
    )
    .env("CARGO_TARGET_DIR", tools.join("build"))
    .run()?;
    Ok(folder)
}

/// The search path, with `folder` before all others.
pub fn path_with(folder: PathBuf) -> Result<OsString> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders = [folder].into_iter().chain(std::env::split_paths(&path));
    Ok(std::env::join_paths(folders)?)
}

/// Where tools are kept between runs.
fn cache_dir() -> Result<PathBuf> {
    let cache = std::env::var_os("XDG_CACHE_HOME").map(PathBuf::from);
    let home = || std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache"));
    match cache.or_else(home) {
        Some(cache) => Ok(cache.join("framealloc-tools")),
        None => bail!("neither HOME nor XDG_CACHE_HOME is set: there is no place to keep tools"),
    }
}
