//! The tests of page tables once more, with the checks of the feature `debug` on.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "pagetable/tests.rs"]
mod tests;
