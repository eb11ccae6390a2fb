//! Runs the tests of a test program, one after the other.
//!
//! A test is a function; it fails by a panic. Nothing unwinds here, so the first failure ends the run, and the panic
//! handler asks this module whose fault it was.

use crate::kmap::Task;
use crate::sync::IrqLock;
use crate::{exit, println};

/// The test that is running.
static CURRENT: IrqLock<Option<&'static str>> = IrqLock::new(None);

/// A test: it fails by a panic.
pub type Test = fn(&mut Task<'_>);

/// Runs the tests, in order, and exits.
///
/// ```ignore
/// fn tests(task: &mut Task<'_>) {
///     kernel::harness::run_tests(task, &[("ticks_advance", ticks_advance)])
/// }
/// ```
pub fn run_tests(task: &mut Task<'_>, tests: &[(&'static str, Test)]) -> ! {
    println!("running {} tests", tests.len());
    for &(name, test) in tests {
        CURRENT.with(|current| *current = Some(name));
        test(task);
        println!("test {name} ... ok");
    }
    CURRENT.with(|current| *current = None);
    println!("test result: ok. {} passed; 0 failed", tests.len());
    exit(true)
}

/// Says which test failed, if one was running; the panic handler's part.
pub(crate) fn report_failure() {
    if let Some(name) = CURRENT.try_with(|current| *current).flatten() {
        println!("test {name} ... FAILED");
        println!("test result: FAILED.");
    }
}
