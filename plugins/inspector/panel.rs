//! The panel: when its figures are read, and the rows of its tables made.
//!
//! The figures are read a few times a second. Rows are made in the frame after, so that no frame does both, and when somebody
//! sorted, sought or folded; in all other frames the same rows are painted again.

use std::collections::HashSet;
use std::sync::Arc;

use bevy_ecs::prelude::*;
use bevy_egui::egui::{self, Ui};
use bevy_platform::time::Instant;

use super::footer::Cost;
use super::galleys::Galleys;
use super::history::History;
use super::look::{Look, Observer};
use super::order::Order;
use super::settings::{Keeper, Settings};
use super::snapshot::Saver;
use super::state::{InspectedAlloc, InspectorTab, MemoryInspector};
use super::table::{Action, Table, Widths};
use super::tabs::{self, Place};
use super::theme;
use super::tree::TagTree;
use crate::bevy::{AllocResource, Budgets, SubAppAllocs};
use crate::diagnostics::{self, Diagnostic, DiagnosticCode};
use crate::tags::TagId;

/// What the panel keeps from frame to frame.
#[derive(Resource, Default)]
pub(super) struct Panel {
    pub tree: TagTree,
    pub history: History,
    observer: Observer,
    /// A look that was taken in this frame, and is shown from the next one on.
    taken: Option<Look>,
    /// The newest look that is shown.
    pub live: Option<Arc<Look>>,
    /// The frames that were pinned: what is compared with, and what is compared, if that is not the newest.
    pub pinned: [Option<Arc<Look>>; 2],
    looked_at: InspectedAlloc,
    /// When a look was last taken, by egui's clock.
    when: Option<f64>,
    pub table: Table,
    pub galleys: Galleys,
    pub settings: Settings,
    pub keeper: Keeper,
    /// Places in the tree that are not as they are at first.
    pub folded: HashSet<u64>,
    /// The same in what a search found, until something else is sought.
    pub folded_found: HashSet<u64>,
    /// What the table was made for. `None` if it is to be made again.
    pub made_for: Option<(InspectorTab, String)>,
    /// What was sought last, in lower case.
    sought: String,
    /// That the table is to be copied, once it is made.
    pub copies: Option<Format>,
    pub log: Vec<Diagnostic>,
    logged: u64,
    pub saver: Saver,
    pub cost: Cost,
    /// The tag of the system that paints it.
    pub tag: Option<TagId>,
}

/// As what a table is copied.
#[derive(Clone, Copy)]
pub(super) enum Format {
    Text,
    Json,
}

/// Paints the panel into `ui`: for editors, and for windows of your own. [`MemoryInspectorPlugin`](super::MemoryInspectorPlugin)
/// paints it into a window, and is not needed here.
///
/// It looks at the [`AllocResource`] of this world, and takes its settings from [`MemoryInspector`], which it inserts if it is
/// not there. Call it from one place a frame.
///
/// ```
/// use bevy_app::App;
/// use bevy_egui::egui;
/// use framealloc::bevy::{SmartAllocPlugin, ui_for_memory};
///
/// let mut app = App::new();
/// app.add_plugins(SmartAllocPlugin);
/// app.update();
/// let context = egui::Context::default();
/// let mut output = context.run_ui(egui::RawInput::default(), |ui| ui_for_memory(app.world_mut(), ui));
/// # output.textures_delta.clear();
/// ```
///
/// In a world without an allocator it says what to add (FA101).
pub fn ui_for_memory(world: &mut World, ui: &mut Ui) {
    let started = Instant::now();
    world.init_resource::<MemoryInspector>();
    world.init_resource::<Panel>();
    world.resource_scope(|world, mut panel: Mut<Panel>| {
        world.resource_scope(|world, mut inspector: Mut<MemoryInspector>| {
            // Painting is no change of the settings; what is clicked is.
            let before = inspector.clone();
            let mut changed = before.clone();
            panel.show(world, &mut changed, ui);
            if changed != before {
                *inspector = changed;
            }
        });
        panel.cost.add(started.elapsed());
    });
}

