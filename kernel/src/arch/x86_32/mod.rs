//! 32-bit protected mode.
//!
//! The kernel's image is a part of the direct map, which begins at 3 GiB.

mod entry;
mod switch;
mod trap;
mod user;

pub(crate) use switch::{SAVED_REGISTERS, switch_stacks};
pub use trap::{TrapFrame, UserFrame};
pub(crate) use user::{TaskState, enter_user, store_kernel_stack, task_descriptor, task_state};
pub use x86::bits32::eflags::EFlags as Flags;
pub(crate) use x86::segmentation::Descriptor as Gate;

use x86::segmentation::DescriptorBuilder;

/// What a gate holds of an address.
pub(crate) type GateAddress = u32;

/// Where physical address 0 is mapped in the direct map.
pub const DIRECT_MAP_BASE: usize = 0xC000_0000;

/// Where physical address 0 would be in the mapping that the kernel's image is linked in.
pub const IMAGE_BASE: usize = DIRECT_MAP_BASE;

/// Behind the addresses of user space.
pub const USER_END: usize = DIRECT_MAP_BASE;

/// The most physical memory that the direct map covers: 896 MiB.
pub const LOWMEM_LIMIT: usize = 896 << 20;

/// From here up to the pool of `kmap` nothing is mapped.
pub const FREE_BASE: usize = 0xF800_0000;

/// Where `kmap` maps pages.
pub(crate) const PKMAP_BASE: usize = 0xFE00_0000;

/// Where the registers of the CPU's own interrupt controller are mapped: below the window.
pub const LAPIC_BASE: usize = 0xFF40_0000;

/// The flags register.
pub fn flags() -> Flags {
    // SAFETY: reads a register.
    unsafe { x86::bits32::eflags::read() }
}

/// Nothing to do: the segment has its base in its descriptor.
///
/// # Safety
///
/// None is needed.
pub(crate) unsafe fn set_cpu_base(_own: usize) {}

/// A code segment for this mode.
pub(crate) fn code_segment(segment: DescriptorBuilder) -> DescriptorBuilder {
    segment.db()
}
