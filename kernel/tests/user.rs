//! Does user space do what a process may expect, and nothing that the kernel does not? Run it on one CPU, and on several.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "user/programs.rs"]
mod programs;
#[path = "user/tests.rs"]
mod tests;
