//! What the plugin reports about an app that is put together wrongly: FA101 and FA102.

use crate::diagnostics::{self, DiagnosticCode};

/// FA101: the plugin `name` needs the allocator of a world that has none.
#[cold]
pub(crate) fn plugin_missing(name: &str) {
    diagnostics::report(
        DiagnosticCode::FA101,
        format_args!("`{name}` needs the allocator of `SmartAllocPlugin`, which this app lacks"),
    );
}

/// FA101: `system` asks for frame memory in a world without the plugin.
#[cold]
pub(super) fn system_without_plugin(system: &str) {
    diagnostics::report(
        DiagnosticCode::FA101,
        format_args!(
            "system `{system}` takes frame memory in a world that `SmartAllocPlugin` does not serve"
        ),
    );
}

/// Why such a system cannot run, if the world has no allocator either. Bevy adds the system's name.
pub(super) fn no_allocator() -> String {
    let code = DiagnosticCode::FA101;
    format!(
        "[{code}] {}: this world has no allocator; {}",
        code.info().meaning,
        code.info().remedy
    )
}

/// What an update went without.
#[derive(Debug, Clone, Copy)]
pub(super) enum MissingHook {
    /// No frame was opened.
    Begin,
    /// The frame was not closed.
    End,
}

/// FA102: an update of the main world went by without one of the frame hooks.
#[cold]
pub(super) fn frame_hook_missing(hook: MissingHook) {
    let message = match hook {
        MissingHook::Begin => {
            "an update opened no frame: `SmartAllocSystems::BeginFrame` in schedule `Main` did not run"
        }
        MissingHook::End => {
            "an update left its frame open: `SmartAllocSystems::EndFrame` in schedule `Main` did not run"
        }
    };
    diagnostics::report(DiagnosticCode::FA102, format_args!("{message}"));
}
