//! Snapshots: that they tell the truth, that anything can read them, and that what is written harms nobody.

mod capture;
mod diff;
mod emitter;
mod emitter_model;
mod foreign;
mod json;
