//! Retention and promotion: values that are made in frame memory and may outlive their frame.
//!
//! A value says when it is made what becomes of it ([`RetentionPolicy`]). At the end of its frame it is dropped, or moves to a
//! pool, to the heap or to a scratch pool, and belongs from then on to an item of the [`PromotionResult`]. Nothing is decided
//! by guesses, and nothing earlier than at the frame's end.
//!
//! What keeps this sound while handles are alive is told in `allocators/retained`.

mod collect;
mod policy;
mod promoted;
mod summary;

pub use policy::{Importance, RetainedId, RetentionPolicy};
pub use promoted::{
    DowncastError, DowncastErrorKind, InPool, InScratch, Kept, OnHeap, Promoted,
    PromotedAllocation, PromotionFailure, RetainedMeta,
};
pub use summary::{FailureBreakdown, FrameSummary, PhaseSummary, PromotionResult, TagSummary};

use crate::allocators::retained::{FrameRetained, Theirs};
use crate::diagnostics;
use crate::error::{AllocError, FrameError};
use crate::shared_frames::SharedFrames;
use crate::smart_alloc::SmartAlloc;
use collect::Collector;

impl SmartAlloc {
    /// A default value in the open frame that goes where `policy` says when the frame ends. See [`FrameRetained`].
    ///
    /// The frame's end may come on another thread (where frames are shared), and the value may be kept for ever: hence the
    /// bounds.
    ///
    /// # Panics
    ///
    /// With FA001 if no frame is open, and with FA003 if the arena has reached its limit;
    /// [`try_frame_retained`](Self::try_frame_retained) returns the error.
    #[track_caller]
    pub fn frame_retained<T: Default + Send + 'static>(
        &self,
        policy: RetentionPolicy,
    ) -> FrameRetained<'_, T> {
        expect(self.try_frame_retained(policy))
    }

    /// [`frame_retained`](Self::frame_retained) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`frame_box`](Self::frame_box).
    pub fn try_frame_retained<T: Default + Send + 'static>(
        &self,
        policy: RetentionPolicy,
    ) -> Result<FrameRetained<'_, T>, AllocError> {
        self.try_frame_retained_with(policy, T::default())
    }

    /// A value in the open frame that goes where `policy` says when the frame ends. See [`FrameRetained`].
    ///
    /// # Panics
    ///
    /// As [`frame_retained`](Self::frame_retained).
    #[track_caller]
    pub fn frame_retained_with<T: Send + 'static>(
        &self,
        policy: RetentionPolicy,
        value: T,
    ) -> FrameRetained<'_, T> {
        expect(self.try_frame_retained_with(policy, value))
    }

    /// [`frame_retained_with`](Self::frame_retained_with) that returns the error.
    ///
    /// # Errors
    ///
    /// As [`frame_box`](Self::frame_box); the value is dropped.
    pub fn try_frame_retained_with<T: Send + 'static>(
        &self,
        policy: RetentionPolicy,
        value: T,
    ) -> Result<FrameRetained<'_, T>, AllocError> {
        FrameRetained::new(self.domain(), policy, self.current_phase(), value)
    }

    /// [`frame_retained`](Self::frame_retained), in the words of [`Importance`].
    ///
    /// # Panics
    ///
    /// As [`frame_retained`](Self::frame_retained).
    #[track_caller]
    pub fn frame_with_importance<T: Default + Send + 'static>(
        &self,
        importance: Importance,
    ) -> FrameRetained<'_, T> {
        self.frame_retained(importance.to_policy())
    }

    /// [`frame_retained_with`](Self::frame_retained_with), in the words of [`Importance`].
    ///
    /// # Panics
    ///
    /// As [`frame_retained`](Self::frame_retained).
    #[track_caller]
    pub fn frame_with_importance_with<T: Send + 'static>(
        &self,
        importance: Importance,
        value: T,
    ) -> FrameRetained<'_, T> {
        self.frame_retained_with(importance.to_policy(), value)
    }

    /// Closes the calling thread's frame as [`end_frame`](Self::end_frame) does, after its retained values went where their
    /// policies say.
    ///
    /// Values are discarded while the frame is still open; what their destructors retain is dealt with as well. A value whose
    /// [`FrameRetained`] is alive stays with it until that drops; memory for it is set aside now, so that it cannot fail
    /// later. Budgets see a value in both places until its frame has ended.
    ///
    /// Reports FA006, and changes nothing, if no frame is open.
    pub fn end_frame_with_promotions(&self) -> PromotionResult {
        self.try_end_frame_with_promotions()
            .unwrap_or_else(|error| {
                diagnostics::report(error.code(), format_args!("{}", error.message()));
                PromotionResult::default()
            })
    }

    /// [`end_frame_with_promotions`](Self::end_frame_with_promotions) that returns the error.
    ///
    /// # Errors
    ///
    /// [`FrameError::NotOpen`]; or [`FrameError::Shared`] if this allocator's frames are shared: then
    /// [`SharedFrames::end_with_promotions`] collects the values of all threads.
    pub fn try_end_frame_with_promotions(&self) -> Result<PromotionResult, FrameError> {
        let mut collector = Collector::new(self);
        let ending = self.domain().ending_frame()?;
        collector.mine(ending.mine());
        if ending.end() {
            self.parts().frame_ended();
        }
        Ok(collector.finish())
    }

    /// [`end_frame_with_promotions`](Self::end_frame_with_promotions) for its figures alone: the promoted values are dropped.
    pub fn end_frame_with_summary(&self) -> FrameSummary {
        self.end_frame_with_promotions().summary
    }

    /// How many values the calling thread has retained in its open frame.
    pub fn retained_count(&self) -> usize {
        self.domain().mine().lists().count()
    }

    /// Drops the values that the calling thread has retained in its open frame, whatever their policies. One whose
    /// [`FrameRetained`] is alive is dropped with that.
    pub fn clear_retained(&self) {
        let mine = self.domain().mine();
        mine.discard_all();
        mine.look();
    }
}

