//! What a profiler has to offer.

use core::ffi::CStr;
use core::fmt;
use std::ffi::CString;

use hashbrown::HashMap;

use crate::sync::Mutex;

/// A name as profilers want it: a C string at an address that stays, and is the same whenever the name is.
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct ProfilerName(&'static CStr);

impl ProfilerName {
    /// The name with this text, which is made once and lives as long as the program. It ends at the first NUL.
    ///
    /// ```
    /// use framealloc::ProfilerName;
    ///
    /// let name = ProfilerName::new("framealloc heap");
    /// assert_eq!(name, ProfilerName::new(&format!("framealloc {}", "heap")));
    /// assert_eq!(name.as_str(), "framealloc heap");
    /// ```
    pub fn new(text: &str) -> Self {
        static NAMES: Mutex<Option<HashMap<&'static str, &'static CStr>>> = Mutex::new(None);
        let text = text.split('\0').next().unwrap_or_default();
        let mut names = NAMES.lock();
        let names = names.get_or_insert_default();
        if let Some(known) = names.get(text) {
            return Self(known);
        }
        let made: &'static CStr =
            Box::leak(CString::new(text).unwrap_or_default().into_boxed_c_str());
        names.insert(made.to_str().unwrap_or_default(), made);
        Self(made)
    }

    /// Its text.
    pub fn as_str(self) -> &'static str {
        self.0.to_str().unwrap_or_default()
    }

    /// The same, for a C interface.
    pub fn as_c_str(self) -> &'static CStr {
        self.0
    }
}

impl fmt::Debug for ProfilerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

impl fmt::Display for ProfilerName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

/// What the values of a plot are.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub enum PlotUnit {
    /// Bytes.
    Bytes,
    /// Percent.
    Percent,
}

/// A profiler that shows memory in named pools, with frames, plots and zones: Tracy (feature `tracy`, and
/// `SmartAlloc::enable_tracy`), or one of your own, for [`SmartAlloc::profile_with`](crate::SmartAlloc::profile_with).
///
/// What it is told, over all threads and in this order, is consistent: no address is taken twice in a pool, and none is freed that
/// is not taken, wherever profiling begins and ends.
///
/// Its methods run on the thread on which it happens, with a lock held that keeps this order. They must not wait for another
/// thread that uses the allocator. They may use it themselves, and are not told of that; what one throws when it panics is lost.
pub trait MemoryProfiler: Send + Sync {
    /// Memory was allocated.
    fn alloc(&self, pool: ProfilerName, address: usize, size: usize);

    /// It is free again.
    fn free(&self, pool: ProfilerName, address: usize);

    /// All memory of the pool is free. What is live is told of anew after this.
    fn discard(&self, pool: ProfilerName);

    /// A frame has ended: the program's, or that of a name.
    fn frame_mark(&self, name: Option<ProfilerName>);

    /// There will be a plot of this name.
    fn declare_plot(&self, name: ProfilerName, unit: PlotUnit) {
        let _ = (name, unit);
    }

    /// A point of a plot.
    fn plot(&self, name: ProfilerName, value: f64);

    /// A phase begins on the calling thread.
    fn zone_begin(&self, name: &'static str);

    /// The innermost zone of the calling thread ends.
    fn zone_end(&self);

    /// Names the viewer that is connected: a new one, which has seen nothing, has a new name. `None` if there is none, and whatever
    /// is told meanwhile is lost. What is live is told of anew when the name changes. Asked when the program's frame ends.
    fn viewer(&self) -> Option<u64> {
        Some(0)
    }
}
