//! A neighbour grid: bodies sorted by cell with a counting sort, so that a row of cells is one slice.
//!
//! The buffers are generic over where they live, which is all that the three kinds of memory differ in. What is read
//! afterwards, [`Grid`], is plain slices, so parallel closures can share it wherever the buffers are.

use allocator_api2::alloc::{Allocator, Global};
use allocator_api2::vec::Vec;
use bevy::prelude::*;

/// An agent as its neighbours see it.
#[derive(Clone, Copy, Debug, Default)]
pub struct Body {
    pub position: Vec2,
    pub velocity: Vec2,
    /// Its place in the order in which the bodies were given.
    pub slot: u32,
}

/// How a field is cut into cells.
#[derive(Clone, Copy, Debug)]
pub struct GridShape {
    half: Vec2,
    cell: f32,
    columns: u32,
    rows: u32,
}

impl GridShape {
    pub fn new(half: Vec2, cell: f32) -> Self {
        let size = (half * 2.0 / cell).ceil().max(Vec2::ONE);
        Self {
            half,
            cell,
            columns: size.x as u32,
            rows: size.y as u32,
        }
    }

    pub fn cells(self) -> usize {
        (self.columns * self.rows) as usize
    }

    /// Column and row of a position; the nearest ones if it is outside.
    fn place(self, position: Vec2) -> (u32, u32) {
        let place = ((position + self.half) / self.cell).max(Vec2::ZERO);
        (
            (place.x as u32).min(self.columns - 1),
            (place.y as u32).min(self.rows - 1),
        )
    }

    pub fn cell_at(self, position: Vec2) -> usize {
        let (column, row) = self.place(position);
        (row * self.columns + column) as usize
    }

    pub fn centre_of(self, cell: usize) -> Vec2 {
        let (column, row) = (cell as u32 % self.columns, cell as u32 / self.columns);
        Vec2::new(column as f32 + 0.5, row as f32 + 0.5) * self.cell - self.half
    }

    /// The cells around a cell, itself included.
    pub fn around(self, cell: usize) -> impl Iterator<Item = usize> {
        let (column, row) = (cell as u32 % self.columns, cell as u32 / self.columns);
        let rows = row.saturating_sub(1)..=(row + 1).min(self.rows - 1);
        rows.flat_map(move |row| {
            let columns = column.saturating_sub(1)..=(column + 1).min(self.columns - 1);
            columns.map(move |column| (row * self.columns + column) as usize)
        })
    }
}

/// What sorting bodies into a grid needs.
pub struct GridBuffers<A: Allocator> {
    starts: Vec<u32, A>,
    given: Vec<Body, A>,
    sorted: Vec<Body, A>,
}

impl<A: Allocator + Copy> GridBuffers<A> {
    pub fn new_in(memory: A) -> Self {
        Self {
            starts: Vec::new_in(memory),
            given: Vec::new_in(memory),
            sorted: Vec::new_in(memory),
        }
    }
}

impl Default for GridBuffers<Global> {
    fn default() -> Self {
        Self::new_in(Global)
    }
}

impl<A: Allocator> GridBuffers<A> {
    /// Sorts bodies, given as position and velocity, by cell; stable, so that every run finds the same order.
    pub fn sort(
        &mut self,
        shape: GridShape,
        bodies: impl Iterator<Item = (Vec2, Vec2)>,
    ) -> Grid<'_> {
        let Self {
            starts,
            given,
            sorted,
        } = self;
        given.clear();
        given.reserve(bodies.size_hint().0);
        given.extend(bodies.zip(0..).map(|((position, velocity), slot)| Body {
            position,
            velocity,
            slot,
        }));

        // First how many each cell has, then where each cell ends, then, while bodies are put in from the last to the
        // first, where it starts.
        starts.clear();
        starts.resize(shape.cells() + 1, 0);
        for body in given.iter() {
            starts[shape.cell_at(body.position)] += 1;
        }
        let mut end = 0;
        for start in starts.iter_mut() {
            end += *start;
            *start = end;
        }
        sorted.clear();
        sorted.resize(given.len(), Body::default());
        for body in given.iter().rev() {
            let place = &mut starts[shape.cell_at(body.position)];
            *place -= 1;
            sorted[*place as usize] = *body;
        }
        Grid {
            shape,
            starts,
            given,
            sorted,
        }
    }
}

/// Bodies by cell.
#[derive(Clone, Copy)]
pub struct Grid<'b> {
    pub shape: GridShape,
    starts: &'b [u32],
    given: &'b [Body],
    sorted: &'b [Body],
}

impl<'b> Grid<'b> {
    /// The bodies in the order in which they were given.
    pub fn by_slot(self) -> &'b [Body] {
        self.given
    }

    /// The bodies in the order of the cells.
    pub fn by_cell(self) -> &'b [Body] {
        self.sorted
    }

    /// How many bodies a cell has.
    pub fn count(self, cell: usize) -> u32 {
        self.starts[cell + 1] - self.starts[cell]
    }

    /// The bodies of every cell that a square around `position` touches.
    pub fn near(self, position: Vec2, radius: f32) -> impl Iterator<Item = &'b Body> {
        let (left, bottom) = self.shape.place(position - radius);
        let (right, top) = self.shape.place(position + radius);
        (bottom..=top).flat_map(move |row| {
            let row = row * self.shape.columns;
            let start = self.starts[(row + left) as usize] as usize;
            let end = self.starts[(row + right) as usize + 1] as usize;
            &self.sorted[start..end]
        })
    }
}
