//! Regions: mappings that are cut into standard chunks.

use core::ptr::NonNull;
use std::alloc::Layout;

use super::limits::ArenaLimits;
use crate::allocators::layout::{CHUNK, HUGE_PAGE};
use crate::allocators::os;

pub(super) struct Region {
    pub(super) start: NonNull<u8>,
    layout: Layout,
    pub(super) chunks: usize,
}

impl Region {
    pub(super) fn map(chunks: usize, limits: &ArenaLimits) -> Option<Self> {
        let size = chunks.checked_mul(CHUNK)?;
        let huge = limits.huge_pages && size >= HUGE_PAGE;
        let layout = Layout::from_size_align(size, if huge { HUGE_PAGE } else { CHUNK }).ok()?;
        let start = os::map(layout)?;
        if huge {
            os::advise_huge_pages(start, layout);
        }
        Some(Self {
            start,
            layout,
            chunks,
        })
    }

    /// # Safety
    ///
    /// Nothing refers to the region's chunks any more.
    pub(super) unsafe fn unmap(&self) {
        // SAFETY: mapped with this layout; the caller's contract.
        unsafe { os::unmap(self.start, self.layout) }
    }
}
