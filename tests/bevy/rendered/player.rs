//! Somebody who plays: keys, clicks, and a look at the screen.
//!
//! What is on the screen is read from the texts that egui paints and from those of Bevy's UI, each with its place. The pictures are
//! for people to look at.

use std::collections::HashSet;
use std::path::PathBuf;

use bevy::input::ButtonState;
use bevy::input::keyboard::{Key, KeyboardInput};
use bevy::prelude::*;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured, save_to_disk};
use bevy_egui::input::EguiInputEvent;
use bevy_egui::{EguiContext, EguiFullOutput, EguiPostUpdateSet, PrimaryEguiContext, egui};

use super::picture::{Picture, draw_into_a_picture, finish};

const SIZE: UVec2 = UVec2::new(1280, 720);
/// Nothing that is waited for takes as many frames.
const LONG: u32 = 3_000;

/// What egui painted last: each text, and where.
#[derive(Resource, Default)]
struct Painted(Vec<(String, egui::Rect)>);

/// Photographs that were written, and how colourful the last one is.
#[derive(Resource, Default)]
struct Saved {
    count: u32,
    colours: usize,
}

pub struct Player {
    pub app: App,
    album: PathBuf,
    taken: u32,
}

impl Player {
    /// Starts a game that has its plugins, and is not finished. Photographs go to `target/tmp/<album>`, or to the folder that
    /// `FRAMEALLOC_SHOTS` names.
    pub fn start(mut app: App, album: &str) -> Self {
        let album = std::env::var_os("FRAMEALLOC_SHOTS")
            .map_or_else(scratch_folder, PathBuf::from)
            .join(album);
        std::fs::create_dir_all(&album).unwrap();
        draw_into_a_picture(&mut app, SIZE);
        app.init_resource::<Painted>()
            .init_resource::<Saved>()
            .add_systems(
                PostUpdate,
                note_painted
                    .after(EguiPostUpdateSet::EndPass)
                    .before(EguiPostUpdateSet::ProcessOutput),
            );
        finish(&mut app);
        let mut player = Self {
            app,
            album,
            taken: 0,
        };
        player.frames(5);
        player
    }

    pub fn frames(&mut self, count: u32) {
        for _ in 0..count {
            self.app.update();
        }
    }

    /// Plays until something is so.
    #[track_caller]
    pub fn until(&mut self, what: &str, mut is_so: impl FnMut(&mut Self) -> bool) {
        for _ in 0..LONG {
            if is_so(self) {
                return;
            }
            self.frames(1);
        }
        panic!("in {LONG} frames: no {what}: {:#?}", self.painted());
    }

    // ---- The keyboard and the mouse ----------------------------------------------------------------------------------------

    pub fn press(&mut self, key_code: KeyCode, logical_key: Key) {
        self.hold(key_code, logical_key.clone());
        self.key(key_code, logical_key, ButtonState::Released);
        self.frames(2);
    }

    /// Presses a key, and does not let go.
    pub fn hold(&mut self, key_code: KeyCode, logical_key: Key) {
        self.key(key_code, logical_key, ButtonState::Pressed);
    }

    fn key(&mut self, key_code: KeyCode, logical_key: Key, state: ButtonState) {
        self.app.world_mut().write_message(KeyboardInput {
            key_code,
            logical_key,
            state,
            text: None,
            repeat: false,
            window: Entity::PLACEHOLDER,
        });
        self.frames(1);
    }

    /// Clicks on a text of egui's, and takes the pointer away.
    #[track_caller]
    pub fn click(&mut self, text: &str) {
        let pos = self.place(text).center();
        self.pointer(egui::Event::PointerMoved(pos));
        self.frames(2);
        for pressed in [true, false] {
            self.pointer(egui::Event::PointerButton {
                pos,
                button: egui::PointerButton::Primary,
                pressed,
                modifiers: egui::Modifiers::NONE,
            });
            self.frames(1);
        }
        self.pointer(egui::Event::PointerMoved(egui::pos2(2.0, 2.0)));
        // Nothing fades any more.
        self.frames(15);
    }

    fn pointer(&mut self, event: egui::Event) {
        let context = self.egui();
        self.app
            .world_mut()
            .write_message(EguiInputEvent { context, event });
    }

    fn egui(&mut self) -> Entity {
        let world = self.app.world_mut();
        let mut contexts = world.query_filtered::<Entity, With<PrimaryEguiContext>>();
        contexts.single(world).expect("egui has a camera")
    }

