//! Phases: named parts of a frame, with what was allocated in each.
//!
//! Each thread keeps its phases by allocator. While one is open, the thread's allocations from that allocator take the slow
//! paths, which count them here; a program without phases pays nothing. Figures are of the innermost phase; a phase's own and
//! those inside it are told apart by their paths.

use core::cell::RefCell;
use core::fmt;
use core::marker::PhantomData;
use core::sync::atomic::{AtomicU64, Ordering::Relaxed};

use crate::allocators::thread::{WATCHED, local};
use crate::diagnostics::{self, DiagnosticCode};
use crate::events::Event;
use crate::smart_alloc::SmartAlloc;

/// What a phase allocated on one thread in one frame, frames, pools and heap together; phases inside it not included.
#[derive(Debug, Clone, PartialEq, Eq)]
#[non_exhaustive]
pub struct Phase {
    /// Its name.
    pub name: &'static str,
    /// Its name after those of the phases that it was in: `physics/solver`.
    pub path: String,
    /// How many phases it was in.
    pub depth: usize,
    /// Bytes allocated.
    pub bytes_allocated: usize,
    /// Allocations made.
    pub allocation_count: u64,
    /// How often it was begun.
    pub times: u64,
}

impl fmt::Display for Phase {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}: {} bytes in {} allocations",
            self.path, self.bytes_allocated, self.allocation_count
        )
    }
}

/// The phases of one allocator on one thread.
#[derive(Default)]
struct Phases {
    domain: u64,
    /// Indices into `frame`, and which opening it was.
    open: Vec<(usize, u64)>,
    frame: Vec<Phase>,
    last_frame: Vec<Phase>,
}

thread_local! {
    static PHASES: RefCell<Vec<Phases>> = const { RefCell::new(Vec::new()) };
}

/// Openings, so that a scope ends the phase that it began and no other.
static NEXT: AtomicU64 = AtomicU64::new(1);

/// `None` in the last destructors of a thread, and if the allocator has no phases here.
fn with<R>(domain: u64, f: impl FnOnce(&mut Phases) -> R) -> Option<R> {
    PHASES
        .try_with(|all| {
            all.borrow_mut()
                .iter_mut()
                .find(|one| one.domain == domain)
                .map(f)
        })
        .ok()
        .flatten()
}

fn begin(domain: u64, name: &'static str) -> Option<u64> {
    PHASES
        .try_with(|all| {
            let mut all = all.borrow_mut();
            if !all.iter().any(|one| one.domain == domain) {
                all.push(Phases {
                    domain,
                    ..Phases::default()
                });
            }
        })
        .ok()?;
    with(domain, |phases| {
        let outer = phases.open.last().map(|&(index, _)| &phases.frame[index]);
        let path = match outer {
            Some(outer) => format!("{}/{name}", outer.path),
            None => name.to_owned(),
        };
        let depth = phases.open.len();
        let known = phases.frame.iter().position(|phase| phase.path == path);
        let index = known.unwrap_or_else(|| {
            phases.frame.push(Phase {
                name,
                path,
                depth,
                bytes_allocated: 0,
                allocation_count: 0,
                times: 0,
            });
            phases.frame.len() - 1
        });
        phases.frame[index].times += 1;
        let opening = NEXT.fetch_add(1, Relaxed);
        phases.open.push((index, opening));
        opening
    })
}

/// Ends the innermost phase, or `opening` and what is in it. Returns how many ended, and the outermost of them.
fn end(domain: u64, opening: Option<u64>) -> Option<(usize, Phase)> {
    with(domain, |phases| {
        let from = match opening {
            None => phases.open.len().checked_sub(1)?,
            Some(opening) => phases.open.iter().position(|open| open.1 == opening)?,
        };
        let phase = phases.frame[phases.open[from].0].clone();
        let ended = phases.open.len() - from;
        phases.open.truncate(from);
        Some((ended, phase))
    })
    .flatten()
}

/// Counts an allocation for the phase that is open in `domain` on this thread, if one is.
pub(crate) fn count(domain: u64, bytes: usize) {
    with(domain, |phases| {
        if let Some(&(index, _)) = phases.open.last() {
            let phase = &mut phases.frame[index];
            phase.bytes_allocated += bytes;
            phase.allocation_count += 1;
        }
    });
}

/// The frame of `domain` on this thread ends: its phases are those of the last frame now. Returns those that were open.
pub(crate) fn end_frame(domain: u64) -> Vec<&'static str> {
    let unended = with(domain, |phases| {
        phases.last_frame = core::mem::take(&mut phases.frame);
        let open = core::mem::take(&mut phases.open);
        let names = open.iter().map(|&(index, _)| phases.last_frame[index].name);
        names.collect::<Vec<_>>()
    })
    .unwrap_or_default();
    leave(unended.len());
    unended
}

