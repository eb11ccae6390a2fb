//! Does the kernel keep its promises? Run it in QEMU with any memory size from 64 MiB up, on any CPU that has the paging mode.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::vec::Vec;
use core::ops::RangeInclusive;
use core::sync::atomic::{AtomicU32, AtomicUsize, Ordering};

#[cfg_attr(target_arch = "x86", path = "boot/x86_32.rs")]
#[cfg_attr(target_arch = "x86_64", path = "boot/x86_64.rs")]
mod current;
#[cfg_attr(target_arch = "x86", path = "registers/x86_32.rs")]
#[cfg_attr(target_arch = "x86_64", path = "registers/x86_64.rs")]
mod registers;

use highmem::machine::{Machine as _, X86};
use highmem::paging::Paging as _;
use highmem::{PAGE_SIZE, Page as _};
use kernel::frames::{self, Zone};
use kernel::kmap::{HardIrq, Paging, Task};
use kernel::paging::{self, DIRECT_MAP_BASE, FREE_BASE, IMAGE_BASE, LOWMEM_LIMIT, Mapping, Page};
use kernel::{arch, boot, cpu, harness, irq, memory, println, probe, smp, softirq, timer};

kernel::main!(boot_tests);

fn boot_tests(task: &mut Task<'_>) {
    println!("{}", memory::map());
    println!("{} levels of page tables, NX: {}", paging::levels(), paging::has_nx());
    // SAFETY: reads registers, in ring 0.
    let registers = unsafe { X86::registers() }.expect("a processor has registers");
    println!("global translations: {}, PCIDs: {}", registers.global_pages, registers.pcids);
    harness::run_tests(
        task,
        &[
            ("memory_map_has_the_memory_of_the_machine", memory_map_has_the_memory_of_the_machine),
            ("page_tables_have_the_levels_of_the_mode", page_tables_have_the_levels_of_the_mode),
            ("direct_map_covers_lowmem_in_small_pages", direct_map_covers_lowmem_in_small_pages),
            ("image_is_mapped_where_it_is_linked", image_is_mapped_where_it_is_linked),
            ("nothing_else_is_mapped", nothing_else_is_mapped),
            ("text_and_constants_cannot_be_written", text_and_constants_cannot_be_written),
            ("data_cannot_be_executed", data_cannot_be_executed),
            ("probe_faults_at_exactly_the_address", probe_faults_at_exactly_the_address),
            ("probe_goes_through_where_it_may", probe_goes_through_where_it_may),
            ("all_cpus_are_up", all_cpus_are_up),
            ("every_cpu_runs_the_work_as_itself", every_cpu_runs_the_work_as_itself),
            ("every_cpu_has_ticks_and_softirqs", every_cpu_has_ticks_and_softirqs),
            ("linked_table_maps_any_frame", linked_table_maps_any_frame),
            ("cpus_share_all_but_the_window", cpus_share_all_but_the_window),
            ("interrupt_flag_nests", interrupt_flag_nests),
            ("ticks_advance", ticks_advance),
            ("timer_handler_runs_in_interrupt", timer_handler_runs_in_interrupt),
            ("interrupts_preserve_registers", interrupts_preserve_registers),
            ("heap_works_under_interrupts", heap_works_under_interrupts),
            ("zones_hand_out_their_own_frames_once", zones_hand_out_their_own_frames_once),
            ("free_gives_a_frame_back", free_gives_a_frame_back),
        ],
    )
}

// Memory

/// QEMU's firmware tables say in CMOS how much memory there is: a second opinion on the map.
fn memory_map_has_the_memory_of_the_machine(_: &mut Task<'_>) {
    let below_4g = (16 << 20) + (cmos_word(0x34) << 16);
    let above_4g = (cmos_word(0x5b) | cmos_byte(0x5d) << 16) << 16;
    let (expected, total) = (below_4g + above_4g, memory::map().total());
    assert!(total <= expected && expected - total < 1 << 20, "{total:#x} of {expected:#x} bytes");
    assert_eq!(frames::highest_pfn() as u64 >> 8, (highest_address_below(REACH) - 1) >> 20);
}

/// Behind the last address that a frame number of this paging mode can mean.
const REACH: u64 = 1 << (Paging::PFN_BITS + 12);

