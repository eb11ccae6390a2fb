//! The tests of `kmap_atomic` once more, with the checks of the feature `debug` on.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "atomic/tests.rs"]
mod tests;
