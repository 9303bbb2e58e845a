//! What the rendered tests share: an app that draws into a picture instead of a window, and a player who presses its keys, clicks,
//! reads what is on the screen, and takes photographs.
//!
//! Needs a Vulkan driver; Mesa's `lavapipe` will do (`mesa-vulkan-drivers` on Debian and Ubuntu).
#![allow(dead_code, reason = "no test needs all of it")]

pub mod picture;
pub mod player;
