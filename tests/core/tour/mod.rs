//! The API tour that this library follows (see `docs/deviations.md`): each of its sections, call by call in its order, as a
//! test. Where the tour holds a box past its frame's end, a test says what comes of that here; the others let go of it before.
//!
//! What belongs to the process (strict mode, deferred frees, Bevy's context) is in `tests/process/tour.rs`, the standard
//! library's collections are in `tests/nightly`, Bevy's part in `tests/bevy`.
//!
//! Every block of Rust in the tour, in its order, and the test that goes through it:
//!
//! | section | block | test |
//! |---|---|---|
//! | Core concepts | 1 frames | `essentials::core_concepts_a_frame_holds_values_and_arrays`, `…_what_is_held_past_the_frame_stays_whole_and_is_reported` |
//! | | 3 threads | `essentials::core_concepts_every_thread_has_frames_of_its_own_without_setup` |
//! | | 4 the table of intents | `essentials::core_concepts_memory_is_asked_for_by_intent` |
//! | | 5 Bevy: the app | `tests/bevy/plugin.rs`: `it_is_added_by_its_default` |
//! | | 5 Bevy: a system | `tests/bevy/frames.rs`: `it_is_open_from_startup_to_last_and_around_schedules_of_the_game` |
//! | Advanced features | budgets | `essentials::budgets_hold_a_subsystem_and_tell_what_happens` |
//! | | streaming | `essentials::streaming_loads_a_part_at_a_time_and_evicts_what_was_not_used_for_longest` |
//! | | diagnostics hooks | `observing::a_debug_interface_hears_of_frames_and_pressure_and_draws_a_graph`, `…::an_allocators_own_hooks_need_no_telling` |
//! | | handles | `essentials::handles_name_a_value_wherever_compaction_moves_it` |
//! | | groups | `essentials::groups_free_what_a_level_loaded_at_once` |
//! | | boxes | `essentials::boxes_free_and_drop_what_they_hold` |
//! | | profiler | `observing::a_profiler_is_told_of_allocations_and_frees` |
//! | v0.7 | snapshots, and their JSON | `snapshots::a_snapshot_is_written_when_a_tool_asks` |
//! | | a report of the analyser | the analyser's own: it is not this crate's |
//! | v0.2 | phases, and their guard | `frames::phases_tell_what_each_part_of_a_frame_allocated` |
//! | | checkpoints | `frames::checkpoints_give_back_what_an_attempt_allocated` |
//! | | speculative blocks | `frames::speculative_blocks_are_rolled_back_on_an_error` |
//! | | `FrameVec` | `frames::a_vector_of_the_frame_is_filled_read_and_emptied` |
//! | | `FrameMap` | `frames::a_map_of_the_frame_is_filled_read_and_walked`, `…::collections_do_not_grow_beyond_what_they_were_made_for` |
//! | | tags | `frames::tags_nest_and_have_a_path` |
//! | | scratch pools, and their registry | `frames::scratch_pools_keep_what_frames_do_not` |
//! | v0.3 | policies, and basic usage | `retention::retained_values_are_promoted_where_their_policy_says` |
//! | | importance | `retention::importance_is_another_word_for_a_policy` |
//! | | summary | `retention::the_summary_has_figures_for_everything` |
//! | | tags | `retention::a_promoted_value_keeps_its_tag` |
//! | | reference | `retention::the_reference_of_retention_holds_by_type` |
//! | v0.6 | transfers | `threads::a_transfer_is_made_here_and_received_there`, `…::what_is_received_is_an_owner` |
//! | | barriers | `threads::a_barrier_lets_the_coordinator_end_the_frame_of_all` |
//! | | their builder | `threads::a_barrier_can_be_built_with_names` |
//! | | budgets of threads | `threads::a_threads_budget_is_set_asked_and_kept` |
//! | | deferred frees | `tests/process/tour.rs`: `deferred_frees_are_processed_when_the_program_says` |
//! | | frame events | `observing::frames_tell_of_their_beginnings_ends_and_of_frees_for_other_threads` |
//! | v0.4 | the filter, and its output | `behavior::a_report_names_the_tags_whose_memory_does_not_do_what_it_says` |
//! | | thresholds | `behavior::thresholds_are_presets_or_made_to_measure` |
//! | | figures by tag | `behavior::figures_are_kept_by_tag_and_kind` |
//! | Diagnostics | macros, and their output | `reports::reports_are_made_with_macros` |
//! | | compile-time | `tests/ui/core/error_of_the_programs_own.rs` |
//! | | strict mode | `reports::a_scope_can_be_strict`, `tests/process/tour.rs`: `a_process_can_be_strict` |
//! | | assertions | `reports::assertions_report_what_does_not_hold` |
//! | | context | `reports::the_context_tells_thread_and_frame`, `tests/process/tour.rs`: `a_process_can_say_that_it_runs_bevy` |
//! | `Allocator` | `Vec::new_in` | `tests/nightly/main.rs`: `standard_collections_live_in_frames_in_pools_and_on_the_heap` |
//! | Patterns | 1 to 4 | `patterns::pattern_1_a_game_loop` to `…_4_boxes_rather_than_pointers` |
//! | Troubleshooting | FA001, two blocks | `patterns::trouble_a_frame_allocation_outside_a_frame` |
//! | | FA101 | `tests/bevy/mistakes.rs`: `without_the_plugin_a_system_fails_with_the_line_to_add` |
//! | | FA003 | `patterns::trouble_an_arena_that_is_too_small` |
//! | | leaks | `patterns::trouble_memory_that_is_not_given_back` |

mod behavior;
mod essentials;
mod frames;
mod observing;
mod patterns;
mod reports;
mod retention;
mod snapshots;
mod threads;

/// Something for the frame, of plain data.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Corner {
    position: [f32; 3],
    normal: [f32; 3],
}
