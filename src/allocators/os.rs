//! Memory from the system, what the system is told about it, and what freed memory is filled with.

use core::alloc::Layout;
use core::ptr::NonNull;
use std::alloc::{GlobalAlloc, System};

use super::layout::HUGE_PAGE;

/// Freed frame and pool memory is filled with this in debug builds and with the feature `debug`.
pub(crate) const POISON: u8 = 0xCD;
/// Whether freed memory is filled with [`POISON`].
pub(crate) const POISONS: bool = cfg!(any(debug_assertions, feature = "debug"));

/// Whether freed memory is filled or hidden, so that it pays to tell [`poison`] about it.
pub(crate) const HIDES: bool = POISONS || cfg!(framealloc_asan);

/// Maps `layout` bytes. `None` if the system has no more, or if the size is zero.
///
/// The memory comes from [`System`], not from the global allocator, so that a
/// [`HeapAudit`](crate::HeapAudit) does not count the allocator's own mappings as heap traffic.
pub(crate) fn map(layout: Layout) -> Option<NonNull<u8>> {
    if layout.size() == 0 {
        return None;
    }
    // SAFETY: the size is not zero.
    NonNull::new(unsafe { System.alloc(layout) })
}

/// Gives a mapping back.
///
/// # Safety
///
/// `start` came from [`map`] with the same layout, and nothing refers to it any more.
pub(crate) unsafe fn unmap(start: NonNull<u8>, layout: Layout) {
    hide::open(start.as_ptr() as usize, layout.size());
    // SAFETY: the caller's contract.
    unsafe { System.dealloc(start.as_ptr(), layout) }
}

/// Asks the system to back a large mapping with huge pages: the first touch of an arena is then four to ten times
/// cheaper. Only a hint; smaller mappings and other systems are left alone.
pub(crate) fn advise_huge_pages(start: NonNull<u8>, layout: Layout) {
    #[cfg(target_os = "linux")]
    if layout.size() >= HUGE_PAGE && layout.align() >= HUGE_PAGE {
        let whole = layout.size() & !(HUGE_PAGE - 1);
        // SAFETY: the range lies inside a mapping that we own, and the advice changes no contents. A refusal is harmless.
        unsafe { libc::madvise(start.as_ptr().cast(), whole, libc::MADV_HUGEPAGE) };
    }
    #[cfg(not(target_os = "linux"))]
    let _ = (start, layout, HUGE_PAGE);
}

/// Asks the processor for a cache line, which is written soon, and may be another core's. Only a hint: any address will do.
#[inline(always)]
pub(crate) fn prefetch_to_write<T>(at: *mut T) {
    #[cfg(all(target_arch = "x86_64", not(miri)))]
    {
        use core::arch::x86_64::{_MM_HINT_ET0, _mm_prefetch};
        // SAFETY: a prefetch accesses nothing that a program could see, and does not fault.
        unsafe { _mm_prefetch::<_MM_HINT_ET0>(at.cast()) };
    }
    #[cfg(not(all(target_arch = "x86_64", not(miri))))]
    let _ = at;
}

/// Whether the calling thread is the process's first. `None` where the system does not tell.
pub(crate) fn is_main_thread() -> Option<bool> {
    #[cfg(target_os = "linux")]
    {
        // SAFETY: both only ask for a number.
        let (process, thread) = unsafe { (libc::getpid(), libc::syscall(libc::SYS_gettid)) };
        Some(libc::c_long::from(process) == thread)
    }
    #[cfg(not(target_os = "linux"))]
    None
}

/// Whether the system can run a fence on every processor that runs a thread of this process.
pub(crate) fn can_fence_all_threads() -> bool {
    #[cfg(all(target_os = "linux", not(miri)))]
    {
        use std::sync::OnceLock;
        static REGISTERED: OnceLock<bool> = OnceLock::new();
        *REGISTERED.get_or_init(|| membarrier(libc::MEMBARRIER_CMD_REGISTER_PRIVATE_EXPEDITED))
    }
    #[cfg(not(all(target_os = "linux", not(miri))))]
    false
}

/// Runs a full fence on every processor that runs a thread of this process, this one's included.
/// Where [`can_fence_all_threads`] says that it cannot, only this one's; nobody has asked it yet if no thread relies on it.
pub(crate) fn fence_all_threads() {
    core::sync::atomic::fence(core::sync::atomic::Ordering::SeqCst);
    #[cfg(all(target_os = "linux", not(miri)))]
    if can_fence_all_threads() && !membarrier(libc::MEMBARRIER_CMD_PRIVATE_EXPEDITED) {
        crate::diagnostics::bug("the system registered for a fence that it refuses");
    }
}

#[cfg(all(target_os = "linux", not(miri)))]
fn membarrier(command: libc::c_int) -> bool {
    // SAFETY: a fence, or the registration for one: it touches no memory of ours.
    unsafe { libc::syscall(libc::SYS_membarrier, command, 0, 0) == 0 }
}

/// Fills memory that was just freed, so that a read of it is recognised, and hides it from the sanitizer.
///
/// # Safety
///
/// The range is mapped, and no block in it is live.
#[inline(always)]
pub(crate) unsafe fn poison(start: usize, len: usize) {
    if POISONS {
        hide::open(start, len);
        // SAFETY: the caller's contract.
        unsafe { core::ptr::write_bytes(start as *mut u8, POISON, len) };
    }
    hide::close(start, len);
}

/// Hides memory that has not been handed out yet from the sanitizer.
#[inline(always)]
pub(crate) fn conceal(start: usize, len: usize) {
    hide::close(start, len);
}

/// Makes a block visible to the sanitizer before it is handed out.
#[inline(always)]
pub(crate) fn reveal(start: usize, len: usize) {
    hide::open(start, len);
}

/// AddressSanitizer's interface for allocators that cut up their own mappings.
#[cfg(framealloc_asan)]
mod hide {
    unsafe extern "C" {
        fn __asan_poison_memory_region(start: *const u8, len: usize);
        fn __asan_unpoison_memory_region(start: *const u8, len: usize);
    }
    pub(super) fn close(start: usize, len: usize) {
        // SAFETY: marks shadow memory only.
        unsafe { __asan_poison_memory_region(start as *const u8, len) }
    }
    pub(super) fn open(start: usize, len: usize) {
        // SAFETY: marks shadow memory only.
        unsafe { __asan_unpoison_memory_region(start as *const u8, len) }
    }
}
#[cfg(not(framealloc_asan))]
mod hide {
    #[inline(always)]
    pub(super) fn close(_: usize, _: usize) {}
    #[inline(always)]
    pub(super) fn open(_: usize, _: usize) {}
}
