//! Do the helpers that copy, clear and zero pages do it, on page tables that a processor walks? Beside plain arrays, at all alignments.
//! Needs memory above 4 GiB (6 GiB will do), or without PAE, above lowmem.

use alloc::boxed::Box;
use alloc::vec;
use alloc::vec::Vec;
#[cfg(target_arch = "x86")]
use core::arch::x86::{__cpuid_count, CpuidResult};
#[cfg(target_arch = "x86_64")]
use core::arch::x86_64::{__cpuid_count, CpuidResult};
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering::Relaxed};

use highmem::copy::CopyBy;
use highmem::ops::Error;
use highmem::{
    Page, PageBytes, Pfn, SharedFrame, clear_highpage, clear_user_highpage, copy_highpage, copy_mc_highpage,
    copy_mc_user_highpage, copy_user_highpage, kmap_atomic, memcpy_from_page, memcpy_page, memcpy_to_page, memset_page,
    memzero_page, zero_user_segments,
};
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{self, HardIrq, Paging, Task};
use kernel::{harness, println, smp, timer};
use x86::cpuid::{CpuId, CpuIdResult, Hypervisor};

kernel::main!(ops_tests);

fn ops_tests(task: &mut Task<'_>) {
    harness::run_tests(
        task,
        &[
            ("the_kernel_copies_as_the_processor_says", the_kernel_copies_as_the_processor_says),
            ("pages_are_cleared_and_copied_in_all_zones", |task| {
                in_each_way(task, pages_are_cleared_and_copied_in_all_zones)
            }),
            ("copies_between_pages_at_all_alignments", |task| {
                in_each_way(task, copies_between_pages_at_all_alignments)
            }),
            ("copies_to_and_from_memory_at_all_alignments", |task| {
                in_each_way(task, copies_to_and_from_memory_at_all_alignments)
            }),
            ("parts_are_filled_at_all_alignments", |task| in_each_way(task, parts_are_filled_at_all_alignments)),
            ("ranges_around_the_end_of_a_page", |task| in_each_way(task, ranges_around_the_end_of_a_page)),
            ("shared_memory_at_all_alignments", |task| in_each_way(task, shared_memory_at_all_alignments)),
            ("one_frame_that_is_two_pages", |task| in_each_way(task, one_frame_that_is_two_pages)),
            ("interrupts_copy_while_the_task_does", interrupts_copy_while_the_task_does),
            ("no_increment_of_any_cpu_is_lost", no_increment_of_any_cpu_is_lost),
        ],
    )
}

const PAGE: usize = highmem::PAGE_SIZE;

/// Does it by all instructions that this processor has.
fn in_each_way(task: &mut Task<'_>, test: fn(&mut Task<'_>)) {
    let usual = kmap::copy_by();
    for by in [CopyBy::Words, CopyBy::Bytes, CopyBy::NonTemporal] {
        if by == CopyBy::Bytes || by.is_good_here() {
            kmap::set_copy_by(by);
            test(task);
        }
    }
    kmap::set_copy_by(usual);
}

fn the_kernel_copies_as_the_processor_says(_: &mut Task<'_>) {
    let cpuid = CpuId::with_cpuid_fn(|leaf, part| {
        let CpuidResult { eax, ebx, ecx, edx } = __cpuid_count(leaf, part);
        CpuIdResult { eax, ebx, ecx, edx }
    });
    let has_fast_bytes = cpuid.get_extended_feature_info().is_some_and(|features| features.has_rep_movsb_stosb());
    // Which has them in name only.
    let is_tcg = cpuid.get_hypervisor_info().is_some_and(|says| matches!(says.identify(), Hypervisor::QEMU));
    assert_eq!(kmap::copy_by(), if has_fast_bytes && !is_tcg { CopyBy::Bytes } else { CopyBy::Words });
    let has_sse2 = cpuid.get_feature_info().is_some_and(|features| features.has_sse2());
    assert_eq!(CopyBy::NonTemporal.is_good_here(), has_sse2);
    println!("fast strings of bytes: {has_fast_bytes}, QEMU's TCG: {is_tcg}, non-temporal stores: {has_sse2}");
}

fn high() -> Frame {
    let zone = if Zone::Above4G.is_reachable() { Zone::Above4G } else { Zone::High };
    frames::alloc(zone).unwrap_or_else(|| panic!("no frame free in zone {zone}: start this with 6 GiB (--mem 6G)"))
}

/// Bytes that differ from their neighbours, and from those a word or two away.
fn pattern(seed: u8) -> Box<PageBytes> {
    let bytes: Vec<u8> = (0..PAGE).map(|at| (at % 251) as u8 ^ (at >> 8) as u8 ^ seed).collect();
    bytes.into_boxed_slice().try_into().expect("it has the length of a page")
}

