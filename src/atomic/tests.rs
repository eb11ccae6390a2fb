//! Unit tests of `kmap_atomic`, on a processor that writes down what it is asked to do.

use super::*;
use crate::PAGE_SIZE;
use crate::linux::{Irq0, User0, User1};
use crate::machine::recorder::{Event, Event::*, Recorder};
use crate::page::WriteThrough;
use crate::paging::Pae;
use crate::test_kernel::{self, CPU, FIXMAP_BASE, NO_EXECUTE, SLOTS, TestKernel, entry_address, page};
use crate::view::ViewError;
use crate::{DeviceFrame, Frame, SharedFrame, Task};
use core::mem;
use std::string::ToString;
use typenum::Unsigned;
use zerocopy::{FromBytes, Immutable, IntoBytes, KnownLayout};

type Plain = TestKernel<false>;
type Forced = TestKernel<true>;

const USER0: usize = <User0 as KmType>::Index::USIZE;
const USER1: usize = <User1 as KmType>::Index::USIZE;
const HIGH: u64 = 0x14_0000;

fn frame(number: u64) -> Frame<Pae> {
    // SAFETY: I5: the test kernel's frames beyond lowmem exist only as numbers; each test uses each frame once.
    unsafe { Frame::from_pfn(Pfn::new(number).unwrap()) }
}

