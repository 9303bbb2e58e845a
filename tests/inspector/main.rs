//! The memory inspector's `ui_for_memory`, without a renderer: what stands on it is found in egui's accessibility tree.
//!
//! Tags are the whole process's, so each test has names of its own. No test installs a `HeapAudit`; that is
//! `bevy/inspector_rendered.rs`.

mod columns;

use bevy::prelude::*;
use bevy_egui::egui::{self, OutputCommand};
use egui_kittest::Harness;
use egui_kittest::kittest::Queryable;
use framealloc::bevy::{
    AllocResource, BudgetLimits, BudgetPlugin, BudgetSet, InspectorTab, MemoryInspector,
    MemoryInspectorPlugin, SmartAllocPlugin, ui_for_memory,
};
use framealloc::tags::{TagId, TagScope};
use framealloc::{AllocConfig, StreamPriority};

/// An app whose update runs `frame` under a frame of its own.
fn app(config: AllocConfig, frame: impl Fn(&AllocResource) + Send + Sync + 'static) -> App {
    let mut app = App::new();
    app.add_plugins(SmartAllocPlugin::new(config))
        .add_systems(Update, move |alloc: Res<AllocResource>| frame(&alloc));
    app.update();
    app
}

/// Each step is an update of the app, and a look at the panel a quarter of a second later: sooner than a click is a long press.
fn panel(app: App, tab: InspectorTab) -> Harness<'static, App> {
    let mut app = app;
    app.insert_resource(MemoryInspector {
        tab,
        ..MemoryInspector::opened()
    });
    let mut harness = Harness::builder()
        .with_size(egui::vec2(1100.0, 700.0))
        .with_step_dt(0.25)
        .build_ui_state(
            |ui, app: &mut App| {
                app.update();
                ui_for_memory(app.world_mut(), ui);
            },
            app,
        );
    harness.run_steps(4);
    harness
}

fn inspector<'a>(harness: &'a mut Harness<'static, App>) -> Mut<'a, MemoryInspector> {
    let world = harness.state_mut().world_mut();
    world.resource_mut::<MemoryInspector>()
}

#[track_caller]
fn expect(harness: &Harness<'static, App>, part: &str) {
    let found = harness.query_all_by_label_contains(part).count();
    assert!(found > 0, "{part:?} is not on the panel: {harness:#?}");
}

fn shows(harness: &Harness<'static, App>, part: &str) -> bool {
    harness.query_all_by_label_contains(part).count() > 0
}

fn click(harness: &mut Harness<'static, App>, label: &str) {
    harness.get_by_label(label).click();
    harness.run_steps(3);
}

/// What the next step put into the clipboard.
fn copied(harness: &mut Harness<'static, App>, button: &str) -> String {
    harness.get_by_label(button).click();
    // A click is two events, each a step of its own.
    for _ in 0..4 {
        harness.run_steps(1);
        let commands = &harness.output().platform_output.commands;
        for command in commands {
            if let OutputCommand::CopyText(text) = command {
                return text.clone();
            }
        }
    }
    panic!("{button:?} copied nothing")
}

/// Where a row is, from the top.
fn height(harness: &Harness<'static, App>, name: &str) -> f32 {
    harness.get_by_label(name).rect().top()
}

#[test]
fn every_tab_opens_by_a_click_and_shows_what_is_there() {
    let config = AllocConfig::default()
        .with_budgets(true)
        .with_pool_tags(true);
    let app = app(config, |alloc| {
        alloc.with_tag("every_tab", |alloc| {
            drop(alloc.frame_box([1_u8; 2048]).unwrap());
        });
    });
    let alloc = app.world().resource::<AllocResource>().clone();
    let spell = alloc.pool_box([7_u8; 200]).unwrap();
    let budgets = alloc.budgets().unwrap();
    budgets.register_tag_budget("budget_of_a_tab", 1 << 20, 2 << 20);
    let streams = alloc.streaming();
    streams
        .reserve_tagged(4096, StreamPriority::High, Some("stream_of_a_tab"))
        .unwrap();
    let mut harness = panel(app, InspectorTab::Overview);

    expect(&harness, "Frame memory by system");
    expect(&harness, "in arenas");
    click(&mut harness, "Tags");
    expect(&harness, "every_tab");
    expect(&harness, "everything");
    click(&mut harness, "Systems");
    expect(&harness, "Frame 2.0 KiB");
    click(&mut harness, "Budgets");
    expect(&harness, "budget_of_a_tab");
    expect(&harness, "Limit 2.0 MiB, budget_of_a_tab");
    expect(&harness, "State fine, budget_of_a_tab");
    click(&mut harness, "Arenas");
    expect(&harness, "State in use");
    click(&mut harness, "Pools");
    expect(&harness, "208 bytes");
    click(&mut harness, "Streaming");
    expect(&harness, "stream_of_a_tab");
    expect(&harness, "Size 4.0 KiB");
    framealloc::diagnostics::suppress_diagnostics(true);
    framealloc::fa_emit!(FA003);
    click(&mut harness, "Log");
    expect(&harness, "Code FA003");
    assert_eq!(inspector(&mut harness).tab, InspectorTab::Log);
    drop(spell);
}

