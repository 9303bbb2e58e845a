//! The examples of the registry: the wrong one reports its code and nothing else, the right one reports nothing.

use framealloc::diagnostics::{self, DiagnosticCode, capture};

use crate::common::codes;

mod registry {
    include!(concat!(env!("OUT_DIR"), "/examples.rs"));
}

/// Codes that are found over many frames, by a filter that their examples do not turn on.
fn is_found_later(code: DiagnosticCode) -> bool {
    code.info().category == diagnostics::Category::Behaviour
}

/// Codes that their examples report on a thread of their own, where nobody captures: see `process` and `deferred`.
fn is_reported_elsewhere(code: DiagnosticCode) -> bool {
    matches!(
        code,
        DiagnosticCode::FA201
            | DiagnosticCode::FA202
            | DiagnosticCode::FA204
            | DiagnosticCode::FA206
    )
}

#[test]
fn each_wrong_example_reports_its_code_and_each_right_one_nothing() {
    let mut seen = Vec::new();
    for &(code, wrong, right) in registry::EXAMPLES {
        let info = code.info();
        if !info.raised_by.at_run_time() || is_found_later(code) || is_reported_elsewhere(code) {
            continue;
        }
        let ((), reports) = capture(wrong);
        assert_eq!(codes(&reports), [code], "{}", info.example.unwrap().wrong);
        let ((), reports) = capture(right);
        assert_eq!(codes(&reports), [], "{}", info.example.unwrap().right);
        seen.push(code.name());
    }
    assert_eq!(
        seen,
        [
            "FA001", "FA002", "FA003", "FA004", "FA005", "FA006", "FA007", "FA008", "FA301",
            "FA302", "FA303", "FA401", "FA402", "FA403", "FA404", "FA405"
        ]
    );
}
