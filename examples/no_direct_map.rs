//! A kernel that maps its own image, the registers of devices, and nothing else: no direct map. The example walks the live page tables through
//! a window, from CR3 on, tries addresses where memory used to be, and looks for a secret in all that can be read; it finds it while a guard
//! lives, once, and at no other time. Then work goes on: frames, copies, the pool, and address spaces whose tables have no address.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec::Vec;

use highmem::fixmap::slots_of_cpu;
use highmem::linux::{Set, User0, User1};
use highmem::pagetable::Pages;
use highmem::paging::{Flags, PageSize};
use highmem::typenum::Unsigned;
use highmem::{KmType, PAGE_SIZE, Page, Pfn, copy_highpage, flush_unused, kmap, kmap_atomic};
use kernel::arch::LAPIC_BASE;
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{ExampleKernel, Paging, Slot, Task};
use kernel::spaces::{self, Tables};
use kernel::{cpu, memory, paging, println, probe, smp, thread};

kernel::main!(no_direct_map);

/// A page that the tables in use map.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
struct Leaf {
    at: usize,
    frame: u64,
    is_large: bool,
}

/// What can be reached, page by page.
#[derive(Default)]
struct Reach {
    image: Vec<Leaf>,
    devices: usize,
    /// Pages of the window.
    slots: Vec<Leaf>,
    other: Vec<Leaf>,
}

fn no_direct_map(task: &mut Task<'_>) {
    const { assert!(!paging::HAS_DIRECT_MAP) };
    for cpu in 0..smp::count() {
        // One after the other: what others have mapped would be seen, too.
        thread::spawn_on(cpu, "looks", look).join(task);
    }
    secret(task);
    work(task);
    println!("all without a direct map");
}

/// What this CPU can reach.
fn look(task: &mut Task<'_>) {
    let reach = reach(task.atomic().slots().user0);
    let (image, text) = (bytes(reach.image.len()), bytes(paging::text().len() / PAGE_SIZE));
    println!(
        "CPU {}: the image, {image} KiB, of which {text} KiB of text, and {} registers",
        cpu::number(),
        reach.devices
    );
    println!("  through slots: {}; elsewhere: {}", reach.slots.len(), reach.other.len());
    assert_eq!(reach.other.first(), None, "the first of {} pages that nobody should reach", reach.other.len());
    // The walker's own slot, which is mapped while it reads the tables of the window.
    assert!(reach.slots.iter().map(|leaf| leaf.at).eq([slot_address::<User0>()]), "{:?}", reach.slots);
    // Each page of it at its own address: no second mapping of the image.
    assert!(reach.image.iter().all(|leaf| leaf.at == leaf.frame as usize + paging::IMAGE_BASE));
    assert!(!reach.image.is_empty() && reach.devices <= 1);
    probe_all();
}

/// Where a slot of this CPU is.
fn slot_address<S: KmType<Set = Set>>() -> usize {
    slots_of_cpu::<ExampleKernel>(cpu::number()).nth(S::Index::USIZE).expect("each slot has an address").1
}

fn bytes(pages: usize) -> usize {
    (pages * PAGE_SIZE) >> 10
}

/// All pages that the live tables map, from CR3 on, each table read through a window.
fn reach(mut slot: Slot<'_, User0>) -> Reach {
    let mut leaves = Vec::new();
    // SAFETY: reads a register.
    walk(&mut slot, unsafe { x86::controlregs::cr3() }, paging::levels(), 0, &mut leaves);
    let window: Vec<usize> = (0..cpu::MAX).flat_map(slots_of_cpu::<ExampleKernel>).map(|(_, slot)| slot).collect();
    let mut reach = Reach::default();
    for leaf in leaves {
        match leaf.at {
            _ if leaf.is_large => reach.other.push(leaf),
            at if paging::image().contains(&at) => reach.image.push(leaf),
            LAPIC_BASE => reach.devices += 1,
            at if window.contains(&at) => reach.slots.push(leaf),
            _ => reach.other.push(leaf),
        }
    }
    reach
}

fn walk(slot: &mut Slot<'_, User0>, table: u64, level: u32, start: u64, leaves: &mut Vec<Leaf>) {
    const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
    let mut bytes = [0; PAGE_SIZE];
    {
        let pfn = Pfn::<Paging>::containing(table & ADDRESS).expect("a table is in memory");
        // SAFETY: a table in use, which the processor may write at any time.
        let frame = unsafe { highmem::SharedFrame::from_pfn(pfn) };
        kmap_atomic(slot.reborrow(), &frame).read_at(0, &mut bytes).expect("a page has so many bytes");
    }
    let shift = PAGE_SIZE.ilog2() + paging::ENTRIES.ilog2() * (level - 1);
    let unused = u64::BITS - (PAGE_SIZE.ilog2() + paging::ENTRIES.ilog2() * paging::levels());
    for (index, entry) in (0..).zip(bytes.chunks_exact(8)) {
        let entry = entry.iter().rev().fold(0, |entry, &byte| entry << 8 | u64::from(byte));
        let at = ((start | index << shift) << unused) as i64 >> unused;
        let is_large = level > 1 && entry & 1 << 7 != 0;
        if entry & 1 == 0 {
        } else if level > 1 && !is_large {
            walk(slot, entry, level - 1, at as u64, leaves);
        } else {
            leaves.push(Leaf { at: at as usize, frame: entry & ADDRESS, is_large });
        }
    }
}

