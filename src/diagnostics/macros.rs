//! The macros of users.

/// Reports something of your own: a kind, a code, what happened and, if you like, a note and what to do.
///
/// Kinds are those of [`DiagnosticKind`](crate::DiagnosticKind): `Error`, `Warning`, `Note`, `Help`. The code is a text, one of
/// framealloc's or one of your own, or a [`DiagnosticCode`](crate::DiagnosticCode); the other parts are a `&'static str` or a
/// `String`. Like all reports it is rate-limited by code and tag, and strict mode applies: see
/// [`diagnostics`](crate::diagnostics).
///
/// ```
/// use framealloc::{diagnostics, fa_diagnostic};
///
/// let (_, reports) = diagnostics::capture(|| {
///     fa_diagnostic!(
///         Warning,
///         code = "GAME07",
///         message = format!("{} agents have no path", 12),
///         note = "the navigation mesh has holes",
///         help = "bake it again"
///     );
/// });
/// assert_eq!(
///     reports[0].to_string(),
///     "[framealloc][GAME07] warning: 12 agents have no path\n  \
///      note: the navigation mesh has holes\n  help: bake it again",
/// );
/// ```
#[macro_export]
macro_rules! fa_diagnostic {
    ($($parts:tt)*) => {
        $crate::diagnostics::emit($crate::__fa_report!($($parts)*))
    };
}

/// [`fa_diagnostic!`] with the thread and frame that it happens in.
#[macro_export]
macro_rules! fa_diagnostic_ctx {
    ($($parts:tt)*) => {
        $crate::diagnostics::emit_with_context($crate::__fa_report!($($parts)*))
    };
}

/// The report of `fa_diagnostic!`.
#[doc(hidden)]
#[macro_export]
macro_rules! __fa_report {
    (
        $kind:ident, code = $code:expr, message = $message:expr
        $(, note = $note:expr)? $(, help = $help:expr)? $(,)?
    ) => {
        $crate::diagnostics::Diagnostic::new(
            $crate::diagnostics::DiagnosticKind::$kind,
            ::core::convert::Into::<$crate::diagnostics::DiagnosticCode>::into($code),
            $message,
        )
        $(.with_note($note))?
        $(.with_help($help))?
    };
}

/// Reports one of framealloc's codes, in the registry's words. A code that does not exist does not compile.
///
/// ```
/// use framealloc::{diagnostics, fa_emit};
///
/// let (_, reports) = diagnostics::capture(|| fa_emit!(FA001));
/// assert_eq!(reports[0].message, "frame memory asked for outside a frame");
/// ```
#[macro_export]
macro_rules! fa_emit {
    ($code:ident $(,)?) => {
        $crate::diagnostics::emit($crate::diagnostics::Diagnostic::of(
            $crate::diagnostics::DiagnosticCode::$code,
        ))
    };
}

/// [`fa_emit!`] with the thread and frame that it happens in.
#[macro_export]
macro_rules! fa_emit_ctx {
    ($code:ident $(,)?) => {
        $crate::diagnostics::emit_with_context($crate::diagnostics::Diagnostic::of(
            $crate::diagnostics::DiagnosticCode::$code,
        ))
    };
}

/// Reports one of framealloc's codes if the condition does not hold; with `ctx`, with thread and frame.
///
/// The program goes on, unless strict mode makes it panic.
///
/// ```
/// use framealloc::{SmartAlloc, fa_assert};
///
/// let alloc = SmartAlloc::with_defaults();
/// alloc.begin_frame();
/// fa_assert!(alloc.frame_is_open(), FA001);
/// fa_assert!(alloc.frame_is_open(), FA001, ctx);
/// # alloc.end_frame();
/// ```
#[macro_export]
macro_rules! fa_assert {
    ($condition:expr, $code:ident $(,)?) => {
        if !$condition {
            $crate::fa_emit!($code);
        }
    };
    ($condition:expr, $code:ident, ctx $(,)?) => {
        if !$condition {
            $crate::fa_emit_ctx!($code);
        }
    };
}

/// Says something while you look for a mistake: formatted like `println!`, sent where reports go, in debug builds and after
/// [`set_verbose(true)`](crate::diagnostics::set_verbose). Otherwise its arguments are not evaluated.
///
/// ```
/// framealloc::fa_debug!("{} agents before the split", 12);
/// ```
#[macro_export]
macro_rules! fa_debug {
    ($($text:tt)+) => {
        if ::core::cfg!(debug_assertions) {
            $crate::diagnostics::debug(::core::format_args!($($text)+))
        }
    };
}

/// Stops the build with a message in the form of framealloc's reports. All parts are literals.
///
/// ```compile_fail
/// framealloc::fa_compile_error!(
///     code = "GAME01",
///     message = "the features `editor` and `headless` exclude each other",
///     help = "choose one"
/// );
/// ```
#[macro_export]
macro_rules! fa_compile_error {
    (code = $code:literal, message = $message:literal $(, help = $help:literal)? $(,)?) => {
        ::core::compile_error!(::core::concat!(
            "[framealloc][", $code, "] ", $message $(, "\n  help: ", $help)?
        ));
    };
}

/// Makes the compiler warn with a message in the form of framealloc's reports. All parts are literals.
///
/// Rust has no warnings of one's own, so this is one about something deprecated; `#[allow(deprecated)]` silences it.
///
/// ```
/// # #![allow(deprecated)]
/// framealloc::fa_compile_warning!(
///     code = "GAME02",
///     message = "the old pathfinder goes away",
///     help = "turn on the feature `navmesh`"
/// );
/// # fn main() {}
/// ```
#[macro_export]
macro_rules! fa_compile_warning {
    (code = $code:literal, message = $message:literal $(, help = $help:literal)? $(,)?) => {
        const _: () = {
            #[deprecated = ::core::concat!(
                "[framealloc][", $code, "] ", $message $(, "\n  help: ", $help)?
            )]
            #[allow(non_upper_case_globals)]
            const this_was_said_at_compile_time: () = ();
            this_was_said_at_compile_time
        };
    };
}
