fn main() {
    framealloc::fa_diagnostic!(Fatal, code = "GAME01", message = "there is no such kind");
}
