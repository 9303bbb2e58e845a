//! Reports as events of `tracing`, where a subscriber listens.

use std::fmt::{Debug, Write};
use std::sync::{Arc, Mutex};

use framealloc::diagnostics::{self, CollectingSink};
use framealloc::{AllocConfig, SmartAlloc, fa_diagnostic};
use tracing::field::{Field, Visit};
use tracing::span::{Attributes, Id, Record};
use tracing::{Event, Metadata, Subscriber};

use crate::alone;

/// Writes each event as a line. Allocates frame memory meanwhile, which the allocator must stand.
struct Lines {
    alloc: SmartAlloc,
    lines: Arc<Mutex<Vec<String>>>,
}

struct Line(String);

impl Visit for Line {
    fn record_debug(&mut self, field: &Field, value: &dyn Debug) {
        write!(self.0, " {field}={value:?}").unwrap();
    }
}

impl Subscriber for Lines {
    fn enabled(&self, _: &Metadata<'_>) -> bool {
        true
    }
    fn new_span(&self, _: &Attributes<'_>) -> Id {
        Id::from_u64(1)
    }
    fn record(&self, _: &Id, _: &Record<'_>) {}
    fn record_follows_from(&self, _: &Id, _: &Id) {}
    fn event(&self, event: &Event<'_>) {
        let _ = self.alloc.try_begin_frame();
        drop(self.alloc.frame_box([1_u8; 100]).unwrap());
        let _ = self.alloc.try_end_frame();
        let meta = event.metadata();
        let mut line = Line(format!("{} {}", meta.level(), meta.target()));
        event.record(&mut line);
        self.lines.lock().unwrap().push(line.0);
    }
    fn enter(&self, _: &Id) {}
    fn exit(&self, _: &Id) {}
}

#[test]
fn reports_are_events_with_code_and_tag_unless_there_is_a_sink() {
    let _alone = alone();
    diagnostics::reset_sink();
    let alloc = SmartAlloc::new(AllocConfig::minimal());
    let lines = Arc::new(Mutex::new(Vec::new()));
    let subscriber = Lines {
        alloc: alloc.clone(),
        lines: lines.clone(),
    };
    tracing::subscriber::with_default(subscriber, || {
        alloc.with_tag("events", |alloc| drop(alloc.frame_box(7_u32)));
        fa_diagnostic!(
            Warning,
            code = "EVENT1",
            message = "a warning",
            help = "none"
        );
        fa_diagnostic!(Note, code = "EVENT2", message = "a note");
        let log = CollectingSink::new();
        log.install();
        fa_diagnostic!(Error, code = "EVENT3", message = "for the sink");
        diagnostics::reset_sink();
        assert_eq!(log.len(), 1);
    });
    let lines = lines.lock().unwrap();
    assert_eq!(lines.len(), 3, "{lines:?}");
    assert!(
        lines[0].starts_with(
            "ERROR framealloc message=frame memory (4 bytes for events) was asked for"
        ),
        "{}",
        lines[0]
    );
    assert!(
        lines[0].contains(" code=\"FA001\" tag=\"events\" count=1"),
        "{}",
        lines[0]
    );
    assert_eq!(
        lines[1],
        "WARN framealloc message=a warning code=\"EVENT1\" tag=\"\" count=1 help=\"none\""
    );
    assert!(
        lines[2].starts_with("INFO framealloc message=a note"),
        "{}",
        lines[2]
    );
}
