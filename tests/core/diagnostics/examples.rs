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

#[test]
fn each_wrong_example_reports_its_code_and_each_right_one_nothing() {
    let mut seen = Vec::new();
    for &(code, wrong, right) in registry::EXAMPLES {
        // FA202 is reported where a thread ends, and nobody captures: see `process`.
        let info = code.info();
        if !info.raised_by.at_run_time() || is_found_later(code) || code == DiagnosticCode::FA202 {
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
            "FA302", "FA303"
        ]
    );
}
