//! The API tour that this library follows (see `docs/deviations.md`): each of its sections, call by call in its order, as a
//! test. Where the tour holds a box past its frame's end, a test says what comes of that here; the others let go of it before.
//!
//! What belongs to the process (strict mode, deferred frees, Bevy's context) is in `tests/process/tour.rs`, the standard
//! library's collections are in `tests/nightly`, Bevy's part in `tests/bevy`.

mod essentials;
mod frames;
mod patterns;
mod reports;
mod retention;
mod threads;

/// Something for the frame, of plain data.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Corner {
    position: [f32; 3],
    normal: [f32; 3],
}
