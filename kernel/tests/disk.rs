//! Does a disk have what was written to it, by whatever way, and does a request that fails give everything back?

#![no_std]
#![no_main]

extern crate alloc;

#[path = "disk/tests.rs"]
mod tests;
