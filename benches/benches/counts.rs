//! Instruction counts: every cell of the table runs `times` operations and none, each in a process of its own under callgrind.
//! What one operation costs is the difference, divided; `framealloc_benches::counts` does that sum.

#![expect(missing_docs, reason = "gungraun's macros make public items")]

use framealloc_benches::Operation;
use framealloc_benches::counts::Job;
use gungraun::Callgrind;
use gungraun::prelude::*;

#[library_benchmark]
#[benches::cell(iter = Job::all(), setup = Job::prepare)]
fn count((mut operation, times): (Operation, usize)) -> Operation {
    operation(times);
    operation
}

library_benchmark_group!(name = cells, benchmarks = count);
main!(
    config = LibraryBenchmarkConfig::default().tool(Callgrind::with_args(["--cache-sim=no"])),
    library_benchmark_groups = cells
);
