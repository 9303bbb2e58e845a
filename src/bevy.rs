//! The Bevy plugins. Each lives in a folder of its own under `plugins/` and is mounted here.
//!
//! The plugins use the allocator through its public API; nothing in the allocator knows of them.

#[path = "../plugins/smart_alloc/mod.rs"]
mod smart_alloc;

pub use smart_alloc::{
    AllocResource, FrameAlloc, SharedFrameAlloc, SmartAllocPlugin, SmartAllocSystems, TaskFrame,
};

#[path = "../plugins/streaming/mod.rs"]
mod streaming;

pub use streaming::{
    StreamEvicted, StreamFailed, StreamFailure, StreamFailureKind, StreamFocus, StreamProgress,
    StreamReady, StreamUrgency, StreamedAsset, StreamedAssets, StreamedState, StreamingPlugin,
    StreamingSettings, StreamingSystems, StreamingTotals,
};