fn cmos_byte(register: u8) -> u64 {
    // SAFETY: reads a CMOS register; nobody else uses the index port.
    irq::with_disabled(|| unsafe {
        x86::io::outb(0x70, register);
        x86::io::inb(0x71).into()
    })
}

fn cmos_word(register: u8) -> u64 {
    cmos_byte(register) | cmos_byte(register + 1) << 8
}

// Page tables

fn page_tables_have_the_levels_of_the_mode(_: &mut Task<'_>) {
    assert_eq!(paging::levels(), current::expected_levels());
}

fn direct_map_covers_lowmem_in_small_pages(_: &mut Task<'_>) {
    let end = paging::lowmem_end();
    assert_eq!(end as u64, highest_address_below(LOWMEM_LIMIT as u64));
    for phys in (0..end).step_by(PAGE_SIZE) {
        let virt = phys + DIRECT_MAP_BASE;
        page_is_as_it_should_be(phys, virt);
    }
    assert_eq!(paging::phys_to_virt(end as u64 - 1), Some(DIRECT_MAP_BASE + end - 1));
    assert_eq!(paging::phys_to_virt(end as u64), None);
    assert_eq!(paging::virt_to_phys(DIRECT_MAP_BASE + 0x1234), 0x1234);
}

/// What the image is not allowed, the same memory is not allowed in the direct map; and it runs only where it is linked.
fn page_is_as_it_should_be(phys: usize, virt: usize) {
    let linked = phys + IMAGE_BASE;
    let Mapping::Page(page) = paging::walk(virt) else {
        let is_guard = boot::stack_guards().any(|guard| guard == linked);
        assert!(is_guard, "no 4 KiB page at {virt:#x}: {:?}", paging::walk(virt));
        return;
    };
    assert_eq!(page.address, phys as u64);
    let (text, rodata) = (paging::text().contains(&linked), paging::rodata().contains(&linked));
    assert_eq!(page.writable, !text && !rodata, "{virt:#x}");
    assert_eq!(page.no_execute, paging::has_nx() && !(text && virt == linked), "{virt:#x}");
}

fn image_is_mapped_where_it_is_linked(_: &mut Task<'_>) {
    for virt in paging::image().step_by(PAGE_SIZE) {
        assert_eq!(paging::virt_to_phys(virt) as usize + IMAGE_BASE, virt);
        page_is_as_it_should_be(virt - IMAGE_BASE, virt);
    }
}

fn highest_address_below(limit: u64) -> u64 {
    let regions = memory::map().ram().filter(|region| region.start < limit);
    regions.map(|region| region.end().min(limit)).max().unwrap_or(0)
}

fn nothing_else_is_mapped(_: &mut Task<'_>) {
    assert_eq!(paging::mapped(), everything_mapped());
    let guard = boot::stack_guards().next().expect("a stack");
    for virt in [paging::virt_to_phys(paging::text().start) as usize, guard, FREE_BASE] {
        let fault = probe::read_u8(virt).expect_err("nothing should be mapped there");
        assert!(fault.address == virt && !fault.was_present(), "{fault}");
    }
}

/// Lowmem and the image but for the pages below the stacks, the interrupt controller, and the window's tables if it shows them.
fn everything_mapped() -> Vec<RangeInclusive<usize>> {
    let (lowmem, image) = (DIRECT_MAP_BASE..DIRECT_MAP_BASE + paging::lowmem_end(), paging::image());
    let mut ranges = alloc::vec![lowmem];
    if IMAGE_BASE != DIRECT_MAP_BASE {
        ranges.push(image);
    }
    let mut expected: Vec<RangeInclusive<usize>> = Vec::new();
    for mut range in ranges {
        let base = if range.start == DIRECT_MAP_BASE { DIRECT_MAP_BASE } else { IMAGE_BASE };
        for guard in boot::stack_guards() {
            let guard = paging::virt_to_phys(guard) as usize + base;
            expected.push(range.start..=guard - 1);
            range.start = guard + PAGE_SIZE;
        }
        expected.push(range.start..=range.end - 1);
    }
    expected.push(arch::LAPIC_BASE..=arch::LAPIC_BASE + PAGE_SIZE - 1);
    if cfg!(feature = "cpu-window") {
        let tables = arch::WINDOW_BASE + paging::TABLE_SPAN - PAGE_SIZE;
        expected.push(tables..=tables + (PAGE_SIZE - 1));
    }
    expected
}

