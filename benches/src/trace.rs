//! The heap traffic of a game, made up once and replayed on any allocator.
//!
//! A frame is what most games make of theirs: some dozens of systems, each a tag, each with vectors that grow while they are
//! filled, strings, and boxes that are gone when the system ends; messages that live until the next frame's; and now and then a
//! thing in the world that comes or goes, or something big that is loaded. At the end of the trace everything has been freed, so that
//! it can be replayed again and again.
//!
//! Only a block's first and last bytes are written: a game that fills what it allocates spends more time there, and proportionally
//! less in the allocator. So ratios between allocators are at their largest here.

use crate::Operation;
use crate::peers::Peer;
use framealloc::tags::{TagId, TagScope};
use std::alloc::Layout;
use std::hint::black_box;
use std::marker::PhantomData;

/// How often a game's trace allocates, growth not counted.
pub const ALLOCATIONS: usize = 48_518;

const FRAMES: usize = 60;
const SYSTEMS: usize = 48;
/// Things that live in the world when the game is warm.
const POPULATION: usize = 3_000;

#[derive(Clone, Copy)]
enum Step {
    /// The next system runs.
    Enter(TagId),
    Allocate {
        slot: u32,
        size: u32,
    },
    /// A vector grows.
    Grow {
        slot: u32,
        size: u32,
    },
    Free {
        slot: u32,
    },
}

/// What happens in some frames.
pub struct Trace {
    steps: Vec<Step>,
    slots: usize,
}

struct Maker {
    steps: Vec<Step>,
    /// Slots that are free again.
    free: Vec<u32>,
    slots: u32,
    allocations: usize,
    dice: u64,
}

impl Trace {
    /// The same every time.
    pub fn of_a_game() -> Self {
        let tags: Vec<TagId> = (0..SYSTEMS)
            .map(|system| TagId::from_path(&format!("trace::system_{system}")))
            .collect();
        let mut maker = Maker {
            steps: Vec::new(),
            free: Vec::new(),
            slots: 0,
            allocations: 0,
            dice: 0x9E37_79B9_7F4A_7C15,
        };
        let mut world: Vec<u32> = Vec::new();
        let mut messages: Vec<u32> = Vec::new();
        for frame in 0..FRAMES {
            let old_messages = std::mem::take(&mut messages);
            for &tag in &tags {
                maker.steps.push(Step::Enter(tag));
                maker.system(&mut messages);
            }
            old_messages.into_iter().for_each(|slot| maker.free(slot));
            let spawned = if frame == 0 { POPULATION } else { 20 };
            for _ in 0..spawned {
                let size = 32 + maker.below(400);
                world.push(maker.allocate(size));
            }
            while world.len() > POPULATION {
                let gone = maker.below(world.len() as u32) as usize;
                let slot = world.swap_remove(gone);
                maker.free(slot);
            }
            if frame % 10 == 5 {
                let asset = maker.allocate(200_000);
                world.push(asset);
            }
        }
        messages.into_iter().for_each(|slot| maker.free(slot));
        world.into_iter().for_each(|slot| maker.free(slot));
        assert_eq!(maker.allocations, ALLOCATIONS, "the constant says so");
        Self {
            steps: maker.steps,
            slots: maker.slots as usize,
        }
    }
}

impl Maker {
    /// A number below `limit`.
    fn below(&mut self, limit: u32) -> u32 {
        self.dice = self
            .dice
            .wrapping_mul(6_364_136_223_846_793_005)
            .wrapping_add(1);
        (((self.dice >> 32) * u64::from(limit)) >> 32) as u32
    }

    fn allocate(&mut self, size: u32) -> u32 {
        let slot = self.free.pop().unwrap_or_else(|| {
            self.slots += 1;
            self.slots - 1
        });
        self.allocations += 1;
        self.steps.push(Step::Allocate { slot, size });
        slot
    }

    fn free(&mut self, slot: u32) {
        self.steps.push(Step::Free { slot });
        self.free.push(slot);
    }

