//! A run that ends by itself: after so many frames, with a last look at the window.

use std::path::PathBuf;

use bevy::diagnostic::FrameCount;
use bevy::prelude::*;
use bevy::render::renderer::RenderAdapterInfo;
use bevy::render::view::screenshot::{Screenshot, ScreenshotCaptured};

use crate::args::Args;

/// Frames that a picture of the window may take. It takes two or three.
const PATIENCE: u32 = 600;

#[derive(Resource)]
struct Ending {
    frame: u32,
    file: Option<PathBuf>,
}

pub fn add(app: &mut App, args: &Args) {
    if let Some(frame) = args.exit_after {
        let file = args.screenshot.clone();
        app.insert_resource(Ending { frame, file })
            .add_systems(Last, look);
    }
}

fn look(
    count: Res<FrameCount>,
    ending: Res<Ending>,
    mut commands: Commands,
    mut exit: MessageWriter<AppExit>,
) {
    if count.0 == ending.frame {
        commands.spawn(Screenshot::primary_window()).observe(end);
    } else if count.0 == ending.frame.saturating_add(PATIENCE) {
        error!("the window cannot be photographed: is it drawn at all?");
        exit.write(AppExit::error());
    }
}

fn end(
    captured: On<ScreenshotCaptured>,
    ending: Res<Ending>,
    adapter: Res<RenderAdapterInfo>,
    mut exit: MessageWriter<AppExit>,
) {
    let size = captured.image.size();
    if is_blank(&captured.image) {
        error!("the window is blank after {} frames", ending.frame);
        exit.write(AppExit::error());
        return;
    }
    println!(
        "drew {} frames in a window of {}x{} pixels, with {}",
        ending.frame, size.x, size.y, adapter.name
    );
    exit.write(match &ending.file {
        None => AppExit::Success,
        Some(file) => match save(&captured.image, file) {
            Ok(()) => AppExit::Success,
            Err(error) => {
                error!("{} cannot be saved: {error}", file.display());
                AppExit::error()
            }
        },
    });
}

fn is_blank(picture: &Image) -> bool {
    let texels = picture.data.as_deref().unwrap_or_default();
    let mut texels = texels.chunks_exact(4);
    let first = texels.next();
    texels.all(|texel| Some(texel) == first)
}

/// As what its ending says: `.png`.
fn save(picture: &Image, file: &PathBuf) -> Result {
    picture.clone().try_into_dynamic()?.to_rgb8().save(file)?;
    Ok(())
}
