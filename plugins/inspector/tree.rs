//! The tree of tags, with what the panel asks of each tag again and again.
//!
//! Tags are only ever added, parents before children; so a tag's place here is good for ever, and one pass backwards adds
//! every tag's figures to those of all that it lies in.
//!
//! Invariant: `nodes[i].parent < i` for all but the root, which is at 0 and its own parent.

use std::collections::HashMap;

use crate::bevy::system_tags;
use crate::tags::TagId;

pub struct Node {
    pub tag: TagId,
    pub parent: u32,
    pub name: &'static str,
    /// That of the root says what it is.
    pub path: &'static str,
    /// The path in lower case, for the search.
    lower: String,
    /// Whether the search finds it.
    pub found: bool,
    /// Its place by path.
    pub rank: u32,
    pub children: Vec<u32>,
    /// The nearest system that it lies in, or is; if there is none, it itself.
    pub owner: u32,
    pub is_system: bool,
}

#[derive(Default)]
pub struct TagTree {
    pub nodes: Vec<Node>,
    place: HashMap<TagId, u32>,
    systems: usize,
    /// What is sought, in lower case.
    sought: String,
}

impl TagTree {
    /// Looks for tags and systems made since.
    pub fn refresh(&mut self) {
        let known = self.nodes.len();
        for tag in TagId::all().skip(known) {
            self.add(tag);
        }
        let systems = system_tags();
        let new_systems = systems.len() != self.systems;
        for tag in systems.iter().skip(self.systems) {
            // A system's tag that was made after the tags were looked through is seen next time.
            let Some(&place) = self.place.get(tag) else {
                break;
            };
            self.nodes[place as usize].is_system = true;
            self.systems += 1;
        }
        if known != self.nodes.len() {
            self.rank();
        }
        if new_systems || known != self.nodes.len() {
            self.find_owners();
        }
    }

    /// Looks for tags whose path contains `needle`, which is in lower case; also among those that are made from now on.
    pub fn seek(&mut self, needle: &str) {
        needle.clone_into(&mut self.sought);
        for node in &mut self.nodes {
            node.found = node.lower.contains(needle);
        }
    }

    fn rank(&mut self) {
        let mut sorted: Vec<u32> = (0..self.nodes.len() as u32).collect();
        sorted.sort_by(|&a, &b| {
            let [a, b] = [a, b].map(|place| &self.nodes[place as usize]);
            a.lower.cmp(&b.lower).then_with(|| a.path.cmp(b.path))
        });
        for (rank, place) in sorted.into_iter().enumerate() {
            self.nodes[place as usize].rank = rank as u32;
        }
    }

    fn add(&mut self, tag: TagId) {
        let place = self.nodes.len() as u32;
        let parent = tag.parent().and_then(|parent| self.place.get(&parent));
        let parent = parent.copied().unwrap_or(0);
        let path = match tag.path() {
            "" => UNTAGGED,
            path => path,
        };
        let lower = path.to_lowercase();
        self.nodes.push(Node {
            tag,
            parent,
            name: if place == 0 { UNTAGGED } else { tag.name() },
            path,
            found: lower.contains(&self.sought),
            lower,
            rank: 0,
            children: Vec::new(),
            owner: place,
            is_system: false,
        });
        self.place.insert(tag, place);
        if place != 0 {
            self.nodes[parent as usize].children.push(place);
        }
    }

    fn find_owners(&mut self) {
        for place in 1..self.nodes.len() {
            let node = &self.nodes[place];
            let above = &self.nodes[node.parent as usize];
            let owner = if node.is_system {
                place as u32
            } else if self.nodes[above.owner as usize].is_system {
                above.owner
            } else {
                place as u32
            };
            self.nodes[place].owner = owner;
        }
    }

    /// Where a tag stands.
    pub fn place(&self, tag: TagId) -> Option<usize> {
        self.place.get(&tag).map(|&place| place as usize)
    }
}

/// What is charged to nobody.
pub const UNTAGGED: &str = "(untagged)";
