//! 32-bit paging with PAE: three levels, entries of 8 bytes, which the CPU and we access as two halves.

use core::arch::global_asm;
use core::ptr;

use x86::bits64::paging::{PAddr, PDPTEntry, PDPTFlags};

use super::wide;
pub use super::wide::{GLOBAL_TRANSLATIONS, INDEX_BITS, NX_EXISTS, Raw, decode, page, read, user_page};
use crate::arch::IMAGE_BASE;

/// The mode, for `highmem`.
pub type Mode = highmem::paging::Pae;

/// What boot asks of the CPU, in `edx` of `cpuid` leaf 1: PAE.
pub const BOOT_FEATURE: u32 = 1 << 6;

/// What boot turns on in CR4: PAE.
pub const BOOT_CR4: u32 = 1 << 5;

/// Addresses whose entries in the top table have to be there when the CPU loads it: it reads the four pointers then, and never again.
pub const LOADED_AT_ONCE: [usize; 4] = [0, 1 << 30, 2 << 30, 3 << 30];

// The first GiB in 2 MiB pages (present, writable, large), at 0 and at 3 GiB.
global_asm!(
    r#"
    .pushsection .data.boot, "aw", @progbits
    .balign 4096
boot_pd:
    .set address, 0
    .rept 512
    .long address | 0x83, 0
    .set address, address + 0x200000
    .endr
    .globl boot_root
boot_root:
    .long boot_pd - {base} + 1, 0
    .long 0, 0
    .long 0, 0
    .long boot_pd - {base} + 1, 0

    .globl unfit_text
unfit_text:
    .asciz "this CPU has no PAE\nverdict: FAIL\n"
    .popsection
    "#,
    base = const IMAGE_BASE,
    options(att_syntax)
);

/// How many levels of tables there are.
pub fn levels() -> u32 {
    3
}

/// The entry in a table of level `level` that leads to the table at `phys`. Those of the top table have no other bits.
pub fn table(phys: u64, level: u32) -> u64 {
    if level == 3 { PDPTEntry::new(PAddr(phys), PDPTFlags::P).0 } else { wide::table(phys) }
}

/// As [`table`], for tables of user space.
pub fn user_table(phys: u64, level: u32) -> u64 {
    if level == 3 { table(phys, level) } else { wide::user_table(phys) }
}

/// Fills an empty entry: high half first, and then the low half with the present bit (I10).
///
/// # Safety
///
/// `at` points to an empty entry that nobody else writes.
pub unsafe fn write(at: *mut Raw, entry: u64) {
    let halves = at.cast::<u32>();
    // SAFETY: by this function's contract; the CPU may be walking the table: volatile, in the order of I10.
    unsafe {
        ptr::write_volatile(halves.add(1), (entry >> 32) as u32);
        ptr::write_volatile(halves, entry as u32);
    }
}

/// Empties an entry: low half first, with the present bit (I10).
///
/// # Safety
///
/// `at` points to an entry that nobody else writes.
pub unsafe fn clear(at: *mut Raw) {
    let halves = at.cast::<u32>();
    // SAFETY: by this function's contract; the CPU may be walking the table: volatile, in the order of I10.
    unsafe {
        ptr::write_volatile(halves, 0);
        ptr::write_volatile(halves.add(1), 0);
    }
}
