//! The tests of threads once more, with the checks of the feature `debug` on.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "threads/tests.rs"]
mod tests;

#[cfg_attr(target_arch = "x86", path = "registers/x86_32.rs")]
#[cfg_attr(target_arch = "x86_64", path = "registers/x86_64.rs")]
mod registers;