fn with_user0<K: Kernel<KmTypes = crate::linux::Set>, R>(f: impl FnOnce(Slot<'_, K, User0>) -> R) -> R {
    // SAFETY: I1: each test is a thread, and enters once at a time.
    unsafe { Task::<K>::enter(|task| f(task.atomic().slots().user0)) }
}

/// Which page of the window slot `slot` is, counted over all CPUs.
fn nth(slot: usize) -> usize {
    page(slot / SLOTS, slot % SLOTS)
}

fn address(slot: usize) -> usize {
    FIXMAP_BASE + nth(slot) * PAGE_SIZE
}

fn entry(slot: usize) -> u64 {
    test_kernel::entry(nth(slot))
}

fn set(slot: usize, entry: u64) -> [Event; 2] {
    let at = entry_address(nth(slot));
    [Write(at + 4, entry >> 32), Write(at, entry & 0xffff_ffff)]
}

fn clear(slot: usize) -> [Event; 3] {
    let at = entry_address(nth(slot));
    [Write(at, 0), Write(at + 4, 0), Invlpg(address(slot))]
}

const RW_NX: u64 = 0x8000_0000_0000_0063;
const RO_NX: u64 = 0x8000_0000_0000_0021;

#[test]
fn a_pair_is_one_entry_written_one_cleared_one_invlpg() {
    let mut page = frame(HIGH);
    let events = Recorder::record(|| with_user0::<Plain, _>(|slot| drop(kmap_atomic(slot, &mut page))));
    assert_eq!(events, [&set(USER0, HIGH << 12 | RW_NX)[..], &clear(USER0)].concat());
}

#[test]
fn a_shared_borrow_maps_read_only() {
    let page = frame(HIGH);
    with_user0::<Plain, _>(|slot| {
        let guard = kmap_atomic(slot, &page);
        assert_eq!(entry(USER0), HIGH << 12 | RO_NX);
        assert_eq!(guard.address(), address(USER0));
    });
    assert_eq!(entry(USER0), 0);
}

#[test]
fn execution_is_forbidden_only_where_the_processor_can() {
    NO_EXECUTE.set(false);
    let page = frame(HIGH);
    with_user0::<Plain, _>(|slot| {
        let _guard = kmap_atomic(slot, &page);
        assert_eq!(entry(USER0), HIGH << 12 | 0x21);
    });
}

#[test]
fn unmap_gives_token_and_page_back() {
    with_user0::<Plain, _>(|slot| {
        let guard = kmap_atomic(slot, frame(HIGH));
        let (slot, page) = kunmap_atomic(guard);
        assert_eq!(entry(USER0), 0);
        assert_eq!(page.into_pfn().number() as u64, HIGH);
        let _again = kmap_atomic(slot, frame(HIGH + 1));
        assert_eq!(entry(USER0), (HIGH + 1) << 12 | RW_NX);
    });
}

#[test]
fn a_lent_token_can_be_used_again() {
    with_user0::<Plain, _>(|mut slot| {
        for number in HIGH..HIGH + 3 {
            let _guard = kmap_atomic(slot.reborrow(), frame(number));
            assert_eq!(entry(USER0), number << 12 | RW_NX);
        }
    });
}

#[test]
fn a_forgotten_guard_is_cleared_and_flushed_before_the_slot_is_filled_again() {
    let events = Recorder::record(|| {
        with_user0::<Plain, _>(|mut slot| {
            mem::forget(kmap_atomic(slot.reborrow(), frame(HIGH)));
            let _guard = kmap_atomic(slot, frame(HIGH + 1));
        });
    });
    let expected =
        [&set(USER0, HIGH << 12 | RW_NX)[..], &clear(USER0), &set(USER0, (HIGH + 1) << 12 | RW_NX), &clear(USER0)];
    assert_eq!(events, expected.concat());
}

#[test]
fn each_slot_of_each_cpu_has_its_own_address_and_entry() {
    for cpu in 0..2 {
        CPU.set(cpu);
        // SAFETY: I1: as in `with_user0`.
        unsafe {
            Task::<Plain>::enter(|task| {
                let mut atomic = task.atomic();
                let mut slots = atomic.slots();
                let one = kmap_atomic(slots.user1, frame(HIGH));
                let mut irqs_off = slots.deeper.irqs_off();
                let two = kmap_atomic(irqs_off.slots().irq0, frame(HIGH + 1));
                assert_eq!(one.address(), address(cpu * SLOTS + USER1));
                assert_eq!(two.address(), address(cpu * SLOTS + <Irq0 as KmType>::Index::USIZE));
                assert_eq!(entry(cpu * SLOTS + USER1), HIGH << 12 | RW_NX);
            });
        }
        assert_eq!(entry(cpu * SLOTS + USER1), 0);
    }
}

#[test]
fn lowmem_uses_the_direct_map_and_no_entry() {
    let mut page = frame(1);
    let events = Recorder::record(|| {
        with_user0::<Plain, _>(|mut slot| {
            kmap_atomic(slot.reborrow(), &mut page).fill(0x5a);
            assert!(kmap_atomic(slot, &page).iter().all(|&byte| byte == 0x5a));
        });
    });
    assert_eq!(events, []);
    let bytes = Plain::direct_map(page.pfn()).unwrap();
    // SAFETY: I6: the frame's guards are gone.
    assert_eq!(unsafe { bytes.as_ref() }[4095], 0x5a);
}

#[test]
fn lowmem_can_be_forced_through_a_slot() {
    with_user0::<Forced, _>(|slot| {
        let _guard = kmap_atomic(slot, frame(1));
        assert_eq!(entry(USER0), 1 << 12 | RW_NX);
    });
    assert_eq!(entry(USER0), 0);
}

#[test]
fn views_are_checked() {
    #[derive(FromBytes, IntoBytes, KnownLayout, Immutable, PartialEq, Debug)]
    #[repr(C)]
    struct Header {
        magic: u32,
        len: u16,
        flags: u16,
    }

    with_user0::<Plain, _>(|slot| {
        let mut guard = kmap_atomic(slot, frame(2));
        *guard.view_mut(4088).unwrap() = Header { magic: 0x4853_4148, len: 7, flags: 1 };
        assert_eq!(guard.view::<Header>(4088).unwrap().len, 7);
        assert_eq!(guard[4088..4092], *b"HASH");
        assert_eq!(guard.view::<Header>(4089), Err(ViewError::Misaligned { offset: 4089 }));
        assert_eq!(guard.view::<Header>(4092), Err(ViewError::OutOfBounds { offset: 4092 }));
        assert_eq!(guard.view::<Header>(usize::MAX), Err(ViewError::OutOfBounds { offset: usize::MAX }));

        guard.view_slice_mut::<u16>(4094, 1).unwrap()[0] = 9;
        assert_eq!(guard.view_slice::<u16>(0, 2048).unwrap()[2047], 9);
        assert_eq!(guard.view_slice::<u16>(0, 2049), Err(ViewError::OutOfBounds { offset: 0 }));
        assert_eq!(guard.view_slice::<u16>(1, 1), Err(ViewError::Misaligned { offset: 1 }));
        assert_eq!(guard.view_slice::<u16>(4096, 0), Ok(&[][..]));
        assert_eq!(guard.view_slice::<u64>(0, usize::MAX), Err(ViewError::OutOfBounds { offset: 0 }));
        let error = guard.view_slice::<u8>(4097, 0).unwrap_err();
        assert_eq!(error.to_string(), "the access at offset 4097 goes past the end of what is mapped");
    });
}

#[test]
fn memory_that_others_write_is_copied_within_bounds() {
    // SAFETY: I6: nobody has a reference into lowmem of this thread.
    let mut page = unsafe { SharedFrame::<Pae>::from_pfn(Pfn::new(3).unwrap()) };
    with_user0::<Plain, _>(|slot| {
        let mut guard = kmap_atomic(slot, &mut page);
        let mut buffer = [0; 5];
        guard.write_at(4091, b"bytes").unwrap();
        guard.read_at(4091, &mut buffer).unwrap();
        assert_eq!(&buffer, b"bytes");
        assert_eq!(guard.write_at(4092, b"bytes"), Err(ViewError::OutOfBounds { offset: 4092 }));
        assert_eq!(guard.read_at(usize::MAX, &mut buffer), Err(ViewError::OutOfBounds { offset: usize::MAX }));
        guard.read_at(4091, &mut buffer).unwrap();
        assert_eq!(&buffer, b"bytes", "a refused write writes nothing");
        assert_eq!(guard.write_at(4096, b""), Ok(()));
    });
}

#[test]
fn words_are_read_and_written_at_once() {
    // SAFETY: I6: nobody has a reference into lowmem of this thread.
    let mut page = unsafe { SharedFrame::<Pae>::from_pfn(Pfn::new(0).unwrap()) };
    with_user0::<Plain, _>(|slot| {
        let mut guard = kmap_atomic(slot, &mut page);
        guard.store(4092, 0x0123_4567_u32).unwrap();
        assert_eq!(guard.load::<u32>(4092), Ok(0x0123_4567));
        assert_eq!(guard.load::<u16>(4094), Ok(0x0123));
        assert_eq!(guard.load::<u8>(4095), Ok(0x01));
        assert_eq!(guard.load::<u32>(4090), Err(ViewError::Misaligned { offset: 4090 }));
        assert_eq!(guard.store(4096, 0_u8), Err(ViewError::OutOfBounds { offset: 4096 }));
        assert_eq!(guard.load::<u32>(usize::MAX - 3), Err(ViewError::OutOfBounds { offset: usize::MAX - 3 }));
    });
}

#[test]
fn a_device_is_mapped_with_its_memory_type_even_where_lowmem_would_be() {
    const UNCACHED: u64 = 0x18;
    const WRITE_THROUGH: u64 = 0x08;
    // SAFETY: I5: the frame is only mapped, and not used.
    let (mut registers, buffer) = unsafe {
        (
            DeviceFrame::<Pae>::from_pfn(Pfn::new(1).unwrap()),
            DeviceFrame::<Pae, WriteThrough>::from_pfn(Pfn::new(HIGH).unwrap()),
        )
    };
    with_user0::<Plain, _>(|mut slot| {
        let guard = kmap_atomic(slot.reborrow(), &mut registers);
        assert_eq!(entry(USER0), 1 << 12 | RW_NX | UNCACHED);
        assert_eq!(guard.address(), address(USER0));
        drop(guard);
        let _guard = kmap_atomic(slot, &buffer);
        assert_eq!(entry(USER0), HIGH << 12 | RO_NX | WRITE_THROUGH);
    });
}

#[test]
fn sizes() {
    assert_eq!(size_of::<Slot<'_, Plain, User0>>(), 0);
    assert_eq!(size_of::<KmapAtomic<'_, Plain, User0, Frame<Pae>>>(), size_of::<(usize, Frame<Pae>)>());
    assert_eq!(size_of::<KmapAtomic<'_, Plain, User0, &mut Frame<Pae>>>(), 2 * size_of::<usize>());
    assert_eq!(size_of::<KmapAtomic<'_, Plain, User0, ()>>(), size_of::<usize>());
}

#[test]
fn a_guard_says_what_it_maps() {
    with_user0::<Plain, _>(|slot| {
        let guard = kmap_atomic(slot, frame(HIGH));
        assert_eq!(std::format!("{guard:?}"), std::format!("KmapAtomic(User0 at {:#x}, pfn 0x140000)", address(USER0)));
    });
}

/// Attempts to get around the types that compile: each must come to nothing.
mod attacks {
    use super::*;
    use crate::page::ReadWrite;
    use crate::{HardIrq, Softirq};
    use std::boxed::Box;
    use std::cell::{Cell, RefCell};
    use std::future::poll_fn;
    use std::panic::{AssertUnwindSafe, catch_unwind};
    use std::pin::{Pin, pin};
    use std::rc::Rc;
    use std::task::{Context, Poll, Waker};
    use std::vec::Vec;

    fn task<K: Kernel<KmTypes = crate::linux::Set>, R>(f: impl FnOnce(&mut Task<'_, K>) -> R) -> R {
        // SAFETY: I1: as in `with_user0`.
        unsafe { Task::enter(f) }
    }

    /// The bytes of lowmem frame `number`, which nobody has a reference to.
    fn byte(number: u64) -> u8 {
        let bytes = Plain::direct_map(Pfn::new(number).unwrap()).unwrap();
        // SAFETY: I6: a copy of one byte, of memory of this thread.
        unsafe { bytes.cast::<u8>().read() }
    }

    #[test]
    fn a_leaked_guard_keeps_its_slot_as_long_as_it_can_be_used() {
        let mut page = frame(HIGH);
        let events = Recorder::record(|| {
            task::<Plain, _>(|task| {
                let mut atomic = task.atomic();
                let leaked = Box::leak(Box::new(kmap_atomic(atomic.slots().user0, &mut page)));
                assert_eq!(leaked.pfn().number() as u64, HIGH);
                assert_eq!(entry(USER0), HIGH << 12 | RW_NX, "nothing else has been mapped there");
            });
            with_user0::<Plain, _>(|slot| drop(kmap_atomic(slot, &page)));
        });
        let (one, two) = (set(USER0, HIGH << 12 | RW_NX), set(USER0, HIGH << 12 | RO_NX));
        assert_eq!(events, [&one[..], &clear(USER0), &two, &clear(USER0)].concat());
    }

    #[test]
    fn a_guard_in_a_cycle_is_forgotten_and_no_more() {
        struct Node<'cx> {
            _mapped: KmapAtomic<'cx, Plain, User0, Frame<Pae>>,
            _next: RefCell<Option<Rc<Node<'cx>>>>,
        }
        let events = Recorder::record(|| {
            task::<Plain, _>(|task| {
                let mut atomic = task.atomic();
                let mapped = kmap_atomic(atomic.slots().user0, frame(HIGH));
                let node = Rc::new(Node { _mapped: mapped, _next: RefCell::new(None) });
                node._next.replace(Some(node.clone()));
            });
            with_user0::<Plain, _>(|slot| drop(kmap_atomic(slot, frame(HIGH + 1))));
        });
        let (one, two) = (set(USER0, HIGH << 12 | RW_NX), set(USER0, (HIGH + 1) << 12 | RW_NX));
        assert_eq!(events, [&one[..], &clear(USER0), &two, &clear(USER0)].concat());
    }

    #[test]
    fn a_forgotten_context_does_not_hand_out_slots_in_use() {
        let events = Recorder::record(|| {
            task::<Plain, _>(|task| {
                let mut atomic = task.atomic();
                mem::forget(kmap_atomic(atomic.slots().user0, frame(HIGH)));
                mem::forget(atomic);
                drop(kmap_atomic(task.atomic().slots().user0, frame(HIGH + 1)));
            });
        });
        let (one, two) = (set(USER0, HIGH << 12 | RW_NX), set(USER0, (HIGH + 1) << 12 | RW_NX));
        assert_eq!(events, [&one[..], &clear(USER0), &two, &clear(USER0)].concat());
    }

    #[test]
    fn a_panic_unmaps_from_the_inside_out_before_its_contexts_end() {
        let calls = RefCell::new(Vec::new());
        let events = Recorder::record(|| {
            calls.replace(test_kernel::calls(|| {
                let panicked = catch_unwind(|| {
                    task::<Plain, _>(|task| {
                        let mut atomic = task.atomic();
                        let mut slots = atomic.slots();
                        let _one = kmap_atomic(slots.user0, frame(HIGH));
                        let mut irqs_off = slots.deeper.irqs_off();
                        let _two = kmap_atomic(irqs_off.slots().irq0, frame(HIGH + 1));
                        std::panic::resume_unwind(Box::new("in the file system"));
                    });
                });
                assert!(panicked.is_err());
            }));
        });
        const IRQ0: usize = <Irq0 as KmType>::Index::USIZE;
        assert_eq!(events[4..], [clear(IRQ0), clear(USER0)].concat());
        assert_eq!(calls.take(), ["preempt_disable", "irq_save", "irq_restore(on)", "preempt_enable"]);
    }

    #[test]
    fn a_context_caught_in_a_panic_is_still_the_only_one() {
        let mut page = frame(HIGH);
        task::<Plain, _>(|task| {
            let mut atomic = task.atomic();
            let mut slot = atomic.slots().user0;
            let panicked = catch_unwind(AssertUnwindSafe(|| {
                let _guard = kmap_atomic(slot.reborrow(), &mut page);
                std::panic::resume_unwind(Box::new("under a mapping"));
            }));
            assert!(panicked.is_err());
            assert_eq!(entry(USER0), 0);
            let _guard = kmap_atomic(slot, &mut page);
            assert_eq!(entry(USER0), HIGH << 12 | RW_NX);
        });
        assert_eq!(entry(USER0), 0);
    }

    #[test]
    fn a_context_in_a_cell_is_lent_once_at_a_time() {
        task::<Plain, _>(|task| {
            let atomic = RefCell::new(task.atomic());
            let mut borrowed = atomic.borrow_mut();
            let _guard = kmap_atomic(borrowed.slots().user0, frame(HIGH));
            assert!(atomic.try_borrow_mut().is_err(), "the cell knows what the types know elsewhere");
        });
    }

    #[test]
    fn a_task_in_a_cell_cannot_sleep_while_it_is_atomic() {
        task::<Plain, _>(|task| {
            let cell = RefCell::new(task);
            let mut borrowed = cell.borrow_mut();
            let mut atomic = borrowed.atomic();
            let _guard = kmap_atomic(atomic.slots().user0, frame(HIGH));
            assert!(cell.try_borrow_mut().is_err());
        });
    }

    #[test]
    fn a_token_in_a_cell_can_be_taken_once() {
        task::<Plain, _>(|task| {
            let mut atomic = task.atomic();
            let cell = Cell::new(Some(atomic.slots().user0));
            let guard = cell.take().map(|slot| kmap_atomic(slot, frame(HIGH)));
            assert!(cell.take().is_none());
            let (slot, page) = kunmap_atomic(guard.unwrap());
            cell.set(Some(slot));
            drop(kmap_atomic(cell.take().unwrap(), page));
        });
        assert_eq!(entry(USER0), 0);
    }

    #[test]
    fn tokens_that_change_places_are_still_one_each() {
        task::<Plain, _>(|task| {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            let (mut one, mut two) = (Some(slots.user0), None);
            mem::swap(&mut one, &mut two);
            assert!(one.is_none());
            let mut guard = kmap_atomic(two.unwrap(), frame(HIGH));
            let (slot, _page) = {
                let other = kmap_atomic(slots.user1, frame(HIGH + 1));
                // A guard takes another's place, and the other is unmapped; both are not in one slot at any moment.
                let (slot, page) = kunmap_atomic(guard);
                assert_eq!((entry(USER0), entry(USER1)), (0, (HIGH + 1) << 12 | RW_NX));
                guard = kmap_atomic(slot, page);
                kunmap_atomic(other)
            };
            assert_eq!((entry(USER0), entry(USER1)), (HIGH << 12 | RW_NX, 0));
            guard = {
                let (slot, _) = kunmap_atomic(guard);
                kmap_atomic(slot, frame(HIGH + 2))
            };
            assert_eq!(entry(USER0), (HIGH + 2) << 12 | RW_NX);
            drop((guard, slot));
        });
    }

    /// Waits once.
    async fn wait() {
        let mut waited = false;
        poll_fn(|_| if mem::replace(&mut waited, true) { Poll::Ready(()) } else { Poll::Pending }).await;
    }

    fn poll(future: Pin<&mut impl Future>) -> bool {
        future.poll(&mut Context::from_waker(Waker::noop())).is_ready()
    }

    async fn map_over_a_wait(task: &mut Task<'_, Plain>, page: &mut Frame<Pae>) {
        let mut atomic = task.atomic();
        let mut guard = kmap_atomic(atomic.slots().user0, page);
        guard[0] = 1;
        wait().await;
        guard[0] += 1;
    }

    #[test]
    fn a_future_that_waits_under_a_mapping_keeps_preemption_off_until_it_is_done() {
        let mut page = frame(1);
        let calls = test_kernel::calls(|| {
            task::<Plain, _>(|task| {
                let mut future = pin!(map_over_a_wait(task, &mut page));
                assert!(!poll(future.as_mut()));
                assert_eq!(byte(1), 1);
                assert!(poll(future));
            });
        });
        assert_eq!(byte(1), 2);
        assert_eq!(calls, ["preempt_disable", "preempt_enable"]);
    }

    #[test]
    fn a_future_dropped_or_forgotten_under_a_mapping_leaves_no_alias() {
        let mut page = frame(HIGH);
        let events = Recorder::record(|| {
            task::<Forced, _>(|task| {
                for forget in [false, true] {
                    let mut future = Box::pin(async {
                        let mut atomic = task.atomic();
                        let _guard = kmap_atomic(atomic.slots().user0, &mut page);
                        wait().await;
                    });
                    assert!(!poll(future.as_mut()));
                    if forget { mem::forget(future) } else { drop(future) }
                }
                drop(kmap_atomic(task.atomic().slots().user0, &page));
            });
        });
        let (one, two) = (set(USER0, HIGH << 12 | RW_NX), set(USER0, HIGH << 12 | RO_NX));
        assert_eq!(events, [&one[..], &clear(USER0), &one, &clear(USER0), &two, &clear(USER0)].concat());
    }

    /// A page that looks at its entry when it is dropped, and maps another page from there.
    struct Restless<'cx> {
        page: Frame<Pae>,
        slot: Option<Slot<'cx, Plain, User1>>,
        seen: &'cx Cell<Option<u64>>,
    }

    // SAFETY: I5, I6: as the frame in it.
    unsafe impl Page for Restless<'_> {
        type Paging = Pae;
        type Access = ReadWrite;

        fn pfn(&self) -> Pfn<Pae> {
            self.page.pfn()
        }
    }

    impl Drop for Restless<'_> {
        fn drop(&mut self) {
            self.seen.set(Some(entry(USER0)));
            if let Some(slot) = self.slot.take() {
                drop(kmap_atomic(slot, frame(HIGH + 1)));
            }
        }
    }

    #[test]
    fn an_owned_page_is_dropped_when_it_is_unmapped_and_may_map_on_its_own() {
        let seen = Cell::new(None);
        let events = Recorder::record(|| {
            task::<Plain, _>(|task| {
                let mut atomic = task.atomic();
                let slots = atomic.slots();
                let page = Restless { page: frame(HIGH), slot: Some(slots.user1), seen: &seen };
                drop(kmap_atomic(slots.user0, page));
            });
        });
        assert_eq!(seen.get(), Some(0));
        let (one, two) = (set(USER0, HIGH << 12 | RW_NX), set(USER1, (HIGH + 1) << 12 | RW_NX));
        assert_eq!(events, [&one[..], &clear(USER0), &two, &clear(USER1)].concat());
    }

    #[test]
    fn an_owned_page_is_dropped_when_it_is_unmapped_by_a_panic_as_well() {
        let seen = Cell::new(None);
        let panicked = catch_unwind(AssertUnwindSafe(|| {
            task::<Plain, _>(|task| {
                let mut atomic = task.atomic();
                let page = Restless { page: frame(HIGH), slot: None, seen: &seen };
                let _guard = kmap_atomic(atomic.slots().user0, page);
                std::panic::resume_unwind(Box::new("under a mapping"));
            });
        }));
        assert!(panicked.is_err());
        assert_eq!(seen.get(), Some(0));
    }

    #[test]
    fn a_page_whose_number_cannot_be_told_maps_nothing() {
        struct Panics;
        // SAFETY: I5: it never gives a number.
        unsafe impl Page for Panics {
            type Paging = Pae;
            type Access = ReadWrite;

            fn pfn(&self) -> Pfn<Pae> {
                std::panic::resume_unwind(Box::new("no such page"))
            }
        }
        let events = Recorder::record(|| {
            let calls = test_kernel::calls(|| {
                let panicked = catch_unwind(|| with_user0::<Plain, _>(|slot| drop(kmap_atomic(slot, Panics))));
                assert!(panicked.is_err());
            });
            assert_eq!(calls, ["preempt_disable", "preempt_enable"]);
        });
        assert_eq!(events, []);
    }

    #[test]
    fn borrows_of_borrows_only_ever_take_rights_away() {
        let mut page = frame(HIGH);
        with_user0::<Plain, _>(|mut slot| {
            let mut borrow = &mut page;
            drop(kmap_atomic(slot.reborrow(), &&*borrow));
            let guard = kmap_atomic(slot.reborrow(), &borrow);
            assert_eq!(entry(USER0), HIGH << 12 | RO_NX, "shared, though exclusive behind that");
            drop(guard);
            let guard = kmap_atomic(slot, &mut borrow);
            assert_eq!(entry(USER0), HIGH << 12 | RW_NX);
            assert_eq!(guard.page().pfn().number() as u64, HIGH);
        });
    }

    #[test]
    fn views_of_no_size_touch_nothing_wherever_they_are() {
        with_user0::<Plain, _>(|slot| {
            let mut guard = kmap_atomic(slot, frame(1));
            assert_eq!(guard.view::<()>(4096), Ok(&()));
            assert_eq!(guard.view::<[u64; 0]>(1), Err(ViewError::Misaligned { offset: 1 }));
            assert_eq!(guard.view::<()>(4097), Err(ViewError::OutOfBounds { offset: 4097 }));
            assert_eq!(guard.view_slice::<()>(0, usize::MAX).map(<[()]>::len), Ok(usize::MAX));
            assert_eq!(guard.view_slice_mut::<()>(4097, 0), Err(ViewError::OutOfBounds { offset: 4097 }));
            assert_eq!(guard.view_slice::<u64>(4096, 1), Err(ViewError::OutOfBounds { offset: 4096 }));
            assert_eq!(guard.view_slice_mut::<u64>(8, 512), Err(ViewError::OutOfBounds { offset: 8 }));
        });
    }

    #[test]
    fn a_view_larger_than_a_page_does_not_exist() {
        with_user0::<Plain, _>(|slot| {
            let mut guard = kmap_atomic(slot, frame(1));
            assert_eq!(guard.view::<[u8; 4097]>(0), Err(ViewError::OutOfBounds { offset: 0 }));
            assert_eq!(guard.view_mut::<[u8; 4096]>(1), Err(ViewError::OutOfBounds { offset: 1 }));
            assert!(guard.view_mut::<[u8; 4096]>(0).is_ok());
        });
    }

    #[test]
    fn a_handler_maps_beside_what_it_interrupts_and_leaves_it_alone() {
        const IRQ0: usize = <Irq0 as KmType>::Index::USIZE;
        const SOFTIRQ0: usize = <crate::linux::Softirq0 as KmType>::Index::USIZE;
        fn handler(depth: u64) {
            // SAFETY: I1: interrupts are on when this is called, and off until it returns.
            unsafe {
                HardIrq::<Plain>::enter(|irq| {
                    drop(kmap_atomic(irq.slots().irq0, frame(HIGH + 10 + depth)));
                    if depth > 0 {
                        irq.with_irqs_on(|| handler(depth - 1));
                    }
                    let guard = kmap_atomic(irq.slots().irq0, frame(HIGH + 10 + depth));
                    assert_eq!(entry(IRQ0), (HIGH + 10 + depth) << 12 | RW_NX);
                    mem::forget(guard);
                });
            }
        }
        task::<Plain, _>(|task| {
            let mut atomic = task.atomic();
            let _one = kmap_atomic(atomic.slots().user0, frame(HIGH));
            handler(3);
            // SAFETY: I1: a softirq that comes after the handler.
            unsafe {
                Softirq::<Plain>::enter(|softirq| {
                    let mut slots = softirq.slots();
                    let _two = kmap_atomic(slots.softirq0, frame(HIGH + 1));
                    let mut irqs_off = slots.deeper.irqs_off();
                    let _three = kmap_atomic(irqs_off.slots().irq1, frame(HIGH + 2));
                    assert_eq!(entry(SOFTIRQ0), (HIGH + 1) << 12 | RW_NX);
                });
            }
            assert_eq!((entry(USER0), entry(SOFTIRQ0)), (HIGH << 12 | RW_NX, 0));
        });
        assert_eq!(entry(USER0), 0);
    }

    #[test]
    fn tokens_lent_down_a_recursion_are_used_one_at_a_time() {
        fn walk(slot: &mut Slot<'_, Plain, User0>, depth: u64) {
            if depth == 0 {
                return;
            }
            drop(kmap_atomic(slot.reborrow(), frame(HIGH + depth)));
            walk(&mut slot.reborrow(), depth - 1);
            let _guard = kmap_atomic(slot.reborrow(), frame(HIGH + depth));
            assert_eq!(entry(USER0), (HIGH + depth) << 12 | RW_NX);
        }
        with_user0::<Plain, _>(|mut slot| walk(&mut slot, 5));
        assert_eq!(entry(USER0), 0);
    }
}
