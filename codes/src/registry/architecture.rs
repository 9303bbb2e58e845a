//! FA8xx: which module may allocate for what. The rules are the project's own, in its `.fa.toml`.

use super::Texts;
use crate::info::Example;

pub(crate) const FA801: Texts = Texts {
    cause: "`with_tag` with a tag that `.fa.toml` does not allow in this module",
    remedy: "use a tag of the module, or allow this one under `[tags.module_tags]`",
    example: Some(Example {
        wrong: "\
// .fa.toml: [tags.module_tags] physics = [\"physics\"]
mod physics {
    pub fn step(alloc: &framealloc::SmartAlloc) {
        alloc.with_tag(\"rendering\", |_| ());
    }
}
",
        right: "\
// .fa.toml: [tags.module_tags] physics = [\"physics\"]
mod physics {
    pub fn step(alloc: &framealloc::SmartAlloc) {
        alloc.with_tag(\"physics\", |_| ());
    }
}
",
    }),
};

pub(crate) const FA802: Texts = Texts {
    cause: "`with_tag` with a tag that is not among the `known_tags` of `.fa.toml`; often a slip of the pen",
    remedy: "correct the tag, or add it to `known_tags`",
    example: Some(Example {
        wrong: "\
// .fa.toml: [tags] known_tags = [\"physics\"], warn_unknown_tags = true
fn step(alloc: &SmartAlloc) {
    alloc.with_tag(\"phyiscs\", |_| ());
}
",
        right: "\
// .fa.toml: [tags] known_tags = [\"physics\"], warn_unknown_tags = true
fn step(alloc: &SmartAlloc) {
    alloc.with_tag(\"physics\", |_| ());
}
",
    }),
};

pub(crate) const FA803: Texts = Texts {
    cause: "a module that allocates under the tag of another one, so that the memory shows up where it is not made",
    remedy: "let the module that owns the tag allocate, and pass the memory on",
    example: Some(Example {
        wrong: "\
// .fa.toml: [tags.module_tags] ai = [\"ai\"], physics = [\"physics\"]
mod ai {
    pub fn think(alloc: &framealloc::SmartAlloc) {
        alloc.with_tag(\"physics\", |alloc| drop(alloc.pool_box(1)));
    }
}
",
        right: "\
// .fa.toml: [tags.module_tags] ai = [\"ai\"], physics = [\"physics\"]
mod ai {
    pub fn think(alloc: &framealloc::SmartAlloc) {
        alloc.with_tag(\"ai\", |alloc| drop(alloc.pool_box(1)));
    }
}
",
    }),
};
