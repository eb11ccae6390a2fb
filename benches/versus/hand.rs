//! What somebody who knows the processor writes by hand: `unsafe` functions on addresses and numbers, without a token, a guard, a context or
//! a type for the page.
//!
//! It has what correct code has to have and no more: a page of lowmem is used where it is, the slot must be empty, PAE's halves are written in
//! the right order, and `invlpg` comes behind the entry's end. That nobody else uses the slot, that the address is used no more, and that
//! preemption is off, its callers have to know. It is compiled once into each of its callers, with the number of the slot as a constant.

use core::ffi::c_void;
use core::ptr;

use highmem::machine::Machine as _;
use highmem::{Kernel, PAGE_SIZE};
use kernel::kmap::ExampleKernel;
use kernel::{arch, paging};

type Machine = <ExampleKernel as Kernel>::Machine;

/// The window: the last page table's worth below the interrupt controller.
const BASE: usize = arch::LAPIC_BASE - paging::TABLE_SPAN;
const SLOTS: usize = 4;
const LOWMEM_FRAMES: usize = paging::LOWMEM_LIMIT / PAGE_SIZE;

/// Present, writable, accessed, dirty; and global, where translations are.
const FLAGS: usize = 0x63 | if paging::GLOBAL_TRANSLATIONS { 0x100 } else { 0 };

#[repr(C, align(4096))]
struct Table([u64; PAGE_SIZE / 8]);

static mut TABLE: Table = Table([0; _]);

/// NX, where there is such, in the word that has it.
static mut NX: usize = 0;

/// Links the window, and finds out about NX.
pub fn init() {
    // SAFETY: of no other use; before anything else here.
    unsafe {
        paging::link_table(BASE, (&raw const TABLE).cast::<c_void>());
        NX = usize::from(paging::has_nx()) << (usize::BITS - 1);
    }
}

/// Gives `f` the address of a frame, in slot `SLOT` of this CPU if need be.
///
/// # Safety
///
/// Preemption is off, and nobody else on this CPU uses the slot meanwhile. `f` does not keep the address.
#[inline(always)]
pub unsafe fn with<const SLOT: usize, R>(pfn: usize, f: impl FnOnce(*mut u8) -> R) -> R {
    if paging::HAS_DIRECT_MAP && pfn < LOWMEM_FRAMES {
        return f((paging::DIRECT_MAP_BASE + pfn * PAGE_SIZE) as *mut u8);
    }
    // Where each CPU has its own window, all of this is constant.
    let number = if cfg!(feature = "cpu-window") { SLOT } else { ExampleKernel::cpu() * SLOTS + SLOT };
    let address = BASE + number * PAGE_SIZE;
    // SAFETY: an entry of the window, by the caller's promise nobody else's.
    unsafe {
        let entry = (&raw mut TABLE).cast::<paging::Raw>().add(number);
        set(entry, pfn);
        Machine::barrier();
        let result = f(address as *mut u8);
        Machine::barrier();
        clear(entry);
        Machine::invlpg(address);
        result
    }
}

#[cold]
#[inline(never)]
fn in_use() -> ! {
    panic!("the slot is in use")
}

#[cfg(all(target_arch = "x86", not(feature = "non-pae")))]
#[inline(always)]
unsafe fn set(entry: *mut paging::Raw, pfn: usize) {
    let halves = entry.cast::<u32>();
    // SAFETY: the caller's promise.
    unsafe {
        if Machine::read(halves) != 0 {
            in_use();
        }
        Machine::write(halves.add(1), (pfn >> 20 | ptr::read(&raw const NX)) as u32);
        Machine::write(halves, (pfn << 12 | FLAGS) as u32);
    }
}

#[cfg(all(target_arch = "x86", not(feature = "non-pae")))]
#[inline(always)]
unsafe fn clear(entry: *mut paging::Raw) {
    let halves = entry.cast::<u32>();
    // SAFETY: the caller's promise.
    unsafe {
        Machine::write(halves, 0);
        Machine::write(halves.add(1), 0);
    }
}

#[cfg(any(target_arch = "x86_64", feature = "non-pae"))]
#[inline(always)]
unsafe fn set(entry: *mut paging::Raw, pfn: usize) {
    let entry = entry.cast::<paging::Raw>();
    let nx = if cfg!(target_arch = "x86_64") {
        // SAFETY: written once, before.
        unsafe { ptr::read(&raw const NX) }
    } else {
        0
    };
    // SAFETY: the caller's promise.
    unsafe {
        if Machine::read(entry) != 0 {
            in_use();
        }
        Machine::write(entry, (pfn << 12 | FLAGS | nx) as paging::Raw);
    }
}

#[cfg(any(target_arch = "x86_64", feature = "non-pae"))]
#[inline(always)]
unsafe fn clear(entry: *mut paging::Raw) {
    // SAFETY: the caller's promise.
    unsafe { Machine::write(entry, 0) }
}
