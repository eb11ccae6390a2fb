//! The three things that mapping a page asks of a processor: read a word of a page table, write one, `invlpg`; and a fourth for tables
//! that the processor writes, too: exchange an entry in one step.
//!
//! They are a trait so that the same code runs on the processor ([`X86`]), under a hypervisor that wants to be asked for
//! each page-table write, and in tests on a machine that writes down what it was asked to do.
//!
//! For other targets than x86 the crate compiles, too, and so does what is written with it for any kernel; what they do not have is
//! the processor: there, [`X86`] is no [`Machine`].

#[cfg(any(target_arch = "x86", target_arch = "x86_64", doc))]
use core::arch::asm;
#[cfg(target_arch = "x86")]
use core::arch::x86::{__cpuid_count, CpuidResult};
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::{__cpuid_count, CpuidResult};
#[cfg(target_has_atomic = "64")]
use core::sync::atomic::AtomicU64;
use core::sync::atomic::{AtomicU32, Ordering, compiler_fence};

#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use x86::controlregs::{Cr0, Cr4, cr0, cr4, cr4_write};
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
use x86::msr::{IA32_EFER, IA32_PAT, rdmsr};

/// What a processor reads and writes at once: a whole entry, or half of a PAE entry. Sealed.
pub trait Word: sealed::Sealed + Copy + Into<u64> {}
impl Word for u32 {}
#[cfg(target_pointer_width = "64")]
impl Word for u64 {}

/// A whole entry, as the processor exchanges it at once: with PAE, too, by `cmpxchg8b`, which each processor with PAE has. Sealed.
pub trait WholeEntry: sealed::Sealed + Copy + Into<u64> {
    /// # Safety
    /// As [`Machine::exchange`].
    #[doc(hidden)]
    unsafe fn exchange(at: *mut Self, current: Self, new: Self) -> Result<Self, Self>;
}

macro_rules! whole_entries {
    ($($entry:ty: $atomic:ident,)*) => {$(
        impl WholeEntry for $entry {
            #[inline]
            unsafe fn exchange(at: *mut Self, current: Self, new: Self) -> Result<Self, Self> {
                // SAFETY: I10: aligned and mapped, by the caller's promise; others write it by atomic accesses, or are page walkers.
                unsafe { $atomic::from_ptr(at) }.compare_exchange(current, new, Ordering::SeqCst, Ordering::SeqCst)
            }
        }
    )*};
}

whole_entries! {
    u32: AtomicU32,
}

#[cfg(target_has_atomic = "64")]
whole_entries! {
    u64: AtomicU64,
}

// Some targets that are not x86.
#[cfg(not(target_has_atomic = "64"))]
impl WholeEntry for u64 {
    unsafe fn exchange(_: *mut Self, _: Self, _: Self) -> Result<Self, Self> {
        panic!("this target cannot exchange 64 bits in one step: a `Machine` for it has an `exchange` of its own");
    }
}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u32 {}
    impl Sealed for u64 {}
}

/// An address that is known when the kernel is compiled.
pub trait Address {
    /// The address.
    const ADDRESS: usize;
}

