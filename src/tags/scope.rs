//! Changing the current tag.

use core::cell::Cell;

use super::registry::TagId;
use crate::allocators::thread::{OuterTag, local_by_address};

/// Makes a tag the thread's current one until it drops, also when unwinding.
///
/// Scopes nest, and have to drop in the reverse order (as scopes on the stack do); one that is forgotten leaves its tag in
/// place.
///
/// ```
/// use framealloc::tags::{TagId, TagScope};
///
/// let physics = TagId::from_path("game::physics");
/// {
///     let _scope = TagScope::enter(physics);
///     assert_eq!(TagId::current(), physics);
/// }
/// assert_eq!(TagId::current(), TagId::ROOT);
/// ```
#[derive(Debug)]
#[must_use = "the tag is left when the scope drops"]
pub struct TagScope {
    /// Holds a pointer, which keeps the scope on its thread.
    outer: OuterTag,
}

impl TagScope {
    /// Enters `tag`.
    #[inline]
    pub fn enter(tag: TagId) -> Self {
        Self {
            outer: local_by_address(|local| local.enter_tag(tag.index())),
        }
    }
}

impl Drop for TagScope {
    #[inline]
    fn drop(&mut self) {
        local_by_address(|local| local.leave_tag(&self.outer));
    }
}

/// Enters the current tag's child `name`.
#[inline]
pub(crate) fn enter_child(name: &'static str) -> TagScope {
    let parent = TagId::current();
    TagScope::enter(known_child(parent, name))
}

/// [`TagId::child`], remembering on each thread what it last found: `with_tag` is called in loops.
#[inline]
fn known_child(parent: TagId, name: &'static str) -> TagId {
    const WAYS: usize = 64;
    #[derive(Clone, Copy)]
    struct Known {
        parent: TagId,
        name: &'static str,
        child: TagId,
    }
    thread_local! {
        static KNOWN: [Cell<Option<Known>>; WAYS] = const { [const { Cell::new(None) }; WAYS] };
    }
    // A static string's address and length stand for its contents, which never change.
    let address = name.as_ptr() as usize;
    let way =
        (address ^ (address >> 6) ^ (parent.index() as usize).wrapping_mul(0x9E37_79B1)) % WAYS;
    KNOWN.with(|known| {
        if let Some(hit) = known[way].get()
            && hit.parent == parent
            && core::ptr::eq(hit.name, name)
        {
            return hit.child;
        }
        let child = parent.child(name);
        known[way].set(Some(Known {
            parent,
            name,
            child,
        }));
        child
    })
}
