//! Tracy's C interface, as far as the safe bindings have none: named memory pools, and names that are made at run time.
//!
//! Invariant: a [`ProfilerName`] is a C string that is never freed, and whose address stands for it. Tracy keeps the address.

use tracy_client::Client;
use tracy_client_sys as sys;

use crate::profiling::{PlotUnit, ProfilerName};

/// A client that runs, and keeps running: no function is called before it has started, or after it was shut down.
pub(crate) struct Running {
    _client: Client,
}

impl Running {
    /// Starts Tracy's client, if nobody has.
    pub(crate) fn start() -> Self {
        Self {
            _client: Client::start(),
        }
    }

    pub(crate) fn alloc(&self, pool: ProfilerName, address: usize, size: usize) {
        let address = core::ptr::without_provenance(address);
        // SAFETY: the client runs; it does not look at the memory; names are never freed.
        unsafe { sys::___tracy_emit_memory_alloc_named(address, size, pool.as_c_str().as_ptr()) };
    }

    pub(crate) fn free(&self, pool: ProfilerName, address: usize) {
        let address = core::ptr::without_provenance(address);
        // SAFETY: as above.
        unsafe { sys::___tracy_emit_memory_free_named(address, pool.as_c_str().as_ptr()) };
    }

    pub(crate) fn discard(&self, pool: ProfilerName) {
        // SAFETY: as above.
        unsafe { sys::___tracy_emit_memory_discard(pool.as_c_str().as_ptr()) };
    }

    pub(crate) fn frame_mark(&self, name: Option<ProfilerName>) {
        let name = name.map_or(core::ptr::null(), |name| name.as_c_str().as_ptr());
        // SAFETY: as above; no name is the program's frame.
        unsafe { sys::___tracy_emit_frame_mark(name) };
    }

    pub(crate) fn declare_plot(&self, name: ProfilerName, unit: PlotUnit) {
        let format = match unit {
            PlotUnit::Bytes => sys::TracyPlotFormatEnum_TracyPlotFormatMemory,
            PlotUnit::Percent => sys::TracyPlotFormatEnum_TracyPlotFormatPercentage,
        };
        let (stepped, filled, colour) = (1, 1, 0);
        // SAFETY: as above.
        unsafe {
            sys::___tracy_emit_plot_config(
                name.as_c_str().as_ptr(),
                format as i32,
                stepped,
                filled,
                colour,
            );
        }
    }

    pub(crate) fn plot(&self, name: ProfilerName, value: f64) {
        // SAFETY: as above.
        unsafe { sys::___tracy_emit_plot(name.as_c_str().as_ptr(), value) };
    }
}
