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
    FA101: Error, "SmartAllocPlugin not registered",
        "a system that takes `FrameAlloc` or `AllocResource` in an app without the plugin",
        "add `app.add_plugins(framealloc::bevy::SmartAllocPlugin)`";
    FA102: Warning, "frame hooks not executed this frame",
        "an update in which the plugin's boundary systems did not run, as when the `Main` schedule is replaced",
        "run the `Main` schedule every update, or call the boundaries where your own schedule begins and ends";
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
