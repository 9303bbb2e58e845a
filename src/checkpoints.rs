//! Checkpoints: giving back, in the middle of a frame, what was allocated since a place in it.
//!
//! Four ways to say it, from the least to write to the most: [`scope`](SmartAlloc::scope), [`speculative`](SmartAlloc::speculative),
//! [`checkpoint_guard`](SmartAlloc::checkpoint_guard), [`frame_checkpoint`](SmartAlloc::frame_checkpoint) with
//! [`rollback_to`](SmartAlloc::rollback_to). How it is done, and what it costs, is in `allocators::arena::seals`.

use core::error::Error;
use core::fmt;
use core::iter;

use crate::allocators::arena::Mark;
use crate::allocators::domain::TagNames;
use crate::allocators::thread::{NO_TAG, NOTHING_NOTED, NotedTags};
use crate::diagnostics::{self, DiagnosticCode};
use crate::smart_alloc::SmartAlloc;
use crate::tags::TagId;

/// A place in the calling thread's frame that can be rolled back to.
///
/// It is good for one rollback, in the frame, on the thread and with the allocator that it was taken in. Rolling back to it, or
/// to an older one, makes it stale, as does the end of its frame; a stale one is an error (FA007) that changes nothing. One
/// that is never rolled back to needs no care.
///
/// ```compile_fail,E0277
/// let alloc = framealloc::SmartAlloc::with_defaults();
/// let checkpoint = alloc.frame_checkpoint();
/// std::thread::spawn(move || checkpoint.head());
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct FrameCheckpoint(Mark);

impl FrameCheckpoint {
    /// The address that the next allocation after the checkpoint could have had, and after a rollback to it can have again.
    /// Zero if the thread's arena had no room at hand, or if no frame was open.
    pub fn head(&self) -> usize {
        self.0.head
    }

    /// The [number](SmartAlloc::frame_number) of its frame. Zero if no frame was open.
    pub fn frame_id(&self) -> u64 {
        self.0.frame
    }
}

impl fmt::Debug for FrameCheckpoint {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("FrameCheckpoint")
            .field("frame_id", &self.frame_id())
            .field("head", &format_args!("{:#x}", self.head()))
            .finish_non_exhaustive()
    }
}

/// A checkpoint that is rolled back to when it drops, unless it was [committed](Self::commit).
///
/// Guards close newest first, as scopes on the stack do. When an older one closes first, in either way, the newer ones are
/// stale: they roll nothing back, and report FA007. A forgotten one keeps what was allocated since.
///
/// ```
/// # let alloc = framealloc::SmartAlloc::with_defaults();
/// alloc.begin_frame();
/// let attempt = alloc.checkpoint_guard();
/// let path = alloc.frame_slice_fill(64, 0_u32)?;
/// if path[63] == 0 {
///     drop(path); // a dead end: the memory goes with the guard
///     drop(attempt);
/// } else {
///     attempt.commit();
/// }
/// alloc.end_frame();
/// # Ok::<(), framealloc::AllocError>(())
/// ```
#[must_use = "the frame is rolled back when the guard drops"]
pub struct CheckpointGuard<'a> {
    alloc: &'a SmartAlloc,
    checkpoint: FrameCheckpoint,
    committed: bool,
}

impl CheckpointGuard<'_> {
    /// Closes the guard and keeps what was allocated since. Checkpoints that were taken since are stale then.
    #[inline]
    pub fn commit(mut self) {
        self.committed = true;
    }

    /// The checkpoint.
    pub fn checkpoint(&self) -> FrameCheckpoint {
        self.checkpoint
    }

    /// Whether dropping the guard keeps what was allocated since.
    pub fn is_committed(&self) -> bool {
        self.committed
    }
}

impl Drop for CheckpointGuard<'_> {
    #[inline]
    fn drop(&mut self) {
        let mark = self.checkpoint.0;
        let domain = self.alloc.domain();
        if self.committed {
            return domain.release(mark);
        }
        // That no frame was open has been reported already.
        if mark.is_in_a_frame()
            && let Err(error) = domain.roll_back(mark)
        {
            // Nobody is going to roll back to it.
            domain.release(mark);
            error.report();
        }
    }
}

impl fmt::Debug for CheckpointGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("CheckpointGuard")
            .field("checkpoint", &self.checkpoint)
            .finish_non_exhaustive()
    }
}

