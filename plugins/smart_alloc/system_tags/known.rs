//! Which tags are systems'.
//!
//! A tag does not say whether it is that of a system, or of a part of one that a game named with `with_tag`. Who shows figures
//! by system wants to know.

use std::collections::HashSet;
use std::sync::Mutex;

use crate::tags::TagId;

/// In the order in which they were noted, each once.
static KNOWN: Mutex<(Vec<TagId>, Option<HashSet<TagId>>)> = Mutex::new((Vec::new(), None));

/// Remembers that `tag` is a system's.
pub(super) fn note(tag: TagId) {
    // Nothing in here panics half-way.
    let mut known = KNOWN.lock().unwrap_or_else(|error| error.into_inner());
    let (tags, seen) = &mut *known;
    if seen.get_or_insert_default().insert(tag) {
        tags.push(tag);
    }
}

/// The tags of every system and run condition that [`SmartAllocPlugin`](struct@crate::bevy::SmartAllocPlugin) has met: of all
/// worlds of the process, also of those that are gone, as tags themselves are.
///
/// ```
/// use bevy_app::{App, Update};
/// use framealloc::bevy::{SmartAllocPlugin, system_tags};
///
/// fn think() {}
///
/// App::new().add_plugins(SmartAllocPlugin).add_systems(Update, think).update();
/// assert!(system_tags().iter().any(|tag| tag.name() == "think"));
/// ```
pub fn system_tags() -> Vec<TagId> {
    let known = KNOWN.lock().unwrap_or_else(|error| error.into_inner());
    known.0.clone()
}
