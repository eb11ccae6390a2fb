//! Entries of 8 bytes: what PAE and 64-bit mode have in common.

use core::ptr;

use x86::bits64::paging::{PAddr, PDEntry, PDFlags, PTEntry, PTFlags};

use super::Page;

/// An entry, as it lies in memory.
pub type Raw = u64;

/// The binary logarithm of the number of entries in a table.
pub const INDEX_BITS: u32 = 9;

/// Whether entries can forbid execution, if the CPU has NX.
pub const NX_EXISTS: bool = true;

/// Whether the kernel wants translations to be global.
pub const GLOBAL_TRANSLATIONS: bool = true;

/// The entry that leads to the table at `phys`. Writing and executing are allowed here, and what is not is forbidden by the page.
pub fn table(phys: u64) -> u64 {
    PDEntry::new(PAddr(phys), PDFlags::P | PDFlags::RW).0
}

/// The entry that maps the page at `phys`.
pub fn page(phys: u64, writable: bool, no_execute: bool) -> u64 {
    let mut flags = PTFlags::P;
    flags.set(PTFlags::RW, writable);
    flags.set(PTFlags::XD, no_execute);
    PTEntry::new(PAddr(phys), flags).0
}

/// As [`table`], for tables of user space.
pub fn user_table(phys: u64) -> u64 {
    table(phys) | PDFlags::US.bits()
}

/// As [`page`], for a page of user space.
pub fn user_page(phys: u64, writable: bool, no_execute: bool) -> u64 {
    page(phys, writable, no_execute) | PTFlags::US.bits()
}

/// What an entry that maps a page says.
pub fn decode(entry: u64) -> Page {
    let entry = PTEntry(entry);
    Page {
        address: entry.address().as_u64(),
        writable: entry.is_writeable(),
        no_execute: entry.is_instruction_fetching_disabled(),
    }
}

/// Reads an entry.
///
/// # Safety
///
/// `at` points to an entry.
pub unsafe fn read(at: *const Raw) -> u64 {
    // SAFETY: by this function's contract.
    unsafe { ptr::read_volatile(at) }
}
