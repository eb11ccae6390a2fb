//! Unit tests of the helpers, on a processor that writes down what it is asked to do. Its high memory exists only as numbers: whoever
//! touches a byte of it is killed.
#![allow(clippy::reversed_empty_ranges, reason = "what a helper makes of one is looked at")]

use super::*;
use crate::linux::{Set, User0, User1};
use crate::machine::recorder::{Event, Event::*, Recorder};
use crate::paging::Pae;
use crate::test_kernel::{FIXMAP_BASE, LOWMEM_FRAMES, TestKernel, entry_address, page};
use crate::{Frame, PageBytes, Pfn, SharedFrame, Task, ViewError};
use std::string::ToString;
use std::vec;
use std::vec::Vec;
use typenum::Unsigned;

type K = TestKernel<false>;

const FROM: u64 = 0x14_0000;
const TO: u64 = 0x25_0001;

fn frame(number: u64) -> Frame<Pae> {
    // SAFETY: I5: the test kernel's frames beyond lowmem exist only as numbers, and each test is a thread, with a lowmem of its own.
    unsafe { Frame::from_pfn(Pfn::new(number).unwrap()) }
}

fn shared(number: u64) -> SharedFrame<Pae> {
    assert!(number < LOWMEM_FRAMES as u64);
    // SAFETY: I5: a frame of this thread's lowmem, of which no test has references.
    unsafe { SharedFrame::from_pfn(Pfn::new(number).unwrap()) }
}

fn task<R>(f: impl FnOnce(Slot<'_, K, User0>, Slot<'_, K, User1>) -> R) -> R {
    // SAFETY: I1: each test is a thread, and enters once at a time.
    unsafe {
        Task::<K>::enter(|task| {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            f(slots.user0, slots.user1)
        })
    }
}

/// What a page has in it, by a way that no helper goes.
fn bytes_of<P: Page<Paging = Pae>>(page: &P) -> PageBytes {
    let at = K::direct_map(page.pfn()).expect("a frame of lowmem");
    // SAFETY: I6: mapped for good, and nobody writes meanwhile.
    unsafe { at.read_volatile() }
}

fn put<P: Page<Paging = Pae>>(page: &mut P, bytes: PageBytes) {
    let at = K::direct_map(page.pfn()).expect("a frame of lowmem");
    // SAFETY: I6: mapped for good, and nobody else uses it meanwhile.
    unsafe { at.write_volatile(bytes) }
}

/// Bytes that differ from their neighbours, and from those a word or two away.
fn pattern(seed: u8) -> PageBytes {
    core::array::from_fn(|at| (at % 251) as u8 ^ (at >> 8) as u8 ^ seed)
}

/// What it is to map a frame in slot `S`.
fn set<S: KmType<Set = Set>>(pfn: u64, writable: bool) -> Vec<Event> {
    let at = entry_address(page(0, S::Index::USIZE));
    let entry = pfn << 12 | if writable { 0x8000_0000_0000_0063 } else { 0x8000_0000_0000_0021 };
    vec![Write(at + 4, entry >> 32), Write(at, entry & 0xffff_ffff)]
}

/// What it is to unmap it.
fn clear<S: KmType<Set = Set>>() -> Vec<Event> {
    let index = page(0, S::Index::USIZE);
    let at = entry_address(index);
    vec![Write(at, 0), Write(at + 4, 0), Invlpg(FIXMAP_BASE + index * PAGE_SIZE)]
}

/// Ranges that go past the end of a page, by where they begin and how long they are.
const OUTSIDE: [(usize, usize); 12] = [
    (0, PAGE_SIZE + 1),
    (1, PAGE_SIZE),
    (PAGE_SIZE - 1, 2),
    (PAGE_SIZE, 1),
    (PAGE_SIZE + 1, 0),
    (PAGE_SIZE + 1, 1),
    (usize::MAX, 0),
    (usize::MAX, 1),
    (1, usize::MAX),
    (usize::MAX, usize::MAX),
    (PAGE_SIZE, usize::MAX - PAGE_SIZE + 1),
    (usize::MAX - PAGE_SIZE + 1, PAGE_SIZE),
];