    /// One run of a system: 8 to 24 allocations.
    fn system(&mut self, messages: &mut Vec<u32>) {
        let mut scratch = Vec::new();
        // Vectors that are filled without knowing how long they get.
        for _ in 0..1 + self.below(3) {
            let slot = self.allocate(64);
            for doubling in 1..1 + self.below(6) {
                self.steps.push(Step::Grow {
                    slot,
                    size: 64 << doubling,
                });
            }
            scratch.push(slot);
        }
        // Labels, small boxes, lists of a known length.
        for _ in 0..6 + self.below(14) {
            let size = match self.below(10) {
                0..6 => 8 + self.below(56),
                6..9 => 64 + self.below(192),
                _ => 256 + self.below(3_840),
            };
            let slot = self.allocate(size);
            // Some are gone at once.
            if self.below(3) == 0 {
                self.free(slot);
            } else {
                scratch.push(slot);
            }
        }
        for _ in 0..self.below(3) {
            messages.push(self.allocate(48));
        }
        while let Some(slot) = scratch.pop() {
            self.free(slot);
        }
    }
}

/// A block of the trace.
struct Block<A: Peer> {
    start: *mut u8,
    size: usize,
    of: PhantomData<A>,
}

impl<A: Peer> Block<A> {
    const NONE: Self = Self {
        start: std::ptr::null_mut(),
        size: 0,
        of: PhantomData,
    };

    fn layout(size: usize) -> Layout {
        Layout::from_size_align(size, 8).expect("the trace has no absurd sizes")
    }

    #[inline(always)]
    fn allocate(&mut self, size: usize) {
        #[expect(
            unsafe_code,
            reason = "a peer is called through its GlobalAlloc implementation"
        )]
        // SAFETY: the trace's sizes are not zero.
        unsafe {
            self.start = A::GLOBAL.alloc(Self::layout(size));
        }
        self.size = size;
        self.touch();
    }

    #[inline(always)]
    fn grow(&mut self, size: usize) {
        #[expect(
            unsafe_code,
            reason = "a peer is called through its GlobalAlloc implementation"
        )]
        // SAFETY: the trace grows blocks that it has allocated and not freed; the size is not zero.
        unsafe {
            self.start = A::GLOBAL.realloc(self.start, Self::layout(self.size), size);
        }
        self.size = size;
        self.touch();
    }

    #[inline(always)]
    fn free(&mut self) {
        #[expect(
            unsafe_code,
            reason = "a peer is called through its GlobalAlloc implementation"
        )]
        // SAFETY: the trace frees what it has allocated, once.
        unsafe {
            A::GLOBAL.dealloc(self.start, Self::layout(self.size));
        }
    }

    #[inline(always)]
    fn touch(&self) {
        assert!(!self.start.is_null(), "the system has memory for the trace");
        #[expect(unsafe_code, reason = "the block is a peer's, not a value")]
        // SAFETY: the block holds so many bytes, and they are nobody else's.
        unsafe {
            self.start.write(1);
            self.start.add(self.size - 1).write(1);
        }
        black_box(self.start);
    }
}

/// Replays the trace until `n` allocations were made: a multiple of [`ALLOCATIONS`], since it is replayed whole.
pub fn replay<A: Peer>() -> Operation {
    let trace = Trace::of_a_game();
    let mut blocks: Vec<Block<A>> = (0..trace.slots).map(|_| Block::NONE).collect();
    Box::new(move |n| {
        assert!(n.is_multiple_of(ALLOCATIONS), "a trace is replayed whole");
        for _ in 0..n / ALLOCATIONS {
            let mut _tag = None;
            for &step in &trace.steps {
                match step {
                    Step::Enter(tag) => {
                        // The one before is left first.
                        drop(_tag.take());
                        _tag = Some(TagScope::enter(tag));
                    }
                    Step::Allocate { slot, size } => {
                        blocks[slot as usize].allocate(size as usize);
                    }
                    Step::Grow { slot, size } => blocks[slot as usize].grow(size as usize),
                    Step::Free { slot } => blocks[slot as usize].free(),
                }
            }
        }
    })
}
