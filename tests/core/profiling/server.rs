//! A profiler that judges what it is told as Tracy's server does: an address taken twice in a pool, one freed that is not taken, a
//! zone that ends and never began, each is an error that ends its session.

use std::collections::HashMap;
use std::sync::{Arc, Mutex, MutexGuard};
use std::thread::{self, ThreadId};

use framealloc::{MemoryProfiler, PlotUnit, Profiler, ProfilerName};

pub const FRAME: &str = "framealloc frame";
pub const POOL: &str = "framealloc pool";
pub const HEAP: &str = "framealloc heap";

#[derive(Clone, Default)]
pub struct Server(Arc<Mutex<State>>);

#[derive(Default)]
struct State {
    pools: HashMap<ProfilerName, HashMap<usize, usize>>,
    zones: HashMap<ThreadId, Vec<&'static str>>,
    plots: HashMap<ProfilerName, Option<f64>>,
    words: Vec<String>,
    errors: Vec<String>,
    /// Whether no viewer is connected.
    alone: bool,
    /// Viewers that have gone. Who comes later has not seen all that was taken.
    viewers: u64,
}

impl Server {
    fn state(&self) -> MutexGuard<'_, State> {
        self.0
            .lock()
            .unwrap_or_else(|poisoned| poisoned.into_inner())
    }

    pub fn client(&self) -> Client {
        Client(self.clone())
    }

    pub fn profiler(&self) -> Profiler {
        Profiler::new(self.client())
    }

    /// Bytes that are taken of the pool, as far as it knows.
    pub fn live(&self, pool: &str) -> usize {
        let state = self.state();
        let pool = state.pools.get(&ProfilerName::new(pool));
        pool.map_or(0, |pool| pool.values().sum())
    }

    pub fn plot(&self, name: &str) -> f64 {
        self.state().plots[&ProfilerName::new(name)].expect("it has a point")
    }

    /// The zones that are open, of all threads.
    pub fn zones(&self) -> Vec<&'static str> {
        self.state().zones.values().flatten().copied().collect()
    }

    /// What it was told of blocks and frames.
    pub fn words(&self) -> Vec<String> {
        self.state().words.clone()
    }

    /// Whether it would have ended the session.
    pub fn check(&self) {
        assert_eq!(self.state().errors, [""; 0]);
    }

    /// Nothing is taken, and no zone is open.
    pub fn check_empty(&self) {
        self.check();
        let state = self.state();
        for (pool, live) in &state.pools {
            assert!(live.is_empty(), "{pool}: {live:?}");
        }
        assert!(state.zones.values().all(Vec::is_empty));
    }

    /// The viewer goes away, and with it what it knew.
    pub fn disconnect(&self) {
        let mut state = self.state();
        state.alone = true;
        state.viewers += 1;
        state.pools.clear();
        state.zones.clear();
    }

    /// Another one comes.
    pub fn connect(&self) {
        self.state().alone = false;
    }
}

pub struct Client(Server);

impl Client {
    fn tell(&self, tell: impl FnOnce(&mut State)) {
        let mut state = self.0.state();
        if !state.alone {
            tell(&mut state);
        }
    }
}

impl MemoryProfiler for Client {
    fn alloc(&self, pool: ProfilerName, address: usize, size: usize) {
        self.tell(|state| {
            state.words.push(format!("{pool} +{size}"));
            if state
                .pools
                .entry(pool)
                .or_default()
                .insert(address, size)
                .is_some()
            {
                state
                    .errors
                    .push(format!("{pool}: {address:#x} is taken twice"));
            }
        });
    }

    fn free(&self, pool: ProfilerName, address: usize) {
        self.tell(
            |state| match state.pools.entry(pool).or_default().remove(&address) {
                Some(size) => state.words.push(format!("{pool} -{size}")),
                // As Tracy does for viewers that connect on demand.
                None if state.viewers > 0 => {}
                None => state
                    .errors
                    .push(format!("{pool}: {address:#x} is not taken")),
            },
        );
    }

    fn discard(&self, pool: ProfilerName) {
        self.tell(|state| state.pools.entry(pool).or_default().clear());
    }

    fn frame_mark(&self, name: Option<ProfilerName>) {
        self.tell(|state| {
            state.words.push(match name {
                Some(name) => format!("mark {name}"),
                None => "mark".to_owned(),
            });
        });
    }

    fn declare_plot(&self, name: ProfilerName, _: PlotUnit) {
        self.tell(|state| {
            state.plots.entry(name).or_default();
        });
    }

    fn plot(&self, name: ProfilerName, value: f64) {
        self.tell(|state| match state.plots.get_mut(&name) {
            Some(plot) => *plot = Some(value),
            None => state.errors.push(format!("{name} was not declared")),
        });
    }

    fn zone_begin(&self, name: &'static str) {
        self.tell(|state| {
            let zones = state.zones.entry(thread::current().id()).or_default();
            zones.push(name);
        });
    }

    fn zone_end(&self) {
        self.tell(|state| {
            let zones = state.zones.entry(thread::current().id()).or_default();
            if zones.pop().is_none() && state.viewers == 0 {
                state.errors.push("a zone ends that never began".to_owned());
            }
        });
    }

    fn viewer(&self) -> Option<u64> {
        let state = self.0.state();
        (!state.alone).then_some(state.viewers)
    }
}