#[test]
fn a_click_on_a_title_sorts_and_another_turns_it_round() {
    let app = app(AllocConfig::default(), |alloc| {
        for (tag, bytes) in [
            ("sort_small", 1_000),
            ("sort_big", 50_000),
            ("sort_mid", 9_000),
        ] {
            alloc.with_tag(tag, |alloc| {
                drop(alloc.frame_slice_fill(bytes, 1_u8).unwrap())
            });
        }
    });
    let mut harness = panel(app, InspectorTab::Tags);
    inspector(&mut harness).search = "sort_".to_owned();
    harness.run_steps(2);
    let order = |harness: &Harness<'static, App>| {
        let mut names = ["sort_small", "sort_mid", "sort_big"];
        let place = |name: &str| {
            let node = harness.query_all_by_label_contains(name).next();
            node.unwrap_or_else(|| panic!("{name} is there"))
                .rect()
                .top()
        };
        names.sort_by(|a, b| place(a).total_cmp(&place(b)));
        names
    };
    click(&mut harness, "Frame");
    assert_eq!(order(&harness), ["sort_big", "sort_mid", "sort_small"]);
    click(&mut harness, "Frame");
    assert_eq!(order(&harness), ["sort_small", "sort_mid", "sort_big"]);
    click(&mut harness, "Tag");
    assert_eq!(order(&harness), ["sort_big", "sort_mid", "sort_small"]);
}

#[test]
fn the_search_leaves_what_contains_it_and_says_so_if_nothing_does() {
    let app = app(AllocConfig::default(), |alloc| {
        for tag in ["needle_in_hay", "only_straw"] {
            alloc.with_tag(tag, |alloc| drop(alloc.frame_box(1_u64).unwrap()));
        }
    });
    let mut harness = panel(app, InspectorTab::Tags);
    inspector(&mut harness).search = "NEEDLE_in".to_owned();
    harness.run_steps(2);
    expect(&harness, "needle_in_hay");
    assert!(!shows(&harness, "only_straw"));
    inspector(&mut harness).search = "no such tag".to_owned();
    harness.run_steps(2);
    expect(&harness, "Nothing here contains");
}

#[test]
fn pause_holds_the_figures_and_the_end_of_it_lets_them_go() {
    let bytes = std::sync::Arc::new(std::sync::atomic::AtomicUsize::new(8 << 10));
    let of_frame = bytes.clone();
    let app = app(AllocConfig::default(), move |alloc| {
        let bytes = of_frame.load(std::sync::atomic::Ordering::Relaxed);
        drop(alloc.frame_slice_fill(bytes, 1_u8).unwrap());
    });
    let mut harness = panel(app, InspectorTab::Arenas);
    expect(&harness, "Frame 8.0 KiB");
    click(&mut harness, "Pause");
    assert!(inspector(&mut harness).paused);
    bytes.store(64 << 10, std::sync::atomic::Ordering::Relaxed);
    harness.run_steps(5);
    expect(&harness, "Frame 8.0 KiB");
    expect(&harness, "paused");
    click(&mut harness, "Pause");
    harness.run_steps(2);
    expect(&harness, "Frame 64.0 KiB");
}

#[test]
fn figures_are_read_in_one_frame_and_shown_in_the_next() {
    let app = app(AllocConfig::default(), |_| {});
    let mut harness = panel(app, InspectorTab::Tags);
    let mut shown = 0;
    for _ in 0..6 {
        harness.run_steps(1);
        let frame = harness
            .state()
            .world()
            .resource::<AllocResource>()
            .frame_number();
        let is_shown = |frame: u64| shows(&harness, &format!("frame {frame}, figures of the last"));
        assert!(!is_shown(frame), "read and shown in frame {frame}");
        shown += u32::from(is_shown(frame - 1));
    }
    assert_eq!(shown, 3, "every other step is one of reading");
}

