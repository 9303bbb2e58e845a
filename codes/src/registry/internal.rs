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

pub(crate) const FA903: Texts = Texts {
    cause: "the directory of a `SnapshotEmitter` cannot be made or written to, its disk is full or far too slow, or \
            something that is not a plain file has the name that a request or a snapshot should have",
    remedy: "give `SnapshotConfig::with_directory` a directory that the program may write to, and make `snapshot.request` a \
             plain, empty file; frames go on meanwhile, and a request that was not answered is tried again",
    example: None,
};

pub(crate) const FA904: Texts = Texts {
    cause: "unsafe code that gives a block of a `FrameAllocator`, `PoolAllocator` or `HeapAllocator` back twice, to another \
            kind of allocator, or with another layout; seen with the feature `debug`, which leaves the block as it is",
    remedy: "give each block back once, with the layout that it has; with a `LeakTracker` turned on, the report says where it \
             was allocated and where it was freed first",
    example: None,
};
