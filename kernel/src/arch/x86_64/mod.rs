//! 64-bit mode.
//!
//! The kernel's image is linked in the topmost 2 GiB, where compiled code reaches it with 32-bit displacements. The direct map
//! is elsewhere: it begins at the lowest address of the upper half of a 4-level address space, which lies in the upper half of a
//! 5-level one, too.

mod entry;
mod switch;
mod trap;
mod user;

pub(crate) use switch::{SAVED_REGISTERS, switch_stacks};
pub use trap::{TrapFrame, UserFrame};
pub(crate) use user::{TaskState, enter_user, store_kernel_stack, task_descriptor, task_state};
pub use x86::bits64::rflags::{RFlags as Flags, read as flags};
pub(crate) use x86::bits64::segmentation::Descriptor64 as Gate;

use x86::segmentation::DescriptorBuilder;

/// What a gate holds of an address.
pub(crate) type GateAddress = u64;

/// Where physical address 0 is mapped in the direct map.
pub const DIRECT_MAP_BASE: usize = 0xFFFF_8000_0000_0000;

/// Where physical address 0 would be in the mapping that the kernel's image is linked in.
pub const IMAGE_BASE: usize = 0xFFFF_FFFF_8000_0000;

/// Behind the addresses of user space: the lower half of a 4-level address space. Its last page is left out, so that no instruction
/// ends where addresses do, and nothing returns there.
pub const USER_END: usize = 0x7FFF_FFFF_F000;

/// The most physical memory that the direct map covers: 1 GiB. The rest is highmem, as on a machine of 32 bits.
pub const LOWMEM_LIMIT: usize = 1 << 30;

/// From here up to the pool of `kmap` nothing is mapped.
pub const FREE_BASE: usize = 0xFFFF_FFFF_C000_0000;

/// Where `kmap` maps pages.
pub(crate) const PKMAP_BASE: usize = 0xFFFF_FFFF_FE00_0000;

/// Where [`virtio`](crate::virtio) has its registers, and what it calls memory: behind the direct map, in the part of the address space for
/// which the top table has an entry already, as it may have to stay as it is.
pub(crate) const VIRTIO_BASE: usize = DIRECT_MAP_BASE + (4 << 30);

/// Where the registers of the CPU's own interrupt controller are mapped: below the window.
pub const LAPIC_BASE: usize = 0xFFFF_FFFF_FF40_0000;

/// Has `gs` begin at this address.
///
/// # Safety
///
/// The CPU's own structure is there, for good.
pub(crate) unsafe fn set_cpu_base(own: usize) {
    // SAFETY: by this function's contract.
    unsafe { x86::msr::wrmsr(x86::msr::IA32_GS_BASE, own as u64) }
}

/// A code segment for this mode.
pub(crate) fn code_segment(segment: DescriptorBuilder) -> DescriptorBuilder {
    segment.l()
}