impl SharedFrames {
    /// Closes the frame, after the values that all threads retained in it went where their policies say.
    ///
    /// Values are discarded on the calling thread. Those of a thread that has ended are there as well. What a thread retains
    /// while this runs may miss it; it is discarded when that thread joins the next frame.
    ///
    /// ```
    /// use framealloc::{RetentionPolicy, SmartAlloc};
    ///
    /// let alloc = SmartAlloc::with_defaults();
    /// let mut frames = alloc.shared_frames()?;
    /// frames.begin()?;
    /// std::thread::scope(|scope| {
    ///     scope.spawn(|| drop(alloc.frame_retained_with(RetentionPolicy::PromoteToHeap, [7; 16])));
    /// });
    /// let result = frames.end_with_promotions()?;
    /// assert_eq!(result.summary.promoted_heap_count, 1);
    /// # Ok::<(), framealloc::FrameError>(())
    /// ```
    ///
    /// # Errors
    ///
    /// [`FrameError::NotOpen`].
    pub fn end_with_promotions(&mut self) -> Result<PromotionResult, FrameError> {
        let alloc = self.alloc();
        let domain = alloc.domain();
        let mut collector = Collector::new(alloc);
        let ending = domain.ending_shared_frame()?;
        collector.mine(&domain.mine());
        for retained in (0..).map_while(|index| domain.retained_of(index)) {
            collector.theirs(&Theirs(retained));
        }
        for stray in domain.take_strays() {
            collector.stray(stray);
        }
        drop(ending);
        alloc.parts().frame_ended();
        Ok(collector.finish())
    }
}

#[track_caller]
fn expect<T>(result: Result<T, AllocError>) -> T {
    match result {
        Ok(value) => value,
        Err(error) => panic!("{error}"),
    }
}