fn text_and_constants_cannot_be_written(_: &mut Task<'_>) {
    static CONSTANT: u8 = 7;
    let function = count_calls as extern "C" fn() as usize;
    assert!(paging::text().contains(&function) && paging::rodata().contains(&(&raw const CONSTANT as usize)));
    for virt in [function, &raw const CONSTANT as usize] {
        let before = probe::read_u8(virt).expect("readable");
        // SAFETY: it faults; and if it does not, it writes what is there.
        let fault = unsafe { probe::write_u8(virt, before) }.expect_err("it should be read-only");
        assert!(fault.address == virt && fault.was_present() && fault.was_write(), "{fault}");
    }
}

/// A `ret` that is not in the text.
const RET: u8 = 0xc3;

fn data_cannot_be_executed(_: &mut Task<'_>) {
    static WRITABLE: AtomicU32 = AtomicU32::new(RET as u32);
    static CONSTANT: u8 = RET;
    for virt in [&raw const WRITABLE as usize, &raw const CONSTANT as usize] {
        assert_eq!(probe::read_u8(virt), Ok(RET));
        // SAFETY: it faults; and if it does not, it runs a `ret`.
        match unsafe { probe::execute(virt) } {
            Ok(()) => assert!(!paging::has_nx(), "{virt:#x} was executed"),
            Err(fault) => {
                assert!(paging::has_nx() && fault.address == virt, "{fault}");
                assert!(fault.was_present() && fault.was_instruction_fetch() && !fault.was_write(), "{fault}");
            }
        }
    }
}

// Probes

fn probe_faults_at_exactly_the_address(_: &mut Task<'_>) {
    let guard = boot::stack_guards().last().expect("a stack");
    for virt in [0, 0x1234_5678, guard + 0xfff, FREE_BASE + 0xF_FFFF, usize::MAX] {
        let read = probe::read_u8(virt).expect_err("nothing is mapped there");
        // SAFETY: nothing is mapped there, so nothing is written.
        let write = unsafe { probe::write_u8(virt, 1) }.expect_err("nothing is mapped there");
        // SAFETY: nothing is mapped there, so nothing runs.
        let fetch = unsafe { probe::execute(virt) }.expect_err("nothing is mapped there");
        for fault in [read, write, fetch] {
            assert_eq!(fault.address, virt, "{fault}");
            assert!(!fault.was_present() && !fault.was_reserved() && !fault.was_user(), "{fault}");
        }
        assert_eq!([read, write, fetch].map(|fault| fault.was_write()), [false, true, false]);
        let nx = paging::has_nx();
        assert_eq!([read, write, fetch].map(|fault| fault.was_instruction_fetch()), [false, false, nx]);
    }
}

fn probe_goes_through_where_it_may(_: &mut Task<'_>) {
    let byte = AtomicU32::new(0x55);
    let virt = &raw const byte as usize;
    assert_eq!(probe::read_u8(virt), Ok(0x55));
    // SAFETY: an atomic of our own.
    assert_eq!(unsafe { probe::write_u8(virt, 0xaa) }, Ok(()));
    assert_eq!(byte.load(Ordering::Relaxed), 0xaa);
    // SAFETY: a function that takes nothing and returns nothing.
    assert_eq!(unsafe { probe::execute(count_calls as extern "C" fn() as usize) }, Ok(()));
    assert_eq!(CALLS.load(Ordering::Relaxed), 1);
}

static CALLS: AtomicU32 = AtomicU32::new(0);

extern "C" fn count_calls() {
    CALLS.fetch_add(1, Ordering::Relaxed);
}

// A page table of our own

const WINDOW: usize = FREE_BASE;

/// A page table, in words of 4 bytes.
#[repr(C, align(4096))]
struct Table([AtomicU32; 1024]);

static TABLE: Table = Table([const { AtomicU32::new(0) }; 1024]);

/// Sets entry 0 of the window, which the CPU may have cached, and gives the address it maps.
fn map(entry: u64) -> usize {
    // Where entries have 4 bytes, the second word is an entry that stays empty.
    let [low, high, ..] = &TABLE.0;
    low.store(0, Ordering::SeqCst);
    // SAFETY: we run in ring 0.
    unsafe { x86::tlb::flush(WINDOW) };
    high.store((entry >> 32) as u32, Ordering::SeqCst);
    low.store(entry as u32, Ordering::SeqCst);
    WINDOW
}

