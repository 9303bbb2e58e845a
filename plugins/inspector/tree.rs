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
    pub path: &'static str,
    /// The path in lower case, for the search.
    pub lower: String,
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
        if new_systems || known != self.nodes.len() {
            self.find_owners();
        }
    }

    fn add(&mut self, tag: TagId) {
        let place = self.nodes.len() as u32;
        let parent = tag.parent().and_then(|parent| self.place.get(&parent));
        let parent = parent.copied().unwrap_or(0);
        let path = tag.path();
        self.nodes.push(Node {
            tag,
            parent,
            name: tag.name(),
            path,
            lower: path.to_lowercase(),
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

    /// The path of the tag there; that of the root says what it is.
    pub fn path(&self, place: usize) -> &'static str {
        match self.nodes[place].path {
            "" => UNTAGGED,
            path => path,
        }
    }
}

/// What is charged to nobody.
pub const UNTAGGED: &str = "(untagged)";
