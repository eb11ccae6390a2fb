//! Kernels that lie, with the checks of the feature `debug` on.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "lies/tests.rs"]
mod tests;
