//! Budgets from code: what they hold, what is told when one is crossed, and what runs only while one holds.

use bevy::prelude::*;
use framealloc::bevy::{
    BudgetChanged, BudgetKind, BudgetLimits, BudgetPlugin, BudgetSet, Budgets, FrameAlloc,
    ShedSettings, SmartAllocPlugin, budget_exceeded, budget_strained, budget_within,
    shed_over_budget_with,
};
use framealloc::diagnostics::{DiagnosticCode, recent};
use framealloc::{
    AllocConfig, AllocErrorKind, BudgetExceededPolicy, BudgetStatus, HeapBox, ThreadBudgetConfig,
};

use framealloc::bevy::AllocResource;

use crate::headless_app;
use crate::witness::Witness;

const KIB: usize = 1024;

/// How much the next run of [`takes`] allocates.
#[derive(Resource, Default)]
struct Appetite(usize);

fn takes(frame: FrameAlloc, appetite: Res<Appetite>) {
    let scratch = frame.alloc_slice_fill_with(appetite.0, |_| 1u8);
    assert_eq!(scratch.len(), appetite.0);
}

fn name_of<F>(_: &F) -> &'static str {
    std::any::type_name::<F>()
}

fn app_with(budgets: BudgetSet) -> App {
    let mut app = headless_app();
    app.add_plugins((SmartAllocPlugin::minimal(), BudgetPlugin::new(budgets)))
        .init_resource::<Appetite>();
    app
}

/// Notes messages in a witness: name, before, and after.
fn note_changes(
    mut changes: MessageReader<BudgetChanged>,
    seen: Res<Witness<(String, BudgetStatus, BudgetStatus)>>,
) {
    for change in changes.read() {
        seen.note((change.name.to_string(), change.before, change.status));
    }
}

#[test]
fn a_system_that_crosses_its_limits_is_told_of_once_for_each_crossing() {
    use BudgetStatus::{Exceeded, Ok, Warning};
    let name = name_of(&takes);
    let limits = BudgetLimits::new(64 * KIB).with_soft_limit(32 * KIB);
    let mut app = app_with(BudgetSet::new().system(name, limits));
    app.add_systems(Update, takes)
        .add_systems(First, note_changes);
    let seen = Witness::<(String, BudgetStatus, BudgetStatus)>::in_app(&mut app);
    let mut crossings = Vec::new();
    for (appetite, frames) in [(8, 3), (40, 3), (100, 3), (40, 2), (8, 2), (200, 1), (0, 2)] {
        app.insert_resource(Appetite(appetite * KIB));
        for _ in 0..frames {
            app.update();
            crossings.push(seen.take());
        }
    }
    let crossings: Vec<_> = crossings.into_iter().flatten().collect();
    let expected = [
        (Ok, Warning),
        (Warning, Exceeded),
        (Exceeded, Warning),
        (Warning, Ok),
        (Ok, Exceeded),
        (Exceeded, Ok),
    ];
    let expected: Vec<_> = expected
        .iter()
        .map(|&(before, after)| (name.to_owned(), before, after))
        .collect();
    assert_eq!(crossings, expected);
}

#[test]
fn observers_hear_of_it_when_the_frame_has_ended() {
    let name = name_of(&takes);
    let mut app = app_with(BudgetSet::new().system(name, BudgetLimits::new(KIB)));
    app.add_systems(Update, takes)
        .insert_resource(Appetite(10 * KIB))
        .add_observer(|change: On<BudgetChanged>, seen: Res<Witness<String>>| {
            assert!(change.is_exceeded() && !change.is_recovered());
            assert_eq!(change.kind, BudgetKind::System);
            assert!(change.peak >= 10 * KIB && change.exceeded_by == 1);
            seen.note(change.to_string());
        });
    let seen = Witness::<String>::in_app(&mut app);
    app.update();
    let text = seen.take().pop().unwrap();
    assert!(text.contains("takes` exceeded its budget: 10"), "{text}");
    assert!(
        text.contains("hard limit 1.0 KiB, by 1 allocation"),
        "{text}"
    );
}

#[test]
fn what_a_budget_refuses_is_refused_in_the_first_frame_already() {
    fn asks(alloc: Res<AllocResource>, seen: Res<Witness<AllocErrorKind>>) {
        seen.note(alloc.heap_box([0u8; 4096]).unwrap_err().kind());
        seen.note(alloc.pool_box([0u8; 2048]).unwrap_err().kind());
    }
    let limits = BudgetLimits::new(KIB).with_policy(BudgetExceededPolicy::Fail);
    let mut app = app_with(BudgetSet::new().module(module_path!(), limits));
    app.add_systems(Update, asks);
    let seen = Witness::<AllocErrorKind>::in_app(&mut app);
    app.update();
    assert_eq!(seen.take(), [AllocErrorKind::TagBudget; 2]);
}