/// A bit of a page-table entry that the CPU reserves, if the mode has one: in 64-bit mode, an address bit that QEMU's CPUs do
/// not have.
fn reserved_bit() -> Option<u64> {
    match paging::levels() {
        2 => None,
        3 => Some(1 << 62),
        _ => Some(1 << 51),
    }
}

/// The table that [`linked_table_maps_any_frame`] linked long after the CPUs had started is one of all CPUs, as everything else is.
fn cpus_share_all_but_the_window(task: &mut Task<'_>) {
    static MAPPED: spin::Once<Vec<RangeInclusive<usize>>> = spin::Once::new();
    static FRAME: spin::Once<u64> = spin::Once::new();
    static TOP: [AtomicUsize; cpu::MAX] = [const { AtomicUsize::new(0) }; _];

    let frame = frames::alloc(Zone::Low).expect("a frame of lowmem");
    let address = *FRAME.call_once(|| frame.pfn().address());
    map(paging::page(address, true, paging::has_nx()));
    let mapped = MAPPED.call_once(paging::mapped);
    assert!(mapped.iter().any(|range| range.contains(&WINDOW)));
    smp::run_on_all(task, |_, cpu| {
        // SAFETY: reads a register.
        TOP[cpu].store(unsafe { x86::controlregs::cr3() } as usize, Ordering::Relaxed);
        assert_eq!(Some(&paging::mapped()), MAPPED.get(), "CPU {cpu}");
        let address = *FRAME.get().expect("the first CPU has filled it");
        let page = Page { address, writable: true, no_execute: paging::has_nx() };
        assert_eq!(paging::walk(WINDOW), Mapping::Page(page), "CPU {cpu}");
        assert!(probe::read_u8(WINDOW).is_ok(), "CPU {cpu}");
    });
    map(0);

    let mut tops: Vec<usize> = TOP[..smp::count()].iter().map(|top| top.load(Ordering::Relaxed)).collect();
    tops.sort_unstable();
    tops.dedup();
    assert_eq!(tops.len(), if cfg!(feature = "cpu-window") { smp::count() } else { 1 });
}

fn linked_table_maps_any_frame(_: &mut Task<'_>) {
    // SAFETY: TABLE is static, and only `map` fills it.
    unsafe { paging::link_table(WINDOW, (&raw const TABLE).cast()) };
    let nx = paging::has_nx();
    for zone in Zone::ALL {
        let Some(frame) = frames::alloc(zone) else { continue };
        let (pfn, phys) = (frame.pfn(), frame.pfn().address());
        let virt = map(paging::page(phys, true, nx)) + 0x123;
        for value in [0x5a, RET] {
            // SAFETY: a frame of ours.
            assert_eq!(unsafe { probe::write_u8(virt, value) }, Ok(()), "{zone:?} {pfn:?}");
            assert_eq!(probe::read_u8(virt), Ok(value));
        }
        if let Some(direct) = paging::phys_to_virt(phys) {
            assert_eq!(probe::read_u8(direct + 0x123), Ok(RET));
        }
        map(paging::page(phys, false, nx));
        assert_eq!(probe::read_u8(virt), Ok(RET), "the frame should keep its contents");
        // SAFETY: it faults, or else writes to a frame of ours.
        let fault = unsafe { probe::write_u8(virt, 0) }.expect_err("the page should be read-only");
        assert!(fault.address == virt && fault.was_present() && fault.was_write(), "{fault}");
        map(paging::page(phys, false, false));
        // SAFETY: the byte there is a `ret`.
        assert_eq!(unsafe { probe::execute(virt) }, Ok(()));
        if let Some(reserved) = reserved_bit() {
            map(reserved | paging::page(phys, false, false));
            let fault = probe::read_u8(virt).expect_err("a reserved bit is set");
            assert!(fault.address == virt && fault.was_reserved(), "{fault}");
        }
        map(0);
        let fault = probe::read_u8(virt).expect_err("nothing is mapped there");
        assert!(fault.address == virt && !fault.was_present(), "{fault}");
    }
}

// Interrupts

