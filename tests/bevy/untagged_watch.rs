//! A global allocator that finds allocations of systems without a name.
//!
//! It is the heap audit with a second opinion: when something is allocated while no tag is set, the call stack
//! tells whether a system is running. Stacks are independent of what the plugin does.

use std::alloc::{GlobalAlloc, Layout, System};
use std::backtrace::Backtrace;
use std::cell::Cell;
use std::collections::BTreeMap;
use std::sync::Mutex;
use std::sync::atomic::{AtomicU32, AtomicU64, Ordering};

use framealloc::HeapAudit;
use framealloc::tags::{TagId, TagTotals};

#[global_allocator]
static HEAP: HeapAudit<UntaggedWatch> = HeapAudit::new(UntaggedWatch);

struct UntaggedWatch;

/// Zero: do not look. N: look at each Nth untagged allocation.
static LOOK_AT_EVERY: AtomicU32 = AtomicU32::new(0);
static UNTAGGED: AtomicU64 = AtomicU64::new(0);
static LOOKED_AT: AtomicU64 = AtomicU64::new(0);
static SYSTEMS_WITHOUT_A_TAG: Mutex<Vec<String>> = Mutex::new(Vec::new());

thread_local! {
    static LOOKING: Cell<bool> = const { Cell::new(false) };
}

impl UntaggedWatch {
    fn look(&self) {
        let every = LOOK_AT_EVERY.load(Ordering::Relaxed);
        if every == 0 || TagId::current() != TagId::ROOT || LOOKING.replace(true) {
            return;
        }
        let nth = UNTAGGED.fetch_add(1, Ordering::Relaxed);
        if nth.is_multiple_of(u64::from(every)) {
            LOOKED_AT.fetch_add(1, Ordering::Relaxed);
            let stack = Backtrace::force_capture().to_string();
            if stack.contains("run_unsafe") {
                SYSTEMS_WITHOUT_A_TAG.lock().unwrap().push(stack);
            }
        }
        LOOKING.set(false);
    }
}

#[expect(unsafe_code, reason = "`GlobalAlloc` is an unsafe trait")]
// SAFETY: every call is passed on to the system's allocator as it came.
unsafe impl GlobalAlloc for UntaggedWatch {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        self.look();
        // SAFETY: the caller's promise.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, ptr: *mut u8, layout: Layout) {
        // SAFETY: the caller's promise; the block came from `System`.
        unsafe { System.dealloc(ptr, layout) }
    }
}

/// What was allocated while `run` ran: calls by tag path, and how many were untagged.
pub struct Audit {
    pub allocs: BTreeMap<&'static str, u64>,
    pub untagged: u64,
}

/// Runs `run` and fails if a system allocated without a name. Stacks are slow: of the untagged allocations one in
/// `every` is looked at.
pub fn audit(every: u32, run: impl FnOnce()) -> Audit {
    let before = TagTotals::capture();
    let untagged = UNTAGGED.load(Ordering::Relaxed);
    LOOK_AT_EVERY.store(every, Ordering::Relaxed);
    run();
    LOOK_AT_EVERY.store(0, Ordering::Relaxed);
    let spent = TagTotals::capture().since(&before);

    let unnamed = std::mem::take(&mut *SYSTEMS_WITHOUT_A_TAG.lock().unwrap());
    assert!(
        unnamed.is_empty(),
        "{} allocations of systems without a tag, the first:\n{}",
        unnamed.len(),
        unnamed[0]
    );
    let allocs: BTreeMap<_, _> = spent
        .rows()
        .filter(|row| row.audit.allocs > 0 && row.tag != TagId::ROOT)
        .map(|row| (row.tag.path(), row.audit.allocs))
        .collect();
    for path in allocs.keys() {
        assert!(
            !path.contains("debug feature"),
            "Bevy's system names are off: {path}"
        );
    }
    Audit {
        allocs,
        untagged: UNTAGGED.load(Ordering::Relaxed) - untagged,
    }
}

/// How many stacks were looked at so far, so that a test can see that the watch is awake.
pub fn stacks_looked_at() -> u64 {
    LOOKED_AT.load(Ordering::Relaxed)
}