fn outside(offset: usize, len: usize) -> Result<(), Error> {
    Err(Error::OutOfBounds { offset, len, size: PAGE_SIZE })
}

#[test]
fn a_sum_that_overflows_is_not_a_small_one() {
    for (offset, len) in OUTSIDE {
        assert_eq!(check(offset, len, PAGE_SIZE), outside(offset, len));
    }
    assert_eq!(check(usize::MAX, 0, usize::MAX), Ok(()));
    assert_eq!(check(1, usize::MAX, usize::MAX).map_err(|error| error.to_string().is_empty()), Err(false));
    assert_eq!(check(0, PAGE_SIZE, PAGE_SIZE), Ok(()));
    assert_eq!(check(PAGE_SIZE, 0, PAGE_SIZE), Ok(()));
}

/// Nothing is asked of the processor, so nothing was mapped.
fn refuses(expected: Result<(), Error>, helper: impl FnOnce() -> Result<(), Error>) {
    let events = Recorder::record(|| assert_eq!(helper(), expected));
    assert_eq!(events, [], "{expected:?}");
}

#[test]
fn what_goes_past_the_end_is_refused_and_nothing_is_mapped() {
    let (from, mut to) = (frame(FROM), frame(TO));
    for (offset, len) in OUTSIDE {
        let expected = outside(offset, len);
        refuses(expected, || task(|user0, _| memset_page(user0, &mut to, offset, 1, len)));
        refuses(expected, || task(|user0, _| memzero_page(user0, &mut to, offset, len)));
        refuses(expected, || task(|user0, user1| memcpy_page(user1, (&mut to, offset), user0, (&from, 0), len)));
        if len <= PAGE_SIZE {
            refuses(expected, || task(|user0, user1| memcpy_page(user1, (&mut to, 0), user0, (&from, offset), len)));
        }
        // A slice is never as long as the longest of these.
        if len <= 2 * PAGE_SIZE {
            let mut buffer = vec![0x11; len];
            refuses(expected, || task(|user0, _| memcpy_from_page(&mut buffer, user0, &from, offset)));
            assert!(buffer.iter().all(|&byte| byte == 0x11));
            refuses(expected, || task(|user0, _| memcpy_to_page(user0, &mut to, offset, &buffer)));
        }
    }
}

#[test]
fn a_part_past_the_end_is_refused_whichever_it_is() {
    let mut to = frame(TO);
    let wrong = [
        (0..PAGE_SIZE + 1, outside(0, PAGE_SIZE + 1)),
        (PAGE_SIZE..PAGE_SIZE + 1, outside(PAGE_SIZE, 1)),
        (PAGE_SIZE + 1..PAGE_SIZE + 1, outside(PAGE_SIZE + 1, 0)),
        (PAGE_SIZE + 1..0, outside(PAGE_SIZE + 1, 0)),
        (0..usize::MAX, outside(0, usize::MAX)),
        (usize::MAX..usize::MAX, outside(usize::MAX, 0)),
        (usize::MAX..0, outside(usize::MAX, 0)),
        (5..usize::MAX, outside(5, usize::MAX - 5)),
    ];
    for (part, expected) in wrong {
        for right in [0..0, 0..PAGE_SIZE, PAGE_SIZE..PAGE_SIZE, 9..3] {
            let (first, second) = (part.clone(), right.clone());
            refuses(expected, || task(|user0, _| zero_user_segments(user0, &mut to, first, second)));
            let (first, second) = (right, part.clone());
            refuses(expected, || task(|user0, _| zero_user_segments(user0, &mut to, first, second)));
        }
    }
}

