//! The kernel's entry: sets the machine up, maps its first page of high memory, and exits.

#![no_std]
#![no_main]
#![deny(unsafe_op_in_unsafe_fn)]
#![deny(clippy::undocumented_unsafe_blocks)]

use highmem::Page;
use highmem::machine::X86;
use kernel::highmem_glue::{self, DIRECT_MAP_END, Frame, Task};
use kernel::memory_map::Region;
use kernel::{cpu, exit, faults, first_page, frames, memory_map, println};

const TEXT: [u8; 18] = *b"hello, high memory";

/// Called by `boot.rs`, in the mode that the kernel runs in, with what the boot loader has left.
#[unsafe(no_mangle)]
extern "C" fn kernel_main(start_info: u32) -> ! {
    faults::init();
    // SAFETY: once, and exceptions have their handlers.
    unsafe { cpu::init() };
    // SAFETY: `start_info` is from the boot loader, and nobody has written to low memory since.
    let map = unsafe { memory_map::from_start_info(start_info) };
    println!("memory: {} MiB", map.iter().map(Region::ram).sum::<u64>() >> 20);

    highmem_glue::link_window();
    // SAFETY: nobody else gives out this memory, and this is done once.
    let mut frames =
        unsafe { frames::high_frames(map, DIRECT_MAP_END, X86::physical_address_bits()) };
    // SAFETY: once, with interrupts on.
    unsafe { highmem_glue::start(|task| run(task, &mut frames)) };
    exit::exit(true)
}

/// What the kernel does: from here on, all code is safe.
fn run(task: &mut Task<'_>, frames: &mut impl Iterator<Item = Frame>) {
    highmem_glue::check(task);

    let mut page = frames.next().expect("the machine has more than 1 GiB of memory");
    let written_at = first_page::write(task, &mut page, &TEXT);
    let mut text = [0; TEXT.len()];
    let read_at = first_page::read(task, &page, &mut text);
    assert_eq!(text, TEXT, "{:?} has lost its text", page.pfn());
    println!("written at {written_at:#x}, read at {read_at:#x}");
    println!("first high page mapped: {:#x}", page.pfn().address());
}
