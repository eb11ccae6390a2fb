//! Do threads, wait queues and calls between CPUs do what they promise? Run it on one CPU, and on several.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "threads/tests.rs"]
mod tests;

#[cfg_attr(target_arch = "x86", path = "registers/x86_32.rs")]
#[cfg_attr(target_arch = "x86_64", path = "registers/x86_64.rs")]
mod registers;
