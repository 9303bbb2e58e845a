//! Why an allocation or a frame boundary was refused.

use core::alloc::Layout;
use core::error::Error;
use core::fmt;

use crate::diagnostics::DiagnosticCode;
use crate::tags::TagId;

/// Why memory was refused.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum AllocErrorKind {
    /// No frame is open on this thread (FA001).
    NoFrame,
    /// The thread's arena has reached its limit (FA003).
    ArenaExhausted,
    /// The size cannot be represented (FA004).
    CapacityOverflow,
    /// The system has no more memory (FA005).
    OutOfMemory,
    /// The allocator's memory limit is reached (FA301).
    GlobalBudget,
    /// The hard limit of the tag, or of a tag above it, is reached (FA302).
    TagBudget,
    /// The thread's budget is reached (FA303).
    ThreadBudget,
    /// The scratch pool has reached its limit (FA403).
    ScratchPoolFull,
}

impl AllocErrorKind {
    const ALL: [Self; 8] = [
        Self::NoFrame,
        Self::ArenaExhausted,
        Self::CapacityOverflow,
        Self::OutOfMemory,
        Self::GlobalBudget,
        Self::TagBudget,
        Self::ThreadBudget,
        Self::ScratchPoolFull,
    ];

    /// Whether a budget refused, not the system or a size.
    pub const fn is_budget(self) -> bool {
        matches!(
            self,
            Self::GlobalBudget | Self::TagBudget | Self::ThreadBudget
        )
    }

    /// The diagnostic code.
    pub const fn code(self) -> DiagnosticCode {
        match self {
            Self::NoFrame => DiagnosticCode::FA001,
            Self::ArenaExhausted => DiagnosticCode::FA003,
            Self::CapacityOverflow => DiagnosticCode::FA004,
            Self::OutOfMemory => DiagnosticCode::FA005,
            Self::GlobalBudget => DiagnosticCode::FA301,
            Self::TagBudget => DiagnosticCode::FA302,
            Self::ThreadBudget => DiagnosticCode::FA303,
            Self::ScratchPoolFull => DiagnosticCode::FA403,
        }
    }
}

/// A refused allocation: what was asked, for whom, and what to do about it.
///
/// Nothing has changed in the allocator.
///
/// ```
/// use framealloc::{AllocErrorKind, SmartAlloc};
///
/// let alloc = SmartAlloc::with_defaults();
/// let error = alloc.frame_box(1).unwrap_err();
/// assert_eq!(error.kind(), AllocErrorKind::NoFrame);
/// assert_eq!(error.code().name(), "FA001");
/// assert!(error.to_string().contains("begin_frame"));
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct AllocError {
    /// An [`AllocErrorKind`] as a plain byte. With the enum here, `Result` would hide its discriminant in the enum's unused
    /// values, and every fast path would mask it out again (6 instructions an allocation).
    kind: u8,
    align_log2: u8,
    tag: TagId,
    requested: usize,
    available: usize,
}

impl AllocError {
    #[cold]
    pub(crate) fn new(kind: AllocErrorKind, layout: Layout, available: usize) -> Self {
        Self {
            kind: kind as u8,
            align_log2: layout.align().trailing_zeros() as u8,
            tag: TagId::current(),
            requested: layout.size(),
            available,
        }
    }

    /// `len` values of `T` have no representable size.
    #[cold]
    pub(crate) fn overflow<T>(len: usize) -> Self {
        Self {
            requested: len.saturating_mul(size_of::<T>()),
            ..Self::new(AllocErrorKind::CapacityOverflow, Layout::new::<T>(), 0)
        }
    }

    /// Why.
    pub fn kind(&self) -> AllocErrorKind {
        AllocErrorKind::ALL[usize::from(self.kind)]
    }

    /// The diagnostic code.
    pub fn code(&self) -> DiagnosticCode {
        self.kind().code()
    }

    /// The tag that asked.
    pub fn tag(&self) -> TagId {
        self.tag
    }

    /// Bytes asked for.
    pub fn requested(&self) -> usize {
        self.requested
    }

    /// The alignment asked for, in bytes.
    pub fn align(&self) -> usize {
        1 << self.align_log2
    }

    /// Bytes left below the limit that was reached, where there is one.
    pub fn available(&self) -> usize {
        self.available
    }

    /// What happened, without the remedy.
    pub(crate) fn fmt_message(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self {
            tag,
            requested,
            available,
            ..
        } = self;
        match self.kind() {
            AllocErrorKind::NoFrame => write!(
                f,
                "frame memory ({requested} bytes for {tag}) was asked for while no frame is open"
            ),
            AllocErrorKind::ArenaExhausted => write!(
                f,
                "the frame arena of this thread is exhausted: {tag} asked for {requested} bytes, {available} are left of its limit"
            ),
            AllocErrorKind::CapacityOverflow => write!(
                f,
                "{tag} asked for more bytes than can be addressed ({requested})"
            ),
            AllocErrorKind::OutOfMemory => write!(
                f,
                "the system has no memory for the {requested} bytes that {tag} asked for"
            ),
            AllocErrorKind::GlobalBudget => write!(
                f,
                "the allocator's memory limit is reached: {tag} asked for {requested} bytes, {available} are left"
            ),
            AllocErrorKind::TagBudget => write!(
                f,
                "a tag's budget is reached: {tag} asked for {requested} bytes, {available} are left"
            ),
            AllocErrorKind::ThreadBudget => write!(
                f,
                "this thread's budget is reached: {tag} asked for {requested} bytes, {available} are left"
            ),
            AllocErrorKind::ScratchPoolFull => write!(
                f,
                "a scratch pool is full: {tag} asked for {requested} bytes, {available} are left of its limit"
            ),
        }
    }
}

impl fmt::Display for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] ", self.code().name())?;
        self.fmt_message(f)?;
        write!(f, "; {}", self.code().info().remedy)
    }
}

impl fmt::Debug for AllocError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AllocError")
            .field("kind", &self.kind())
            .field("tag", &self.tag)
            .field("requested", &self.requested)
            .field("align", &self.align())
            .field("available", &self.available)
            .finish()
    }
}

impl Error for AllocError {}

/// A frame boundary that did not fit (FA006). Nothing has changed.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum FrameError {
    /// A frame was begun while one is open.
    AlreadyOpen,
    /// A frame was ended while none is open.
    NotOpen,
    /// A thread frame was begun or ended, but this allocator's frames are shared by all threads, and their owner opens and
    /// closes them. In Bevy that is `SmartAllocPlugin`.
    Shared,
    /// The allocator's [`SharedFrames`](crate::SharedFrames) exist already.
    TokenTaken,
}

impl FrameError {
    /// The diagnostic code.
    pub fn code(&self) -> DiagnosticCode {
        DiagnosticCode::FA006
    }

    /// What happened, without the remedy.
    pub(crate) fn message(&self) -> &'static str {
        match self {
            Self::AlreadyOpen => "a frame was begun while one is open; it goes on",
            Self::NotOpen => "a frame was ended while none is open",
            Self::Shared => {
                "a thread frame was begun or ended, but this allocator's frames are shared, and their owner opens and closes them"
            }
            Self::TokenTaken => "the allocator's shared frames have an owner already",
        }
    }
}

impl fmt::Display for FrameError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "[{}] {}; {}",
            self.code().name(),
            self.message(),
            self.code().info().remedy
        )
    }
}

impl Error for FrameError {}