fn put(task: &mut Task<'_>, page: &mut Frame, bytes: &PageBytes) {
    kmap_atomic(task.atomic().slots().pte0, page).copy_from_slice(bytes);
}

/// Looks at a page by another slot than those that the helpers use here.
fn has(task: &mut Task<'_>, page: &Frame, expected: &PageBytes) -> bool {
    *kmap_atomic(task.atomic().slots().pte0, page) == *expected
}

fn check_slots() {
    assert!(kmap::slots().all(|(_, address)| kmap::entry(address) == 0), "a slot is not empty");
}

fn pages_are_cleared_and_copied_in_all_zones(task: &mut Task<'_>) {
    let zones = || Zone::ALL.into_iter().filter(|zone| zone.is_reachable());
    for (from_zone, to_zone) in zones().flat_map(|from| zones().map(move |to| (from, to))) {
        let (Some(mut from), Some(mut to)) = (frames::alloc(from_zone), frames::alloc(to_zone)) else {
            panic!("no frame free in zone {from_zone} or {to_zone}: start this with 6 GiB (--mem 6G)");
        };
        let (zeros, one, other) = (Box::new([0; PAGE]), pattern(1), pattern(2));
        put(task, &mut from, &one);
        for user in [false, true] {
            put(task, &mut to, &other);
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            match user {
                false => copy_highpage(slots.user1, &mut to, slots.user0, &from),
                true => copy_user_highpage(slots.user1, &mut to, slots.user0, &from),
            }
            drop(atomic);
            assert!(has(task, &to, &one) && has(task, &from, &one), "{from_zone} to {to_zone}");
            put(task, &mut to, &other);
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            let left = match user {
                false => copy_mc_highpage(slots.user1, &mut to, slots.user0, &from),
                true => copy_mc_user_highpage(slots.user1, &mut to, slots.user0, &from),
            };
            drop(atomic);
            assert!(left == 0 && has(task, &to, &one) && has(task, &from, &one), "{from_zone} to {to_zone}");
            match user {
                false => clear_highpage(task.atomic().slots().user0, &mut to),
                true => clear_user_highpage(task.atomic().slots().user0, &mut to),
            }
            assert!(has(task, &to, &zeros) && has(task, &from, &one), "{from_zone} to {to_zone}");
        }
        check_slots();
    }
}

/// Offsets of both sides, near the start and near the end of a page, and lengths: what string instructions move in words and bytes.
const ALIGNMENTS: usize = 16;
const LONGEST: usize = 64;

fn copies_between_pages_at_all_alignments(task: &mut Task<'_>) {
    let (mut from, mut to) = (high(), high());
    let (source, mut expected) = (pattern(1), pattern(2));
    put(task, &mut from, &source);
    put(task, &mut to, &expected);
    for from_at in 0..ALIGNMENTS {
        for to_at in 0..ALIGNMENTS {
            for len in 0..=LONGEST {
                // Each time elsewhere, so that other bytes are copied than those that are there already.
                let from_at = from_at + ALIGNMENTS * (len % 100);
                let (to_at, near_the_end) = (to_at, PAGE - len - to_at);
                let mut atomic = task.atomic();
                let mut slots = atomic.slots();
                for to_at in [to_at, near_the_end] {
                    let (user0, user1) = (slots.user0.reborrow(), slots.user1.reborrow());
                    memcpy_page(user1, (&mut to, to_at), user0, (&from, from_at), len).expect("within the pages");
                    expected[to_at..to_at + len].copy_from_slice(&source[from_at..from_at + len]);
                }
            }
            assert!(has(task, &to, &expected), "from {from_at} to {to_at}");
        }
    }
    assert!(has(task, &from, &source), "the source was written");
    check_slots();
}

fn copies_to_and_from_memory_at_all_alignments(task: &mut Task<'_>) {
    let mut page = high();
    let mut expected = pattern(1);
    put(task, &mut page, &expected);
    let mut buffer = [0_u8; LONGEST + 2 * ALIGNMENTS];
    let other = pattern(2);
    for at in 0..ALIGNMENTS {
        for in_memory in 0..ALIGNMENTS {
            for len in 0..=LONGEST {
                let mut atomic = task.atomic();
                let mut slots = atomic.slots();
                for at in [at, PAGE - len - at] {
                    buffer.fill(0xee);
                    let target = &mut buffer[in_memory..in_memory + len];
                    memcpy_from_page(target, slots.user0.reborrow(), &page, at).expect("within the page");
                    assert_eq!(target, &expected[at..at + len], "from {at} to {in_memory} in memory");
                    let around = buffer[..in_memory].iter().chain(&buffer[in_memory + len..]);
                    assert!(around.into_iter().all(|&byte| byte == 0xee), "bytes around the buffer were written");
                    let source = &other[in_memory + len..in_memory + 2 * len];
                    memcpy_to_page(slots.user0.reborrow(), &mut page, at, source).expect("within the page");
                    expected[at..at + len].copy_from_slice(source);
                }
            }
            assert!(has(task, &page, &expected), "page at {at}, memory at {in_memory}");
        }
    }
    check_slots();
}

