//! The tests of user space once more, with the checks of the feature `debug` on.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "user/programs.rs"]
mod programs;
#[path = "user/tests.rs"]
mod tests;
