//! The interned tree of tags.

use core::fmt;
use std::sync::{OnceLock, PoisonError, RwLock};

use hashbrown::HashMap;

use crate::allocators::record::MAX_TAGS;
use crate::allocators::thread::local;

/// An interned tag: a place in the tree of tags. Cheap to copy and compare.
///
/// ```
/// use framealloc::tags::TagId;
///
/// let ai = TagId::from_path("game::ai");
/// let paths = ai.child("find_paths");
/// assert_eq!(paths.path(), "game::ai::find_paths");
/// assert_eq!(paths, TagId::from_path("game::ai::find_paths"));
/// assert_eq!(paths.parent(), Some(ai));
/// assert!(paths.is_in(TagId::from_path("game")));
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct TagId(u32);

struct Node {
    /// Points into `path`.
    name: &'static str,
    path: &'static str,
    parent: u32,
}

struct Registry {
    nodes: Vec<Node>,
    children: HashMap<(u32, &'static str), u32>,
}

fn registry() -> &'static RwLock<Registry> {
    static REGISTRY: OnceLock<RwLock<Registry>> = OnceLock::new();
    REGISTRY.get_or_init(|| {
        RwLock::new(Registry {
            nodes: vec![Node {
                name: "",
                path: "",
                parent: 0,
            }],
            children: HashMap::new(),
        })
    })
}

fn read<R>(f: impl FnOnce(&Registry) -> R) -> R {
    f(&registry().read().unwrap_or_else(PoisonError::into_inner))
}

impl TagId {
    /// The root, which is also the tag of everything that nobody tagged. Its path is empty.
    pub const ROOT: Self = Self(0);

    pub(crate) const fn from_index(index: u32) -> Self {
        Self(index)
    }

    pub(crate) const fn index(self) -> u32 {
        self.0
    }

    /// The calling thread's current tag.
    #[inline]
    pub fn current() -> Self {
        local(|local| Self(local.tag.get()))
    }

    /// The tag with this path, whose segments are parted by `::`. Separators inside brackets, as in
    /// `game::spawn<game::Enemy>`, part nothing; empty segments are left out.
    ///
    /// Looks up a table under a lock: intern a tag once and keep it.
    pub fn from_path(path: &str) -> Self {
        segments(path).fold(Self::ROOT, |tag, name| tag.step(name))
    }

    /// The tag that lies under this one by `name`, which may be a path of several segments.
    pub fn child(self, name: &str) -> Self {
        segments(name).fold(self, |tag, name| tag.step(name))
    }

    /// The child with this one segment as its name, made if need be.
    fn step(self, name: &str) -> Self {
        if let Some(&known) =
            read(|registry| registry.children.get(&(self.0, name)).copied()).as_ref()
        {
            return Self(known);
        }
        let mut registry = registry().write().unwrap_or_else(PoisonError::into_inner);
        if let Some(&known) = registry.children.get(&(self.0, name)) {
            return Self(known);
        }
        if registry.nodes.len() == MAX_TAGS {
            // So many tags are made from data. What they hold stays attributed to the nearest tag that there is.
            return self;
        }
        let parent = registry.nodes[self.0 as usize].path;
        let path: &'static str = if parent.is_empty() {
            name.to_owned().leak()
        } else {
            format!("{parent}::{name}").leak()
        };
        let name = &path[path.len() - name.len()..];
        let tag = registry.nodes.len() as u32;
        registry.nodes.push(Node {
            name,
            path,
            parent: self.0,
        });
        registry.children.insert((self.0, name), tag);
        Self(tag)
    }

    /// The whole path: `game::ai::find_paths`. Empty for the root.
    pub fn path(self) -> &'static str {
        read(|registry| registry.nodes[self.0 as usize].path)
    }

    /// The last segment of the path.
    pub fn name(self) -> &'static str {
        read(|registry| registry.nodes[self.0 as usize].name)
    }

    /// The tag above this one, and `None` for the root.
    pub fn parent(self) -> Option<Self> {
        (self != Self::ROOT).then(|| read(|registry| Self(registry.nodes[self.0 as usize].parent)))
    }

    /// Whether this tag is `ancestor` or lies below it.
    pub fn is_in(self, ancestor: Self) -> bool {
        let mut tag = Some(self);
        while let Some(here) = tag {
            if here == ancestor {
                return true;
            }
            tag = here.parent();
        }
        false
    }

    /// The paths of all of them, by index.
    #[cfg(feature = "snapshots")]
    pub(crate) fn all_paths() -> Vec<&'static str> {
        read(|registry| registry.nodes.iter().map(|node| node.path).collect())
    }

    /// Every tag that was ever made, the root first.
    pub fn all() -> impl Iterator<Item = Self> {
        let count = read(|registry| registry.nodes.len() as u32);
        (0..count).map(Self)
    }
}

/// The path, or `(untagged)` for the root.
impl fmt::Display for TagId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(match self.path() {
            "" => "(untagged)",
            path => path,
        })
    }
}

impl fmt::Debug for TagId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "TagId({self})")
    }
}

/// The segments of a path: what lies between `::` outside all brackets.
fn segments(path: &str) -> impl Iterator<Item = &str> {
    let mut rest = Some(path);
    core::iter::from_fn(move || {
        let text = rest?;
        let mut depth = 0usize;
        let bytes = text.as_bytes();
        for (index, &byte) in bytes.iter().enumerate() {
            match byte {
                b'<' | b'(' | b'[' | b'{' => depth += 1,
                // The arrow of `fn() -> T` closes nothing.
                b'>' if index > 0 && bytes[index - 1] == b'-' => {}
                b'>' | b')' | b']' | b'}' => depth = depth.saturating_sub(1),
                b':' if depth == 0 && bytes.get(index + 1) == Some(&b':') => {
                    rest = Some(&text[index + 2..]);
                    return Some(&text[..index]);
                }
                _ => {}
            }
        }
        rest = None;
        Some(text)
    })
    .filter(|segment| !segment.is_empty())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn split(path: &str) -> Vec<&str> {
        segments(path).collect()
    }

    #[test]
    fn paths_are_split_outside_brackets_only() {
        assert_eq!(split("game::ai"), ["game", "ai"]);
        assert_eq!(
            split("a::b<c::D, (e::F, [g::H; 2])>::i"),
            ["a", "b<c::D, (e::F, [g::H; 2])>", "i"]
        );
        assert_eq!(
            split("a::run<fn(x::Y) -> z::W>::b"),
            ["a", "run<fn(x::Y) -> z::W>", "b"]
        );
        assert_eq!(split(""), [""; 0]);
        assert_eq!(split("::a::::b::"), ["a", "b"]);
        assert_eq!(split("a::b>::c"), ["a", "b>", "c"]);
    }

    #[test]
    fn a_tag_is_made_once() {
        let threads: Vec<_> = (0..8)
            .map(|_| std::thread::spawn(|| TagId::from_path("registry_test::once::more")))
            .collect();
        let first = TagId::from_path("registry_test::once::more");
        for thread in threads {
            assert_eq!(thread.join().unwrap(), first);
        }
        assert_eq!(first.parent().unwrap().name(), "once");
    }
}
