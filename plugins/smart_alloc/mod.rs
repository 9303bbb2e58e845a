//! The allocator in a Bevy app: frames that follow the app's updates, a tag for every system, frame memory as a
//! system parameter.
//!
//! | file | what it is |
//! |---|---|
//! | `plugin.rs` | [`SmartAllocPlugin`](struct@SmartAllocPlugin): what a game adds |
//! | `resource.rs` | [`AllocResource`]: the allocator of one world |
//! | `frames.rs` | when the main world's frames open and close, and the watch that they do (FA102) |
//! | `sub_apps.rs` | the same for sub-apps, of which the renderer is one |
//! | `frame_alloc.rs` | [`FrameAlloc`]: frame memory for a system (FA101) |
//! | `shared.rs` | [`SharedFrameAlloc`]: frame memory for the closures that a system runs in parallel |
//! | `one_thread.rs` | keeps the guards of both on their thread, with a message that helps |
//! | `system_tags/` | charges what a system allocates to that system |
//!
//! What must hold: a world has at most one open frame; it opens before the world's first system of an update and
//! closes after the last; and each world has an allocator of its own, because with pipelined rendering two worlds
//! are in different frames on the same threads.

mod frame_alloc;
mod frames;
mod one_thread;
mod plugin;
mod reports;
mod resource;
mod shared;
mod sub_apps;
mod system_tags;

pub use frame_alloc::FrameAlloc;
pub use frames::SmartAllocSystems;
pub use plugin::SmartAllocPlugin;
pub(super) use reports::plugin_missing;
pub(super) use resource::AllocIdentity;
pub use resource::AllocResource;
pub use shared::{SharedFrameAlloc, TaskFrame};
pub use sub_apps::SubAppAllocs;
pub use system_tags::system_tags;
