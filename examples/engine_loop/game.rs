//! The main thread's part of a frame.

use std::error::Error;
use std::fmt::Write as _;
use std::io::Write as _;

use framealloc::{
    GroupId, Handle, HeapBox, PromotedAllocation, RetentionPolicy, SmartAlloc, StreamId,
    StreamPriority, TransferHandle,
};

use super::workers::{Contacts, Path};

pub const TEXTURE_BYTES: usize = 256 << 10;

struct Unit {
    health: u64,
    _brain: [u64; 24],
}

#[derive(Debug)]
pub struct Highlight {
    pub frame: u64,
    pub steps: usize,
}

/// What the main thread keeps from frame to frame.
pub struct Game<'a> {
    alloc: &'a SmartAlloc,
    level: Option<(u64, GroupId)>,
    units: Vec<Handle<Unit>>,
    textures: [Option<StreamId>; 8],
    pub highlights: Vec<HeapBox<Highlight>>,
    pub figures: Figures,
}

#[derive(Default, Debug)]
pub struct Figures {
    pub contacts: usize,
    pub search_attempts: u32,
    pub meshes_freed: usize,
    pub units_freed: u64,
    pub units_moved: usize,
    pub textures_loaded: u32,
    pub textures_found: u32,
    pub longest_label: usize,
}

impl<'a> Game<'a> {
    pub fn new(alloc: &'a SmartAlloc) -> Self {
        Self {
            alloc,
            level: None,
            units: Vec::new(),
            textures: [None; 8],
            highlights: Vec::new(),
            figures: Figures::default(),
        }
    }

    /// What a level loads is a group: one call frees it, destructors and all.
    pub fn enter(&mut self, level: u64) {
        if self.level.is_some_and(|(of, _)| of == level) {
            return;
        }
        self.leave();
        let groups = self.alloc.groups();
        let meshes = groups.create_group(format!("level {level}"));
        for mesh in 0..40 {
            groups.alloc_slice_from_iter(meshes, (0..100 + mesh).map(|n| n as f32));
        }
        self.level = Some((level, meshes));
    }

    fn leave(&mut self) {
        if let Some((_, meshes)) = self.level.take() {
            self.figures.meshes_freed += self.alloc.groups().free_group(meshes).values;
        }
    }

    pub fn update(
        &mut self,
        frame: u64,
        contacts: TransferHandle<Contacts>,
        path: TransferHandle<Path>,
    ) -> Result<(), Box<dyn Error>> {
        // Received, they belong to this thread; dropped, their blocks go back to the pool of the worker.
        let (contacts, path) = (contacts.receive(), path.receive());
        self.figures.contacts += contacts.count;
        self.figures.search_attempts += path.attempts;

        let phase = self.alloc.phase_scope("units");
        self.update_units(frame)?;
        drop(phase);

        let _phase = self.alloc.phase_scope("draw");
        let mut draws = self.alloc.frame_vec(self.units.len());
        let mut by_health = self.alloc.frame_map::<u64, u32>(101);
        for unit in &self.units {
            let unit = self.alloc.handles().resolve(*unit)?;
            draws.push(unit.health);
            *by_health.entry(unit.health).or_default() += 1;
        }
        draws.sort_unstable();
        let mut label = self.alloc.frame_string(64);
        write!(
            label,
            "{} units, {} of the weakest",
            draws.len(),
            by_health[&draws[0]]
        )?;
        self.figures.longest_label = self.figures.longest_label.max(label.len());

        // Perhaps worth keeping: made like all else in the frame, and moved out of it when the frame ends.
        let record = self.highlights.iter().map(|h| h.steps).max().unwrap_or(0);
        if path.steps > record {
            let steps = path.steps;
            let highlight = Highlight { frame, steps };
            self.alloc
                .frame_retained_with(RetentionPolicy::PromoteToHeap, highlight);
        }
        Ok(())
    }

    /// Units come and go in no order, which leaves holes. Compaction closes some every frame; handles stay good.
    fn update_units(&mut self, frame: u64) -> Result<(), Box<dyn Error>> {
        let handles = self.alloc.handles();
        let arriving = if frame.is_multiple_of(50) { 800 } else { 0 };
        for n in 0..arriving {
            let health = 20 + (frame * 7 + n * 31) % 80;
            self.units.push(handles.insert(Unit {
                health,
                _brain: [n; 24],
            })?);
        }
        for unit in &self.units {
            handles.resolve_mut(*unit)?.health -= 1;
        }
        self.units.retain(|unit| {
            let alive = handles.resolve(*unit).is_ok_and(|unit| unit.health > 0);
            if !alive {
                self.figures.units_freed += u64::from(handles.free(*unit).is_ok());
            }
            alive
        });
        self.figures.units_moved += handles.defragment_step(8 << 10);
        Ok(())
    }

    /// Two textures are in sight, three fit, eight exist: the one that was not seen for longest makes room.
    pub fn stream(&mut self, frame: u64) -> Result<(), Box<dyn Error>> {
        let streaming = self.alloc.streaming();
        for near in 0..2 {
            let texture = (frame as usize / 15 + near) % self.textures.len();
            if let Some(id) = self.textures[texture]
                && let Some(pixels) = streaming.access(id)
            {
                assert!(pixels.iter().all(|byte| *byte == texture as u8));
                self.figures.textures_found += 1;
                continue;
            }
            let id = streaming.reserve(TEXTURE_BYTES, StreamPriority::Normal)?;
            let mut writer = streaming.begin_load(id)?; // could be sent to a thread that reads files
            while writer.remaining() > 0 {
                writer.write_all(&[texture as u8; 4096])?;
            }
            writer.finish()?;
            self.textures[texture] = Some(id);
            self.figures.textures_loaded += 1;
        }
        Ok(())
    }

    /// What was retained in the frame gets an owner when it ends, or is dropped.
    pub fn end_frame(&mut self) -> Result<(), Box<dyn Error>> {
        for item in self.alloc.end_frame_with_promotions().promoted {
            match item {
                PromotedAllocation::Heap { value, .. } => {
                    self.highlights.push(value.downcast()?);
                }
                PromotedAllocation::Failed { reason, meta } => {
                    eprintln!("could not keep a {}: {reason}", meta.type_name);
                }
                _ => {}
            }
        }
        Ok(())
    }

    pub fn finish(&mut self) -> Result<(), Box<dyn Error>> {
        self.leave();
        for unit in self.units.drain(..) {
            self.alloc.handles().free(unit)?;
        }
        for texture in self.textures.iter_mut().filter_map(Option::take) {
            self.alloc.streaming().free(texture); // unless it was evicted
        }
        Ok(())
    }
}