#[test]
fn a_pinned_frame_is_compared_with_the_present_one_then_with_a_second() {
    let app = app(AllocConfig::default(), |_| {});
    let alloc = app.world().resource::<AllocResource>().clone();
    let held = alloc.with_tag("compared_tag", |alloc| {
        alloc.heap_box([1_u8; 4096]).unwrap()
    });
    let mut harness = panel(app, InspectorTab::Tags);
    expect(&harness, "Live 4.0 KiB, compared_tag");
    click(&mut harness, "Pin frame");
    expect(&harness, "Δ Live 0, compared_tag");
    let more = alloc.with_tag("compared_tag", |alloc| {
        alloc.heap_box([1_u8; 8192]).unwrap()
    });
    harness.run_steps(2);
    expect(&harness, "Δ Live +8.0 KiB, compared_tag");
    click(&mut harness, "Pin second");
    drop((held, more));
    harness.run_steps(3);
    expect(&harness, "Δ Live +8.0 KiB, compared_tag");
    click(&mut harness, "Unpin");
    assert!(!shows(&harness, "Δ"));
    expect(&harness, "Live 0 B, compared_tag");
}

#[test]
fn tables_are_copied_as_text_and_as_json() {
    let app = app(AllocConfig::default(), |_| {});
    let alloc = app.world().resource::<AllocResource>().clone();
    let _held = alloc.with_tag("copied_tag", |alloc| alloc.heap_box([1_u8; 5000]).unwrap());
    let mut harness = panel(app, InspectorTab::Tags);
    inspector(&mut harness).search = "copied_tag".to_owned();
    harness.run_steps(2);
    let text = copied(&mut harness, "Copy text");
    assert!(text.starts_with("Tag\tFrame\tLive\t"), "{text}");
    let row = text
        .lines()
        .find(|line| line.starts_with("copied_tag\t"))
        .unwrap();
    assert_eq!(
        row.split('\t').nth(2),
        Some("5000"),
        "exact, without a unit"
    );
    let json: serde_json::Value = serde_json::from_str(&copied(&mut harness, "Copy JSON")).unwrap();
    assert_eq!(json[0]["tag"], "copied_tag");
    assert_eq!(json[0]["heap"], 5000);
}

#[test]
fn a_cell_is_copied_from_its_menu() {
    let app = app(AllocConfig::default(), |_| {});
    let alloc = app.world().resource::<AllocResource>().clone();
    let _held = alloc.with_tag("cell_tag", |alloc| alloc.heap_box([1_u8; 6000]).unwrap());
    let mut harness = panel(app, InspectorTab::Tags);
    inspector(&mut harness).search = "cell_tag".to_owned();
    harness.run_steps(2);
    let cell = harness
        .query_all_by_label_contains("Heap 5.9 KiB, cell_tag")
        .next();
    cell.expect("the cell is there").click_secondary();
    harness.run_steps(3);
    assert_eq!(copied(&mut harness, "Copy cell"), "6000");
}

#[test]
fn what_is_missing_is_explained() {
    let mut harness = panel(app(AllocConfig::default(), |_| {}), InspectorTab::Systems);
    expect(&harness, "no HeapAudit is installed");
    expect(&harness, "#[global_allocator]");
    assert!(copied(&mut harness, "Copy code").contains("HeapAudit::system()"));
    click(&mut harness, "Budgets");
    expect(&harness, "This allocator has no budgets");
    click(&mut harness, "Streaming");
    expect(&harness, "Nothing is streamed");
}

#[test]
fn a_budget_file_that_is_not_there_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let mut app = App::new();
    app.add_plugins((
        MinimalPlugins,
        AssetPlugin {
            file_path: folder.path().to_str().unwrap().to_owned(),
            ..default()
        },
        SmartAllocPlugin,
        BudgetPlugin::from_file("game.budget.json"),
    ));
    app.update();
    let mut harness = panel(app, InspectorTab::Budgets);
    let file = "The budget file game.budget.json is not there";
    // A task of another thread looks for it.
    let since = std::time::Instant::now();
    while !shows(&harness, file) && since.elapsed().as_secs() < 60 {
        harness.run_steps(1);
    }
    expect(&harness, file);
    assert!(!shows(&harness, "This allocator has no budgets"));
}

#[test]
fn a_world_without_an_allocator_is_told_what_to_add() {
    let mut world = World::new();
    let mut harness = Harness::new_ui(move |ui| ui_for_memory(&mut world, ui));
    harness.run_steps(2);
    assert!(harness.query_all_by_label_contains("FA101").count() > 0);
    assert!(
        harness
            .query_all_by_label_contains("SmartAllocPlugin")
            .count()
            > 0
    );
}

