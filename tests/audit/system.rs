//! A program whose global allocator is a `HeapAudit` over the system's allocator.

mod checks;

#[global_allocator]
static HEAP: framealloc::HeapAudit = framealloc::HeapAudit::system();
