//! What the plugin reports about an app that is put together wrongly: FA101 and FA102.

/// The frame hook that an update went without.
#[derive(Debug, Clone, Copy)]
pub(super) enum MissingHook {
    Begin,
    End,
}

/// Why a system that asks for frame memory fails in a world without the plugin.
pub(super) const PLUGIN_MISSING: &str = "[FA101] this world has no allocator: `SmartAllocPlugin` was not added. \
     Add `app.add_plugins(framealloc::bevy::SmartAllocPlugin);`";

/// FA101: a world has an allocator, but nobody drives its frames.
pub(super) fn plugin_missing(system: &str) {
    eprintln!("{PLUGIN_MISSING} {system}");
}

/// FA102: an update went by without the hook.
pub(super) fn frame_hook_missing(hook: MissingHook) {
    eprintln!("[FA102] {hook:?}");
}
