#![deny(deprecated)]

framealloc::fa_compile_warning!(
    code = "GAME02",
    message = "the old pathfinder goes away",
    help = "turn on the feature `navmesh`"
);

fn main() {}
