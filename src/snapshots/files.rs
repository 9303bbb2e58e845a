//! What a snapshot directory holds of ours, and how it gets there.

use std::fs::{self, File, OpenOptions};
use std::io::{self, Write};
use std::path::{Path, PathBuf};

/// What a reader makes to ask for a snapshot.
pub(super) const REQUEST: &str = "snapshot.request";

/// The name of a frame's snapshot. Names sort as frames do, up to ten thousand million million of them.
pub(super) fn file_name(frame: u64) -> String {
    format!("snapshot_{frame:016}.json")
}

/// The frame whose snapshot has this name, if it is a name that [`file_name`] gives.
fn frame_of(name: &str) -> Option<u64> {
    let digits = name.strip_prefix("snapshot_")?.strip_suffix(".json")?;
    let frame = digits.parse().ok()?;
    // Signs, and zeros that are too many or too few.
    (file_name(frame) == name).then_some(frame)
}

/// Whether somebody asks for a snapshot.
///
/// # Errors
///
/// If something other than a plain file has the request's name, or the system does not tell.
pub(super) fn is_requested(directory: &Path) -> io::Result<bool> {
    let path = directory.join(REQUEST);
    match is_plain(&path)? {
        Some(true) => Ok(true),
        None => Ok(false),
        Some(false) => Err(io::Error::other(format!(
            "{} is not a plain file",
            path.display()
        ))),
    }
}

/// Takes the request away, now that it is answered.
///
/// # Errors
///
/// The system's. That it is gone already is none.
pub(super) fn remove_request(directory: &Path) -> io::Result<()> {
    // It may have been replaced since it was looked at.
    if is_requested(directory)? {
        remove(&directory.join(REQUEST))?;
    }
    Ok(())
}

/// Writes a snapshot under another name first, so that its own never names half of one.
///
/// # Errors
///
/// The system's, with the path. What was there before is as it was then.
pub(super) fn write(directory: &Path, frame: u64, json: &str) -> io::Result<()> {
    fs::create_dir_all(directory).map_err(|error| at(error, directory))?;
    let name = file_name(frame);
    let path = directory.join(&name);
    if is_plain(&path)? == Some(false) {
        let what = format!("{} is not a plain file", path.display());
        return Err(io::Error::other(what));
    }
    let (file, temporary) = temporary_file(directory, &name)?;
    let written = fill(file, json)
        .and_then(|()| fs::rename(&temporary, &path))
        .map_err(|error| at(error, &path));
    if written.is_err() {
        let _ = fs::remove_file(&temporary);
    }
    written
}

fn fill(mut file: File, json: &str) -> io::Result<()> {
    file.write_all(json.as_bytes())?;
    // Closed before it is renamed, as Windows wants it.
    file.flush()
}

/// A new file: none that was there before, and none that a link leads to.
fn temporary_file(directory: &Path, name: &str) -> io::Result<(File, PathBuf)> {
    let process = std::process::id();
    for attempt in 0..64 {
        let path = directory.join(format!(".{name}.{process}-{attempt}.tmp"));
        match OpenOptions::new().write(true).create_new(true).open(&path) {
            Ok(file) => return Ok((file, path)),
            Err(error) if error.kind() == io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(at(error, &path)),
        }
    }
    let what = "temporary files of earlier runs take up every name for one";
    Err(at(io::Error::other(what), directory))
}

/// Removes snapshots until no more than `max` are left: those that `ours` does not name first, which another run wrote, then
/// by frame.
///
/// # Errors
///
/// The system's, with the path.
pub(super) fn prune(directory: &Path, max: usize, ours: &[u64]) -> io::Result<()> {
    let mut frames = snapshots(directory)?;
    if frames.len() <= max {
        return Ok(());
    }
    frames.sort_unstable_by_key(|frame| (ours.contains(frame), *frame));
    for &frame in &frames[..frames.len() - max] {
        remove(&directory.join(file_name(frame)))?;
    }
    Ok(())
}

/// Removes every snapshot, and returns how many there were.
///
/// # Errors
///
/// The system's, with the path. A directory that is not there has none.
pub(super) fn clear(directory: &Path) -> io::Result<usize> {
    let frames = match snapshots(directory) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(0),
        frames => frames?,
    };
    for &frame in &frames {
        remove(&directory.join(file_name(frame)))?;
    }
    Ok(frames.len())
}

/// The frames whose snapshots are there: plain files, links not followed.
fn snapshots(directory: &Path) -> io::Result<Vec<u64>> {
    let mut frames = Vec::new();
    for entry in fs::read_dir(directory).map_err(|error| at(error, directory))? {
        let entry = entry.map_err(|error| at(error, directory))?;
        if let Some(frame) = entry.file_name().to_str().and_then(frame_of)
            && entry.file_type().is_ok_and(|kind| kind.is_file())
        {
            frames.push(frame);
        }
    }
    Ok(frames)
}

/// Whether what is at `path` is a plain file; `None` if nothing is. Links are not followed.
fn is_plain(path: &Path) -> io::Result<Option<bool>> {
    match fs::symlink_metadata(path) {
        Ok(metadata) => Ok(Some(metadata.is_file())),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(None),
        Err(error) => Err(at(error, path)),
    }
}

/// That somebody else was faster is no error.
fn remove(path: &Path) -> io::Result<()> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(at(error, path)),
        _ => Ok(()),
    }
}

/// The error, with what it is about.
fn at(error: io::Error, path: &Path) -> io::Error {
    io::Error::new(error.kind(), format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_are_told_from_others() {
        for frame in [0, 7, 9_999_999_999_999_999, u64::MAX] {
            assert_eq!(frame_of(&file_name(frame)), Some(frame));
        }
        for name in [
            "snapshot_1.json",
            "snapshot_+000000000000001.json",
            "snapshot_00000000000000001.json",
            "snapshot_0000000000000001.json.bak",
            "snapshot_000000000000000x.json",
            "my_snapshot_0000000000000001.json",
            "snapshot.request",
        ] {
            assert_eq!(frame_of(name), None, "{name}");
        }
    }
}
