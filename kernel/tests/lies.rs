//! Kernels that lie: does the self-test find them out?

#![no_std]
#![no_main]

extern crate alloc;

#[path = "lies/tests.rs"]
mod tests;
