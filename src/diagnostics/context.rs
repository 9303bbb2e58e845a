//! Where a report comes from: thread and frame.

use core::fmt;
use core::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread::{self, ThreadId};

use crate::allocators::os;
use crate::allocators::thread::{Local, local};

static BEVY: AtomicBool = AtomicBool::new(false);

/// Says whether this process runs a Bevy app. `SmartAllocPlugin` does it by itself.
pub fn set_bevy_context(active: bool) {
    BEVY.store(active, Relaxed);
}

/// Whether this process runs a Bevy app, as far as [`set_bevy_context`] was told.
pub fn is_bevy_context() -> bool {
    BEVY.load(Relaxed)
}

/// Where something happens.
///
/// ```
/// use framealloc::{SmartAlloc, diagnostics::DiagContext};
///
/// let alloc = SmartAlloc::with_defaults();
/// alloc.begin_frame();
/// let context = DiagContext::capture();
/// assert_eq!((context.frame_number, context.frame_active), (1, true));
/// # alloc.end_frame();
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct DiagContext {
    /// Whether a Bevy app runs in this process.
    pub bevy_active: bool,
    /// The frame's number, from 1 on, in the allocator that this thread used last for frames. Zero if it used none.
    pub frame_number: u64,
    /// Whether that allocator's frame is open for this thread.
    pub frame_active: bool,
    /// The thread.
    pub thread_id: ThreadId,
    /// Its name, if it has one.
    pub thread_name: Option<String>,
    /// Whether it is the process's first thread. On Linux the system tells; elsewhere it is the thread that Rust's start-up
    /// code named `main`, so a program whose `main` is not Rust's has none there.
    pub is_main_thread: bool,
}

impl DiagContext {
    /// The context of the calling thread, now.
    pub fn capture() -> Self {
        let thread = thread::current();
        let (frame_number, frame_active) = local(Local::frame);
        Self {
            bevy_active: is_bevy_context(),
            frame_number,
            frame_active,
            thread_id: thread.id(),
            thread_name: thread.name().map(str::to_owned),
            is_main_thread: os::is_main_thread().unwrap_or(thread.name() == Some("main")),
        }
    }
}

/// `bevy=true, frame=7, frame_active=true, thread="main", main_thread=true`; what is false is left out.
impl fmt::Display for DiagContext {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        if self.bevy_active {
            f.write_str("bevy=true, ")?;
        }
        write!(f, "frame={}", self.frame_number)?;
        if self.frame_active {
            f.write_str(", frame_active=true")?;
        }
        match &self.thread_name {
            Some(name) => write!(f, ", thread={name:?}")?,
            None => write!(f, ", thread={:?}", self.thread_id)?,
        }
        if self.is_main_thread {
            f.write_str(", main_thread=true")?;
        }
        Ok(())
    }
}
