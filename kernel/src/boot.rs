//! From the boot loader to the program's entry.
//!
//! The kernel is linked high above where it is loaded ([`IMAGE_BASE`] higher), so until paging is on no address in it is true. The PVH
//! entry, in [`arch`](crate::arch), therefore takes [`IMAGE_BASE`] off every symbol, turns paging on with tables that map the
//! first GiB more than once (where it is, where the image is linked, and in the direct map), and jumps to the upper copy. These
//! tables have large pages and live only until [`paging`] has built the final ones.
//!
//! The loader has zeroed `.bss`, set flat segments and turned interrupts off: that is the PVH contract.

use core::arch::global_asm;
use core::ffi::c_void;

use highmem::PAGE_SIZE;

use crate::arch::IMAGE_BASE;
use crate::kmap::Task;
use crate::{
    console, cpu, exit, frames, heap, idt, irq, kmap, memory, paging, pic, pvh, sched, smp, thread, timer, window,
};

global_asm!(
    r#"
    .pushsection .note.pvh, "a", @note
    .balign 4
    .long 4                                 # size of the name
    .long 8                                 # size of the value
    .long 18                                # XEN_ELFNOTE_PHYS32_ENTRY
    .asciz "Xen"
    .long pvh_start - {base}, 0
    .popsection

    .pushsection .bss.stack, "aw", @nobits
    .balign 4096
    .globl boot_stacks
boot_stacks:                                # one for each CPU and each thread: a page that the final tables leave out, and the stack
    .skip {guard} + {stack}
    .globl boot_stack_top
boot_stack_top:
    .skip ({guard} + {stack}) * ({stacks} - 1)
    .popsection
    "#,
    base = const IMAGE_BASE,
    guard = const PAGE_SIZE,
    stack = const STACK_SIZE,
    stacks = const sched::ALL,
    options(att_syntax)
);

unsafe extern "C" {
    #[link_name = "boot_stacks"]
    static STACKS: c_void;
}

unsafe extern "Rust" {
    #[link_name = "highmem_kernel_main"]
    safe fn program(task: &mut Task<'_>);
}

/// How large each stack is.
pub(crate) const STACK_SIZE: usize = 64 << 10;

/// The page below each stack, which is never mapped: an overflow must not run into other data.
pub fn stack_guards() -> impl Iterator<Item = usize> {
    (&raw const STACKS as usize..).step_by(PAGE_SIZE + STACK_SIZE).take(sched::ALL)
}

/// Whether the page at `virt` is one of [`stack_guards`].
pub(crate) fn is_stack_guard(virt: usize) -> bool {
    let from_first = virt.wrapping_sub(&raw const STACKS as usize);
    from_first.is_multiple_of(PAGE_SIZE + STACK_SIZE) && from_first / (PAGE_SIZE + STACK_SIZE) < sched::ALL
}

/// Where the stack of this number begins. A CPU starts on the one with its number, and idles there.
pub(crate) fn stack_top(number: usize) -> usize {
    &raw const STACKS as usize + (PAGE_SIZE + STACK_SIZE) * (number + 1)
}

/// Names the function that a program starts with, once the kernel is up and interrupts are on.
///
/// It is a `fn(&mut Task<'_>)`, which a thread bound to the first CPU runs; when it returns, the machine exits with success.
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
pub(crate) extern "C" fn start(start_info: u32, has_nx: bool) -> ! {
    cpu::init(0);
    console::init();
    idt::init();
    idt::load();
    // SAFETY: `start_info` is what the boot loader passed, and the boot tables map the first GiB.
    memory::init(unsafe { pvh::memory_map(start_info) });
    // SAFETY: once, early, on the boot tables; `has_nx` says whether EFER.NXE was set.
    unsafe { paging::init(has_nx, memory::map()) };
    window::link();
    kmap::init();
    heap::init();
    frames::init(memory::map());
    pic::init();
    timer::init();
    #[cfg(feature = "trace")]
    crate::trace::init();
    sched::init();
    irq::init();
    smp::init();
    drop(thread::spawn_on(0, "main", |task| {
        if !paging::HAS_DIRECT_MAP {
            paging::drop_direct_map(task);
        }
        program(task);
        exit(true)
    }));
    sched::idle()
}
