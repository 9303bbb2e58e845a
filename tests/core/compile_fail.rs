//! What the types must stop, with a message that a reader understands.

#[test]
fn frame_memory_cannot_escape() {
    trybuild::TestCases::new().compile_fail("ui/core/*.rs");
}