#[test]
fn without_a_budget_the_allocator_has_none_and_what_is_set_later_holds() {
    fn pools(alloc: Res<AllocResource>, seen: Res<Witness<bool>>) {
        seen.note(alloc.pool_box([0u8; 2048]).is_ok());
    }
    let mut app = app_with(BudgetSet::new());
    app.insert_resource(AllocResource::new(framealloc::SmartAlloc::new(
        AllocConfig::minimal().with_pool_tags(false),
    )));
    app.add_systems(Update, (pools, || ()));
    let seen = Witness::<bool>::in_app(&mut app);
    for _ in 0..3 {
        app.update();
    }
    assert!(app.world().resource::<AllocResource>().budgets().is_none());
    assert_eq!(seen.take(), [true; 3]);

    let limits = BudgetLimits::new(KIB).with_policy(BudgetExceededPolicy::Fail);
    let set = BudgetSet::new().module(module_path!(), limits);
    app.world_mut().resource_mut::<Budgets>().set(set);
    app.update();
    app.update();
    assert_eq!(seen.take(), [false; 2]);

    app.world_mut()
        .resource_mut::<Budgets>()
        .set(BudgetSet::new());
    app.update();
    assert_eq!(seen.take(), [true]);
    assert!(app.world().resource::<Budgets>().is_empty());
}

#[test]
fn a_global_budget_gives_way_to_the_limit_that_the_allocator_was_made_with() {
    let mut app = headless_app();
    app.add_plugins((
        BudgetPlugin::new(BudgetSet::new().global(BudgetLimits::new(100 << 20))),
        SmartAllocPlugin::new(AllocConfig::minimal().with_memory_limit(50 << 20)),
    ));
    let limit = |app: &App| {
        let alloc = app.world().resource::<AllocResource>();
        alloc.budgets().unwrap().global_limit()
    };
    app.update();
    assert_eq!(limit(&app), 100 << 20);
    app.world_mut()
        .resource_mut::<Budgets>()
        .set(BudgetSet::new());
    app.update();
    assert_eq!(limit(&app), 50 << 20);
}

#[test]
fn rows_say_where_each_budget_stands() {
    fn holds(alloc: Res<AllocResource>, mut held: Local<Vec<HeapBox<[u8; 4096]>>>) {
        held.push(alloc.heap_box([0; 4096]).unwrap());
    }
    let mut app = app_with(
        BudgetSet::new()
            .system(name_of(&holds), BudgetLimits::new(100 * KIB))
            .tag("nobody", BudgetLimits::soft(KIB)),
    );
    app.add_systems(Update, holds);
    for _ in 0..20 {
        app.update();
    }
    let budgets = app.world().resource::<Budgets>();
    let row = budgets.row(name_of(&holds)).unwrap();
    assert_eq!(row.used, 80 * KIB);
    assert_eq!((row.peak, row.frame_peak), (80 * KIB, 80 * KIB));
    assert_eq!(
        (row.soft, row.hard),
        (Some(100 * KIB - 10 * KIB), Some(100 * KIB))
    );
    assert_eq!(
        (row.kind, row.status),
        (BudgetKind::System, BudgetStatus::Ok)
    );
    assert!((row.percent - 80.0).abs() < 0.1);
    assert_eq!(budgets.worst().unwrap().name, row.name);
    assert_eq!(budgets.worst_percent(), row.percent);
    let nobody = budgets.row("nobody").unwrap();
    assert_eq!((nobody.used, nobody.hard), (0, None));
    assert_eq!(budgets.rows().count(), 2);
    assert!(budgets.row("not there").is_none() && budgets.status("not there").is_none());
}

