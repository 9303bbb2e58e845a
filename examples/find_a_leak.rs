//! Where does the memory go? A game that forgets some of its projectiles, and the report that names the line.
//!
//! Memory grows, and the totals only say by how much. So the game lets the allocator remember where what is alive was allocated,
//! runs until it is warm, and asks for what has been alive for longer than anything in this game should be.
//!
//! ```sh
//! cargo run --example find_a_leak --no-default-features --features debug
//! ```

use framealloc::tags::TagId;
use framealloc::{PoolBox, SmartAlloc};

const FRAMES: u64 = 600;
/// A projectile flies for this many frames.
const FLIGHT: u64 = 90;

struct Projectile {
    fired: u64,
    hits: bool,
}

struct Game {
    alloc: SmartAlloc,
    projectiles: Vec<PoolBox<Projectile>>,
    /// Loaded at the start, and there until the end.
    terrain: PoolBox<[u8; 4096]>,
}

impl Game {
    fn new(alloc: &SmartAlloc) -> Self {
        Self {
            alloc: alloc.clone(),
            projectiles: Vec::new(),
            terrain: alloc.with_tag("terrain", load_terrain),
        }
    }

    fn update(&mut self, frame: u64) {
        self.alloc.with_tag("weapons", |alloc| {
            let hits = !frame.is_multiple_of(10);
            self.projectiles.push(fire(alloc, frame, hits));
        });
        // The mistake: those that hit nothing are nobody's business.
        self.projectiles
            .retain(|shot| !(shot.hits && frame - shot.fired >= FLIGHT));
    }
}

fn fire(alloc: &SmartAlloc, fired: u64, hits: bool) -> PoolBox<Projectile> {
    alloc
        .pool_box(Projectile { fired, hits })
        .expect("there is memory for a projectile")
}

fn load_terrain(alloc: &SmartAlloc) -> PoolBox<[u8; 4096]> {
    alloc.pool_alloc().zeroed()
}

pub fn main() {
    let alloc = SmartAlloc::with_defaults();
    // Every allocation; `enable_sampled(100)` is for games that make thousands a frame.
    alloc.leak_tracker().enable();
    // Terrain is to stay: reports pass it over.
    alloc.leak_tracker().allow_tag(TagId::from_path("terrain"));

    let mut game = Game::new(&alloc);
    for frame in 1..=FRAMES {
        alloc.begin_frame();
        game.update(frame);
        alloc.end_frame();
    }

    // What hits is gone long before this.
    let old = alloc.leak_tracker().report_older_than(2 * FLIGHT);
    println!("Alive for {} frames or more:\n{old}\n", 2 * FLIGHT);
    assert_eq!(old.by_tag()[0].0.path(), "weapons");
    if cfg!(debug_assertions) {
        // An optimised build has no functions that were inlined, unless its profile says `debug = "line-tables-only"`.
        assert!(old.groups[0].call_site.function.ends_with("fire"));
    }

    // What is held when the allocator goes is reported by itself, as FA540, where all reports go: here to standard error.
    assert_eq!(game.terrain[0], 0);
    let kept = game.projectiles;
    drop((alloc, game.alloc));
    println!("{} projectiles are left.", kept.len());
}