/// Linux: `offset == PAGE_SIZE` with `len == 0` is right, and a check that says `offset < PAGE_SIZE` is wrong.
#[test]
fn no_bytes_fit_at_each_offset_up_to_the_end() {
    let (from, mut to) = (frame(FROM), frame(TO));
    let reads = [set::<User0>(FROM, false), clear::<User0>()].concat();
    let writes = [set::<User0>(TO, true), clear::<User0>()].concat();
    let copies = [set::<User0>(FROM, false), set::<User1>(TO, true), clear::<User1>(), clear::<User0>()].concat();
    for offset in 0..=PAGE_SIZE {
        // The frames are not there: one byte touched, and this is the end.
        let one = |expected: &[Event], helper: &mut dyn FnMut() -> Result<(), Error>| {
            assert_eq!(Recorder::record(|| assert_eq!(helper(), Ok(()))), expected, "offset {offset}");
        };
        one(&writes, &mut || task(|user0, _| memset_page(user0, &mut to, offset, 1, 0)));
        one(&writes, &mut || task(|user0, _| memzero_page(user0, &mut to, offset, 0)));
        one(&writes, &mut || task(|user0, _| memcpy_to_page(user0, &mut to, offset, &[])));
        one(&reads, &mut || task(|user0, _| memcpy_from_page(&mut [], user0, &from, offset)));
        one(&copies, &mut || task(|user0, user1| memcpy_page(user1, (&mut to, offset), user0, (&from, offset), 0)));
        let other = PAGE_SIZE - offset;
        one(&copies, &mut || task(|user0, user1| memcpy_page(user1, (&mut to, offset), user0, (&from, other), 0)));
        one(&writes, &mut || task(|user0, _| zero_user_segments(user0, &mut to, offset..offset, other..other)));
        one(&writes, &mut || task(|user0, _| zero_user_segments(user0, &mut to, offset..0, offset..offset / 2)));
    }
}

#[test]
fn errors_say_what_does_not_fit() {
    assert_eq!(
        Error::OutOfBounds { offset: 4000, len: 97, size: 4096 }.to_string(),
        "97 bytes from offset 4000 on are not within the 4096 bytes that there are"
    );
    assert_eq!(Error::Misaligned { offset: 6, align: 4 }.to_string(), "offset 6 is not a multiple of 4");
}

#[test]
fn whole_pages_are_cleared_and_copied() {
    let (mut one, mut two) = (frame(1), frame(2));
    put(&mut one, pattern(1));
    let events = Recorder::record(|| {
        task(|mut user0, mut user1| {
            copy_highpage(user1.reborrow(), &mut two, user0.reborrow(), &one);
            assert_eq!(bytes_of(&two), pattern(1));
            clear_highpage(user0.reborrow(), &mut one);
            assert_eq!((bytes_of(&one), bytes_of(&two)), ([0; PAGE_SIZE], pattern(1)));
            copy_user_highpage(user0.reborrow(), &mut one, user1.reborrow(), &two);
            assert_eq!(bytes_of(&one), pattern(1));
            clear_user_highpage(user1.reborrow(), &mut two);
            assert_eq!(bytes_of(&two), [0; PAGE_SIZE]);
            assert_eq!(copy_mc_highpage(user1.reborrow(), &mut two, user0.reborrow(), &one), 0);
            assert_eq!(bytes_of(&two), pattern(1));
            put(&mut two, [7; PAGE_SIZE]);
            assert_eq!(copy_mc_user_highpage(user0, &mut one, user1, &two), 0);
            assert_eq!(bytes_of(&one), [7; PAGE_SIZE]);
        });
    });
    assert_eq!(events, [], "lowmem is not mapped");
}

#[test]
fn parts_of_pages_are_what_was_asked_for() {
    const SPANS: [(usize, usize); 9] =
        [(0, 0), (0, 1), (0, 4096), (1, 4095), (3, 17), (4095, 1), (4096, 0), (2047, 2), (4090, 6)];
    let (mut one, mut two) = (frame(1), frame(2));
    for (offset, len) in SPANS {
        let range = offset..offset + len;
        let mut expected = pattern(2);
        expected[range.clone()].copy_from_slice(&pattern(1)[range.clone()]);
        task(|mut user0, mut user1| {
            put(&mut one, pattern(1));
            put(&mut two, pattern(2));
            memcpy_page(user1.reborrow(), (&mut two, offset), user0.reborrow(), (&one, offset), len).unwrap();
            assert_eq!(bytes_of(&two), expected);

            put(&mut two, pattern(2));
            let mut buffer = vec![0; len];
            memcpy_from_page(&mut buffer, user0.reborrow(), &one, offset).unwrap();
            assert_eq!(buffer, pattern(1)[range.clone()]);
            memcpy_to_page(user0.reborrow(), &mut two, offset, &buffer).unwrap();
            assert_eq!(bytes_of(&two), expected);

            memset_page(user0.reborrow(), &mut two, offset, 0x5a, len).unwrap();
            expected[range.clone()].fill(0x5a);
            assert_eq!(bytes_of(&two), expected);
            memzero_page(user0, &mut two, offset, len).unwrap();
            expected[range.clone()].fill(0);
            assert_eq!(bytes_of(&two), expected);
        });
    }
}

