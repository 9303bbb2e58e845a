//! A game that runs for hours: a million frames (a tenth of that in debug builds) that use every kind of memory.

use std::sync::mpsc;
use std::thread;

use framealloc::{FrameMap, RetentionPolicy, SmartAlloc, StreamPriority, TransferHandle};

use crate::alone;
use crate::totals::{resident_bytes, small};

const FRAMES: usize = if cfg!(debug_assertions) {
    100_000
} else {
    1_000_000
};
const WARM_UP: usize = FRAMES / 20;

/// What must not grow.
#[derive(Debug, PartialEq)]
struct Reserved {
    arenas: usize,
    pools: usize,
    heap: usize,
    handles: usize,
    scratch: usize,
    streams: usize,
}

impl Reserved {
    fn of(alloc: &SmartAlloc) -> Self {
        Self {
            arenas: alloc.arenas().iter().map(|arena| arena.capacity).sum(),
            pools: alloc.stats().pool_reserved,
            heap: alloc.stats().heap_allocated,
            handles: alloc.handles().stats().reserved_bytes(),
            scratch: alloc.scratch_pool("soak").stats().capacity,
            streams: alloc.streaming().stats().total_reserved,
        }
    }
}

fn frame(alloc: &SmartAlloc, n: usize, away: &mpsc::SyncSender<TransferHandle<[usize; 8]>>) {
    alloc.begin_frame();
    let contacts = alloc.frame_slice_fill(n % 900, n).unwrap();
    alloc.with_tag("soak", |alloc| {
        let path = alloc.pool_box([n; 7]).unwrap();
        let map = alloc.heap_box([n as u8; 200]).unwrap();
        let mut seen: FrameMap<'_, usize, usize> = alloc.frame_map(64);
        seen.insert(n, path[0]);
        assert_eq!((seen[&n], map[9]), (n, n as u8));
    });
    let guard = alloc.frame();
    let sorted = guard.alloc_slice_from_iter((0..n % 70).rev());
    sorted.sort_unstable();
    let checkpoint = alloc.frame_checkpoint();
    drop(alloc.frame_box([n; 30]).unwrap());
    alloc.rollback_to(checkpoint);
    assert!(contacts.iter().all(|it| *it == n) && sorted.is_sorted());
    drop((guard, contacts));
    if n.is_multiple_of(3) {
        drop(alloc.frame_retained_with(RetentionPolicy::PromoteToPool, [n; 4]));
    }
    if n.is_multiple_of(10) {
        let pool = alloc.scratch_pool("soak");
        drop(pool.alloc_box([n; 100]));
        pool.reset();
        let handles = alloc.handles();
        let held = [(); 5].map(|()| handles.insert(vec![n; 20]).unwrap());
        assert_eq!(handles.resolve(held[2]).unwrap()[19], n);
        for handle in held {
            handles.free(handle).unwrap();
        }
        handles.defragment();
        let stream = alloc
            .streaming()
            .reserve(5000, StreamPriority::Low)
            .unwrap();
        alloc.streaming().free(stream);
    }
    if n.is_multiple_of(50) {
        away.send(alloc.frame_box_for_transfer([n; 8])).unwrap();
    }
    alloc.end_frame();
}

#[test]
fn memory_is_flat_over_a_million_frames() {
    let _alone = alone();
    let alloc = small();
    let (away, arrive) = mpsc::sync_channel::<TransferHandle<[usize; 8]>>(4);
    thread::scope(|scope| {
        let worker = scope.spawn(|| {
            for (frame, transfer) in arrive.into_iter().enumerate() {
                alloc.begin_frame();
                assert_eq!(transfer.receive()[7], frame * 50);
                drop(alloc.frame_box([frame; 100]).unwrap());
                alloc.end_frame();
            }
        });
        let mut after_warm_up = None;
        for n in 0..FRAMES {
            frame(&alloc, n, &away);
            if n >= WARM_UP && n.is_multiple_of(WARM_UP) {
                let now = (Reserved::of(&alloc), resident_bytes());
                let (reserved, resident) = after_warm_up.get_or_insert(now);
                assert_eq!(Reserved::of(&alloc), *reserved, "frame {n}");
                if let (Some(before), Some(now)) = (*resident, resident_bytes())
                    && !cfg!(framealloc_asan)
                {
                    // The sanitizer keeps what was freed. Pages of the test harness's own come and go.
                    assert!(now < before + (2 << 20), "{before} bytes became {now}");
                }
            }
        }
        drop(away);
        worker.join().unwrap();
    });
}
