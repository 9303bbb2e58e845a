//! The zones that threads have open, so that a profiler hears of as many ends as beginnings, on the same thread.

use core::cell::RefCell;

use super::profiler::Profiler;

/// Zones of one session on one thread.
struct Open {
    session: u64,
    profiler: Profiler,
    depth: usize,
}

impl Open {
    fn end_all(&self) {
        for _ in 0..self.depth {
            self.profiler.call(|client| client.zone_end());
        }
    }
}

#[derive(Default)]
struct Zones(RefCell<Vec<Open>>);

thread_local! {
    static ZONES: Zones = Zones::default();
}

impl Drop for Zones {
    /// What is left is of sessions that ended on another thread, or of phases that nobody ended.
    fn drop(&mut self) {
        for open in self.0.get_mut().drain(..) {
            open.end_all();
        }
    }
}

/// Begins a zone of the session on this thread.
pub(super) fn begin(session: u64, profiler: &Profiler, name: &'static str) {
    let counted = ZONES.try_with(|zones| {
        let mut all = zones.0.borrow_mut();
        match all.iter_mut().find(|open| open.session == session) {
            Some(open) => open.depth += 1,
            None => all.push(Open {
                session,
                profiler: profiler.clone(),
                depth: 1,
            }),
        }
    });
    // On a thread that is past its end nobody would see to it that it ends.
    if counted.is_ok() {
        profiler.call(|client| client.zone_begin(name));
    }
}

/// Ends the innermost one, unless the session has none on this thread.
pub(super) fn end(session: u64, profiler: &Profiler) {
    let ended = ZONES.try_with(|zones| {
        let mut all = zones.0.borrow_mut();
        let index = all.iter().position(|open| open.session == session)?;
        all[index].depth -= 1;
        let last = all[index].depth == 0;
        // Dropped by the caller, with nothing borrowed.
        Some(last.then(|| all.swap_remove(index)))
    });
    if let Ok(Some(_gone)) = ended {
        profiler.call(|client| client.zone_end());
    }
}

/// Ends all zones of the session on this thread.
pub(super) fn end_all(session: u64) {
    let open = ZONES.try_with(|zones| {
        let mut all = zones.0.borrow_mut();
        let index = all.iter().position(|open| open.session == session)?;
        Some(all.swap_remove(index))
    });
    if let Ok(Some(open)) = open {
        open.end_all();
    }
}
