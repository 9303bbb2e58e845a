//! The panel that shows where memory goes, in the game.
//!
//! | file | what it is |
//! |---|---|
//! | `plugin.rs` | [`MemoryInspectorPlugin`]: the window, the key |
//! | `state.rs` | [`MemoryInspector`]: what a game may set |
//! | `settings.rs` | what is remembered from run to run |
//! | `sleep.rs` | egui sleeps while nobody looks |
//! | `panel.rs` | [`ui_for_memory`]: when figures are read, and tables made |
//! | `controls.rs`, `footer.rs` | what stands above and below them |
//! | `tabs/` | what stands on each tab |
//! | `corner.rs` | the few lines that stay in sight |
//! | `look.rs`, `history.rs` | the figures: one look at an allocator, and those of the last minute |
//! | `tree.rs` | the tree of tags |
//! | `rows.rs`, `order.rs` | what is in tables, and in which order |
//! | `table/` | how tables are painted, with `egui_extras` |
//! | `value.rs`, `theme.rs` | figures as text, colours |
//! | `galleys.rs` | texts that stay laid out |
//! | `snapshot.rs` | the button that writes a snapshot |
//!
//! Data goes one way: counters, look, rows, pixels. The panel uses the allocator's public API only, and nothing runs while
//! it is not in sight.

mod controls;
mod corner;
mod footer;
mod galleys;
mod history;
mod look;
mod order;
mod panel;
mod plugin;
mod rows;
mod settings;
mod sleep;
mod snapshot;
mod state;
mod table;
mod tabs;
mod theme;
mod tree;
mod value;

pub use panel::ui_for_memory;
pub use plugin::{MemoryInspectorPlugin, MemoryInspectorSystems};
pub use state::{Corner, InspectedAlloc, InspectorTab, MemoryInspector};
