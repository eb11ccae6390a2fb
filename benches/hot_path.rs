//! What the hot path is compiled to: one function for each use of a slot, to be looked at, not measured.
//!
//! `cargo xtask test` (step `cost`) follows the machine code of each of these functions. It may not panic, nor call anything but the way
//! of a forgotten guard and the copy of a whole page: whatever could go wrong is decided by types, or comes back as a `Result`. The
//! controls at the end are there to be found out.

#![no_std]
#![no_main]

use core::hint::black_box;

use highmem::linux::{Irq0, User0, User1};
use highmem::{
    Page, Pfn, ViewError, clear_highpage, copy_highpage, kmap_atomic, kmap_local_page, kunmap_atomic, memcpy_page,
    memcpy_to_page, ops, zero_user_segments,
};
use kernel::frames::{Frame, SharedFrame};
use kernel::kmap::{Atomic, HardIrq, Local, Paging, Slot, Task};
use kernel::println;

kernel::main!(names);

/// Functions that stand in the program under their own names, and in nobody else's code.
macro_rules! probes {
    ($($(#[$meta:meta])* fn $name:ident($($parameters:tt)*) $(-> $result:ty)? $body:block)*) => {
        $(
            $(#[$meta])*
            // SAFETY: no other symbol has this name.
            #[unsafe(no_mangle)]
            #[inline(never)]
            fn $name($($parameters)*) $(-> $result)? $body
        )*

        /// Keeps them in the program, as functions that anybody may call with anything.
        fn names(_: &mut Task<'_>) {
            $(
                black_box($name as *const ());
                println!("{}", stringify!($name));
            )*
        }
    };
}

probes! {
    /// A page of high memory or of lowmem, as it comes.
    fn probe_pair(slot: Slot<'_, User0>, page: &mut Frame) {
        kmap_atomic(slot, page)[4095] = 1;
    }

    /// The same, with token and page given back.
    fn probe_pair_by_hand(slot: Slot<'_, User0>, page: &mut Frame) -> Pfn<Paging> {
        let (_slot, page) = kunmap_atomic(kmap_atomic(slot, page));
        page.pfn()
    }

    fn probe_read_only(slot: Slot<'_, User0>, page: &Frame) -> u8 {
        kmap_atomic(slot, page)[0]
    }

    fn probe_with_context(task: &mut Task<'_>, page: &mut Frame) {
        kmap_atomic(task.atomic().slots().user0, page)[0] = 1;
    }

    fn probe_nested(cx: &mut Atomic<'_>, source: &Frame, target: &mut Frame) {
        let slots = cx.slots();
        let source = kmap_atomic(slots.user0, source);
        kmap_atomic(slots.user1, target)[0] = source[0];
    }

    fn probe_copy(source: (Slot<'_, User0>, &Frame), target: (Slot<'_, User1>, &mut Frame)) {
        let source = kmap_atomic(source.0, source.1);
        kmap_atomic(target.0, target.1).copy_from_slice(&*source);
    }

    /// Interrupts off under a mapping, and a slot of theirs beside it.
    fn probe_irqs_off(cx: &mut Atomic<'_>, page: &Frame, other: &mut Frame) {
        let mut slots = cx.slots();
        let page = kmap_atomic(slots.user0, page);
        kmap_atomic(slots.deeper.irqs_off().slots().irq0, other)[0] = page[0];
    }

    fn probe_interrupt_slot(slot: Slot<'_, Irq0>, page: &mut Frame) {
        kmap_atomic(slot, page)[0] = 1;
    }

    fn probe_in_interrupt(irq: &mut HardIrq<'_>, page: &mut Frame) {
        kmap_atomic(irq.slots().irq1, page)[0] = 1;
    }

    /// Where the offset is not known, a wrong one comes back as an error.
    fn probe_view(slot: Slot<'_, User0>, page: &mut Frame, offset: usize) -> Result<(), ViewError> {
        *kmap_atomic(slot, page).view_mut::<u32>(offset)? = 1;
        Ok(())
    }

    fn probe_shared_copy(
        slot: Slot<'_, User0>,
        page: &mut SharedFrame,
        offset: usize,
        buffer: &mut [u8],
    ) -> Result<(), ViewError> {
        let mut mapped = kmap_atomic(slot, page);
        mapped.read_at(offset, buffer)?;
        mapped.write_at(offset, buffer)
    }

    fn probe_shared_word(
        slot: Slot<'_, User0>,
        page: &mut SharedFrame,
        offset: usize,
    ) -> Result<u32, ViewError> {
        let mut mapped = kmap_atomic(slot, page);
        let word = mapped.load::<u32>(offset)?;
        mapped.store(offset, word)?;
        Ok(word)
    }

    /// A lock in user space's memory.
    fn probe_exchange(slot: Slot<'_, User0>, page: &mut SharedFrame, offset: usize) -> Result<u32, ViewError> {
        kmap_atomic(slot, page).fetch_update(offset, |word: u32| word | 1)
    }

    /// A local map, with preemption on.
    fn probe_local_pair(local: &mut Local<'_>, page: &mut Frame) {
        kmap_local_page(local, page).0[4095] = 1;
    }

    fn probe_local_nested(local: &mut Local<'_>, source: &Frame, target: &mut Frame) {
        let (source, mut local) = kmap_local_page(local, source);
        let (mut target, _) = kmap_local_page(&mut local, target);
        target[0] = source[0];
        drop(source);
        target[1] = 1;
    }

    fn probe_clear_highpage(slot: Slot<'_, User0>, page: &mut Frame) {
        clear_highpage(slot, page);
    }

    fn probe_copy_highpage(target: (Slot<'_, User1>, &mut Frame), source: (Slot<'_, User0>, &Frame)) {
        copy_highpage(target.0, target.1, source.0, source.1);
    }

    /// Where the range is not known, a wrong one comes back as an error.
    fn probe_memcpy_page(
        target: (Slot<'_, User1>, &mut Frame, usize),
        source: (Slot<'_, User0>, &Frame, usize),
        len: usize,
    ) -> Result<(), ops::Error> {
        memcpy_page(target.0, (target.1, target.2), source.0, (source.1, source.2), len)
    }

    fn probe_memcpy_to_page(
        slot: Slot<'_, User0>,
        page: &mut Frame,
        offset: usize,
        from: &[u8],
    ) -> Result<(), ops::Error> {
        memcpy_to_page(slot, page, offset, from)
    }

    fn probe_zero_user_segments(
        slot: Slot<'_, User0>,
        page: &mut Frame,
        start: usize,
        end: usize,
    ) -> Result<(), ops::Error> {
        zero_user_segments(slot, page, 0..start, end..4096)
    }

    fn control_index(slot: Slot<'_, User0>, page: &Frame, offset: usize) -> u8 {
        kmap_atomic(slot, page)[offset]
    }

    fn control_unwrap(slot: Slot<'_, User0>, page: &Frame, offset: usize) -> u32 {
        *kmap_atomic(slot, page).view(offset).unwrap()
    }

    fn control_call(slot: Slot<'_, User0>, page: &Frame, f: fn(&[u8])) {
        f(&kmap_atomic(slot, page)[..]);
    }
}
