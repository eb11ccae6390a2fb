//! The three things that mapping a page asks of a processor: read a word of a page table, write one, `invlpg`.
//!
//! They are a trait so that the same code runs on the processor ([`X86`]), under a hypervisor that wants to be asked for
//! each page-table write, and in tests on a machine that writes down what it was asked to do.

/// What a processor reads and writes at once: a whole entry, or half of a PAE entry. Sealed.
pub trait Word: sealed::Sealed + Copy + Into<u64> {}
impl Word for u32 {}
#[cfg(target_pointer_width = "64")]
impl Word for u64 {}

mod sealed {
    pub trait Sealed {}
    impl Sealed for u32 {}
    impl Sealed for u64 {}
}

/// The processor under the page tables. A kernel names [`X86`].
///
/// # Safety
/// An implementation does what each method says, in the order in which it is called: a write is visible to the page
/// walker of this CPU before the next call returns, and the compiler can neither drop it, nor merge it, nor move it
/// across another call.
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

    /// Forgets the translation of the page at `address` on this CPU, global or not (SDM vol. 3, 5.10.4.1).
    ///
    /// # Safety
    /// Runs at privilege level 0.
    unsafe fn invlpg(address: usize);
}

/// The processor that this code runs on.
#[derive(Clone, Copy, Debug)]
pub struct X86;

// SAFETY: volatile accesses are neither dropped, merged nor reordered among each other, and x86 has its stores seen by the
// same CPU's page walker in program order (I10); `invlpg` is volatile assembly that clobbers memory.
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
}

/// A machine for unit tests that does the stores and writes everything down.
#[cfg(test)]
pub(crate) mod recorder {
    use std::cell::RefCell;
    use std::vec::Vec;

    use super::{Machine, Word};

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) enum Event {
        Write(usize, u64),
        Invlpg(usize),
    }

    std::thread_local! {
        static EVENTS: RefCell<Vec<Event>> = const { RefCell::new(Vec::new()) };
    }

    pub(crate) struct Recorder;

    impl Recorder {
        /// What `f` asked of the machine on this thread.
        pub(crate) fn record(f: impl FnOnce()) -> Vec<Event> {
            EVENTS.with_borrow_mut(Vec::clear);
            f();
            EVENTS.take()
        }
    }

    // SAFETY: I10: does the accesses at once, and no page walker looks on.
    unsafe impl Machine for Recorder {
        unsafe fn read<W: Word>(at: *const W) -> W {
            // SAFETY: I1: the caller may read this entry.
            unsafe { at.read_volatile() }
        }

        unsafe fn write<W: Word>(at: *mut W, value: W) {
            EVENTS.with_borrow_mut(|events| events.push(Event::Write(at as usize, value.into())));
            // SAFETY: I1: only the caller writes this entry.
            unsafe { at.write_volatile(value) }
        }

        unsafe fn invlpg(address: usize) {
            EVENTS.with_borrow_mut(|events| events.push(Event::Invlpg(address)));
        }
    }
}
