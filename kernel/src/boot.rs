//! From the boot loader to the program's entry.
//!
//! The kernel is linked 3 GiB above where it is loaded, so until paging is on no address in it is true. The PVH entry
//! below therefore takes [`DIRECT_MAP_BASE`](crate::paging::DIRECT_MAP_BASE) off every symbol, turns paging on with
//! tables that map the first GiB twice (where it is, and at 3 GiB), and jumps to the upper copy. These tables have
//! 2 MiB pages and live only until [`paging`] has built the final ones.
//!
//! The loader has zeroed `.bss`, set flat segments and turned interrupts off: that is the PVH contract.

use core::arch::global_asm;
use core::ffi::c_void;

use crate::kmap::Task;
use crate::{console, exit, frames, gdt, heap, idt, irq, kmap, memory, paging, pic, pvh, timer};

global_asm!(
    r#"
    .pushsection .note.pvh, "a", @note
    .balign 4
    .long 4                                 # size of the name
    .long 4                                 # size of the value
    .long 18                                # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start - {base}
    .popsection

    .pushsection .text.boot, "ax", @progbits
    .code32
    .globl pvh_start
pvh_start:
    cli
    cld
    movl %ebx, %esi                         # start info; cpuid takes ebx
    xorl %edi, %edi                         # 1 if pages can be no-execute

    movl $1, %eax
    cpuid
    testl $(1 << 6), %edx                   # PAE
    jz no_pae

    movl $0x80000000, %eax
    cpuid
    subl $0x80000001, %eax                  # leaf 0x80000001 exists if this is small
    cmpl $0xffff, %eax
    ja enable_paging
    movl $0x80000001, %eax
    cpuid
    testl $(1 << 20), %edx                  # NX
    jz enable_paging
    movl $0xc0000080, %ecx                  # EFER
    rdmsr
    orl $(1 << 11), %eax                    # NXE
    wrmsr
    movl $1, %edi

enable_paging:
    movl %cr4, %eax
    orl $(1 << 5), %eax                     # PAE
    movl %eax, %cr4
    movl $(boot_pdpt - {base}), %eax
    movl %eax, %cr3
    movl %cr0, %eax
    orl $((1 << 31) | (1 << 16)), %eax      # PG, WP
    movl %eax, %cr0
    movl $upper_half, %eax
    jmp *%eax

upper_half:
    movl $boot_stack_top, %esp
    xorl %ebp, %ebp
    subl $8, %esp
    pushl %edi
    pushl %esi
    call {start}
    ud2

no_pae:                                     # say so, and exit with failure
    movl $(no_pae_text - {base}), %esi
    movl $(no_pae_end - no_pae_text), %ecx
    movw $0x3f8, %dx
    rep outsb
    movl $17, %eax
    movw $0xf4, %dx
    outl %eax, %dx
    cli
    hlt
no_pae_text:
    .ascii "this CPU has no PAE\nverdict: FAIL\n"
no_pae_end:
    .popsection

    .pushsection .data.boot, "aw", @progbits
    .balign 4096
boot_pd:                                    # the first GiB in 2 MiB pages: present, writable, large
    .set address, 0
    .rept 512
    .long address | 0x83, 0
    .set address, address + 0x200000
    .endr
boot_pdpt:                                  # one directory, at 0 and at 3 GiB
    .long boot_pd - {base} + 1, 0
    .long 0, 0
    .long 0, 0
    .long boot_pd - {base} + 1, 0
    .popsection

    .pushsection .bss.stack, "aw", @nobits
    .balign 4096
    .globl boot_stack_guard
boot_stack_guard:                           # left out of the final tables
    .skip 4096
    .skip 65536
boot_stack_top:
    .popsection
    "#,
    base = const paging::DIRECT_MAP_BASE,
    start = sym start,
    options(att_syntax)
);

unsafe extern "C" {
    #[link_name = "boot_stack_guard"]
    static STACK_GUARD: c_void;
}

unsafe extern "Rust" {
    #[link_name = "highmem_kernel_main"]
    safe fn program(task: &mut Task<'_>);
}

/// The page below the stack, which is never mapped: an overflow must not run into other data.
pub fn stack_guard() -> usize {
    &raw const STACK_GUARD as usize
}

/// Names the function that a program starts with, once the kernel is up and interrupts are on.
///
/// It is a `fn(&mut Task<'_>)`; when it returns, the machine exits with success.
#[macro_export]
macro_rules! main {
    ($entry:expr) => {
        #[unsafe(export_name = "highmem_kernel_main")]
        fn highmem_kernel_main(task: &mut $crate::kmap::Task<'_>) {
            let entry: fn(&mut $crate::kmap::Task<'_>) = $entry;
            entry(task)
        }
    };
}

/// Brings the kernel up, in the only order in which its parts can come, and runs the program.
extern "C" fn start(start_info: u32, has_nx: bool) -> ! {
    console::init();
    gdt::init();
    idt::init();
    // SAFETY: `start_info` is what the boot loader passed, and the boot tables map the first GiB.
    memory::init(unsafe { pvh::memory_map(start_info) });
    // SAFETY: once, early, on the boot tables; `has_nx` says whether EFER.NXE was set.
    unsafe { paging::init(has_nx, memory::map()) };
    kmap::init();
    heap::init();
    frames::init(memory::map());
    pic::init();
    timer::init();
    irq::init();
    // SAFETY: I1: this is the start of the one thread; interrupts are on, and nothing is being served.
    unsafe { Task::enter(program) };
    exit(true)
}