#[test]
fn threads_have_budgets_by_the_name_of_their_pool() {
    fn on_all_threads(frame: FrameAlloc, appetite: Res<Appetite>, mut agents: Query<&Transform>) {
        let shared = frame.shared();
        agents.par_iter_mut().for_each(|_| {
            std::thread::sleep(std::time::Duration::from_micros(50));
            shared.frame().alloc_slice_fill_with(appetite.0, |_| 0u8);
        });
    }
    let config = ThreadBudgetConfig {
        frame_budget: 64 * KIB,
        pool_budget: usize::MAX,
        ..Default::default()
    };
    let mut app = app_with(
        BudgetSet::new()
            .threads("Compute Task Pool", config)
            .threads("no such *", config),
    );
    for _ in 0..500 {
        app.world_mut().spawn(Transform::default());
    }
    app.add_systems(Update, on_all_threads)
        .insert_resource(Appetite(KIB));
    for _ in 0..3 {
        app.update();
    }
    let row = |app: &App, name: &str| app.world().resource::<Budgets>().row(name).unwrap();
    let calm = row(&app, "Compute Task Pool");
    assert_eq!(calm.status, BudgetStatus::Ok);
    assert!((KIB..10 * KIB).contains(&calm.frame_peak), "{calm:?}");
    app.insert_resource(Appetite(100 * KIB));
    app.update();
    let over = row(&app, "Compute Task Pool");
    assert_eq!(over.status, BudgetStatus::Exceeded);
    assert_eq!(over.kind, BudgetKind::Thread);
    assert_eq!(row(&app, "no such *").frame_peak, 0);
    app.world_mut()
        .resource_mut::<Budgets>()
        .set(BudgetSet::new());
    app.update();
    let alloc = app.world().resource::<AllocResource>().clone();
    let mut windows = Vec::new();
    alloc.thread_budgets().take_windows(&mut windows);
    assert!(!windows.is_empty());
    assert!(
        windows
            .iter()
            .all(|window| window.frame_budget == usize::MAX)
    );
}

/// The frames in which a system with `condition` ran, of those with these appetites.
fn runs<M>(condition: impl SystemCondition<M>, appetites: &[usize]) -> Vec<bool> {
    let limits = BudgetLimits::new(64 * KIB).with_soft_limit(32 * KIB);
    let mut app = app_with(BudgetSet::new().system(name_of(&takes), limits));
    app.add_systems(
        Update,
        (
            (|seen: Res<Witness<bool>>| seen.note(true)).run_if(condition),
            takes,
        ),
    );
    let seen = Witness::<bool>::in_app(&mut app);
    appetites
        .iter()
        .map(|appetite| {
            app.insert_resource(Appetite(appetite * KIB));
            app.update();
            !seen.take().is_empty()
        })
        .collect()
}

#[test]
fn conditions_go_by_the_frame_before() {
    let frames = [0, 100, 0, 40, 0, 0];
    let name = name_of(&takes);
    let (t, f) = (true, false);
    assert_eq!(runs(budget_exceeded(name), &frames), [f, f, t, f, f, f]);
    assert_eq!(runs(budget_within(name), &frames), [t, t, f, t, t, t]);
    assert_eq!(runs(budget_strained(name), &frames), [f, f, t, f, t, f]);
    assert_eq!(runs(budget_exceeded("nobody's"), &frames), [false; 6]);
    assert_eq!(runs(budget_within("nobody's"), &frames), [true; 6]);
}

#[test]
fn what_is_shed_waits_before_it_runs_again() {
    let name = name_of(&takes);
    let settings = ShedSettings {
        frames: 3,
        ..Default::default()
    };
    let (t, f) = (true, false);
    assert_eq!(
        runs(
            shed_over_budget_with(name, settings),
            &[0, 100, 0, 0, 60, 0, 0, 0, 0, 0]
        ),
        // Exceeded in the second; nearly full in the fifth, which starts the wait again.
        [t, t, f, f, f, f, f, f, t, t]
    );
    let early = ShedSettings {
        at: BudgetStatus::Warning,
        frames: 1,
        ..Default::default()
    };
    assert_eq!(
        runs(shed_over_budget_with(name, early), &[0, 40, 0, 0]),
        [t, t, f, t]
    );
}

#[test]
fn a_condition_finds_a_budget_that_comes_later() {
    let mut app = app_with(BudgetSet::new());
    app.add_systems(
        Update,
        (
            (|seen: Res<Witness<()>>| seen.note(())).run_if(budget_exceeded(name_of(&takes))),
            takes,
        ),
    )
    .insert_resource(Appetite(10 * KIB));
    let seen = Witness::<()>::in_app(&mut app);
    app.update();
    app.update();
    assert_eq!(seen.take().len(), 0);
    let set = BudgetSet::new().system(name_of(&takes), BudgetLimits::new(KIB));
    app.world_mut().resource_mut::<Budgets>().set(set);
    app.update();
    app.update();
    assert_eq!(seen.take().len(), 1);
}

