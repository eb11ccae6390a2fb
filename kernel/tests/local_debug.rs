//! The tests of local maps once more, with the checks of the feature `debug` on.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "local/tests.rs"]
mod tests;
