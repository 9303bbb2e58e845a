//! Whether a window can be opened at all. Bevy panics where it cannot, so this asks first.

use bevy::tasks::block_on;

/// What is in the way of a window, in words.
pub fn obstacle() -> Option<String> {
    no_display().or_else(no_adapter)
}

#[cfg(target_os = "linux")]
fn no_display() -> Option<String> {
    // The examples are built for X11, which a Wayland session offers as well.
    x11rb::connect(None)
        .err()
        .map(|error| format!("there is no X11 display to open it on ({error})"))
}

#[cfg(not(target_os = "linux"))]
fn no_display() -> Option<String> {
    None
}

fn no_adapter() -> Option<String> {
    let instance =
        wgpu::Instance::new(wgpu::InstanceDescriptor::new_without_display_handle_from_env());
    let backends = wgpu::Backends::from_env().unwrap_or_default();
    let adapters = block_on(instance.enumerate_adapters(backends));
    adapters.is_empty().then(|| {
        "there is no graphics adapter (on Debian, mesa-vulkan-drivers has one in software)"
            .to_owned()
    })
}
