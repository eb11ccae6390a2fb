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
        assert_eq!(error.to_string(), "the access at offset 4097 goes past the end of the page");
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
