//! What an allocator has besides frames, pools and heap, each made when it is first asked for.

use std::sync::OnceLock;

use crate::allocators::payer::Payer;
use crate::budgets::BudgetManager;
use crate::groups::GroupAllocator;
use crate::handles::HandleAllocator;
#[cfg(feature = "debug")]
use crate::leaks::ReportAtDrop;
use crate::scratch::ScratchRegistry;
#[cfg(feature = "snapshots")]
use crate::snapshots::LastCapture;
use crate::streaming::StreamingAllocator;

/// One field a part: a `OnceLock`, filled by the accessor of the part's own file.
#[derive(Default)]
pub(crate) struct Parts {
    /// What the parts' memory counts against.
    pub(crate) payer: Payer,
    pub(crate) budgets: OnceLock<BudgetManager>,
    pub(crate) groups: OnceLock<GroupAllocator>,
    pub(crate) handles: OnceLock<HandleAllocator>,
    pub(crate) streaming: OnceLock<StreamingAllocator>,
    /// The scratch pools.
    pub(crate) scratch: OnceLock<ScratchRegistry>,
    /// What the last snapshot saw.
    #[cfg(feature = "snapshots")]
    pub(crate) last_capture: LastCapture,
    /// The last field, and so the last to be dropped.
    #[cfg(feature = "debug")]
    _report_at_drop: ReportAtDrop,
}

impl Parts {
    pub(crate) fn new(payer: Payer) -> Self {
        Self {
            #[cfg(feature = "debug")]
            _report_at_drop: ReportAtDrop(payer.hub().cloned()),
            payer,
            ..Self::default()
        }
    }

    /// Tells the parts that count frames that one has ended.
    #[inline]
    pub(crate) fn frame_ended(&self) {
        if let Some(streaming) = self.streaming.get() {
            streaming.next_frame();
        }
    }
}