/// The processor under the page tables. A kernel names [`X86`].
///
/// # Safety
/// An implementation does what each method says, in the order in which it is called: a write is visible to the page
/// walker of this CPU before the next call returns, and the compiler can neither drop it, nor merge it, nor move it
/// across another call.
#[cfg_attr(
    not(any(target_arch = "x86", target_arch = "x86_64")),
    diagnostic::on_unimplemented(
        message = "`{Self}` is no processor of this target: highmem maps pages by the page tables of x86",
        label = "can run on x86 only",
        note = "build the kernel for x86 or x86_64; for other targets leave out its `impl Kernel`, by `#[cfg(any(target_arch = \"x86\", target_arch = \"x86_64\"))]`"
    )
)]
pub unsafe trait Machine: 'static {
    /// Reads a word of a page table, at once.
    ///
    /// # Safety
    /// `at` points to an aligned word of an entry that the caller may read.
    unsafe fn read<W: Word>(at: *const W) -> W;

    /// Writes a word of a page table, at once.
    ///
    /// # Safety
    /// `at` points to an aligned word of an entry that only the caller writes.
    unsafe fn write<W: Word>(at: *mut W, value: W);

    /// Writes `new` to an entry of a table in use if `current` is there, in one step that neither another CPU nor a page walker divides
    /// (SDM vol. 3, 10.1.2.2 and 5.8). Gives what was there: `Ok` of it if that was `current`, and now is `new`.
    ///
    /// # Safety
    /// `at` points to an aligned entry that is mapped writable. Who else writes it does so in this way, or is a page walker.
    #[inline]
    unsafe fn exchange<W: WholeEntry>(at: *mut W, current: W, new: W) -> Result<W, W> {
        // SAFETY: the caller's promise.
        unsafe { W::exchange(at, current, new) }
    }

    /// Keeps the compiler from moving any memory access across: accesses to a page are not ordered with the accesses to the page
    /// tables that make it accessible. No instruction, on a processor.
    #[inline]
    fn barrier() {
        compiler_fence(Ordering::SeqCst);
    }

    /// Forgets the translation of the page at `address` on this CPU, global or not (SDM vol. 3, 5.10.4.1).
    ///
    /// # Safety
    /// Runs at privilege level 0.
    unsafe fn invlpg(address: usize);

    /// As [`invlpg`](Self::invlpg), of an address that is known when the kernel is compiled: it can be a part of the instruction.
    ///
    /// # Safety
    /// Runs at privilege level 0.
    #[inline]
    unsafe fn invlpg_of<A: Address>() {
        // SAFETY: the caller's promise.
        unsafe { Self::invlpg(A::ADDRESS) }
    }

    /// As [`invlpg`](Self::invlpg), of the address that is so many bytes behind one that is known when the kernel is compiled.
    ///
    /// # Safety
    /// Runs at privilege level 0.
    #[inline]
    unsafe fn invlpg_behind<A: Address>(offset: usize) {
        // SAFETY: the caller's promise.
        unsafe { Self::invlpg(A::ADDRESS.wrapping_add(offset)) }
    }

    /// Forgets all translations on this CPU, global or not, under whatever PCID (SDM vol. 3, 5.10.4.1). Linux: `__flush_tlb_all()`.
    ///
    /// # Safety
    /// Runs at privilege level 0.
    unsafe fn flush_all();

    /// What the control registers say about paging; `None` where nobody can tell. [`selftest`](mod@crate::selftest) compares it with what
    /// the kernel promises.
    ///
    /// # Safety
    /// Runs at privilege level 0.
    unsafe fn registers() -> Option<Registers> {
        None
    }

    /// Whether the interrupt flag is set; `None` where nobody can tell. Asked at each mapping with the feature `debug`.
    fn interrupts_on() -> Option<bool> {
        None
    }

    /// A number that no other CPU has: the ID of the local APIC. `None` where nobody can tell. Asked at each mapping with the feature
    /// `debug`.
    fn identity() -> Option<u32> {
        None
    }
}

/// What a processor's control registers say about paging.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Registers {
    /// CR0.WP: the kernel, too, cannot write to pages that are read only (SDM vol. 3, 5.6.1).
    pub write_protect: bool,
    /// CR4.PAE.
    pub pae: bool,
    /// EFER.LMA: 64-bit mode, or what is compatible with it.
    pub long_mode: bool,
    /// EFER.NXE: entries may forbid execution.
    pub no_execute: bool,
    /// CR4.PGE: translations may be global (SDM vol. 3, 5.10.2.4).
    pub global_pages: bool,
    /// CR4.PCIDE: translations are tagged with the address space that they belong to (SDM vol. 3, 5.10.1).
    pub pcids: bool,
    /// IA32_PAT, if the processor has it.
    pub pat: Option<u64>,
}

/// The processor that this code runs on. On other targets than x86 it is no [`Machine`], and a kernel that names it does not compile.
#[derive(Clone, Copy, Debug)]
pub struct X86;

#[cfg(any(target_arch = "x86", target_arch = "x86_64", doc))]
impl X86 {
    /// How many bits a physical address has here (SDM's MAXPHYADDR). For [`Pfn::within`](crate::Pfn::within).
    pub fn physical_address_bits() -> u32 {
        const MAX_EXTENDED: u32 = 0x8000_0000;
        const ADDRESS_SIZES: u32 = 0x8000_0008;
        if cpuid(MAX_EXTENDED).eax >= ADDRESS_SIZES {
            return cpuid(ADDRESS_SIZES).eax & 0xff;
        }
        // SDM vol. 3, 5.1.4: 36 with PAE or PSE-36, else 32.
        const PAE: u32 = 1 << 6;
        const PSE_36: u32 = 1 << 17;
        if cpuid(1).edx & (PAE | PSE_36) != 0 { 36 } else { 32 }
    }
}

