//! Texts that are laid out. The same names and figures come again and again, and to lay one out takes as long as painting some
//! ten cells; egui forgets those that were not painted in a frame.

use std::collections::HashMap;
use std::mem;
use std::sync::Arc;

use bevy_egui::egui::{Color32, FontId, Galley, Ui};

use super::theme;

/// When so many were in use, those that were in use before them are forgotten.
const TURN: usize = 512;

/// What a text is laid out in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Font {
    Names,
    Figures,
}

impl Font {
    fn id(self) -> FontId {
        match self {
            Self::Names => theme::names(),
            Self::Figures => theme::figures(),
        }
    }
}

/// Laid out texts, each one line.
#[derive(Default)]
pub struct Galleys {
    names: Kept,
    figures: Kept,
    atlas: Option<Atlas>,
    generation: u64,
}

/// Those in use of late, and those in use before.
#[derive(Default)]
struct Kept {
    recent: HashMap<String, Arc<Galley>>,
    older: HashMap<String, Arc<Galley>>,
}

/// Texts are as good as new as long as this stays as it is.
#[derive(Clone, Copy)]
struct Atlas {
    pixels_per_point: f32,
    /// Falls when egui throws its glyphs away.
    fill: f32,
}

impl Galleys {
    /// Forgets all of them if egui's glyphs are others by now. To be called once a frame, before they are used.
    pub fn follow(&mut self, ui: &Ui) {
        let atlas = Atlas {
            pixels_per_point: ui.pixels_per_point(),
            fill: ui.fonts(|fonts| fonts.font_atlas_fill_ratio()),
        };
        let is_good = self.atlas.is_some_and(|before| {
            before.pixels_per_point == atlas.pixels_per_point && before.fill <= atlas.fill
        });
        if !is_good {
            (self.names, self.figures) = Default::default();
            self.generation += 1;
        }
        self.atlas = Some(atlas);
    }

    /// Texts of another generation are not to be painted.
    pub fn generation(&self) -> u64 {
        self.generation
    }

    /// A text, laid out in one line. Its colour is given when it is painted.
    pub fn lay_out(&mut self, text: &str, font: Font, ui: &Ui) -> Arc<Galley> {
        let kept = match font {
            Font::Names => &mut self.names,
            Font::Figures => &mut self.figures,
        };
        if let Some(galley) = kept.recent.get(text) {
            return galley.clone();
        }
        let (text, galley) = kept.older.remove_entry(text).unwrap_or_else(|| {
            let line = text.replace(['\n', '\r', '\t'], " ");
            let painter = ui.painter();
            let galley = painter.layout_no_wrap(line, font.id(), Color32::PLACEHOLDER);
            (text.to_owned(), galley)
        });
        if kept.recent.len() >= TURN {
            kept.older = mem::take(&mut kept.recent);
        }
        kept.recent.insert(text, galley.clone());
        galley
    }
}

#[cfg(test)]
mod tests {
    use bevy_egui::egui;

    use super::*;

    fn in_a_frame(context: &egui::Context, mut body: impl FnMut(&Ui)) {
        let mut output = context.run_ui(egui::RawInput::default(), |ui| body(ui));
        output.textures_delta.clear();
    }

    #[test]
    fn a_text_that_comes_again_is_not_laid_out_again() {
        let (context, mut galleys) = (egui::Context::default(), Galleys::default());
        let mut before = None;
        for _ in 0..3 {
            in_a_frame(&context, |ui| {
                galleys.follow(ui);
                let galley = galleys.lay_out("1.5\nMiB", Font::Figures, ui);
                assert_eq!(galley.rows.len(), 1);
                let name = galleys.lay_out("1.5\nMiB", Font::Names, ui);
                assert_ne!(name.size(), galley.size());
                if let Some(before) = before.replace(galley.clone()) {
                    assert!(Arc::ptr_eq(&before, &galley));
                }
            });
            // egui forgets what a frame does not paint.
            in_a_frame(&context, |_| {});
        }
    }

    #[test]
    fn only_texts_in_use_are_kept() {
        let (context, mut galleys) = (egui::Context::default(), Galleys::default());
        in_a_frame(&context, |ui| {
            galleys.follow(ui);
            let used = galleys.lay_out("used", Font::Names, ui);
            let forgotten = galleys.lay_out("forgotten", Font::Names, ui);
            for number in 0..3 * TURN {
                galleys.lay_out(&number.to_string(), Font::Names, ui);
                assert!(Arc::ptr_eq(
                    &used,
                    &galleys.lay_out("used", Font::Names, ui)
                ));
                assert!(galleys.names.recent.len() + galleys.names.older.len() <= 2 * TURN);
            }
            assert!(!galleys.names.recent.contains_key("forgotten"));
            assert!(!galleys.names.older.contains_key("forgotten"));
            assert_eq!(
                Arc::strong_count(&forgotten),
                1 + 1,
                "egui has it in this frame"
            );
        });
    }

    #[test]
    fn other_glyphs_are_another_generation() {
        let (context, mut galleys) = (egui::Context::default(), Galleys::default());
        let mut seen = Vec::new();
        for zoom in [1.0, 1.0, 2.0, 2.0] {
            context.set_zoom_factor(zoom);
            in_a_frame(&context, |ui| {
                galleys.follow(ui);
                let galley = galleys.lay_out("text", Font::Names, ui);
                seen.push((galleys.generation(), galley));
            });
        }
        let are_same = |a: usize, b: usize| {
            assert_eq!(seen[a].0 == seen[b].0, Arc::ptr_eq(&seen[a].1, &seen[b].1));
            seen[a].0 == seen[b].0
        };
        assert!(are_same(0, 1));
        assert!(!are_same(1, 2));
        assert!(are_same(2, 3));
    }
}
