//! What the types must stop in a Bevy system, with the message that the compiler gives.

#[test]
fn frame_memory_cannot_leave_its_system() {
    trybuild::TestCases::new().compile_fail("ui/bevy/*.rs");
}
