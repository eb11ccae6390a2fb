//! The tests of the pool once more, with the checks of the feature `debug` on.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "pool/tests.rs"]
mod tests;
