//! Runs the tests of a test program, one after the other.
//!
//! A test is a function; it fails by a panic. Nothing unwinds here, so the first failure ends the run, and the panic
//! handler asks this module whose fault it was.

use crate::kmap::{self, Task};
use crate::sync::IrqLock;
use crate::{exit, println};

/// The test that is running.
static CURRENT: IrqLock<Option<&'static str>> = IrqLock::new(None);

/// The message of the panic that the running test is to end in.
static EXPECTED: IrqLock<Option<&'static str>> = IrqLock::new(None);

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
    run_tests_except(task, &[], tests)
}

/// Runs the tests as [`run_tests`] does, but for those that this machine cannot run, each with the reason why.
///
/// # Panics
///
/// If a test to leave out is not among the tests.
pub fn run_tests_except(task: &mut Task<'_>, left_out: &[(&str, &str)], tests: &[(&'static str, Test)]) -> ! {
    for (name, why) in left_out {
        assert!(tests.iter().any(|(test, _)| test == name), "no test is called {name}");
        println!("test {name} ... ignored, {why}");
    }
    println!("running {} tests", tests.len() - left_out.len());
    for &(name, test) in tests.iter().filter(|(test, _)| left_out.iter().all(|(name, _)| test != name)) {
        run(task, name, test);
    }
    CURRENT.with(|current| *current = None);
    let (passed, ignored) = (tests.len() - left_out.len(), left_out.len());
    println!("test result: ok. {passed} passed; 0 failed; {ignored} ignored");
    exit(true)
}

/// Runs the tests as [`run_tests`] does, and then one that has to end in a panic with the message `panic`. Nothing unwinds, so there is one
/// of these, and it is the last.
pub fn run_tests_and_panic(
    task: &mut Task<'_>,
    tests: &[(&'static str, Test)],
    (name, test, panic): (&'static str, Test, &'static str),
) -> ! {
    println!("running {} tests", tests.len() + 1);
    for &(name, test) in tests {
        run(task, name, test);
    }
    EXPECTED.with(|expected| *expected = Some(panic));
    CURRENT.with(|current| *current = Some(name));
    test(task);
    panic!("no panic came");
}

fn run(task: &mut Task<'_>, name: &'static str, test: Test) {
    CURRENT.with(|current| *current = Some(name));
    test(task);
    let reports = kmap::take_reports();
    assert!(reports.is_empty(), "broken promises: {reports:#?}");
    println!("test {name} ... ok");
}

/// Says how the test that was running ends: whether it was to end so, with this message; the panic handler's part.
pub(crate) fn ends_as_expected(message: Option<&str>) -> bool {
    let as_expected = message.is_some() && EXPECTED.try_with(|expected| *expected).flatten() == message;
    if let Some(name) = CURRENT.try_with(|current| *current).flatten() {
        println!("test {name} ... {}", if as_expected { "ok" } else { "FAILED" });
        println!("test result: {}.", if as_expected { "ok" } else { "FAILED" });
    }
    as_expected
}
