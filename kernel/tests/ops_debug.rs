//! The tests of the helpers once more, with the checks of the feature `debug` on: lowmem is mapped, too, and each slot has an unmapped page
//! on both sides.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "ops/tests.rs"]
mod tests;