// SAFETY: volatile accesses are neither dropped, merged nor reordered among each other, and x86 has its stores seen by the
// same CPU's page walker in program order (I10); `invlpg` is volatile assembly that clobbers memory.
#[cfg(any(target_arch = "x86", target_arch = "x86_64", doc))]
unsafe impl Machine for X86 {
    #[inline]
    unsafe fn read<W: Word>(at: *const W) -> W {
        // SAFETY: I1: the caller may read this entry.
        unsafe { at.read_volatile() }
    }

    #[inline]
    unsafe fn write<W: Word>(at: *mut W, value: W) {
        // SAFETY: I1: only the caller writes this entry.
        unsafe { at.write_volatile(value) }
    }

    #[inline]
    unsafe fn invlpg(address: usize) {
        // SAFETY: I3: the kernel runs at privilege level 0, by the caller's promise.
        unsafe { x86::tlb::flush(address) }
    }

    #[inline]
    unsafe fn invlpg_of<A: Address>() {
        // SAFETY: I3: as `invlpg`.
        unsafe {
            if const { is_displacement(A::ADDRESS) } {
                asm!("invlpg [{address}]", address = const A::ADDRESS as i32, options(nostack, preserves_flags));
            } else {
                Self::invlpg(A::ADDRESS);
            }
        }
    }

    #[inline]
    unsafe fn invlpg_behind<A: Address>(offset: usize) {
        // SAFETY: I3: as `invlpg`.
        unsafe {
            if const { is_displacement(A::ADDRESS) } {
                asm!(
                    "invlpg [{offset} + {address}]",
                    offset = in(reg) offset,
                    address = const A::ADDRESS as i32,
                    options(nostack, preserves_flags)
                );
            } else {
                Self::invlpg(A::ADDRESS.wrapping_add(offset));
            }
        }
    }

    unsafe fn flush_all() {
        const GLOBAL_PAGES: u32 = 1 << 13;
        // SAFETY: I8: the kernel runs at privilege level 0, by the caller's promise. The tables in use stay in use.
        unsafe {
            if cpuid(1).edx & GLOBAL_PAGES != 0 {
                // Whichever way CR4.PGE changes, everything is forgotten.
                let cr4 = cr4();
                cr4_write(cr4 ^ Cr4::CR4_ENABLE_GLOBAL_PAGES);
                cr4_write(cr4);
            } else {
                // Neither global translations nor PCIDs: loading CR3 forgets everything.
                x86::tlb::flush_all();
            }
        }
    }

    unsafe fn registers() -> Option<Registers> {
        const EXTENDED: u32 = 0x8000_0001;
        const NX_OR_LONG_MODE: u32 = 1 << 20 | 1 << 29;
        const PAT: u32 = 1 << 16;
        let has_efer = cpuid(0x8000_0000).eax >= EXTENDED && cpuid(EXTENDED).edx & NX_OR_LONG_MODE != 0;
        let has_pat = cpuid(1).edx & PAT != 0;
        // SAFETY: reads registers at privilege level 0, by the caller's promise; those that not each processor has, it has.
        unsafe {
            let efer = if has_efer { rdmsr(IA32_EFER) } else { 0 };
            let (cr0, cr4) = (cr0(), cr4());
            Some(Registers {
                write_protect: cr0.contains(Cr0::CR0_WRITE_PROTECT),
                pae: cr4.contains(Cr4::CR4_ENABLE_PAE),
                long_mode: efer & 1 << 10 != 0,
                no_execute: efer & 1 << 11 != 0,
                global_pages: cr4.contains(Cr4::CR4_ENABLE_GLOBAL_PAGES),
                pcids: cr4.contains(Cr4::CR4_ENABLE_PCID),
                pat: has_pat.then(|| rdmsr(IA32_PAT)),
            })
        }
    }

