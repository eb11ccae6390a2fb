//! Do the helpers that copy, clear and zero pages do it, on page tables that a processor walks?

#![no_std]
#![no_main]

extern crate alloc;

#[path = "ops/tests.rs"]
mod tests;
