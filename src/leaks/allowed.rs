//! What may live for the whole program.

use wildmatch::WildMatch;

use super::symbols::StackFrame;
use crate::tags::TagId;

/// What a report passes over.
#[derive(Clone, Default)]
pub(super) struct Allowed {
    tags: Vec<TagId>,
    functions: Vec<WildMatch>,
}

impl Allowed {
    pub(super) fn add_tag(&mut self, tag: TagId) {
        self.tags.push(tag);
    }

    /// A pattern matches where it is found inside a function's name, as in the suppressions of sanitizers.
    pub(super) fn add_function(&mut self, pattern: &str) {
        self.functions.push(WildMatch::new(&format!("*{pattern}*")));
    }

    pub(super) fn has_tag(&self, tag: TagId) -> bool {
        self.tags.iter().any(|&allowed| tag.is_in(allowed))
    }

    pub(super) fn has_function(&self, stack: &[StackFrame]) -> bool {
        self.functions
            .iter()
            .any(|pattern| stack.iter().any(|frame| pattern.matches(&frame.function)))
    }
}