impl SmartAlloc {
    /// Marks where the calling thread's frame stands, to [roll back to](Self::rollback_to).
    ///
    /// What is allocated through the allocator from here on is kept apart from what was before, so that a rollback frees the
    /// one whatever becomes of the other. That takes up to one more chunk (256 KiB) from the arena. Checkpoints nest.
    ///
    /// What is kept after a checkpoint leaves the rest of its chunk unused until it drops, so a thread that keeps something
    /// after each of many checkpoints is given an eighth of the arena's limit for that. From there on it still has all the
    /// memory it asks for, but rollbacks to its checkpoints give nothing back before the frame's end.
    ///
    /// [`Frame`](crate::Frame)s, which own their chunks, are not affected: what is allocated from one lives until that one closes.
    ///
    /// With no frame open, it reports FA001, and there is nothing to roll back to.
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// alloc.begin_frame();
    /// let checkpoint = alloc.frame_checkpoint();
    /// let contacts = alloc.frame_slice_fill(10_000, 0_u64)?;
    /// drop(contacts);
    /// alloc.rollback_to(checkpoint);
    /// assert_eq!(alloc.frame_checkpoint().head(), checkpoint.head());
    /// alloc.end_frame();
    /// # Ok::<(), framealloc::AllocError>(())
    /// ```
    #[inline]
    pub fn frame_checkpoint(&self) -> FrameCheckpoint {
        let mark = self.domain().mark();
        if !mark.is_in_a_frame() {
            report_no_frame();
        }
        FrameCheckpoint(mark)
    }

    /// Frees what this thread has allocated since the checkpoint, in one step, if all of it is dropped.
    ///
    /// If something of it is still held, nothing is freed before the frame ends, and FA002 is reported with its tag and bytes. A
    /// checkpoint that is no longer valid is reported as FA007. [`try_rollback_to`](Self::try_rollback_to) returns either.
    #[inline]
    pub fn rollback_to(&self, checkpoint: FrameCheckpoint) {
        if let Err(error) = self.domain().roll_back(checkpoint.0) {
            error.report();
        }
    }

    /// [`rollback_to`](Self::rollback_to) that returns the error.
    ///
    /// # Errors
    ///
    /// [`InUse`](RollbackErrorKind::InUse) if something that was allocated since is still held: the checkpoint stays valid
    /// then, to be tried again when that is dropped. The other [kinds](RollbackErrorKind) if the checkpoint is not valid here.
    /// In each case nothing has changed.
    #[inline]
    pub fn try_rollback_to(&self, checkpoint: FrameCheckpoint) -> Result<(), RollbackError> {
        self.domain().roll_back(checkpoint.0)
    }

    /// A [checkpoint](Self::frame_checkpoint) that is rolled back to when the guard drops, also when unwinding, unless it is
    /// committed. See [`CheckpointGuard`].
    #[inline]
    pub fn checkpoint_guard(&self) -> CheckpointGuard<'_> {
        CheckpointGuard {
            alloc: self,
            checkpoint: self.frame_checkpoint(),
            committed: false,
        }
    }

    /// Runs `f`, and gives back what it allocated if it returns an error or panics.
    ///
    /// An error that itself holds frame memory stays valid. It is reported (FA002), and its chunk is free again when it drops.
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// alloc.begin_frame();
    /// let path = alloc.speculative(|| {
    ///     let path = alloc.frame_slice_fill(64, 0_u32).map_err(|_| "no memory")?;
    ///     if path.is_empty() { Ok(path) } else { Err("a dead end") }
    /// });
    /// assert_eq!(path.unwrap_err(), "a dead end");
    /// alloc.end_frame();
    /// ```
    ///
    /// # Errors
    ///
    /// Those of `f`.
    #[inline]
    pub fn speculative<T, E>(&self, f: impl FnOnce() -> Result<T, E>) -> Result<T, E> {
        let guard = self.checkpoint_guard();
        let result = f();
        if result.is_ok() {
            guard.commit();
        }
        result
    }

    /// Runs `f`, and gives back what it allocated through the allocator when it ends, also when it unwinds.
    ///
    /// What it lets out stays valid, and is reported (FA002). For the fastest scratch memory of a scope, checked by the
    /// compiler, see [`frame`](Self::frame).
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// alloc.begin_frame();
    /// let sum: u32 = alloc.scope(|alloc| {
    ///     let numbers = alloc.frame_slice_from_iter(1..=4_u32)?;
    ///     Ok::<_, framealloc::AllocError>(numbers.iter().sum())
    /// })?;
    /// assert_eq!(sum, 10);
    /// alloc.end_frame();
    /// # Ok::<(), framealloc::AllocError>(())
    /// ```
    #[inline]
    pub fn scope<R>(&self, f: impl FnOnce(&Self) -> R) -> R {
        let _guard = self.checkpoint_guard();
        f(self)
    }
}

