//! FA1xx: how the plugins are put together.

use super::Texts;
use crate::info::Example;

pub(crate) const FA101: Texts = Texts {
    cause: "a system that takes `FrameAlloc` or `AllocResource` in an app without the plugin",
    remedy: "add `app.add_plugins(framealloc::bevy::SmartAllocPlugin)`",
    example: Some(Example {
        wrong: "\
fn flock(frame: FrameAlloc) {
    frame.alloc([0.0_f32; 3]);
}

App::new()
    .add_systems(Update, flock) // who makes the allocator?
    .update();
",
        right: "\
fn flock(frame: FrameAlloc) {
    frame.alloc([0.0_f32; 3]);
}

App::new()
    .add_plugins(SmartAllocPlugin)
    .add_systems(Update, flock)
    .update();
",
    }),
};

pub(crate) const FA102: Texts = Texts {
    cause: "an update in which the plugin's boundary systems did not run, as when the `Main` schedule is replaced",
    remedy: "run the `Main` schedule every update, or call the boundaries where your own schedule begins and ends",
    example: Some(Example {
        wrong: "\
let mut app = App::new();
app.add_plugins(SmartAllocPlugin).add_systems(Update, || ());
app.main_mut().update_schedule = Some(Update.intern()); // `Main` never runs
app.update();
",
        right: "\
let mut app = App::new();
app.add_plugins(SmartAllocPlugin).add_systems(Update, || ());
app.update();
",
    }),
};
