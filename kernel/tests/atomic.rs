//! Does `kmap_atomic` do to the machine what it promises?

#![no_std]
#![no_main]

extern crate alloc;

#[path = "atomic/tests.rs"]
mod tests;
