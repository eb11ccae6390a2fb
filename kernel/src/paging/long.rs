//! 64-bit paging: five levels where the CPU has LA57, else four.

use core::arch::global_asm;
use core::ptr;

use x86::controlregs::{Cr4, cr4};

use super::wide;
pub use super::wide::{GLOBAL_TRANSLATIONS, INDEX_BITS, NX_EXISTS, Raw, decode, page, read, user_page};
use crate::arch::{DIRECT_MAP_BASE, IMAGE_BASE};

/// The mode, for `highmem`.
pub type Mode = highmem::paging::Long;

/// Addresses whose entries in the top table have to be there when the CPU loads it.
pub const LOADED_AT_ONCE: [usize; 0] = [];

// The first GiB in 2 MiB pages (present, writable, large): where it is, in the direct map, and where the image is linked.
global_asm!(
    r#"
    .pushsection .data.boot, "aw", @progbits
    .balign 4096
boot_pd:
    .set address, 0
    .rept 512
    .quad address | 0x83
    .set address, address + 0x200000
    .endr
boot_pdpt:
    .quad boot_pd - {base} + 3
    .fill 511, 8, 0
boot_pdpt_image:
    .fill 510, 8, 0
    .quad boot_pd - {base} + 3
    .quad 0
    .globl boot_root_4
boot_root_4:
    .quad boot_pdpt - {base} + 3
    .fill {direct_map} - 1, 8, 0
    .quad boot_pdpt - {base} + 3
    .fill 510 - {direct_map}, 8, 0
    .quad boot_pdpt_image - {base} + 3
    .globl boot_root_5
boot_root_5:
    .quad boot_root_4 - {base} + 3
    .fill 510, 8, 0
    .quad boot_root_4 - {base} + 3

    .globl unfit_text
unfit_text:
    .asciz "this CPU has no 64-bit mode\nverdict: FAIL\n"
    .popsection
    "#,
    base = const IMAGE_BASE,
    direct_map = const DIRECT_MAP_BASE >> 39 & 511,
    options(att_syntax)
);

/// How many levels of tables there are.
pub fn levels() -> u32 {
    // SAFETY: reads a register.
    if unsafe { cr4() }.contains(Cr4::CR4_ENABLE_LA57) { 5 } else { 4 }
}

/// The entry that leads to the table at `phys`.
pub fn table(phys: u64, _level: u32) -> u64 {
    wide::table(phys)
}

/// As [`table`], for tables of user space.
pub fn user_table(phys: u64, _level: u32) -> u64 {
    wide::user_table(phys)
}

/// Fills an empty entry, in one store.
///
/// # Safety
///
/// `at` points to an empty entry that nobody else writes.
pub unsafe fn write(at: *mut Raw, entry: u64) {
    // SAFETY: by this function's contract; the CPU may be walking the table.
    unsafe { ptr::write_volatile(at, entry) }
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