#[test]
fn names_may_have_any_letters_and_lines_in_them() {
    const NAMES: [&str; 5] = [
        "über_straße_日本語",
        "🦀_crab",
        "two\nlines\tand a tab",
        "\u{202E}right_to_left",
        "",
    ];
    let app = app(AllocConfig::default(), |alloc| {
        for name in NAMES {
            alloc.with_tag(name, |alloc| drop(alloc.frame_box([1_u8; 64]).unwrap()));
        }
        let long = "a_very_long_name_日本_".repeat(40);
        let _scope = framealloc::tags::TagScope::enter(framealloc::tags::TagId::from_path(&long));
        drop(alloc.frame_box(1_u64).unwrap());
    });
    let mut harness = panel(app, InspectorTab::Tags);
    for part in [
        "über_straße_日本語",
        "🦀_crab",
        "two\nlines",
        "a_very_long_name_日本_",
    ] {
        inspector(&mut harness).search = part.to_owned();
        harness.run_steps(2);
        expect(&harness, part);
    }
    inspector(&mut harness).search = "STRASSE".to_owned();
    harness.run_steps(2);
    let text = copied(&mut harness, "Copy text");
    assert!(
        text.lines().all(|line| line.split('\t').count() == 7),
        "{text}"
    );
}

#[test]
fn a_level_of_the_tree_is_folded_by_a_click_and_rows_stay_in_their_order() {
    let app = app(AllocConfig::default(), |alloc| {
        alloc.with_tag("fold_top", |alloc| {
            for tag in ["leaf_a", "leaf_b"] {
                alloc.with_tag(tag, |alloc| drop(alloc.frame_box([1_u8; 512]).unwrap()));
            }
        });
    });
    let mut harness = panel(app, InspectorTab::Tags);
    click(&mut harness, "Expand all");
    let path = |leaf: &str| {
        let tags = framealloc::tags::TagId::all().map(|tag| tag.path());
        let mut found = tags.filter(|path| path.ends_with(&format!("fold_top::{leaf}")));
        found.next().unwrap()
    };
    let (a, b) = (path("leaf_a"), path("leaf_b"));
    inspector(&mut harness).search = "fold_top".to_owned();
    harness.run_steps(2);
    click(&mut harness, "Tag");
    assert!(height(&harness, a) < height(&harness, b));
    let top = &a[..a.len() - "::leaf_a".len()];
    click(&mut harness, top);
    assert!(!shows(&harness, a), "folded");
    click(&mut harness, top);
    expect(&harness, a);
}

#[test]
fn a_thousand_tags_are_all_in_the_table_though_few_are_painted() {
    let app = app(AllocConfig::default(), |_| {});
    let alloc = app.world().resource::<AllocResource>().clone();
    let held: Vec<_> = (0..1_000)
        .map(|number| {
            let path = format!("thousand::tag_{number:04}");
            let tag = framealloc::tags::TagId::from_path(&path);
            let _scope = framealloc::tags::TagScope::enter(tag);
            alloc.heap_box([0_u8; 100]).unwrap()
        })
        .collect();
    let mut harness = panel(app, InspectorTab::Tags);
    inspector(&mut harness).search = "thousand::tag_".to_owned();
    harness.run_steps(2);
    let painted = harness
        .query_all_by_label_contains(", thousand::tag_")
        .count();
    assert!(
        painted < 40 * 8,
        "{painted} cells for rows that nobody sees"
    );
    let text = copied(&mut harness, "Copy text");
    assert_eq!(
        text.lines()
            .filter(|line| line.starts_with("thousand::tag_"))
            .count(),
        1_000
    );
    drop(held);
}

#[test]
fn the_plugin_is_hidden_behind_f9_unless_set() {
    let plugin = MemoryInspectorPlugin::default();
    assert_eq!(plugin.key, Some(KeyCode::F9));
    assert!(!plugin.open && plugin.corner.is_none());
    assert!(MemoryInspectorPlugin::opened().open);
    assert!(!MemoryInspector::default().open);
}

#[test]
fn a_budget_is_shown_with_the_most_that_was_live_in_the_frame() {
    let mut app = App::new();
    let budgets = BudgetSet::new().tag("inspector_tide", BudgetLimits::new(4 << 10));
    app.add_plugins((SmartAllocPlugin, BudgetPlugin::new(budgets)))
        .add_systems(Update, |alloc: Res<AllocResource>| {
            let _scope = TagScope::enter(TagId::from_path("inspector_tide"));
            // Gone before anybody looks.
            alloc.frame().alloc([0_u8; 3 << 10]);
        });
    let harness = panel(app, InspectorTab::Budgets);
    expect(&harness, "Live 3.0 KiB, inspector_tide");
    expect(&harness, "State fine, inspector_tide");
}
