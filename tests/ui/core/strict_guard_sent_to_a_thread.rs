use framealloc::StrictModeGuard;

fn main() {
    let guard = StrictModeGuard::panic_on_error();
    std::thread::spawn(move || drop(guard));
}
