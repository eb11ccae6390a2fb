//! The three things that mapping a page asks of a processor: read half an entry, write half an entry, `invlpg`.
//!
//! They are a trait so that the same code runs on the processor ([`X86`]), under a hypervisor that wants to be asked for
//! each page-table write, and in tests on a machine that writes down what it was asked to do.

/// The processor under the page tables. A kernel names [`X86`].
///
/// # Safety
/// An implementation does what each method says, in the order in which it is called: a write is visible to the page
/// walker of this CPU before the next call returns, and the compiler can neither drop it, nor merge it, nor move it
/// across another call.
pub unsafe trait Machine: 'static {
    /// Reads one half of a page-table entry.
    ///
    /// # Safety
    /// `at` points to an aligned half of an entry that the caller may read.
    unsafe fn read(at: *const u32) -> u32;

    /// Writes one half of a page-table entry.
    ///
    /// # Safety
    /// `at` points to an aligned half of an entry that only the caller writes.
    unsafe fn write(at: *mut u32, value: u32);

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
    unsafe fn read(at: *const u32) -> u32 {
        // SAFETY: I1: the caller may read this entry.
        unsafe { at.read_volatile() }
    }

    #[inline]
    unsafe fn write(at: *mut u32, value: u32) {
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

    use super::Machine;

    #[derive(Clone, Copy, PartialEq, Eq, Debug)]
    pub(crate) enum Event {
        Write(usize, u32),
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
        unsafe fn read(at: *const u32) -> u32 {
            // SAFETY: I1: the caller may read this entry.
            unsafe { at.read_volatile() }
        }

        unsafe fn write(at: *mut u32, value: u32) {
            EVENTS.with_borrow_mut(|events| events.push(Event::Write(at as usize, value)));
            // SAFETY: I1: only the caller writes this entry.
            unsafe { at.write_volatile(value) }
        }

        unsafe fn invlpg(address: usize) {
            EVENTS.with_borrow_mut(|events| events.push(Event::Invlpg(address)));
        }
    }
}
