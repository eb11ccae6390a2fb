//! The Rust of `docs/other-crates.md` about the crate `log`.

use std::sync::Mutex;

use highmem::trace::Event;

/// What goes into `Kernel::trace`, for a kernel that has the crate `log`.
fn trace(event: &Event) {
    log::trace!(target: "highmem", "{event}");
}

/// A logger that keeps its lines.
struct Lines(Mutex<Vec<String>>);

static LINES: Lines = Lines(Mutex::new(Vec::new()));

impl log::Log for Lines {
    fn enabled(&self, of: &log::Metadata<'_>) -> bool {
        of.target() == "highmem"
    }

    fn log(&self, record: &log::Record<'_>) {
        self.0.lock().unwrap().push(format!("{} {}", record.level(), record.args()));
    }

    fn flush(&self) {}
}

#[test]
fn a_logger_is_told_of_events_at_its_level() {
    log::set_logger(&LINES).expect("the only logger here");
    let event = Event::Unmapped { slot: "User0", address: 0xffe0_0000 };
    trace(&event);
    assert!(LINES.0.lock().unwrap().is_empty(), "nothing is logged while the level is off");
    log::set_max_level(log::LevelFilter::Trace);
    trace(&event);
    assert_eq!(*LINES.0.lock().unwrap(), ["TRACE slot User0: unmapped at 0xffe00000"]);
}