    pub fn theme(&mut self, theme: egui::Theme) {
        let context = self.egui();
        let mut context = self
            .app
            .world_mut()
            .get_mut::<EguiContext>(context)
            .unwrap();
        context.get_mut().set_theme(theme);
        self.frames(2);
    }

    // ---- The screen --------------------------------------------------------------------------------------------------------

    /// What egui painted last: each text, and where.
    pub fn painted(&self) -> &[(String, egui::Rect)] {
        &self.app.world().resource::<Painted>().0
    }

    /// Whether egui painted a text that has this in it.
    pub fn shows(&self, part: &str) -> bool {
        self.painted().iter().any(|(text, _)| text.contains(part))
    }

    #[track_caller]
    pub fn expect(&self, parts: &[&str]) {
        for part in parts {
            assert!(
                self.shows(part),
                "{part:?} is not on the screen: {:#?}",
                self.painted()
            );
        }
    }

    /// Where a text is.
    #[track_caller]
    pub fn place(&self, text: &str) -> egui::Rect {
        let found = self.painted().iter().find(|(painted, _)| painted == text);
        found
            .unwrap_or_else(|| panic!("{text:?} is not on the screen: {:#?}", self.painted()))
            .1
    }

    /// What a table has in a column, from the top down.
    #[track_caller]
    pub fn column(&self, heading: &str) -> Vec<&str> {
        let heading = self.place(heading);
        let below = |at: &egui::Rect| {
            at.top() >= heading.bottom() && at.x_range().intersects(heading.x_range())
        };
        let cells = self.painted().iter().filter(|(_, at)| below(at));
        cells.map(|(text, _)| text.as_str()).collect()
    }

    /// What a table has in a column of the row that begins with `row`.
    #[track_caller]
    pub fn cell(&self, row: &str, heading: &str) -> &str {
        let (line, column) = (self.place(row).y_range(), self.place(heading).x_range());
        let mut painted = self.painted().iter();
        let cell =
            painted.find(|(_, at)| line.contains(at.center().y) && at.x_range().intersects(column));
        let cell = cell.unwrap_or_else(|| panic!("{row}: no {heading}: {:#?}", self.painted()));
        &cell.0
    }

    /// The texts of Bevy's UI.
    pub fn ui_texts(&mut self) -> Vec<String> {
        let world = self.app.world_mut();
        let mut texts = world.query::<&Text>();
        texts.iter(world).map(|text| text.0.clone()).collect()
    }

    pub fn photograph(&mut self, name: &str) {
        let picture = self.app.world().resource::<Picture>().0.clone();
        let path = self.album.join(format!("{name}.png"));
        self.app
            .world_mut()
            .spawn(Screenshot::image(picture))
            .observe(save_to_disk(path.clone()))
            .observe(note_saved);
        self.taken += 1;
        let taken = self.taken;
        self.until("photograph", |player| {
            player.app.world().resource::<Saved>().count == taken
        });
        let colours = self.app.world().resource::<Saved>().colours;
        assert!(colours > 8, "{name} has {colours} colours");
        assert!(path.metadata().unwrap().len() > 1000);
    }
}

fn note_saved(captured: On<ScreenshotCaptured>, mut saved: ResMut<Saved>) {
    let texels = captured.image.data.as_deref().unwrap_or_default();
    saved.count += 1;
    saved.colours = texels.chunks_exact(4).collect::<HashSet<_>>().len();
}

fn note_painted(outputs: Query<&EguiFullOutput>, mut painted: ResMut<Painted>) {
    fn note(shape: &egui::Shape, clip: egui::Rect, texts: &mut Vec<(String, egui::Rect)>) {
        match shape {
            egui::Shape::Text(text) => {
                let rect = text.visual_bounding_rect();
                if clip.intersects(rect) {
                    texts.push((text.galley.text().to_owned(), rect));
                }
            }
            egui::Shape::Vec(shapes) => {
                for shape in shapes {
                    note(shape, clip, texts);
                }
            }
            _ => {}
        }
    }
    for output in &outputs {
        let Some(output) = &output.0 else { continue };
        painted.0.clear();
        for clipped in &output.shapes {
            note(&clipped.shape, clipped.clip_rect, &mut painted.0);
        }
    }
}

/// `target/tmp`: tests are in `target/<profile>/deps`, or beside it.
fn scratch_folder() -> PathBuf {
    let test = std::env::current_exe().expect("a test is a file");
    let target = test.ancestors().nth(3).expect("it is in cargo's folder");
    target.join("tmp")
}
