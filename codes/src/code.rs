//! The codes: each has one meaning, wherever it appears.
//!
//! This is the list. What it leaves out, the causes, remedies and examples, is in `registry/`, a file for each hundred.
//! Invariants: a code keeps its number and meaning for ever; codes rise within the list.

use core::fmt;

use crate::info::{Category, CodeInfo, RaisedBy};
use crate::level::{DiagnosticKind, DiagnosticLevel};
use crate::registry;

macro_rules! codes {
    ($($category:ident, $file:ident {
        $($code:ident $name:literal $level:ident $raised_by:ident $meaning:literal;)*
    })*) => {
        /// A diagnostic code, such as FA001. [`info`](Self::info) tells all about it.
        ///
        /// ```
        /// use framealloc_codes::DiagnosticCode;
        ///
        /// assert_eq!(DiagnosticCode::from_name("fa001"), Some(DiagnosticCode::FA001));
        /// assert_eq!(DiagnosticCode::from("GAME01"), DiagnosticCode::Custom("GAME01"));
        /// ```
        #[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
        #[non_exhaustive]
        pub enum DiagnosticCode {
            $($(
                #[doc = concat!($meaning, " (`", $name, "`).")]
                $code,
            )*)*
            /// A code of the program's own, which this registry does not know.
            Custom(&'static str),
        }

        /// The codes without the custom ones: what they are counted by.
        enum Index {
            $($($code,)*)*
        }

        impl DiagnosticCode {
            /// Every code there is, custom ones aside.
            pub const ALL: &[Self] = &[$($(Self::$code,)*)*];

            /// What is known of the code. Of a [`Custom`](Self::Custom) one that is nothing but that it is one.
            #[inline]
            pub const fn info(self) -> &'static CodeInfo {
                match self {
                    $($(Self::$code => {
                        const INFO: &CodeInfo = &CodeInfo {
                            code: stringify!($code),
                            name: $name,
                            level: DiagnosticLevel::$level,
                            raised_by: RaisedBy::$raised_by,
                            category: Category::$category,
                            meaning: $meaning,
                            cause: registry::$file::$code.cause,
                            remedy: registry::$file::$code.remedy,
                            example: registry::$file::$code.example,
                        };
                        INFO
                    })*)*
                    Self::Custom(_) => registry::CUSTOM,
                }
            }

            /// The code's place in [`ALL`](Self::ALL); `None` for a custom one.
            #[inline]
            pub const fn index(self) -> Option<usize> {
                match self {
                    $($(Self::$code => Some(Index::$code as usize),)*)*
                    Self::Custom(_) => None,
                }
            }
        }
    };
}

