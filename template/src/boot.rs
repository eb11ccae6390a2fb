//! From the boot loader to `kernel_main`.
//!
//! QEMU's `-kernel` loads the image and finds the entry by a note (the PVH boot protocol): in
//! 32-bit mode, without paging, with interrupts off, and with the physical address of the start
//! info in `ebx`. What is different in 32-bit and in 64-bit mode is in the folder `boot`. The tables
//! are the same in both: 64-bit mode has one level more, on top.
//!
//! ```text
//! 0 to 1 GiB   the direct map: physical memory where it is, in pages of 2 MiB. The image is there.
//! from 1 GiB   highmem's window: `highmem_glue` puts its page table into `window_directory`.
//! ```

use core::arch::global_asm;
use core::cell::UnsafeCell;

/// What the entries of the third level have, beside the address: present and writable. With PAE
/// they have no bit for the latter.
const TABLE: u32 = if cfg!(target_arch = "x86_64") { 3 } else { 1 };

/// A code segment of this mode.
const CODE: u64 =
    if cfg!(target_arch = "x86_64") { 0x0020_9a00_0000_0000 } else { 0x00cf_9a00_0000_ffff };

/// The page directory for the second GiB. Each entry leads to a page table, for 2 MiB.
#[repr(C, align(4096))]
pub struct Directory(pub UnsafeCell<[u64; 512]>);

// SAFETY: only `highmem_glue::link_window` writes to it, once, and the processor reads it.
unsafe impl Sync for Directory {}

/// What the window is linked into.
#[unsafe(no_mangle)]
pub static WINDOW_DIRECTORY: Directory = Directory(UnsafeCell::new([0; 512]));

global_asm!(
    r#"
    .pushsection .note.pvh, "a", @note
    .balign 4
    .long 4                         # size of the name
    .long 4                         # size of the value
    .long 18                        # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start
    .popsection

    .pushsection .data.boot, "aw", @progbits
    .balign 4096
direct_map:                         # 512 pages of 2 MiB: present, writable, large
    .set address, 0
    .rept 512
    .long address | 0x83, 0
    .set address, address + 0x200000
    .endr
third_level:                        # an entry for each GiB
    .long direct_map + {table}, 0
    .long WINDOW_DIRECTORY + {table}, 0
    .fill 510, 8, 0
fourth_level:                       # in 64-bit mode alone
    .long third_level + 3, 0
    .fill 511, 8, 0
gdt:
    .quad 0
    .quad {code}
    .quad 0x00cf92000000ffff        # data
gdt_pointer:
    .word 23
    .long gdt
    .popsection

    .pushsection .bss.boot, "aw", @nobits
    .balign 16
    .skip 65536
stack_top:
    .popsection
    "#,
    table = const TABLE,
    code = const CODE,
    options(att_syntax)
);

#[cfg(target_arch = "x86")]
global_asm!(include_str!("boot/x86.s"), options(att_syntax));
#[cfg(target_arch = "x86_64")]
global_asm!(include_str!("boot/x86_64.s"), options(att_syntax));
