fn main() {
    framealloc::fa_emit!(FA999);
}
