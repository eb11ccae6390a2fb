//! 32-bit paging without PAE: two levels, 1024 entries of 4 bytes a table, frames below 4 GiB, no NX.

use core::arch::global_asm;
use core::ptr;

use x86::bits32::paging::{PAddr, PDEntry, PDFlags, PTEntry, PTFlags};

use super::Page;

/// The mode, for `highmem`.
pub type Mode = highmem::paging::NonPae;

/// An entry, as it lies in memory.
pub type Raw = u32;

/// The binary logarithm of the number of entries in a table.
pub const INDEX_BITS: u32 = 10;

/// Whether entries can forbid execution.
pub const NX_EXISTS: bool = false;

/// Whether the kernel wants translations to be global: the first processors have no bit for it.
pub const GLOBAL_TRANSLATIONS: bool = false;

/// What boot asks of the CPU, in `edx` of `cpuid` leaf 1: PSE, for the boot table's large pages.
pub const BOOT_FEATURE: u32 = 1 << 3;

/// What boot turns on in CR4: PSE.
pub const BOOT_CR4: u32 = 1 << 4;

/// Addresses whose entries in the top table have to be there when the CPU loads it.
pub const LOADED_AT_ONCE: [usize; 0] = [];

// The first GiB, at 0 and at 3 GiB, in 4 MiB pages: present, writable, large.
global_asm!(
    r#"
    .pushsection .data.boot, "aw", @progbits
    .balign 4096
    .globl boot_root
boot_root:
    .set address, 0
    .rept 256
    .long address | 0x83
    .set address, address + 0x400000
    .endr
    .fill 512, 4, 0
    .set address, 0
    .rept 256
    .long address | 0x83
    .set address, address + 0x400000
    .endr

    .globl unfit_text
unfit_text:
    .asciz "this CPU has no 4 MiB pages\nverdict: FAIL\n"
    .popsection
    "#,
    options(att_syntax)
);

/// How many levels of tables there are.
pub fn levels() -> u32 {
    2
}

/// The entry that leads to the table at `phys`, one level down.
pub fn table(phys: u64, _level: u32) -> u64 {
    PDEntry::new(PAddr(phys as u32), PDFlags::P | PDFlags::RW).0.into()
}

/// The entry that maps the page at `phys`.
pub fn page(phys: u64, writable: bool, _no_execute: bool) -> u64 {
    let allowed = if writable { PTFlags::P | PTFlags::RW } else { PTFlags::P };
    PTEntry::new(PAddr(phys as u32), allowed).0.into()
}

/// As [`table`], for tables of user space.
pub fn user_table(phys: u64, level: u32) -> u64 {
    table(phys, level) | u64::from(PDFlags::US.bits())
}

/// As [`page`], for a page of user space.
pub fn user_page(phys: u64, writable: bool, no_execute: bool) -> u64 {
    page(phys, writable, no_execute) | u64::from(PTFlags::US.bits())
}

/// What an entry that maps a page says.
pub fn decode(entry: u64) -> Page {
    let entry = PTEntry(entry as u32);
    Page { address: entry.address().0.into(), writable: entry.is_writeable(), no_execute: false }
}

/// Reads an entry.
///
/// # Safety
///
/// `at` points to an entry.
pub unsafe fn read(at: *const Raw) -> u64 {
    // SAFETY: by this function's contract.
    unsafe { ptr::read_volatile(at) }.into()
}

/// Fills an empty entry.
///
/// # Safety
///
/// `at` points to an empty entry that nobody else writes.
pub unsafe fn write(at: *mut Raw, entry: u64) {
    // SAFETY: by this function's contract.
    unsafe { ptr::write_volatile(at, entry as u32) }
}

/// Empties an entry.
///
/// # Safety
///
/// `at` points to an entry that nobody else writes.
pub unsafe fn clear(at: *mut Raw) {
    // SAFETY: by this function's contract; the CPU may be walking the table.
    unsafe { ptr::write_volatile(at, 0) }
}
