//! All parts of one allocator together, on two threads: the property test of `tests/core/everything`, with sequences that the
//! fuzzer finds instead of chance.

#![no_main]
#![expect(
    dead_code,
    unused_imports,
    reason = "tests that are not built here use the rest"
)]

#[path = "../../tests/core/common.rs"]
mod common;
#[path = "../../tests/core/everything/mod.rs"]
mod everything;

use everything::Op;

const METERED: bool = false;

/// Deeper nesting would be about the stack.
const DEPTH: usize = 6;

libfuzzer_sys::fuzz_target!(|input: (bool, [Vec<Op>; 2])| {
    let (budgets, mut sequences) = input;
    sequences.iter_mut().for_each(|ops| flatten(ops, DEPTH));
    everything::check(budgets, &sequences);
});

fn flatten(ops: &mut Vec<Op>, depth: usize) {
    for op in &mut *ops {
        if let Op::Within(_, _, inner) = op {
            match depth {
                0 => inner.clear(),
                _ => flatten(inner, depth - 1),
            }
        }
    }
}