/// Tries to read where the direct map was, each page of it and what would have been behind it; and where the boot code had memory.
fn probe_all() {
    let (mut tried, mut readable) = (0, 0);
    let mut probe = |address: usize| {
        tried += 1;
        readable += usize::from(probe::read_u8(address).is_ok());
    };
    for region in memory::map().ram() {
        let all = region.start as usize..region.end() as usize;
        for phys in all.clone().step_by(PAGE_SIZE).take_while(|&phys| phys < paging::LOWMEM_LIMIT) {
            probe(paging::DIRECT_MAP_BASE + phys);
        }
        all.step_by(2 << 20)
            .for_each(|phys| [0, paging::DIRECT_MAP_BASE].into_iter().for_each(|base| probe(base + phys)));
    }
    println!("  {tried} addresses of RAM tried, {readable} can be read");
    assert!(tried > paging::lowmem_end() / PAGE_SIZE && readable == 0);
}

/// The secret, byte by byte: nowhere in memory but where it is written.
fn secret_byte(index: usize) -> u8 {
    (index as u8).wrapping_mul(0x6d) ^ 0xa7
}

/// How often the secret can be read, of all pages that can be reached.
fn found(slot: Slot<'_, User0>) -> Vec<usize> {
    const LEN: usize = 48;
    let own = slot_address::<User0>();
    let Reach { image, slots, other, .. } = reach(slot);
    // But for the one through which the tables were read.
    let pages = image.into_iter().chain(slots).chain(other).map(|leaf| leaf.at).filter(|&at| at != own);
    let is_here = |at: usize| {
        let mut run = 0;
        (at..at + PAGE_SIZE).any(|at| {
            let byte = probe::read_u8(at).expect("it is mapped");
            run = if byte == secret_byte(run) { run + 1 } else { usize::from(byte == secret_byte(0)) };
            run == LEN
        })
    };
    pages.filter(|&at| is_here(at)).collect()
}

/// A secret in a page of each zone: it is found where a guard maps it, and nowhere else.
fn secret(task: &mut Task<'_>) {
    for zone in Zone::ALL {
        let Some(mut page) = frames::alloc(zone) else { continue };
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let mut mapped = kmap_atomic(slots.user1.reborrow(), &mut page);
        mapped.iter_mut().enumerate().for_each(|(index, byte)| *byte = secret_byte(index));
        assert_eq!(found(slots.user0.reborrow()), [slot_address::<User1>()], "while it is mapped");
        drop(mapped);
        assert_eq!(found(slots.user0.reborrow()), [], "behind the guard");
        println!("a secret in {zone}: found in slot User1 while its guard lives, and nowhere without");

        // The pool keeps what is not in use for the next one who wants it, until it is told not to.
        drop(atomic);
        drop(kmap(task, &mut page));
        assert_eq!(found(task.atomic().slots().user0).len(), 1, "in the pool");
        flush_unused(task);
        assert_eq!(found(task.atomic().slots().user0), [], "in the pool, behind its flush");
    }
}

/// Pages to copy, and to map in an address space.
const PAGES: usize = 64;

/// Work as ever, in frames that have no address.
fn work(task: &mut Task<'_>) {
    let free = || Zone::ALL.map(|zone| frames::stats(zone).free);
    let before = free();
    let mut pages: Vec<(Frame, Frame)> = Vec::new();
    for (number, zone) in (0..PAGES).zip(Zone::ALL.into_iter().cycle()) {
        let take = || frames::alloc(zone).or_else(frames::alloc_for_table).expect("there is memory");
        let (mut from, mut to) = (take(), take());
        kmap_atomic(task.atomic().slots().user0, &mut from).fill(number as u8);
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        copy_highpage(slots.user1, &mut to, slots.user0, &from);
        pages.push((from, to));
    }
    let pages: Vec<_> = pages.into_iter().map(|(_, copy)| copy.share()).collect();

    let mut space = spaces::new(task).expect("there is memory");
    let at = |number: usize| 0x1000_0000 + number * (1 << 30) / 8;
    for (number, page) in pages.iter().enumerate() {
        let mut atomic = task.atomic();
        let (slots, mut source) = (atomic.slots(), Tables);
        let mut edit = space.edit(slots.pte0, slots.pte1, &mut source);
        // SAFETY: the frames are shared, and stay for longer than the space.
        let flush = unsafe { edit.map(at(number), page.pfn(), PageSize::Small, Flags::USER | Flags::WRITABLE) };
        edit.flush(flush.expect("nothing is mapped there"));
    }
    // SAFETY: the space is freed below.
    unsafe {
        spaces::with_root(task, space.root(), |task| {
            for number in 0..PAGES {
                for offset in [0, PAGE_SIZE / 2, PAGE_SIZE - 1] {
                    assert_eq!(probe::read_u8(at(number) + offset), Ok(number as u8));
                }
            }
            // User space has pages now, and these are all that there is beside the image.
            let reach = reach(task.atomic().slots().user0);
            assert!(reach.other.iter().map(|leaf| leaf.at).eq((0..PAGES).map(at)));
            let mut atomic = task.atomic();
            let (slots, mut source) = (atomic.slots(), Tables);
            let mut edit = space.edit(slots.pte0, slots.pte1, &mut source);
            let flush = edit.unmap(Pages::new(at(0), 1), |_| ()).expect("no table is corrupt");
            edit.flush(flush);
            assert!(probe::read_u8(at(0)).is_err() && probe::read_u8(at(1)).is_ok());
        });
        let tables = spaces::tables();
        spaces::free(task, space);
        println!("{PAGES} pages of all zones copied, and mapped by {tables} tables that have no address");
        assert!(tables > 2 && spaces::tables() == 0);
    }
    drop(pages);
    assert_eq!(free(), before, "frames were not given back");
}
