//! The Bevy plugins. Each lives in a folder of its own under `plugins/` and is mounted here.
//!
//! The plugins use the allocator through its public API; nothing in the allocator knows of them.

#[cfg(feature = "inspector")]
#[path = "../plugins/inspector/mod.rs"]
mod inspector;
#[path = "../plugins/smart_alloc/mod.rs"]
mod smart_alloc;

#[cfg(feature = "inspector")]
pub use inspector::{
    Corner, InspectedAlloc, InspectorTab, MemoryInspector, MemoryInspectorPlugin,
    MemoryInspectorSystems, ui_for_memory,
};
pub use smart_alloc::{
    AllocResource, FrameAlloc, SharedFrameAlloc, SmartAllocPlugin, SmartAllocSystems, SubAppAllocs,
    TaskFrame, system_tags,
};