fn parts_are_filled_at_all_alignments(task: &mut Task<'_>) {
    let mut page = high();
    let mut expected = pattern(1);
    put(task, &mut page, &expected);
    for at in 0..ALIGNMENTS {
        for len in 0..=LONGEST {
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            for (at, byte) in [(at, len as u8), (PAGE - len - at, !len as u8)] {
                memset_page(slots.user0.reborrow(), &mut page, at, byte, len).expect("within the page");
                expected[at..at + len].fill(byte);
            }
            drop(atomic);
            assert!(has(task, &page, &expected), "{len} bytes from {at} on");
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            memzero_page(slots.user0.reborrow(), &mut page, 1000 + at, len).expect("within the page");
            expected[1000 + at..][..len].fill(0);
            let (first, second) = (2000 + at..2000 + at + len, 3000 - at..3000 + len);
            zero_user_segments(slots.user0, &mut page, first.clone(), second.clone()).expect("within the page");
            expected[first].fill(0);
            expected[second].fill(0);
            drop(atomic);
            assert!(has(task, &page, &expected), "{len} bytes from {at} on, zeroed");
        }
    }
    check_slots();
}

fn ranges_around_the_end_of_a_page(task: &mut Task<'_>) {
    let (mut from, mut to) = (high(), high());
    let (source, mut expected) = (pattern(1), pattern(2));
    put(task, &mut from, &source);
    put(task, &mut to, &expected);
    let mut buffer = vec![0; 2 * PAGE];
    for offset in (0..=17).chain(PAGE / 2 - 9..=PAGE / 2 + 9).chain(PAGE - 17..=PAGE + 17) {
        for len in [0, 1, 3, 4, 5, 7, 8, 9, 16, 17, 2040, 2048, 2049, 4080, 4087, 4088, 4095, 4096, 4097, 4104] {
            let fits = offset + len <= PAGE;
            let result = if fits { Ok(()) } else { Err(Error::OutOfBounds { offset, len, size: PAGE }) };
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            let (user0, user1) = (slots.user0.reborrow(), slots.user1.reborrow());
            assert_eq!(memcpy_page(user1, (&mut to, offset), user0, (&from, offset), len), result);
            assert_eq!(memcpy_from_page(&mut buffer[..len], slots.user0.reborrow(), &from, offset), result);
            if fits {
                expected[offset..offset + len].copy_from_slice(&source[offset..offset + len]);
                assert!(buffer[..len] == source[offset..offset + len], "{len} bytes from {offset} on");
            }
            buffer[..len].fill(offset as u8);
            assert_eq!(memcpy_to_page(slots.user0.reborrow(), &mut to, offset, &buffer[..len / 2]).is_ok(), {
                let fits = offset + len / 2 <= PAGE;
                if fits {
                    expected[offset..][..len / 2].fill(offset as u8);
                }
                fits
            });
            assert_eq!(memset_page(slots.user0.reborrow(), &mut to, offset, 0x77, len).is_ok(), fits);
            if fits {
                expected[offset..offset + len].fill(0x77);
            }
            drop(atomic);
            assert!(has(task, &to, &expected), "{len} bytes from {offset} on");
        }
    }
    assert!(has(task, &from, &source), "the source was written");
    check_slots();
}

fn shared_memory_at_all_alignments(task: &mut Task<'_>) {
    let (mut from, mut to) = (high().share(), high().share());
    let (source, mut expected) = (pattern(1), pattern(2));
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    memcpy_to_page(slots.user0.reborrow(), &mut from, 0, &source[..]).expect("a page");
    memcpy_to_page(slots.user0.reborrow(), &mut to, 0, &expected[..]).expect("a page");
    let mut found = vec![0; PAGE];
    for at in 0..ALIGNMENTS {
        for len in 0..=LONGEST {
            let (from_at, to_at) = (100 * (at + 1) + len, PAGE - at - len);
            let (user0, user1) = (slots.user0.reborrow(), slots.user1.reborrow());
            memcpy_page(user1, (&mut to, to_at), user0, (&from, from_at), len).expect("within the pages");
            expected[to_at..][..len].copy_from_slice(&source[from_at..][..len]);
            let mut mapped = kmap_atomic(slots.user0.reborrow(), &mut to);
            let word = at * 4;
            let before = mapped.fetch_update::<u32>(word, |word| word.rotate_left(5)).expect("aligned");
            assert_eq!(before.to_le_bytes(), expected[word..word + 4]);
            expected[word..word + 4].copy_from_slice(&before.rotate_left(5).to_le_bytes());
            assert_eq!(
                mapped.compare_exchange::<u16>(word, 0, 0).map(|found| found.is_ok()),
                Ok(expected[word..][..2] == [0, 0])
            );
            assert!(mapped.compare_exchange::<u32>(word + 1, 0, 0).is_err());
        }
        memcpy_from_page(&mut found, slots.user0.reborrow(), &to, 0).expect("a page");
        assert!(found == expected[..], "at {at}");
    }
    copy_highpage(slots.user1, &mut from, slots.user0.reborrow(), &to);
    memcpy_from_page(&mut found, slots.user0, &from, 0).expect("a page");
    assert!(found == expected[..]);
    check_slots();
}

