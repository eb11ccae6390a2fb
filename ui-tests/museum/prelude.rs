//! What the programs of the museum that run start from: the prelude of all cases, and what becomes of a mistake at run time.
#![allow(dead_code, unused_imports)]

use std::panic::{self, AssertUnwindSafe};

// Not `../prelude.rs`: by the words in which programs name this file, that is this file, and the compiler finds a circle.
#[path = "../../ui-tests/prelude.rs"]
mod of_all_cases;
pub use of_all_cases::*;

/// Does something that panics, and gives the panic's message.
#[track_caller]
pub fn caught<R>(mistake: impl FnOnce() -> R) -> String {
    let hook = panic::take_hook();
    panic::set_hook(Box::new(|_| {}));
    let end = panic::catch_unwind(AssertUnwindSafe(mistake));
    panic::set_hook(hook);
    let Err(payload) = end else { panic!("nothing was caught") };
    match payload.downcast::<String>() {
        Ok(message) => *message,
        Err(payload) => (*payload.downcast::<&str>().expect("a panic has a message")).to_owned(),
    }
}
