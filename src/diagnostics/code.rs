//! The registry of codes, as data: each has one meaning, wherever it appears.

use core::fmt;

/// How serious a diagnostic is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DiagnosticKind {
    /// Worth knowing.
    Note,
    /// The program goes on, but not as it was meant to.
    Warning,
    /// Something was refused, or is wrong.
    Error,
}

impl fmt::Display for DiagnosticKind {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Note => "note",
            Self::Warning => "warning",
            Self::Error => "error",
        })
    }
}

/// What is known of a code.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct CodeInfo {
    /// The code.
    pub code: &'static str,
    /// How serious it is.
    pub kind: DiagnosticKind,
    /// What it means, in a few words.
    pub meaning: &'static str,
    /// What usually brings it about.
    pub cause: &'static str,
    /// What to do.
    pub remedy: &'static str,
}

macro_rules! registry {
    ($($code:ident: $kind:ident, $meaning:literal, $cause:literal, $remedy:literal;)*) => {
        /// A diagnostic code, such as FA001. [`info`](Self::info) tells what it means.
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum DiagnosticCode {
            $(
                #[doc = concat!(stringify!($code), ": ", $meaning, ".")]
                $code,
            )*
        }

        impl DiagnosticCode {
            /// Every code there is.
            pub const ALL: &[Self] = &[$(Self::$code),*];

            /// What the code means.
            pub const fn info(self) -> &'static CodeInfo {
                match self {
                    $(Self::$code => &CodeInfo {
                        code: stringify!($code),
                        kind: DiagnosticKind::$kind,
                        meaning: $meaning,
                        cause: $cause,
                        remedy: $remedy,
                    },)*
                }
            }
        }
    };
}

registry! {
    FA001: Error, "frame memory asked for outside a frame",
        "an allocation before `begin_frame`, after `end_frame`, or on a thread whose frame was never begun",
        "call `begin_frame()` on this thread first, open a guard with `frame()`, or use `pool_box()` or `heap_box()`";
    FA002: Error, "frame memory still in use after its frame",
        "a `FrameBox` that is kept past `end_frame`; it stays valid, and its chunk is kept apart until it drops",
        "drop it before the frame ends, or keep the value in a `pool_box()`";
    FA003: Warning, "frame arena exhausted",
        "more frame memory on one thread than the arena's limit allows",
        "raise the limit with `AllocConfig::with_frame_arena_size` or `with_max_frame_arena_size`";
    FA004: Error, "size overflow",
        "a length so large that its bytes cannot be addressed",
        "check the length, which is rarely meant";
    FA005: Error, "out of memory",
        "the system refused a mapping",
        "lower the limits, or free memory";
    FA006: Error, "unbalanced frame boundaries",
        "`begin_frame` twice, `end_frame` without a frame, or either on an allocator whose frames are shared",
        "call `begin_frame` and `end_frame` in turn on each thread; where frames are shared, leave them to their owner";
    FA007: Error, "stale checkpoint",
        "a checkpoint of another frame, thread or allocator, or one that an earlier rollback has passed",
        "take a checkpoint and roll back to it within one frame, on one thread, newest first";
    FA008: Warning, "unbalanced phases",
        "`end_phase` without a phase, or a frame that ends while a phase is open",
        "end every phase that was begun, or let `phase_scope` do it";
    FA101: Error, "SmartAllocPlugin not registered",
        "a system that takes `FrameAlloc` or `AllocResource` in an app without the plugin",
        "add `app.add_plugins(framealloc::bevy::SmartAllocPlugin)`";
    FA102: Warning, "frame hooks not executed this frame",
        "an update in which the plugin's boundary systems did not run, as when the `Main` schedule is replaced",
        "run the `Main` schedule every update, or call the boundaries where your own schedule begins and ends";
    FA201: Error, "invalid cross-thread memory free",
        "a free for another thread that its bounded queue refused, under `QueueFullPolicy::Fail`",
        "raise the capacity of the queue, choose another policy, or process deferred frees more often";
    FA202: Warning, "thread-local state not available",
        "memory asked for while a thread starts or after its thread-local state was destroyed",
        "keep allocations out of the destructors of thread-locals";
    FA204: Warning, "deferred frees pile up",
        "a queue of frees from other threads that is nearly full, or that overflowed",
        "process deferred frees more often, or raise the capacity of the queue";
    FA206: Warning, "transferred value never received",
        "a `TransferHandle` that was dropped without `receive()`",
        "receive it on the thread that it was sent to, or keep the value in a `pool_box()`";
    FA301: Warning, "global memory budget exceeded",
        "live memory of an allocator above the limit that was set for all of it",
        "raise the limit with `AllocConfig::with_memory_limit`, or free memory";
    FA302: Warning, "tag budget exceeded",
        "live memory of a tag and the tags below it above the tag's limit",
        "raise the tag's budget, or free what the tag holds";
    FA303: Warning, "thread budget exceeded",
        "frame or pool memory of one thread above its `ThreadBudgetConfig`",
        "raise the thread's budget, or choose another policy for what exceeds it";
    FA401: Error, "invalid handle",
        "a handle that was freed, or that belongs to another allocator",
        "keep a handle only as long as its value, and resolve it with the allocator that made it";
    FA402: Warning, "streaming budget exhausted",
        "a reservation that does not fit, though everything that may be evicted were evicted",
        "raise the streaming budget, free or unpin assets, or reserve with a higher priority";
    FA403: Warning, "scratch pool full",
        "more memory from a scratch pool than its limit allows",
        "reset the pool when its contents are done with, or raise its limit";
    FA404: Error, "unknown group",
        "a group that was freed, or that belongs to another allocator",
        "create the group first, and free it last";
    FA901: Error, "internal allocator error",
        "a bug in framealloc",
        "please report it, with the message";
}

impl DiagnosticCode {
    /// The code as it is written: `FA001`.
    pub const fn name(self) -> &'static str {
        self.info().code
    }

    /// How serious it is.
    pub const fn kind(self) -> DiagnosticKind {
        self.info().kind
    }

    /// The code with this name, in either case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.name().eq_ignore_ascii_case(name))
    }
}

impl fmt::Display for DiagnosticCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.name())
    }
}
