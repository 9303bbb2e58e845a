//! Systems tell a witness what they saw; the test asks it afterwards.

use std::sync::{Arc, Mutex};

use bevy::prelude::*;
use framealloc::tags::TagId;

/// What was seen, in order. Clones share one list, so that a test can keep one outside the app.
#[derive(Resource, Clone)]
pub struct Witness<T: Clone + Send + 'static>(Arc<Mutex<Vec<T>>>);

impl<T: Clone + Send + 'static> Default for Witness<T> {
    fn default() -> Self {
        Self(Arc::default())
    }
}

impl<T: Clone + Send + 'static> Witness<T> {
    /// A witness of the app's systems, and the test's end of it.
    pub fn in_app(app: &mut App) -> Self {
        let witness = Self::default();
        app.insert_resource(witness.clone());
        witness
    }

    pub fn note(&self, seen: T) {
        self.0.lock().unwrap().push(seen);
    }

    pub fn take(&self) -> Vec<T> {
        std::mem::take(&mut *self.0.lock().unwrap())
    }
}

/// A system's name and the tag that it ran under.
pub type Tags = Witness<(&'static str, &'static str)>;

impl Tags {
    /// Notes the calling thread's tag for the function `who`.
    pub fn note_tag_of<F>(&self, who: &F) {
        let name = std::any::type_name_of_val(who);
        self.note((name, TagId::current().path()));
    }

    /// Asserts that each of `count` notes has the tag of the function that made it.
    #[track_caller]
    pub fn assert_all_named(&self, count: usize) {
        let seen = self.take();
        assert_eq!(
            seen.len(),
            count,
            "not every system ran as expected: {seen:?}"
        );
        for (name, tag) in seen {
            assert_eq!(name, tag);
        }
    }
}
