//! Do pages that a disk does not reach get there and back, whatever else has the memory, and whatever goes wrong on the way?

#![no_std]
#![no_main]
#![allow(clippy::result_large_err, reason = "pages come back by value")]

extern crate alloc;

#[path = "bounce/tests.rs"]
mod tests;
