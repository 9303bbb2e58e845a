//! FA9xx: the allocator itself.

use super::Texts;

pub(crate) const FA901: Texts = Texts {
    cause: "a bug in framealloc",
    remedy: "please report it, with the message",
    example: None,
};

pub(crate) const FA902: Texts = Texts {
    cause: "an environment variable of framealloc's with a value that it does not know",
    remedy: "set `FRAMEALLOC_STRICT` to `warn`, `error` or `warning`, or unset it",
    example: None,
};
