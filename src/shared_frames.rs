//! One frame for all threads.

use core::fmt;

use crate::error::FrameError;
use crate::smart_alloc::SmartAlloc;

/// The right to open and close an allocator's frames for all threads at once.
///
/// While it exists, threads do not begin frames of their own: each joins the open frame with its first allocation in it, and
/// its arena is rewound then. A thread that sleeps for a thousand frames costs nothing meanwhile. There is one such owner an
/// allocator; dropping it gives frames back to the threads. The Bevy plugin holds one for each world.
///
/// ```
/// use framealloc::SmartAlloc;
///
/// let alloc = SmartAlloc::with_defaults();
/// let mut frames = alloc.shared_frames()?;
/// for frame in 0..3u64 {
///     frames.begin()?;
///     std::thread::scope(|scope| {
///         scope.spawn(|| assert_eq!(*alloc.frame_box(frame).unwrap(), frame));
///     });
///     frames.end()?;
/// }
/// # Ok::<(), framealloc::FrameError>(())
/// ```
pub struct SharedFrames {
    alloc: SmartAlloc,
}

impl SharedFrames {
    pub(crate) fn new(alloc: SmartAlloc) -> Result<Self, FrameError> {
        alloc.domain().take_token()?;
        Ok(Self { alloc })
    }

    /// Opens a frame for all threads.
    ///
    /// # Errors
    ///
    /// [`FrameError::AlreadyOpen`]; the open frame goes on.
    pub fn begin(&mut self) -> Result<(), FrameError> {
        self.alloc.domain().begin_shared()
    }

    /// Closes it. Values that any thread retained in it are discarded;
    /// [`end_with_promotions`](Self::end_with_promotions) promotes them.
    ///
    /// # Errors
    ///
    /// [`FrameError::NotOpen`].
    pub fn end(&mut self) -> Result<(), FrameError> {
        self.alloc.domain().ending_shared_frame().map(drop)?;
        self.alloc.parts().frame_ended();
        Ok(())
    }

    /// Whether a frame is open.
    pub fn is_open(&self) -> bool {
        self.alloc.domain().shared_is_open()
    }

    /// The allocator whose frames these are.
    pub fn alloc(&self) -> &SmartAlloc {
        &self.alloc
    }
}

impl Drop for SharedFrames {
    fn drop(&mut self) {
        // On unwinding too, as when the destructor of a retained value panics.
        struct Token<'a>(&'a SmartAlloc);
        impl Drop for Token<'_> {
            fn drop(&mut self) {
                self.0.domain().return_token();
            }
        }
        let token = Token(&self.alloc);
        // A frame that was left open ends here.
        drop(token.0.domain().ending_shared_frame());
    }
}

impl fmt::Debug for SharedFrames {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("SharedFrames")
            .field("open", &self.is_open())
            .field("frame", &self.alloc.frame_number())
            .finish()
    }
}
