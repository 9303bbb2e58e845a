//! Behaviour reports on demand.

use bevy_ecs::prelude::*;

use crate::BehaviorReport;
use crate::bevy::AllocResource;

/// A message that asks how memory behaves: [`BehaviorReportReady`] answers it.
///
/// The behaviour filter is turned on for so many frames, unless it is on anyhow, and off again. Meanwhile every allocation of the
/// app's allocator takes a slow path, so it is a thing to ask for, not to leave on.
///
/// ```
/// use bevy_app::{App, Update};
/// use bevy_ecs::prelude::*;
/// use framealloc::bevy::{
///     BehaviorReportReady, BehaviorReportRequest, DiagnosticsPlugin, SmartAllocPlugin,
/// };
///
/// fn show(mut reports: MessageReader<BehaviorReportReady>) {
///     for ready in reports.read() {
///         println!("{}", ready.report);
///     }
/// }
///
/// let mut app = App::new();
/// app.add_plugins((SmartAllocPlugin, DiagnosticsPlugin::default())).add_systems(Update, show);
/// app.world_mut().write_message(BehaviorReportRequest::after_frames(300));
/// app.update();
/// ```
#[derive(Message, Debug, Clone, Copy, PartialEq, Eq)]
#[non_exhaustive]
pub struct BehaviorReportRequest {
    /// So many frames are watched, from the next one on. 0 asks for what was seen so far.
    pub frames: u32,
}

impl BehaviorReportRequest {
    /// Watches so many frames, from the next one on.
    pub const fn after_frames(frames: u32) -> Self {
        Self { frames }
    }

    /// Asks for what the filter has seen so far.
    pub const fn now() -> Self {
        Self { frames: 0 }
    }
}

/// How memory behaved: the answer to a [`BehaviorReportRequest`], as a message, and an event for observers. What it finds is
/// reported as diagnostics, too.
#[derive(Message, Event, Debug, Clone, PartialEq)]
#[non_exhaustive]
pub struct BehaviorReportReady {
    /// The report.
    pub report: BehaviorReport,
}

/// A watch that is under way.
#[derive(Clone, Copy)]
pub(super) struct Watching {
    frames: u32,
    turned_on: bool,
}

pub(super) fn answer(
    alloc: Res<AllocResource>,
    mut requests: MessageReader<BehaviorReportRequest>,
    mut watching: Local<Option<Watching>>,
    mut ready: MessageWriter<BehaviorReportReady>,
    mut commands: Commands,
) {
    let mut is_due = false;
    if let Some(watch) = &mut *watching {
        watch.frames = watch.frames.saturating_sub(1);
        is_due = watch.frames == 0;
    }
    // Of several requests, the longest is waited for.
    for request in requests.read() {
        if request.frames == 0 {
            is_due |= watching.is_none();
            continue;
        }
        let turned_on = !alloc.is_behavior_filter_enabled();
        if turned_on {
            alloc.reset_behavior_stats();
            alloc.enable_behavior_filter();
        }
        let watch = watching.get_or_insert(Watching {
            frames: 0,
            turned_on,
        });
        watch.frames = watch.frames.max(request.frames);
        is_due = false;
    }
    if !is_due {
        return;
    }
    if let Some(watch) = watching.take()
        && watch.turned_on
    {
        alloc.disable_behavior_filter();
    }
    let answer = BehaviorReportReady {
        report: alloc.behavior_report(),
    };
    ready.write(answer.clone());
    commands.trigger(answer);
}
