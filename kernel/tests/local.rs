//! Do local maps stay with their thread, whatever runs on its CPU meanwhile? Run it on one CPU, and on several.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "local/tests.rs"]
mod tests;