codes! {
    Frames, frames {
        FA001 "no-open-frame" Error RunTime "frame memory asked for outside a frame";
        FA002 "frame-memory-escapes" Error RunTime "frame memory still in use after its frame";
        FA003 "arena-exhausted" Warning RunTime "frame arena exhausted";
        FA004 "size-overflow" Error RunTime "size overflow";
        FA005 "out-of-memory" Error RunTime "out of memory";
        FA006 "unbalanced-frames" Error RunTime "unbalanced frame boundaries";
        FA007 "stale-checkpoint" Error RunTime "stale checkpoint";
        FA008 "unbalanced-phases" Warning RunTime "unbalanced phases";
    }
    Bevy, bevy {
        FA101 "plugin-missing" Error RunTime "SmartAllocPlugin not registered";
        FA102 "frame-hooks-missing" Warning RunTime "frame hooks not executed this frame";
    }
    Threading, threading {
        FA201 "remote-free-refused" Error RunTime "invalid cross-thread memory free";
        FA202 "thread-state-missing" Warning RunTime "thread-local state not available";
        FA204 "deferred-frees-pile-up" Warning RunTime "deferred frees pile up";
        FA206 "transfer-not-received" Warning RunTime "transferred value never received";
        FA211 "frame-memory-crosses-threads" Error Analysis "frame memory used on another thread without a transfer";
        FA212 "thread-outside-barrier" Warning Analysis "thread shares frame boundaries but is not in the barrier";
        FA213 "thread-without-budget" Hint Analysis "thread allocates without a budget";
        FA214 "deferred-queue-may-overflow" Warning Analysis "pattern may overflow the deferred queue";
        FA215 "frame-ends-without-barrier" Error Analysis "`end_frame` without waiting for the barrier";
    }
    Budgets, budgets {
        FA301 "global-budget" Warning RunTime "global memory budget exceeded";
        FA302 "tag-budget" Warning RunTime "tag budget exceeded";
        FA303 "thread-budget" Warning RunTime "thread budget exceeded";
        FA311 "allocations-in-loop" Hint Analysis "several allocations in one loop without a budget";
    }
    LongLived, long_lived {
        FA401 "invalid-handle" Error RunTime "invalid handle";
        FA402 "streaming-budget" Warning RunTime "streaming budget exhausted";
        FA403 "scratch-pool-full" Warning RunTime "scratch pool full";
        FA404 "unknown-group" Error RunTime "unknown group";
        FA405 "value-in-use" Error RunTime "value in use";
    }
    Behaviour, behaviour {
        FA501 "frame-memory-lives-long" Warning RunTime "frame allocation behaves like long-lived data";
        FA502 "frame-memory-survives" Warning RunTime "most frame allocations survive their frame";
        FA510 "pool-memory-dies-young" Hint RunTime "pool allocations are freed in the frame that made them";
        FA520 "promotion-churn" Warning RunTime "data is promoted again and again";
        FA530 "heap-in-hot-path" Warning RunTime "frequent heap allocations";
        FA540 "memory-leaked" Warning RunTime "memory still held though its allocator is gone";
    }
    Lifetime, lifetime {
        FA601 "frame-memory-stored" Warning Analysis "frame memory stored where it outlives its frame";
        FA602 "allocation-in-loop" Warning Analysis "allocation in a hot loop";
        FA603 "loop-without-frames" Warning Analysis "main loop without frame boundaries";
        FA604 "retention-mismatch" Hint Analysis "retention policy does not fit the use";
        FA605 "discarded-but-kept" Warning Analysis "value kept although its policy discards it";
    }
    Async, async_code {
        FA701 "frame-in-async" Error Analysis "frame memory asked for in async code";
        FA702 "frame-across-await" Error Analysis "frame memory held across an await";
        FA703 "frame-in-task" Error Analysis "frame memory captured by a task";
    }
    Architecture, architecture {
        FA801 "tag-not-allowed" Warning Analysis "tag not allowed in this module";
        FA802 "unknown-tag" Hint Analysis "tag not among the known ones";
        FA803 "cross-module-allocation" Warning Analysis "memory of one module allocated by another";
    }
    Internal, internal {
        FA901 "internal-error" Error RunTime "internal allocator error";
        FA902 "unknown-setting" Warning RunTime "setting not understood";
        FA903 "snapshot-not-written" Warning RunTime "snapshot could not be written";
        FA904 "invalid-free" Error RunTime "memory freed twice, or not as it was allocated";
    }
}

impl DiagnosticCode {
    /// The code as it is written: `FA001`.
    pub const fn name(self) -> &'static str {
        match self {
            Self::Custom(name) => name,
            _ => self.info().code,
        }
    }

    /// How serious it is. A custom code is as serious as the report that carries it: a hint by itself.
    #[inline]
    pub const fn level(self) -> DiagnosticLevel {
        self.info().level
    }

    /// The kind of message that reports it.
    pub const fn kind(self) -> DiagnosticKind {
        self.info().kind()
    }

    /// The code of this registry with this name, in either case.
    pub fn from_name(name: &str) -> Option<Self> {
        Self::ALL
            .iter()
            .copied()
            .find(|code| code.name().eq_ignore_ascii_case(name))
    }
}

impl From<&'static str> for DiagnosticCode {
    /// The code of this name, and a custom one if the registry has none.
    fn from(name: &'static str) -> Self {
        Self::from_name(name).unwrap_or(Self::Custom(name))
    }
}

impl fmt::Display for DiagnosticCode {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.name())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn codes_rise_and_belong_to_the_hundred_of_their_category() {
        assert!(
            DiagnosticCode::ALL
                .windows(2)
                .all(|pair| pair[0].name() < pair[1].name())
        );
        for code in DiagnosticCode::ALL {
            let hundred = code.name().as_bytes()[2] - b'0';
            assert_eq!(code.info().category as u8, hundred, "{code}");
        }
    }

    #[test]
    fn every_code_is_found_by_its_name_and_index() {
        for (index, &code) in DiagnosticCode::ALL.iter().enumerate() {
            assert_eq!(code.index(), Some(index));
            assert_eq!(DiagnosticCode::from(code.name()), code);
        }
        assert_eq!(DiagnosticCode::from_name("FA999"), None);
        assert_eq!(DiagnosticCode::Custom("FA999").index(), None);
    }

    #[test]
    fn names_are_unique_and_texts_are_there() {
        for (index, code) in DiagnosticCode::ALL.iter().enumerate() {
            let info = code.info();
            for text in [info.meaning, info.cause, info.remedy] {
                assert!(!text.is_empty() && !text.ends_with('.'), "{code}: {text}");
            }
            assert!(
                info.name
                    .bytes()
                    .all(|b| b.is_ascii_lowercase() || b == b'-'),
                "{code}: {}",
                info.name
            );
            let later = &DiagnosticCode::ALL[index + 1..];
            assert!(later.iter().all(|other| other.info().name != info.name));
        }
    }
}
