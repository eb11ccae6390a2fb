//! Does the pool behind `kmap` do to the machine what it promises? Run it on one CPU, and on several.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "pool/tests.rs"]
mod tests;