/// Rounds of a wait for a tick; a hundred times what it takes.
const PATIENCE: u32 = 1 << 28;

fn wait_for_ticks(count: u64) {
    let end = timer::ticks() + count;
    for _ in 0..PATIENCE {
        if timer::ticks() >= end {
            return;
        }
        core::hint::spin_loop();
    }
    panic!("no {count} ticks in {PATIENCE} rounds");
}

fn interrupt_flag_nests(_: &mut Task<'_>) {
    assert!(irq::enabled());
    irq::with_disabled(|| {
        assert!(!irq::enabled());
        irq::with_disabled(|| assert!(!irq::enabled()));
        assert!(!irq::enabled(), "the inner closure turned interrupts on");
    });
    assert!(irq::enabled());
}

fn ticks_advance(_: &mut Task<'_>) {
    wait_for_ticks(3);
    irq::with_disabled(|| {
        let before = timer::ticks();
        for _ in 0..100_000 {
            core::hint::spin_loop();
        }
        assert_eq!(timer::ticks(), before, "a tick with interrupts off");
    });
}

static HANDLED: AtomicU32 = AtomicU32::new(0);

fn timer_handler_runs_in_interrupt(_: &mut Task<'_>) {
    timer::set_handler(|_| {
        assert!(irq::in_interrupt() && irq::depth() == 1 && !irq::enabled());
        HANDLED.fetch_add(1, Ordering::Relaxed);
    });
    wait_for_ticks(3);
    timer::clear_handler();
    assert!(HANDLED.load(Ordering::Relaxed) >= 2);
    assert!(!irq::in_interrupt() && irq::enabled());
}

fn interrupts_preserve_registers(_: &mut Task<'_>) {
    timer::set_rate(10_000);
    timer::set_handler(use_registers);
    let start = timer::ticks();
    for _ in 0..10_000 {
        assert_eq!(registers::hold_registers(10_000), 0, "bits that an interrupt changed");
        if timer::ticks() >= start + 100 {
            break;
        }
    }
    assert!(timer::ticks() >= start + 100, "only {} ticks", timer::ticks() - start);
    timer::clear_handler();
    timer::set_rate(timer::DEFAULT_RATE);
}

/// Changes what it can, as a handler may; and copies, which goes backwards if the direction flag is set.
fn use_registers(_: &mut HardIrq<'_>) {
    let mut copy = [0u8; 64];
    copy.copy_from_slice(core::hint::black_box(&[0x5a; 64]));
    assert!(core::hint::black_box(copy).iter().all(|&byte| byte == 0x5a));
    assert!(!arch::flags().contains(arch::Flags::FLAGS_DF), "direction flag set in a handler");
}

// CPUs

/// QEMU says in CMOS how many CPUs there are besides the first.
fn all_cpus_are_up(_: &mut Task<'_>) {
    println!("CPUs: {}", smp::count());
    assert_eq!(smp::count(), 1 + cmos_byte(0x5f) as usize);
}

fn every_cpu_runs_the_work_as_itself(task: &mut Task<'_>) {
    static RUNS: [AtomicU32; cpu::MAX] = [const { AtomicU32::new(0) }; _];

    for round in 1..=100 {
        smp::run_on_all(task, |_, cpu| {
            assert!(cpu == cpu::number() && irq::enabled() && !irq::in_interrupt());
            RUNS[cpu].fetch_add(1, Ordering::Relaxed);
        });
        assert!(RUNS[..smp::count()].iter().all(|runs| runs.load(Ordering::Relaxed) == round), "{RUNS:?}");
    }
}

fn every_cpu_has_ticks_and_softirqs(task: &mut Task<'_>) {
    static TICKS: [AtomicU32; cpu::MAX] = [const { AtomicU32::new(0) }; _];
    static SOFTIRQS: [AtomicU32; cpu::MAX] = [const { AtomicU32::new(0) }; _];

    timer::set_handler(|_| {
        assert!(irq::in_interrupt() && irq::depth() == 1 && !irq::enabled());
        TICKS[cpu::number()].fetch_add(1, Ordering::Relaxed);
        softirq::raise();
    });
    softirq::set_handler(|_| {
        assert!(!irq::in_interrupt() && irq::enabled());
        SOFTIRQS[cpu::number()].fetch_add(1, Ordering::Relaxed);
    });
    smp::run_on_all(task, |_, cpu| {
        timer::start_local(1_000_000);
        let enough = |count: &AtomicU32| count.load(Ordering::Relaxed) >= 3;
        let came =
            (0..PATIENCE).inspect(|_| core::hint::spin_loop()).any(|_| enough(&TICKS[cpu]) && enough(&SOFTIRQS[cpu]));
        timer::stop_local();
        assert!(
            came,
            "{} ticks and {} softirqs",
            TICKS[cpu].load(Ordering::Relaxed),
            SOFTIRQS[cpu].load(Ordering::Relaxed)
        );
    });
    timer::clear_handler();
}