impl Panel {
    fn show(&mut self, world: &World, inspector: &mut MemoryInspector, ui: &mut Ui) {
        let Some(alloc) = find(world, &mut inspector.alloc) else {
            no_allocator(ui);
            return;
        };
        self.tag.get_or_insert_with(TagId::current);
        theme::sharpen(ui.visuals_mut());
        self.refresh(world, &alloc, inspector, ui.input(|input| input.time));
        self.tabs(inspector, ui);
        self.controls(world, &alloc, inspector, ui);
        ui.separator();
        // Not a point too little, or a window that fits its contents grows from frame to frame.
        let footer = ui.spacing().interact_size.y + 2.0 * ui.spacing().item_spacing.y;
        let height = (ui.available_height() - footer).max(60.0);
        let size = egui::vec2(ui.available_width(), height);
        ui.allocate_ui_with_layout(size, egui::Layout::top_down(egui::Align::Min), |ui| {
            ui.set_min_size(size);
            self.contents(inspector, ui);
        });
        self.footer(inspector, ui);
    }

    /// Shows the figures that were read in the frame before, or reads them, if it is time.
    pub fn refresh(
        &mut self,
        world: &World,
        alloc: &AllocResource,
        inspector: &MemoryInspector,
        now: f64,
    ) {
        if self.looked_at != inspector.alloc {
            self.looked_at = inspector.alloc.clone();
            self.observer.reset();
            self.history.clear();
            self.pinned = Default::default();
            self.taken = None;
            self.live = None;
            self.when = None;
        }
        if self.when != Some(now)
            && let Some(look) = self.taken.take()
        {
            self.put(look);
            return;
        }
        // The first look knows of no interval: the second follows at once.
        let is_second = self.live.as_ref().is_some_and(|look| look.seconds == 0.0);
        let interval = if is_second { 0.0 } else { inspector.interval() };
        let is_due = match self.when {
            None => true,
            Some(when) => !inspector.paused && (now - when >= interval || now < when),
        };
        let is_new_frame = self
            .live
            .as_ref()
            .is_none_or(|look| look.frame != alloc.frame_number());
        if !is_due || (is_second && !is_new_frame) {
            return;
        }
        self.when = Some(now);
        let mut look = self.observer.look(alloc, &mut self.tree);
        if inspector.alloc == InspectedAlloc::Main
            && let Some(watched) = world.get_resource::<Budgets>()
        {
            look.add_watched(watched);
        }
        // Until there are figures by frame, there is nothing to go on showing.
        if look.seconds == 0.0 || is_second {
            self.put(look);
        } else {
            self.taken = Some(look);
        }
    }

    fn put(&mut self, look: Look) {
        if look.seconds > 0.0 {
            self.history.push(&look);
        }
        self.live = Some(Arc::new(look));
        self.cost.turn_over();
        self.saver.check();
        // Under an open menu, rows stay where they are.
        if !self.table.is_held() {
            self.made_for = None;
        }
    }

    /// The look that is shown.
    pub fn shown(&self) -> Option<Arc<Look>> {
        let [first, second] = &self.pinned;
        match (first, second) {
            (Some(_), Some(second)) => Some(second.clone()),
            _ => self.live.clone(),
        }
    }

    /// The look that it is compared with.
    pub fn compared(&self) -> Option<Arc<Look>> {
        self.pinned[0].clone()
    }

    /// How a tab's rows are sorted.
    pub fn order(&self, tab: InspectorTab) -> Order {
        let known = self.settings.orders.get(&tab);
        known.cloned().unwrap_or_else(|| tabs::first_order(tab))
    }

    fn tabs(&mut self, inspector: &mut MemoryInspector, ui: &mut Ui) {
        ui.horizontal_wrapped(|ui| {
            for tab in InspectorTab::ALL {
                ui.selectable_value(&mut inspector.tab, tab, tab.title());
            }
        });
    }

