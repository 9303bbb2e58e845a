//! Diagnostics inside an app: the log, the context of a system, and the registry's examples.

use std::fmt::{Debug, Write};
use std::panic::catch_unwind;
use std::sync::Mutex;

use bevy::log::tracing_subscriber::Layer;
use bevy::log::tracing_subscriber::layer::Context;
use bevy::log::{BoxedLayer, LogPlugin};
use bevy::prelude::*;
use framealloc::bevy::{FrameAlloc, SmartAllocPlugin, SmartAllocSystems};
use framealloc::diagnostics::{DiagContext, DiagnosticCode, capture, is_bevy_context};
use framealloc::tags::{TagId, TagScope};
use tracing::field::{Field, Visit};

use crate::headless_app;

mod registry {
    include!(concat!(env!("OUT_DIR"), "/bevy_examples.rs"));
}

/// What the log was told by framealloc.
static LOGGED: Mutex<Vec<String>> = Mutex::new(Vec::new());

struct Log;

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl<S: tracing::Subscriber> Layer<S> for Log {
    fn on_event(&self, event: &tracing::Event<'_>, _: Context<'_, S>) {
        let meta = event.metadata();
        if meta.target() == "framealloc" {
            let mut line = Line(meta.level().to_string());
            event.record(&mut line);
            LOGGED.lock().unwrap().push(line.0);
        }
    }
}

fn log(_: &mut App) -> Option<BoxedLayer> {
    Some(Box::new(Log))
}

#[test]
fn reports_stand_in_bevys_log_with_code_and_tag() {
    fn asks_outside(frame: FrameAlloc) {
        framealloc::fa_emit!(FA007);
        frame.alloc(1);
    }
    let mut app = headless_app();
    app.add_plugins(LogPlugin {
        custom_layer: log,
        ..Default::default()
    })
    .add_plugins(SmartAllocPlugin)
    .add_systems(Update, asks_outside)
    .configure_sets(Main, SmartAllocSystems::EndFrame.run_if(|| false));
    // Under a tag of its own, so that the other tests' reports of the same code are not counted with it.
    let scope = TagScope::enter(TagId::from_path("log_test"));
    app.update();
    drop(scope);
    let logged = LOGGED.lock().unwrap();
    let find = |code: &str| {
        let line = logged.iter().find(|line| line.contains(code));
        line.unwrap_or_else(|| panic!("no {code} among {logged:?}"))
    };
    let line = find("code=\"FA102\"");
    assert!(
        line.starts_with("WARN message=an update left its frame open"),
        "{line}"
    );
    let line = find("code=\"FA007\"");
    assert!(line.starts_with("ERROR message=stale checkpoint"), "{line}");
    assert!(line.contains("asks_outside\" count="), "{line}");
}

#[test]
fn a_systems_context_is_the_apps_frame() {
    #[derive(Resource, Default)]
    struct Seen(Vec<(bool, u64, bool)>);

    fn look(frame: FrameAlloc, mut seen: ResMut<Seen>) {
        frame.alloc(1);
        let context = DiagContext::capture();
        seen.0.push((
            context.bevy_active,
            context.frame_number,
            context.frame_active,
        ));
    }
    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin)
        .init_resource::<Seen>()
        .add_systems(Update, look);
    assert!(is_bevy_context());
    for _ in 0..3 {
        app.update();
    }
    assert_eq!(
        app.world().resource::<Seen>().0,
        [(true, 1, true), (true, 2, true), (true, 3, true)]
    );
}

#[test]
fn each_wrong_example_reports_its_code_and_each_right_one_nothing() {
    let mut seen = Vec::new();
    // The task pools are made by the first app, and those of the examples have no plugin for them.
    drop(headless_app());
    for &(code, wrong, right) in registry::EXAMPLES {
        let (outcome, reports) = capture(|| catch_unwind(wrong));
        match outcome {
            Ok(()) => {
                let codes: Vec<_> = reports.iter().map(|report| report.code).collect();
                assert_eq!(codes, [code]);
            }
            // The system runs on any thread, and Bevy makes a panic of its error.
            Err(_) => assert_eq!(code, DiagnosticCode::FA101),
        }
        let ((), reports) = capture(right);
        assert_eq!(reports, []);
        seen.push(code);
    }
    assert_eq!(seen, [DiagnosticCode::FA101, DiagnosticCode::FA102]);
}