// Allocators

/// The handler allocates too: a lock held with interrupts on would never come free.
fn heap_works_under_interrupts(_: &mut Task<'_>) {
    timer::set_rate(10_000);
    timer::set_handler(|_| {
        drop(frames::alloc(Zone::Low).expect("a frame"));
        drop(Vec::<u8>::with_capacity(100));
    });
    let end = timer::ticks() + 100;
    for round in 0..1_000_000usize {
        let block: Vec<usize> = (0..100).map(|index| index * round).collect();
        assert!(block.iter().enumerate().all(|(index, &value)| value == index * round));
        if timer::ticks() >= end {
            break;
        }
    }
    assert!(timer::ticks() >= end);
    timer::clear_handler();
    timer::set_rate(timer::DEFAULT_RATE);
}

fn is_ram(pfn: usize) -> bool {
    let start = (pfn as u64) << 12;
    memory::map().ram().any(|region| region.start <= start && start + PAGE_SIZE as u64 <= region.end())
}

fn zones_hand_out_their_own_frames_once(_: &mut Task<'_>) {
    const SAMPLE: usize = 20_000;
    let image_end = (paging::virt_to_phys(paging::image().end) >> 12) as usize;
    for zone in Zone::ALL {
        let before = frames::stats(zone);
        assert_eq!(before.free, before.total, "{zone:?}");
        let mut taken = BTreeMap::new();
        for _ in 0..before.free.min(SAMPLE) {
            let frame = frames::alloc(zone).expect("the zone says that it has a free frame");
            let pfn = frame.pfn().number();
            let range = match zone {
                Zone::Low => image_end..LOWMEM_LIMIT >> 12,
                Zone::High => LOWMEM_LIMIT >> 12..1 << 20,
                Zone::Above4G => 1 << 20..usize::MAX,
            };
            assert!(range.contains(&pfn) && Zone::of(pfn) == zone, "{zone:?} frame {pfn:#x}");
            assert!(is_ram(pfn) && pfn <= frames::highest_pfn(), "{zone:?} frame {pfn:#x}");
            assert!(taken.insert(pfn, frame).is_none(), "{zone:?} frame {pfn:#x} twice");
        }
        assert_eq!(frames::stats(zone).free, before.free - taken.len());
        if taken.len() == before.total {
            assert!(frames::alloc(zone).is_none(), "an empty {zone:?} zone");
        }
        drop(taken);
        assert_eq!(frames::stats(zone), before);
    }
    let total: usize = Zone::ALL.map(|zone| frames::stats(zone).total).iter().sum();
    let within_reach = memory::map().ram().map(|region| region.end().min(REACH).saturating_sub(region.start));
    let ram = (within_reach.sum::<u64>() >> 12) as usize;
    assert!(total < ram && ram - total <= image_end, "{total} frames of {ram}");
}

fn free_gives_a_frame_back(_: &mut Task<'_>) {
    for zone in Zone::ALL {
        let Some(frame) = frames::alloc(zone) else { continue };
        let pfn = frame.pfn().number();
        assert!(frames::alloc_at(pfn).is_none(), "a taken frame");
        let shared = frame.share();
        assert!(frames::alloc_at(pfn).is_none(), "a shared frame");
        drop(shared);
        let again = frames::alloc_at(pfn).expect("the frame is free again");
        assert_eq!(again.pfn().number(), pfn);
    }
    for reserved in [0, 0x9f, 0x100, (paging::virt_to_phys(paging::image().end - 1) >> 12) as usize] {
        assert!(frames::alloc_at(reserved).is_none(), "frame {reserved:#x} is not to be had");
    }
}
