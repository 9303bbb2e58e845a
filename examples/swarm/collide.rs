//! Nobody stands in anybody: all contacts of the frame in one list, pushed apart a few times; and hunters catch prey.
//!
//! How long the list gets is anyone's guess. In a frenzy it is many times as long as on a calm day: the peak that a
//! kept vector never gives back.

use allocator_api2::alloc::{Allocator, Global};
use allocator_api2::vec::Vec;
use bevy::ecs::system::SystemParam;
use bevy::prelude::*;
use framealloc::bevy::FrameAlloc;

use crate::Step;
use crate::agents::{Dice, Hunter, Position, Prey, Velocity};
use crate::args::Mem;
use crate::field::Field;
use crate::grid::{Body, Grid, GridBuffers};

/// Closer than this is a contact.
const REACH: f32 = 6.0;
/// Prey are pushed apart to this distance.
const ROOM: f32 = 4.4;
/// Contacts that there is room for from the start, for each agent. A calm frame has fewer, a frenzy outgrows it.
const USUAL_CONTACTS: usize = 4;
/// A hunter this close to its prey has caught it.
const CATCH: f32 = 7.0;
const PASSES: usize = 2;

/// Two agents that touch, by slot.
struct Contact {
    a: u32,
    b: u32,
}

struct Buffers<A: Allocator> {
    agents: GridBuffers<A>,
    contacts: Vec<Contact, A>,
    places: Vec<Vec2, A>,
    caught: Vec<bool, A>,
}

impl<A: Allocator + Copy> Buffers<A> {
    fn new_in(memory: A) -> Self {
        Self {
            agents: GridBuffers::new_in(memory),
            contacts: Vec::new_in(memory),
            places: Vec::new_in(memory),
            caught: Vec::new_in(memory),
        }
    }
}

impl Default for Buffers<Global> {
    fn default() -> Self {
        Self::new_in(Global)
    }
}

/// What happened in the frame.
#[derive(Resource, Clone, Copy, Debug, Default)]
pub struct Tally {
    pub contacts: usize,
    pub most_contacts: usize,
    pub caught: u32,
}

#[derive(SystemParam)]
struct Scene<'w, 's> {
    field: Res<'w, Field>,
    dice: ResMut<'w, Dice>,
    tally: ResMut<'w, Tally>,
    prey: Query<
        'w,
        's,
        (
            &'static mut Position,
            &'static mut Velocity,
            &'static mut Prey,
        ),
        Without<Hunter>,
    >,
    hunters: Query<'w, 's, (&'static mut Position, &'static Velocity), With<Hunter>>,
}

pub fn add(app: &mut App, mem: Mem) {
    app.init_resource::<Tally>();
    match mem {
        Mem::Frame => app.add_systems(Update, in_frame_memory.in_set(Step::Collide)),
        Mem::Vec => app.add_systems(Update, in_new_vecs.in_set(Step::Collide)),
        Mem::Local => app.add_systems(Update, in_kept_vecs.in_set(Step::Collide)),
    };
}

fn in_frame_memory(frame: FrameAlloc, scene: Scene) {
    collide(&mut Buffers::new_in(frame.scratch()), scene);
}

fn in_new_vecs(scene: Scene) {
    collide(&mut Buffers::new_in(Global), scene);
}

fn in_kept_vecs(mut kept: Local<Buffers<Global>>, scene: Scene) {
    collide(&mut kept, scene);
}

fn collide<A: Allocator>(buffers: &mut Buffers<A>, scene: Scene) {
    let Scene {
        field,
        mut dice,
        mut tally,
        mut prey,
        mut hunters,
    } = scene;
    let Buffers {
        agents,
        contacts,
        places,
        caught,
    } = buffers;

    // Prey come first, so a slot tells which is which, and where in its query an agent is.
    let prey_count = prey.iter().len();
    let everybody = (prey
        .iter()
        .map(|(position, velocity, _)| (position.0, velocity.0)))
    .chain(
        hunters
            .iter()
            .map(|(position, velocity)| (position.0, velocity.0)),
    );
    let grid = agents.sort(field.grid(REACH), everybody);
    find_contacts(grid, contacts);

    places.clear();
    places.extend(grid.by_slot().iter().map(|body| body.position));
    for _ in 0..PASSES {
        push_apart(contacts, places);
    }

    caught.clear();
    caught.resize(prey_count, false);
    for hunter in &grid.by_slot()[prey_count..] {
        for body in grid.near(hunter.position, CATCH) {
            let is_prey = (body.slot as usize) < prey_count;
            if is_prey && body.position.distance_squared(hunter.position) < CATCH * CATCH {
                caught[body.slot as usize] = true;
            }
        }
    }

    tally.contacts = contacts.len();
    tally.most_contacts = tally.most_contacts.max(contacts.len());
    let (prey_places, hunter_places) = places.split_at(prey_count);
    for (((mut position, mut velocity, mut prey), place), caught) in
        prey.iter_mut().zip(prey_places).zip(caught.iter())
    {
        prey.caught_at = caught.then_some(position.0);
        if *caught {
            tally.caught += 1;
            (position.0, velocity.0) = dice.entrance(&field);
        } else {
            position.0 = field.keep_inside(*place);
        }
    }
    for ((mut position, _), place) in hunters.iter_mut().zip(hunter_places) {
        position.0 = field.keep_inside(*place);
    }
}

/// Lists each pair within reach once, in the order of the cells: what is near in space is near in the list.
fn find_contacts<A: Allocator>(grid: Grid, contacts: &mut Vec<Contact, A>) {
    contacts.clear();
    contacts.reserve(grid.by_cell().len() * USUAL_CONTACTS);
    for a in grid.by_cell() {
        let touches =
            |b: &&Body| a.slot < b.slot && a.position.distance_squared(b.position) < REACH * REACH;
        contacts.extend(
            grid.near(a.position, REACH)
                .filter(touches)
                .map(|b| Contact {
                    a: a.slot,
                    b: b.slot,
                }),
        );
    }
}

fn push_apart(contacts: &[Contact], places: &mut [Vec2]) {
    for contact in contacts {
        let (a, b) = (contact.a as usize, contact.b as usize);
        let offset = places[b] - places[a];
        let distance = offset.length();
        if distance < ROOM {
            let push = offset.normalize_or(Vec2::Y) * (ROOM - distance) * 0.25;
            places[a] -= push;
            places[b] += push;
        }
    }
}