/// A frame that others write, too, by its number.
fn shared(number: usize) -> SharedFrame<Paging> {
    // SAFETY: I5: callers keep the frame until all are done with it, and have no reference into it meanwhile.
    unsafe { SharedFrame::from_pfn(Pfn::new(number as u64).expect("it is that of a frame")) }
}

fn one_frame_that_is_two_pages(task: &mut Task<'_>) {
    let mut page = high();
    let mut expected = pattern(1);
    put(task, &mut page, &expected);
    let (from, mut to) = (shared(page.pfn().number()), shared(page.pfn().number()));
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    copy_highpage(slots.user1.reborrow(), &mut to, slots.user0.reborrow(), &from);
    memcpy_page(slots.user1, (&mut to, 2049), slots.user0, (&from, 3), 2046).expect("within the page");
    expected.copy_within(3..2049, 2049);
    drop((atomic, from, to));
    assert!(has(task, &page, &expected));
    check_slots();
}

static INTERRUPTS: AtomicU32 = AtomicU32::new(0);

/// A string instruction can be interrupted, and goes on where it was.
fn interrupts_copy_while_the_task_does(task: &mut Task<'_>) {
    const ENOUGH: u32 = 300;
    const PATIENCE: u32 = 10_000_000;
    static DURING_A_COPY: AtomicU32 = AtomicU32::new(0);

    fn tick(irq: &mut HardIrq<'_>) {
        let (mut from, mut to) = (high(), high());
        let mut slots = irq.slots();
        memset_page(slots.irq0.reborrow(), &mut from, 0, 0x66, PAGE).expect("a page");
        clear_highpage(slots.irq1.reborrow(), &mut to);
        copy_highpage(slots.irq1.reborrow(), &mut to, slots.irq0, &from);
        assert!(kmap_atomic(slots.irq1, &to).iter().all(|&byte| byte == 0x66), "the handler's own copy");
        let (_, user1) = kmap::slots().nth(1).expect("User1 is the second slot");
        DURING_A_COPY.fetch_add(u32::from(kmap::entry(user1) != 0), Relaxed);
        INTERRUPTS.fetch_add(1, Relaxed);
    }

    let (mut from, mut to) = (high(), high());
    let patterns = [pattern(1), pattern(2)];
    timer::set_handler(tick);
    timer::set_rate(10_000);
    let mut all_came = false;
    for round in 0..PATIENCE {
        let expected = &patterns[round as usize % 2];
        put(task, &mut from, expected);
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        for _ in 0..10 {
            clear_highpage(slots.user1.reborrow(), &mut to);
            copy_highpage(slots.user1.reborrow(), &mut to, slots.user0.reborrow(), &from);
        }
        drop(atomic);
        assert!(has(task, &to, expected), "the copy was spoilt");
        all_came = INTERRUPTS.load(Relaxed) >= ENOUGH && DURING_A_COPY.load(Relaxed) > 0;
        if all_came {
            break;
        }
    }
    timer::set_rate(timer::DEFAULT_RATE);
    timer::clear_handler();
    assert!(all_came, "{INTERRUPTS:?} interrupts, {DURING_A_COPY:?} of them during a copy");
    check_slots();
}

fn no_increment_of_any_cpu_is_lost(task: &mut Task<'_>) {
    const ROUNDS: u32 = 20_000;
    static FRAME: AtomicUsize = AtomicUsize::new(0);

    let mut page = high();
    put(task, &mut page, &[0; PAGE]);
    FRAME.store(page.pfn().number(), Relaxed);
    smp::run_on_all(task, |task, _| {
        let mut page = shared(FRAME.load(Relaxed));
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        for _ in 0..ROUNDS / 100 {
            let mut mapped = kmap_atomic(slots.user0.reborrow(), &mut page);
            for _ in 0..100 {
                mapped.fetch_update::<u32>(PAGE - 4, |word| word + 1).expect("aligned");
            }
        }
    });
    let mut expected = Box::new([0; PAGE]);
    expected[PAGE - 4..].copy_from_slice(&(ROUNDS * smp::count() as u32).to_le_bytes());
    assert!(has(task, &page, &expected));
    check_slots();
}
