//! A small kernel. What it does with pages is for any kernel, and tested on the host; the rest is
//! for the bare machine alone.

#![no_std]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

#[cfg(test)]
extern crate std;

pub mod first_page;
pub mod frames;
pub mod memory_map;

#[cfg(target_os = "none")]
pub mod boot;
#[cfg(target_os = "none")]
pub mod cpu;
#[cfg(target_os = "none")]
pub mod exit;
#[cfg(target_os = "none")]
pub mod faults;
#[cfg(target_os = "none")]
pub mod highmem_glue;
#[cfg(target_os = "none")]
pub mod serial;