    fn interrupts_on() -> Option<bool> {
        const INTERRUPT_FLAG: usize = 1 << 9;
        let flags: usize;
        // SAFETY: reads the flags, by way of the stack.
        unsafe {
            #[cfg(target_arch = "x86")]
            asm!("pushfd", "pop {}", out(reg) flags, options(preserves_flags));
            #[cfg(target_arch = "x86_64")]
            asm!("pushfq", "pop {}", out(reg) flags, options(preserves_flags));
        }
        Some(flags & INTERRUPT_FLAG != 0)
    }

    fn identity() -> Option<u32> {
        const APIC: u32 = 1 << 9;
        const TOPOLOGY: u32 = 0xb;
        // The number of 32 bits, if there is one; else that of 8.
        if cpuid(0).eax >= TOPOLOGY && cpuid(TOPOLOGY).ebx != 0 {
            return Some(cpuid(TOPOLOGY).edx);
        }
        let features = cpuid(1);
        (features.edx & APIC != 0).then_some(features.ebx >> 24)
    }
}

/// Whether an address can be a part of an instruction, which has room for 32 bits, and extends them by their sign.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
const fn is_displacement(address: usize) -> bool {
    address as i32 as isize as usize == address
}

/// What the processor says about itself, first part of a leaf.
#[cfg(any(target_arch = "x86", target_arch = "x86_64"))]
pub(crate) fn cpuid(leaf: u32) -> CpuidResult {
    // Safe since Rust 1.94, not before.
    #[allow(unused_unsafe)]
    // SAFETY: any processor that this crate is for has the instruction; it changes nothing.
    unsafe {
        __cpuid_count(leaf, 0)
    }
}

#[cfg(test)]
mod tests {
    use super::is_displacement;

    #[test]
    fn an_instruction_has_room_for_what_32_bits_with_a_sign_say() {
        assert!(
            [0, 0x7fff_f000, 0_usize.wrapping_sub(0x20_0000), 0_usize.wrapping_sub(1 << 31)].map(is_displacement)
                == [true; 4]
        );
        #[cfg(target_pointer_width = "64")]
        assert!([1 << 31, 0xff20_0000, 1 << 32, 0xffff_8000_0000_0000].map(is_displacement) == [false; 4]);
    }
}

/// A machine for unit tests that does the stores and writes everything down.
#[cfg(test)]
pub(crate) mod recorder {
    use std::cell::{Cell, RefCell};
    use std::vec::Vec;

    use super::{Machine, Registers, Word};

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) enum Event {
        Write(usize, u64),
        Invlpg(usize),
        FlushAll,
        /// What the kernel does behind `invlpg`, where translations are tagged.
        OtherSpaces(usize),
        /// A frame that was a table goes back to where it came from.
        GivenBack(usize),
    }

    std::thread_local! {
        static EVENTS: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
        pub(crate) static REGISTERS: Cell<Option<Registers>> = const { Cell::new(None) };
        pub(crate) static INTERRUPTS_ON: Cell<Option<bool>> = const { Cell::new(None) };
        pub(crate) static IDENTITY: Cell<Option<u32>> = const { Cell::new(None) };
    }

    pub(crate) struct Recorder;

    impl Recorder {
        /// What `f` asked of the machine on this thread.
        pub(crate) fn record(f: impl FnOnce()) -> Vec<Event> {
            EVENTS.with_borrow_mut(Vec::clear);
            f();
            EVENTS.take()
        }

        pub(crate) fn note(event: Event) {
            EVENTS.with_borrow_mut(|events| events.push(event));
        }
    }

    // SAFETY: I10: does the accesses at once, and no page walker looks on.
    unsafe impl Machine for Recorder {
        unsafe fn read<W: Word>(at: *const W) -> W {
            // SAFETY: I1: the caller may read this entry.
            unsafe { at.read_volatile() }
        }

        unsafe fn write<W: Word>(at: *mut W, value: W) {
            Self::note(Event::Write(at as usize, value.into()));
            // SAFETY: I1: only the caller writes this entry.
            unsafe { at.write_volatile(value) }
        }

        unsafe fn invlpg(address: usize) {
            Self::note(Event::Invlpg(address));
        }

        unsafe fn flush_all() {
            Self::note(Event::FlushAll);
        }

        unsafe fn registers() -> Option<Registers> {
            REGISTERS.get()
        }

        fn interrupts_on() -> Option<bool> {
            INTERRUPTS_ON.get()
        }

        fn identity() -> Option<u32> {
            IDENTITY.get()
        }
    }
}
