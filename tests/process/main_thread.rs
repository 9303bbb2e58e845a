//! What reports say of the process's first thread: it is known without being told.

use std::thread;

use framealloc::diagnostics::{DiagContext, capture, set_bevy_context};
use framealloc::{SmartAlloc, fa_emit_ctx};

fn main() {
    let elsewhere = thread::spawn(DiagContext::capture).join().unwrap();
    assert!(!elsewhere.is_main_thread);
    assert!(DiagContext::capture().is_main_thread);

    // The whole line of context, as documented.
    let alloc = SmartAlloc::with_defaults();
    set_bevy_context(true);
    alloc.begin_frame();
    let ((), reports) = capture(|| fa_emit_ctx!(FA003));
    alloc.end_frame();
    let text = reports[0].to_string();
    let line =
        "\n  context: bevy=true, frame=1, frame_active=true, thread=\"main\", main_thread=true";
    assert!(text.ends_with(line), "{text}");
}
