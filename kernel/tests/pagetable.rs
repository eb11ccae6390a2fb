//! Does the machine do what page tables of `highmem` say? Run it on one CPU, and on several.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "pagetable/tests.rs"]
mod tests;