#[cold]
#[inline(never)]
fn report_no_frame() {
    diagnostics::report(
        DiagnosticCode::FA001,
        format_args!(
            "a checkpoint was taken while no frame is open: there is nothing to roll back to"
        ),
    );
}

/// Why a frame was not rolled back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum RollbackErrorKind {
    /// Something that was allocated since the checkpoint is still held (FA002).
    InUse,
    /// An earlier rollback or commit has passed the checkpoint (FA007).
    Stale,
    /// The checkpoint's frame has ended, or it was taken in none (FA007).
    OtherFrame,
    /// It was taken on another thread (FA007).
    OtherThread,
    /// It was taken with another allocator (FA007).
    OtherAllocator,
    /// No frame is open on this thread (FA007).
    NoFrame,
}

/// A refused rollback. Nothing has changed.
///
/// ```
/// use framealloc::{RollbackErrorKind, SmartAlloc};
///
/// let alloc = SmartAlloc::with_defaults();
/// alloc.begin_frame();
/// let checkpoint = alloc.frame_checkpoint();
/// let kept = alloc.frame_box([1_u64; 4])?;
/// let error = alloc.try_rollback_to(checkpoint).unwrap_err();
/// assert_eq!((error.kind(), error.bytes()), (RollbackErrorKind::InUse, 32));
///
/// drop(kept);
/// assert!(alloc.try_rollback_to(checkpoint).is_ok());
/// # Ok::<(), framealloc::AllocError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq)]
pub struct RollbackError {
    kind: RollbackErrorKind,
    bytes: usize,
    tags: NotedTags,
}

impl RollbackError {
    #[cold]
    pub(crate) fn new(kind: RollbackErrorKind) -> Self {
        Self {
            kind,
            bytes: 0,
            tags: NOTHING_NOTED,
        }
    }

    /// `bytes` that were leased under `tags` are still held.
    #[cold]
    pub(crate) fn in_use(bytes: usize, tags: NotedTags) -> Self {
        Self {
            bytes,
            tags,
            ..Self::new(RollbackErrorKind::InUse)
        }
    }

    /// Why.
    pub fn kind(&self) -> RollbackErrorKind {
        self.kind
    }

    /// The diagnostic code.
    pub fn code(&self) -> DiagnosticCode {
        match self.kind {
            RollbackErrorKind::InUse => DiagnosticCode::FA002,
            _ => DiagnosticCode::FA007,
        }
    }

    /// Bytes allocated since the checkpoint that are still held. Zero if that is not why.
    pub fn bytes(&self) -> usize {
        self.bytes
    }

    /// What happened, without the remedy.
    fn fmt_message(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self.kind {
            RollbackErrorKind::InUse => {
                return write!(
                    f,
                    "{} bytes of frame memory from {} that were allocated since the checkpoint are still in use: nothing was rolled back",
                    self.bytes,
                    TagNames(self.tags)
                );
            }
            RollbackErrorKind::Stale => {
                "the checkpoint is stale: a rollback or a commit has passed it, or used it up"
            }
            RollbackErrorKind::OtherFrame => "the checkpoint is not of the frame that is open",
            RollbackErrorKind::OtherThread => "the checkpoint was taken on another thread",
            RollbackErrorKind::OtherAllocator => "the checkpoint was taken with another allocator",
            RollbackErrorKind::NoFrame => "a frame was to be rolled back while none is open",
        })
    }

    #[cold]
    #[inline(never)]
    fn report(&self) {
        struct Message<'a>(&'a RollbackError);
        impl fmt::Display for Message<'_> {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt_message(f)
            }
        }
        let tag = match self.tags[0] {
            NO_TAG => TagId::current(),
            tag => TagId::from_index(tag),
        };
        diagnostics::report_each(self.code(), iter::once((tag, Message(self))));
    }
}

impl fmt::Display for RollbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "[{}] ", self.code())?;
        self.fmt_message(f)?;
        write!(f, "; {}", self.code().info().remedy)
    }
}

impl fmt::Debug for RollbackError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("RollbackError")
            .field("kind", &self.kind)
            .field("bytes", &self.bytes)
            .finish_non_exhaustive()
    }
}

impl Error for RollbackError {}