/// Linux: `memcpy_from_folio()` advanced the source where it had to advance the target.
#[test]
fn the_offset_of_the_source_is_not_that_of_the_target() {
    let (mut one, mut two) = (frame(1), frame(2));
    put(&mut one, pattern(1));
    put(&mut two, pattern(2));
    task(|user0, user1| memcpy_page(user1, (&mut two, 3000), user0, (&one, 100), 50).unwrap());
    let mut expected = pattern(2);
    expected[3000..3050].copy_from_slice(&pattern(1)[100..150]);
    assert_eq!((bytes_of(&one), bytes_of(&two)), (pattern(1), expected));
}

#[test]
fn two_parts_are_zeroed_and_what_is_between_them_is_not() {
    let mut page = frame(1);
    for (first, second) in [(0..100, 200..300), (0..0, 4000..4096), (10..11, 0..0), (9..3, 4095..4096), (5..50, 20..60)]
    {
        put(&mut page, [0xee; PAGE_SIZE]);
        task(|user0, _| zero_user_segments(user0, &mut page, first.clone(), second.clone()).unwrap());
        let expected = core::array::from_fn(|at| if first.contains(&at) || second.contains(&at) { 0 } else { 0xee });
        assert_eq!(bytes_of(&page), expected, "{first:?} and {second:?}");
    }
}

/// `copy_user_highpage()` on LoongArch (Linux, 477a0ebec101) and `move_pages_pte()` (CVE-2025-39899) ended the first of two mappings first,
/// where each took what was last to be the one that it ended. A slot has a name: each end clears its own entry.
#[test]
fn each_of_two_mappings_ends_by_itself_in_either_order() {
    let (from, mut to) = (frame(FROM), frame(TO));
    let both = [set::<User0>(FROM, false), set::<User1>(TO, true)].concat();
    for from_ends_first in [false, true] {
        let events = Recorder::record(|| {
            task(|user0, user1| {
                let (from, to) = (kmap_atomic(user0, &from), kmap_atomic(user1, &mut to));
                if from_ends_first {
                    drop(from);
                    drop(to);
                } else {
                    drop(to);
                    drop(from);
                }
            });
        });
        let ends = [clear::<User0>(), clear::<User1>()];
        let ends = if from_ends_first { ends.concat() } else { [ends[1].clone(), ends[0].clone()].concat() };
        assert_eq!(events, [both.clone(), ends].concat());
    }
}

/// Nothing in the contract of a shared frame keeps user space from mapping it twice.
#[test]
fn a_frame_that_is_two_pages_is_copied_to_itself() {
    let (mut one, mut other) = (shared(1), shared(1));
    put(&mut one, pattern(1));
    task(|mut user0, mut user1| {
        copy_highpage(user1.reborrow(), &mut other, user0.reborrow(), &one);
        assert_eq!(bytes_of(&one), pattern(1));
        assert_eq!(copy_mc_highpage(user1.reborrow(), &mut other, user0.reborrow(), &one), 0);
        assert_eq!(bytes_of(&one), pattern(1));
        for (to, from, len) in [(0, 0, 4096), (0, 1, 4095), (1, 0, 4095), (8, 0, 64), (0, 8, 64), (100, 101, 7)] {
            put(&mut one, pattern(1));
            memcpy_page(user1.reborrow(), (&mut other, to), user0.reborrow(), (&one, from), len).unwrap();
            let (before, after) = (pattern(1), bytes_of(&one));
            assert_eq!(
                (&after[..to], &after[to + len..]),
                (&before[..to], &before[to + len..]),
                "outside of the target"
            );
            for byte in &after[to..to + len] {
                assert!(before[from..from + len].contains(byte), "a byte that was not in the source");
            }
            if to == from {
                assert_eq!(after, before);
            }
        }
    });
}

