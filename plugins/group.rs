//! All plugins together.

use bevy_app::{PluginGroup, PluginGroupBuilder};

use super::{BudgetPlugin, DiagnosticsPlugin, SmartAllocPlugin, StreamingPlugin};

/// Every plugin of framealloc.
///
/// | plugin | what it does |
/// |---|---|
/// | [`SmartAllocPlugin`](struct@SmartAllocPlugin) | the allocator, frames, a tag for every system |
/// | [`BudgetPlugin`] | limits from code and files, messages when one is crossed |
/// | [`StreamingPlugin`] | files of any size, in memory under a budget |
/// | [`DiagnosticsPlugin`] | Bevy diagnostics, snapshots, reports |
/// | `MemoryInspectorPlugin` | a panel behind F9 (feature `inspector`), where there is a renderer |
///
/// Replace one with [`set`](PluginGroupBuilder::set), and leave one out with [`disable`](PluginGroupBuilder::disable):
///
/// ```
/// use bevy_app::{App, PluginGroup};
/// use framealloc::AllocConfig;
/// use framealloc::bevy::{BudgetPlugin, DiagnosticsPlugin, FrameAllocPlugins, SmartAllocPlugin};
///
/// App::new().add_plugins(
///     FrameAllocPlugins
///         .build()
///         .set(SmartAllocPlugin::new(AllocConfig::high_performance()))
///         .set(BudgetPlugin::from_file("game.budget.json"))
///         .disable::<DiagnosticsPlugin>(),
/// );
/// ```
///
/// Or just `add_plugins(FrameAllocPlugins)`, after `DefaultPlugins` or `MinimalPlugins`.
#[derive(Debug, Clone, Copy, Default)]
pub struct FrameAllocPlugins;

impl PluginGroup for FrameAllocPlugins {
    fn build(self) -> PluginGroupBuilder {
        let group = PluginGroupBuilder::start::<Self>()
            .add(SmartAllocPlugin::default())
            .add(BudgetPlugin::default())
            .add(StreamingPlugin::default())
            .add(DiagnosticsPlugin::default());
        #[cfg(feature = "inspector")]
        let group = group.add(super::MemoryInspectorPlugin::default());
        group
    }
}
