//! Who still calls malloc: every system's ordinary heap traffic, Bevy's own included, without an annotation.
//!
//! Two systems write the same labels. One uses `format!` and `collect`; the other does the same in frame memory. The audit
//! names the first, and whoever else allocates in the frame loop.
//!
//! ```sh
//! cargo run --example heap_audit
//! ```

use bevy::prelude::*;
use framealloc::bevy::{FrameAlloc, SmartAllocPlugin};
use framealloc::tags::{TagId, TagTotals};
use framealloc::{Bytes, HeapAudit};

/// Over the system's allocator; `HeapAudit::new` takes any other.
#[global_allocator]
static HEAP: HeapAudit = HeapAudit::system();

const WARM_UP: u32 = 100;
const FRAMES: u32 = 300;

#[derive(Component)]
struct Health(u32);

fn label_with_strings(units: Query<&Health>) {
    let labels: Vec<String> = units
        .iter()
        .map(|health| format!("{} hp", health.0))
        .collect();
    std::hint::black_box(&labels);
}

fn label_in_the_frame(frame: FrameAlloc, units: Query<&Health>) {
    let labels = frame.alloc_slice_from_iter(
        units
            .iter()
            .map(|health| &*frame.alloc_fmt(format_args!("{} hp", health.0))),
    );
    std::hint::black_box(&labels);
}

/// Takes an entity out of the world and puts one in, as games do.
fn come_and_go(mut commands: Commands, units: Query<Entity, With<Health>>) {
    if let Some(unit) = units.iter().next() {
        commands.entity(unit).despawn();
        commands.spawn((Health(100), Transform::default()));
    }
}

fn main() {
    let mut app = App::new();
    app.add_plugins((MinimalPlugins, TransformPlugin, SmartAllocPlugin))
        .add_systems(
            Update,
            (label_with_strings, label_in_the_frame, come_and_go),
        );
    app.world_mut()
        .spawn_batch((0..50).map(|unit| (Health(unit), Transform::default())));

    for _ in 0..WARM_UP {
        app.update();
    }
    let before = TagTotals::capture();
    for _ in 0..FRAMES {
        app.update();
    }
    let spent = TagTotals::capture().since(&before);

    let mut rows: Vec<_> = spent.rows().filter(|row| row.audit.allocs > 0).collect();
    rows.sort_by_key(|row| std::cmp::Reverse(row.audit.allocs));
    println!("{:>8} {:>12}  who", "calls", "bytes");
    for row in rows {
        let per_frame = row.audit.allocs as f64 / f64::from(FRAMES);
        let bytes = Bytes(row.audit.bytes / u64::from(FRAMES));
        println!("{per_frame:>8.1} {:>12}  {}", bytes.to_string(), row.tag);
    }

    // What a test can hold a system to.
    let tidy = spent.of(TagId::from_path("heap_audit::label_in_the_frame"));
    assert_eq!(tidy.audit.allocs, 0, "{} called the heap", tidy.tag);
    println!(
        "\n{} wrote {} of labels a frame, and never called the heap.",
        tidy.tag,
        Bytes(tidy.frame_bytes / u64::from(FRAMES))
    );
}