    fn contents(&mut self, inspector: &mut MemoryInspector, ui: &mut Ui) {
        let (Some(look), tab) = (self.shown(), inspector.tab) else {
            return;
        };
        let compared = self.compared();
        let mut galleys = std::mem::take(&mut self.galleys);
        galleys.follow(ui);
        if tab == InspectorTab::Overview {
            tabs::overview::show(
                self,
                &look,
                compared.as_deref(),
                inspector,
                &mut galleys,
                ui,
            );
        } else {
            self.tab(tab, &look, compared.as_deref(), inspector, &mut galleys, ui);
        }
        self.galleys = galleys;
    }

    /// A tab that is a table.
    fn tab(
        &mut self,
        tab: InspectorTab,
        look: &Look,
        compared: Option<&Look>,
        inspector: &MemoryInspector,
        galleys: &mut Galleys,
        ui: &mut Ui,
    ) {
        if tab == InspectorTab::Log && self.logged != look.reports {
            self.logged = look.reports;
            self.log = diagnostics::recent();
            self.made_for = None;
        }
        if tabs::above(self, tab, look, compared, ui) {
            self.made_for = None;
        }
        let wanted = (tab, inspector.search.to_lowercase());
        if self.sought != wanted.1 {
            self.sought.clone_from(&wanted.1);
            self.tree.seek(&self.sought);
            self.folded_found.clear();
        }
        let order = self.order(tab);
        let mut table = std::mem::take(&mut self.table);
        let mut chosen = self.settings.widths.remove(&tab).unwrap_or_default();
        let place = Place {
            panel: self,
            look,
            compared,
            needle: &self.sought,
            order: &order,
        };
        let is_made = self.made_for.as_ref() == Some(&wanted);
        let make = |key: u64| place.row(tab, key);
        if !is_made {
            table.contents = place.contents(tab);
        }
        match self.copies {
            Some(Format::Text) => ui.ctx().copy_text(table.contents.text(&make)),
            Some(Format::Json) => ui.ctx().copy_text(table.contents.json(&make)),
            None => {}
        }
        let action = if table.contents.lines.is_empty() {
            tabs::empty(tab, look, !inspector.search.is_empty(), ui);
            None
        } else {
            table.show(ui, tab.title(), &order, &mut chosen, galleys, &make)
        };
        if !is_made {
            self.made_for = Some(wanted);
        }
        self.copies = None;
        if let Some(action) = action {
            self.act(action, tab, order, &mut table, &mut chosen);
        }
        if !chosen.is_empty() {
            self.settings.widths.insert(tab, chosen);
        }
        self.table = table;
    }

    /// Does what somebody wants of a table.
    fn act(
        &mut self,
        action: Action,
        tab: InspectorTab,
        mut order: Order,
        table: &mut Table,
        chosen: &mut Widths,
    ) {
        match action {
            Action::Sort {
                column,
                by_difference,
            } => {
                order.click(&table.contents.columns[column], column == 0, by_difference);
                self.settings.orders.insert(tab, order);
                self.made_for = None;
            }
            Action::Fold(key) => {
                let folded = if self.sought.is_empty() {
                    &mut self.folded
                } else {
                    &mut self.folded_found
                };
                if !folded.remove(&key) {
                    folded.insert(key);
                }
                self.made_for = None;
            }
            Action::ForgetWidths => {
                chosen.clear();
                table.forget_widths();
            }
        }
    }
}

/// The allocator to look at: the main world's, if the other one is gone.
pub(super) fn find(world: &World, alloc: &mut InspectedAlloc) -> Option<AllocResource> {
    if let InspectedAlloc::SubApp(name) = &*alloc {
        let found = world
            .get_resource::<SubAppAllocs>()
            .and_then(|sub_apps| sub_apps.get(name));
        match found {
            Some(found) => return Some(found.clone()),
            None => *alloc = InspectedAlloc::Main,
        }
    }
    world.get_resource::<AllocResource>().cloned()
}

fn no_allocator(ui: &mut Ui) {
    let info = DiagnosticCode::FA101.info();
    ui.vertical_centered(|ui| {
        ui.add_space(24.0);
        ui.heading("There is no allocator in this world");
        ui.label(format!("[{}] {}", info.code, info.remedy));
        tabs::code(ui, "app.add_plugins(SmartAllocPlugin);");
    });
}
