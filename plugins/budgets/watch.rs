//! What is done between frames: budgets into force, and a look at where they stand.

use bevy_ecs::prelude::*;

use super::changed::BudgetChanged;
use super::resource::Budgets;
use crate::bevy::AllocResource;

/// Whether the allocator's budgets may not be what was set: some were set, or the allocator is another one.
pub(super) fn is_outdated(budgets: Res<Budgets>, alloc: Option<Res<AllocResource>>) -> bool {
    alloc.is_some_and(|alloc| budgets.is_outdated() || alloc.is_changed())
}

pub(super) fn apply(mut budgets: ResMut<Budgets>, mut alloc: ResMut<AllocResource>) {
    let had_budgets = alloc.budgets().is_some();
    budgets.bypass_change_detection().apply(&alloc);
    if !had_budgets && alloc.budgets().is_some() {
        // A handle that was made before takes pool blocks by a way that threads have to find out about first.
        let fresh = alloc.clone();
        *alloc.bypass_change_detection() = fresh;
    }
}

pub(super) fn look(
    mut budgets: ResMut<Budgets>,
    alloc: Res<AllocResource>,
    mut messages: MessageWriter<BudgetChanged>,
    mut commands: Commands,
) {
    budgets.bypass_change_detection().look(&alloc, |changed| {
        messages.write(changed.clone());
        commands.trigger(changed);
    });
}