/// `ended` phases are open no longer on this thread.
fn leave(ended: usize) {
    local(|local| {
        let (phases, watched) = (local.phases.get() & !WATCHED, local.phases.get() & WATCHED);
        local.phases.set(phases.saturating_sub(ended) | watched);
        local.choose_pool();
    });
}

/// Reports phases that were open when their frame ended.
#[cold]
pub(crate) fn report_unended(names: &[&'static str]) {
    diagnostics::report(
        DiagnosticCode::FA008,
        format_args!(
            "the frame ended in the phase `{}`, which ended with it",
            names.join("/")
        ),
    );
}

/// Ends a phase when it drops. See [`SmartAlloc::phase_scope`].
#[must_use = "the phase ends when this drops"]
pub struct PhaseGuard<'a> {
    alloc: &'a SmartAlloc,
    opening: Option<u64>,
    /// Phases are their thread's.
    _here: PhantomData<*const ()>,
}

impl Drop for PhaseGuard<'_> {
    fn drop(&mut self) {
        // Gone if the phase was ended, or its frame was.
        if self.opening.is_some()
            && let Some((ended, _)) = end(self.alloc.domain().id(), self.opening)
        {
            leave(ended);
            for _ in 0..ended {
                self.alloc.tell_zone(Event::ZoneEnded);
            }
        }
    }
}

impl fmt::Debug for PhaseGuard<'_> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PhaseGuard").finish_non_exhaustive()
    }
}

impl SmartAlloc {
    /// Begins a phase on this thread, inside the one that is open: what this thread allocates from this allocator is counted for
    /// it. A name that was used before in the frame goes on counting.
    ///
    /// A frame guard that was opened before counts for no phase.
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// alloc.begin_frame();
    /// alloc.begin_phase("physics");
    /// let contacts = alloc.frame_box([0u32; 256])?;
    /// let physics = alloc.end_phase().unwrap();
    /// assert_eq!((physics.bytes_allocated, physics.allocation_count), (1024, 1));
    /// drop(contacts);
    /// alloc.end_frame();
    /// assert_eq!(alloc.phases(), [physics]);
    /// # Ok::<(), framealloc::AllocError>(())
    /// ```
    pub fn begin_phase(&self, name: &'static str) {
        self.open_phase(name);
        self.tell_zone(Event::ZoneBegun(name));
    }

    fn tell_zone(&self, event: Event) {
        let hub = self.domain().hub();
        if hub.is_on() {
            hub.tell(&event);
        }
    }

    fn open_phase(&self, name: &'static str) -> Option<u64> {
        // First: it may make this thread join a new shared frame, which ends the phases of the one before.
        self.domain().count_phases();
        let opening = begin(self.domain().id(), name)?;
        local(|local| {
            local.phases.set(local.phases.get() + 1);
            local.choose_pool();
        });
        Some(opening)
    }

    /// Ends the innermost phase that this thread has open in this allocator, and returns what it has counted in this frame.
    ///
    /// Reports FA008 if there is none.
    pub fn end_phase(&self) -> Option<Phase> {
        let Some((ended, phase)) = end(self.domain().id(), None) else {
            diagnostics::report(
                DiagnosticCode::FA008,
                format_args!("a phase was ended while none is open"),
            );
            return None;
        };
        leave(ended);
        self.tell_zone(Event::ZoneEnded);
        Some(phase)
    }

    /// Begins a phase that ends with the returned guard, also when unwinding, and with it phases inside it that were not ended.
    ///
    /// ```
    /// # let alloc = framealloc::SmartAlloc::with_defaults();
    /// {
    ///     let _phase = alloc.phase_scope("ai");
    ///     assert_eq!(alloc.current_phase(), Some("ai"));
    /// }
    /// assert_eq!(alloc.current_phase(), None);
    /// ```
    pub fn phase_scope(&self, name: &'static str) -> PhaseGuard<'_> {
        let phase = PhaseGuard {
            opening: self.open_phase(name),
            alloc: self,
            _here: PhantomData,
        };
        self.tell_zone(Event::ZoneBegun(name));
        phase
    }

    /// The innermost phase that this thread has open in this allocator.
    pub fn current_phase(&self) -> Option<&'static str> {
        with(self.domain().id(), |phases| {
            let &(index, _) = phases.open.last()?;
            Some(phases.frame[index].name)
        })
        .flatten()
    }

    /// The phases of this thread's last frame that had any, in the order in which they were first begun.
    pub fn phases(&self) -> Vec<Phase> {
        with(self.domain().id(), |phases| phases.last_frame.clone()).unwrap_or_default()
    }
}
