//! A program whose global allocator is a `HeapAudit` over mimalloc.

mod checks;

#[global_allocator]
static HEAP: framealloc::HeapAudit<mimalloc::MiMalloc> =
    framealloc::HeapAudit::new(mimalloc::MiMalloc);
