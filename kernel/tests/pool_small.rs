//! The tests of the pool once more, with a pool of 16 entries.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "pool/tests.rs"]
mod tests;
