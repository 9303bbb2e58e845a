//! The plugins on a headless Bevy, through the public door.

mod accounting;
mod budget_files;
mod budgets;
mod diagnostics;
mod diagnostics_plugin;
mod frames;
mod mistakes;
mod plugin;
mod sources;
mod states;
mod streaming;
mod streaming_budget;
mod streaming_changes;
mod streaming_failures;
mod streaming_model;
mod streams;
mod sub_apps;
mod system_behaviour;
mod system_names;
mod witness;

use bevy::prelude::*;

/// An app without a window. Bevy makes its task pools once in a process: every test starts here, so that there are
/// several workers on any machine, whichever test comes first.
fn headless_app() -> App {
    let mut app = App::new();
    app.add_plugins(MinimalPlugins.set(TaskPoolPlugin {
        task_pool_options: TaskPoolOptions::with_num_threads(6),
    }));
    app
}