#[test]
fn a_replaced_allocator_gets_the_budgets() {
    let mut app = app_with(BudgetSet::new().tag("replaced", BudgetLimits::new(KIB)));
    app.update();
    let fresh = AllocResource::new(framealloc::SmartAlloc::new(AllocConfig::minimal()));
    app.insert_resource(fresh.clone());
    app.update();
    let budget = fresh.budgets().unwrap().get_tag_budget("replaced").unwrap();
    assert_eq!(budget.hard_limit, KIB);
}

#[test]
fn a_plugin_that_is_added_to_a_game_that_runs_is_in_force_with_the_next_frame() {
    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin::minimal())
        .init_resource::<Appetite>()
        .add_systems(Update, takes);
    app.update();
    app.update();

    let limits = BudgetLimits::soft(32 * KIB);
    app.add_plugins(BudgetPlugin::new(
        BudgetSet::new().system(name_of(&takes), limits),
    ))
    .add_systems(First, note_changes);
    let seen = Witness::<(String, BudgetStatus, BudgetStatus)>::in_app(&mut app);
    app.insert_resource(Appetite(48 * KIB));
    app.update();
    let row = app.world().resource::<Budgets>().row(name_of(&takes));
    assert_eq!(row.unwrap().status, BudgetStatus::Warning);
    app.update();
    let crossed = (
        name_of(&takes).to_owned(),
        BudgetStatus::Ok,
        BudgetStatus::Warning,
    );
    assert_eq!(seen.take(), [crossed]);
}

#[test]
fn two_apps_have_budgets_of_their_own() {
    let set = |limit| BudgetSet::new().tag("shared_name", BudgetLimits::new(limit));
    let (mut one, mut other) = (app_with(set(KIB)), app_with(set(2 * KIB)));
    one.update();
    other.update();
    let hard = |app: &App| {
        app.world()
            .resource::<Budgets>()
            .row("shared_name")
            .unwrap()
            .hard
    };
    assert_eq!((hard(&one), hard(&other)), (Some(KIB), Some(2 * KIB)));
}

#[test]
#[should_panic(expected = "plugin was already added")]
fn adding_the_plugin_twice_is_bevys_usual_error() {
    headless_app().add_plugins((BudgetPlugin::default(), BudgetPlugin::default()));
}

fn reported(code: DiagnosticCode, text: &str) -> bool {
    recent()
        .iter()
        .any(|report| report.code == code && report.to_string().contains(text))
}

#[test]
fn without_the_allocators_plugin_fa101_is_reported_and_nothing_fails() {
    let mut app = headless_app();
    app.add_plugins(BudgetPlugin::new(
        BudgetSet::new().global(BudgetLimits::new(KIB)),
    ));
    // Reports are limited by tag; other tests leave this one alone.
    let tag = framealloc::tags::TagId::from_path("budgets_without_the_plugin");
    let scope = framealloc::tags::TagScope::enter(tag);
    let (_, reports) = framealloc::diagnostics::capture(|| {
        let mut schedules = app.world_mut().resource_mut::<Schedules>();
        let main = schedules.get_mut(Main).unwrap();
        main.set_executor(bevy::ecs::schedule::SingleThreadedExecutor::new());
        app.update();
        app.update();
    });
    drop(scope);
    let codes: Vec<_> = reports.iter().map(|report| report.code).collect();
    assert_eq!(codes, [DiagnosticCode::FA101]);
    let text = reports[0].to_string();
    assert!(text.contains("`BudgetPlugin` needs"), "{text}");
    assert!(
        text.contains("app.add_plugins(framealloc::bevy::SmartAllocPlugin)"),
        "{text}"
    );
}

#[test]
fn a_condition_without_the_plugin_lets_its_system_run_and_says_so() {
    let mut app = headless_app();
    app.add_plugins(SmartAllocPlugin).add_systems(
        Update,
        (|seen: Res<Witness<()>>| seen.note(())).run_if(budget_within("unserved_budget")),
    );
    let seen = Witness::<()>::in_app(&mut app);
    app.update();
    app.update();
    assert_eq!(seen.take().len(), 2);
    assert!(reported(DiagnosticCode::FA101, "`unserved_budget`"));
}

#[test]
fn a_frame_in_which_nothing_is_crossed_changes_no_resource() {
    let mut app = app_with(BudgetSet::new().tag("quiet", BudgetLimits::new(KIB)));
    app.add_systems(Update, |budgets: Res<Budgets>, seen: Res<Witness<bool>>| {
        seen.note(budgets.is_changed())
    });
    let seen = Witness::<bool>::in_app(&mut app);
    for _ in 0..4 {
        app.update();
    }
    assert_eq!(seen.take(), [true, false, false, false]);
}