#[test]
fn a_word_is_exchanged_if_it_is_what_was_expected() {
    let mut page = shared(1);
    put(&mut page, [0; PAGE_SIZE]);
    task(|user0, _| {
        let mut mapped = kmap_atomic(user0, &mut page);
        mapped.store::<u32>(4092, 5).unwrap();
        assert_eq!(mapped.compare_exchange::<u32>(4092, 4, 9), Ok(Err(5)));
        assert_eq!(mapped.load::<u32>(4092), Ok(5));
        assert_eq!(mapped.compare_exchange::<u32>(4092, 5, 9), Ok(Ok(5)));
        assert_eq!(mapped.load::<u32>(4092), Ok(9));
        assert_eq!(mapped.compare_exchange::<u8>(4092, 9, 1), Ok(Ok(9)));
        assert_eq!(mapped.compare_exchange::<u16>(4094, 0, 0x0203), Ok(Ok(0)));
        assert_eq!(mapped.load::<u32>(4092), Ok(0x0203_0001));
        assert_eq!(mapped.fetch_update::<u32>(4092, |word| word + 1), Ok(0x0203_0001));
        assert_eq!(mapped.load::<u32>(4092), Ok(0x0203_0002));
    });
    let mut expected = [0; PAGE_SIZE];
    expected[4092..].copy_from_slice(&[2, 0, 3, 2]);
    assert_eq!(bytes_of(&page), expected);
}

#[test]
fn a_word_at_a_wrong_place_is_not_touched() {
    let mut page = shared(1);
    put(&mut page, [0x11; PAGE_SIZE]);
    task(|user0, _| {
        let mut mapped = kmap_atomic(user0, &mut page);
        for offset in [1, 2, 3, 4090, 4091] {
            let misaligned = ViewError::Misaligned { offset };
            assert_eq!(mapped.compare_exchange::<u32>(offset, 0x1111_1111, 0), Err(misaligned));
            assert_eq!(mapped.fetch_update::<u32>(offset, |_| panic!("asked")), Err(misaligned));
        }
        for offset in [4093, 4094, 4095, 4096, 4097, 5000, usize::MAX - 3, usize::MAX] {
            let outside = ViewError::OutOfBounds { offset };
            assert_eq!(mapped.compare_exchange::<u32>(offset, 0x1111_1111, 0), Err(outside));
            assert_eq!(mapped.fetch_update::<u32>(offset, |_| panic!("asked")), Err(outside));
        }
        assert_eq!(mapped.compare_exchange::<u8>(4096, 0x11, 0), Err(ViewError::OutOfBounds { offset: 4096 }));
        assert_eq!(mapped.compare_exchange::<u16>(4095, 0x1111, 0), Err(ViewError::OutOfBounds { offset: 4095 }));
    });
    assert_eq!(bytes_of(&page), [0x11; PAGE_SIZE]);
}

/// What `update` does is its own business: it can use other slots, and the very word, by another page that is the same frame.
#[test]
fn an_update_is_asked_again_when_the_word_has_changed_meanwhile() {
    let (mut one, mut other) = (shared(1), shared(1));
    put(&mut one, [0; PAGE_SIZE]);
    let mut asked = Vec::new();
    task(|user0, mut user1| {
        let before = kmap_atomic(user0, &mut one).fetch_update::<u32>(8, |word| {
            asked.push(word);
            if asked.len() < 3 {
                kmap_atomic(user1.reborrow(), &mut other).fetch_update::<u32>(8, |word| word + 100).unwrap();
            }
            word + 1
        });
        assert_eq!(before, Ok(200));
    });
    assert_eq!(asked, [0, 100, 200]);
    assert_eq!(bytes_of(&one)[8..12], 201_u32.to_le_bytes());
}
