//! The operations of `versus.rs`, with a processor that counts what it is asked for: stores to page tables, `invlpg`, and flushes of all.

#![no_std]
#![no_main]

extern crate alloc;

#[path = "versus/hand.rs"]
mod hand;
#[path = "versus/keeping.rs"]
mod keeping;
#[path = "versus/measure.rs"]
mod measure;
#[path = "versus/operations.rs"]
mod operations;

kernel::main!(operations::all);
