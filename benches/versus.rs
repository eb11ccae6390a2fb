//! What maps of high memory cost here, and what they cost when written by hand, operation by operation; Linux's are measured by
//! `linux/highmem_bench.c`. `cargo xtask bench` runs both, and makes one table of them.

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
