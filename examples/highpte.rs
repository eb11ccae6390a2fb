//! Hundreds of address spaces whose page tables are in high memory: all CPUs fill them, fork them copy-on-write, take rights away, unmap, and
//! tear them down. What is mapped is looked at by loading CR3 and touching the pages, with faults where there must be faults; by a walker that
//! reads the tables entry by entry; and by CPUs that have one space together while one of them changes it.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::collections::BTreeMap;
use alloc::sync::Arc;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};
use core::sync::atomic::{AtomicU32, AtomicU64, AtomicUsize};

use highmem::kernel::Faults::NotHandled;
use highmem::pagetable::Pages;
use highmem::paging::{Flags, PageSize};
use highmem::{PAGE_SIZE, Page, Pfn, copy_user_highpage, kmap_atomic};
use kernel::frames::{self, SharedFrame, Zone};
use kernel::kmap::{Paging, Task};
use kernel::spaces::{self, Space, Tables, USER};
use kernel::user::copy::copy_from_user;
use kernel::{paging, println, probe, report, smp, timer};

kernel::main!(highpte);

/// Address spaces that there are at a time, beside their children.
const SPACES: usize = 256;

/// Where pages are: so far from each other that each place has tables of its own. And how many pages there are in each.
const PLACES: [usize; 5] = [0x1000, 0x0800_0000, 0x4000_0000, 0x7fff_c000, 0xA000_0000];
const PAGES: usize = 8;

/// What is done with spaces that are there, over all CPUs, and with one that all CPUs have.
const STEPS: usize = 400;
const ROUNDS: usize = 150;

/// An address space, and an account of what is mapped there.
struct Life {
    space: Space,
    pages: BTreeMap<usize, Mapped>,
}

struct Mapped {
    /// Shared with whoever was forked.
    frame: Arc<SharedFrame>,
    /// What is at both ends of it.
    word: u32,
    /// Whether it can be written now, and whether it may be.
    writable: bool,
    may_write: bool,
}

static LIVES: [spin::Mutex<Option<Life>>; SPACES] = [const { spin::Mutex::new(None) }; _];

static MAPPED: AtomicU64 = AtomicU64::new(0);
static UNMAPPED: AtomicU64 = AtomicU64::new(0);
static FORKS: AtomicU64 = AtomicU64::new(0);
static COPIES: AtomicU64 = AtomicU64::new(0);
static REUSED: AtomicU64 = AtomicU64::new(0);
static LOOKS: AtomicU64 = AtomicU64::new(0);
static FAULTS: AtomicU64 = AtomicU64::new(0);
static WALKED: AtomicU64 = AtomicU64::new(0);
static MISMATCHES: AtomicU64 = AtomicU64::new(0);
static MOST_TABLES: AtomicUsize = AtomicUsize::new(0);

/// The state of all random numbers, and the last word that a page was given.
static RANDOM: AtomicU32 = AtomicU32::new(1);
static WORD: AtomicU32 = AtomicU32::new(0);

fn highpte(task: &mut Task<'_>) {
    report::left_out();
    let free = || Zone::ALL.map(|zone| frames::stats(zone).free);
    let (before, start) = (free(), timer::uptime());
    println!("CPUs: {}, {SPACES} address spaces, {} levels, tables in {}", smp::count(), paging::levels(), best_zone());

    smp::run_on_all(task, |task, cpu| own(cpu).for_each(|life| *life.lock() = Some(born(task))));
    smp::run_on_all(task, |task, _| (0..STEPS / smp::count()).for_each(|_| step(task)));
    let tables = spaces::tables();
    together(task);
    smp::run_on_all(task, |task, cpu| own(cpu).for_each(|life| end(task, life.lock().take())));

    let load = |count: &AtomicU64| count.load(Relaxed);
    let (most, stats) = (MOST_TABLES.load(Relaxed), spaces::stats());
    println!("{SPACES} spaces with {tables} tables, {most} at the most, and {} forks", load(&FORKS));
    println!(
        "{} pages mapped, {} unmapped, {} entries read by the walker",
        load(&MAPPED),
        load(&UNMAPPED),
        load(&WALKED)
    );
    println!("{} pages copied on write, {} reused", load(&COPIES), load(&REUSED));
    println!("{} looks, {} faults where they must be, {} mismatches", load(&LOOKS), load(&FAULTS), load(&MISMATCHES));
    println!("{} flushes of the own CPU, {} of others", stats.here, stats.elsewhere);
    println!("{} ms", (timer::uptime() - start).as_millis());
    assert_eq!(load(&MISMATCHES), 0, "what was seen is not what was mapped");
    assert!(tables >= SPACES * (PLACES.len() - 1) && spaces::tables() == 0, "{tables} tables");
    assert!([&FORKS, &COPIES, &REUSED, &FAULTS, &WALKED, &UNMAPPED].into_iter().all(|count| load(count) > 100));
    assert!(load(&MAPPED) >= (SPACES * PLACES.len() * PAGES) as u64 && stats.here > 0);
    assert_eq!(stats.elsewhere > 0, smp::count() > 1, "other CPUs have the space, and are flushed");

    let after = free();
    for (zone, (before, after)) in Zone::ALL.into_iter().zip(before.into_iter().zip(after)) {
        println!("{zone:20} {before:7} frames free before, {after:7} after");
    }
    assert_eq!(before, after, "frames were not given back");
}

/// Where tables are to be: the highest memory that there is.
fn best_zone() -> Zone {
    if frames::stats(Zone::Above4G).total > 0 { Zone::Above4G } else { Zone::High }
}

/// Those of the spaces that a CPU begins and ends.
fn own(cpu: usize) -> impl Iterator<Item = &'static spin::Mutex<Option<Life>>> {
    LIVES.iter().skip(cpu).step_by(smp::count())
}

fn born(task: &mut Task<'_>) -> Life {
    let mut life = Life { space: spaces::new(task).expect("there is memory"), pages: BTreeMap::new() };
    for place in PLACES {
        for page in 0..PAGES {
            life.map(task, place + page * PAGE_SIZE, page % 4 != 3);
        }
    }
    life
}

/// Unmaps all and frees the tables; the pages go when nobody maps them any more.
fn end(task: &mut Task<'_>, life: Option<Life>) {
    let Life { space, pages } = life.expect("it is there");
    // SAFETY: whoever uses a space has its lock.
    unsafe { spaces::free(task, space) };
    drop(pages);
}

/// Something is done with one of the spaces.
fn step(task: &mut Task<'_>) {
    let Some(mut life) = (0..1000).find_map(|_| LIVES[random(SPACES)].try_lock()) else { return };
    let life = life.as_mut().expect("all are there");
    MOST_TABLES.fetch_max(spaces::tables(), Relaxed);
    // SAFETY: the space stays until the lock is given up, and longer.
    unsafe {
        spaces::with_root(task, life.space.root(), |task| {
            life.look(task);
            match random(4) {
                0 => life.take_rights(task),
                1 => life.replace_place(task),
                _ => fork(task, life),
            }
            life.look(task);
        });
    }
}

/// Has a child that shares all pages, writes some of them, and ends. The parent's space is that of the thread.
fn fork(task: &mut Task<'_>, parent: &mut Life) {
    FORKS.fetch_add(1, Relaxed);
    let mut child = Life { space: spaces::new(task).expect("there is memory"), pages: BTreeMap::new() };
    {
        let mut atomic = task.atomic();
        let (slots, mut source) = (atomic.slots(), Tables);
        let mut edit = parent.space.edit(slots.pte0, slots.pte1, &mut source);
        let flush = edit.restrict(USER, |leaf| leaf.flags.without(Flags::WRITABLE)).expect("no table is corrupt");
        edit.flush(flush);
    }
    for (&at, page) in &mut parent.pages {
        page.writable = false;
        let frame = Arc::clone(&page.frame);
        child.enter(task, at, Mapped { frame, word: page.word, writable: false, may_write: page.may_write });
    }
    // The first one that writes copies.
    parent.write_some(task, 3);
    let root = child.space.root();
    let thread = kernel::thread::spawn_on(kernel::cpu::number(), "child", move |task| {
        // SAFETY: the thread has the space for itself, and frees it when it uses it no longer.
        unsafe {
            spaces::with_root(task, root, |task| {
                child.look(task);
                child.write_some(task, 2);
                child.look(task);
            });
        }
        end(task, Some(child));
    });
    // Meanwhile, it goes on.
    parent.look(task);
    thread.join(task);
    // What it shares with nobody any more, it writes without a copy.
    parent.write_some(task, 2);
}

impl Life {
    /// Maps a new page.
    fn map(&mut self, task: &mut Task<'_>, at: usize, may_write: bool) {
        let word = WORD.fetch_add(1, Relaxed);
        let mut frame = frames::alloc_highmem().expect("there is memory");
        {
            let mut atomic = task.atomic();
            let mut bytes = kmap_atomic(atomic.slots().user0, &mut frame);
            bytes[..4].copy_from_slice(&word.to_le_bytes());
            bytes[PAGE_SIZE - 4..].copy_from_slice(&word.to_le_bytes());
        }
        self.enter(task, at, Mapped { frame: Arc::new(frame.share()), word, writable: may_write, may_write });
    }

    /// Maps a page, and notes it in the account.
    fn enter(&mut self, task: &mut Task<'_>, at: usize, page: Mapped) {
        MAPPED.fetch_add(1, Relaxed);
        let mut atomic = task.atomic();
        let (slots, mut source) = (atomic.slots(), Tables);
        let mut edit = self.space.edit(slots.pte0, slots.pte1, &mut source);
        // SAFETY: the account has the frame, which is volatile, for longer than the space maps it.
        let flush = unsafe { edit.map(at, page.frame.pfn(), PageSize::Small, flags(page.writable)) };
        let flush = flush.expect("nothing is mapped there");
        edit.flush(flush);
        self.pages.insert(at, page);
    }

    /// Forbids to write to a place, for good.
    fn take_rights(&mut self, task: &mut Task<'_>) {
        let pages = Pages::new(PLACES[random(PLACES.len())], PAGES);
        let mut atomic = task.atomic();
        let (slots, mut source) = (atomic.slots(), Tables);
        let mut edit = self.space.edit(slots.pte0, slots.pte1, &mut source);
        let flush = edit.restrict(pages, |leaf| leaf.flags.without(Flags::WRITABLE)).expect("no table is corrupt");
        edit.flush(flush);
        for (_, page) in self.pages.range_mut(pages.start..pages.start + PAGES * PAGE_SIZE) {
            (page.writable, page.may_write) = (false, false);
        }
    }

    /// Unmaps a place, with its tables, and maps other pages there.
    fn replace_place(&mut self, task: &mut Task<'_>) {
        let place = PLACES[random(PLACES.len())];
        let mut gone = 0;
        {
            let mut atomic = task.atomic();
            let (slots, mut source) = (atomic.slots(), Tables);
            let mut edit = self.space.edit(slots.pte0, slots.pte1, &mut source);
            let flush = edit.unmap(Pages::new(place, PAGES), |page| gone += u64::from(page.is_ok()));
            let flush = flush.expect("no table is corrupt");
            compare(flush.tables() > 0);
            edit.flush(flush);
        }
        UNMAPPED.fetch_add(gone, Relaxed);
        let all = place..place + PAGES * PAGE_SIZE;
        let before = self.pages.len();
        self.pages.retain(|at, _| !all.contains(at));
        compare(before - self.pages.len() == gone as usize);
        self.look(task);
        for at in all.step_by(PAGE_SIZE) {
            self.map(task, at, random(4) > 0);
        }
    }

    /// Writes to each second or third page, if it may be written; the space is that of the thread.
    fn write_some(&mut self, task: &mut Task<'_>, each: usize) {
        let pages: alloc::vec::Vec<_> = self.pages.keys().copied().step_by(each).collect();
        for at in pages {
            if !self.pages[&at].may_write {
                continue;
            }
            if !self.pages[&at].writable {
                compare(write(at, 0).is_err_and(|fault| fault.was_present() && fault.was_write()));
                FAULTS.fetch_add(1, Relaxed);
                self.copy_on_write(task, at);
            }
            let word = WORD.fetch_add(1, Relaxed);
            for (offset, byte) in (0..).zip(word.to_le_bytes()) {
                compare(write(at + offset, byte).is_ok() && write(at + PAGE_SIZE - 4 + offset, byte).is_ok());
            }
            self.pages.entry(at).and_modify(|page| page.word = word);
        }
    }

    /// A page that may be written, and cannot: it is copied, unless nobody else has it.
    fn copy_on_write(&mut self, task: &mut Task<'_>, at: usize) {
        let page = self.pages.get_mut(&at).expect("it is mapped");
        page.writable = true;
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        if Arc::get_mut(&mut page.frame).is_some() {
            REUSED.fetch_add(1, Relaxed);
            let mut source = Tables;
            let mut edit = self.space.edit(slots.pte0, slots.pte1, &mut source);
            // SAFETY: as when it was mapped; nobody else has the page.
            let flush = unsafe { edit.protect(Pages::one(at), |leaf| leaf.flags.with(Flags::WRITABLE)) };
            let flush = flush.expect("no table is corrupt");
            edit.flush(flush);
            return;
        }
        COPIES.fetch_add(1, Relaxed);
        let mut copy = frames::alloc_highmem().expect("there is memory").share();
        copy_user_highpage(slots.user1, &mut copy, slots.user0, &*page.frame);
        let mut entry = self.space.entry_mut(slots.pte0, at).expect("there is a table");
        let (old, flush) = entry.take();
        compare(old.is_ok_and(|old| old.is_some_and(|old| old.pfn == page.frame.pfn())));
        let mut slot = entry.unmap();
        flush.flush(slot.reborrow(), &mut Tables);
        let mut entry = self.space.entry_mut(slot, at).expect("the table stays");
        // SAFETY: the account has the copy for longer than the space maps it.
        unsafe { entry.set(copy.pfn(), flags(true)) }.expect("the entry is empty");
        page.frame = Arc::new(copy);
    }

    /// Touches all pages, and what is beside them, and walks the tables; the space is that of the thread.
    fn look(&self, task: &mut Task<'_>) {
        for (&at, page) in &self.pages {
            LOOKS.fetch_add(1, Relaxed);
            compare(read(at) == Some(page.word) && read(at + PAGE_SIZE - 4) == Some(page.word));
            // What is written is what is there.
            let fault = write(at, page.word.to_le_bytes()[0]).err();
            compare(fault.is_none() == page.writable && fault.is_none_or(|fault| fault.was_present()));
            let beyond = at + PAGE_SIZE;
            let is_missing = !self.pages.contains_key(&beyond);
            if is_missing {
                compare(probe::read_u8(beyond).is_err_and(|fault| !fault.was_present() && fault.address == beyond));
            }
            FAULTS.fetch_add(u64::from(fault.is_some()) + u64::from(is_missing), Relaxed);
        }
        let mut walker = Walker { task, pages: self.pages.iter(), right: true };
        // SAFETY: reads a register.
        walker.walk(unsafe { x86::controlregs::cr3() }, paging::levels(), 0);
        compare(walker.right && walker.pages.next().is_none());
    }
}

/// Reads tables from CR3 on, as the processor does, and compares them with the account: no code of `highmem`'s but the slot that a table is
/// read through.
struct Walker<'w, 't, I> {
    task: &'w mut Task<'t>,
    pages: I,
    right: bool,
}

impl<'a, I: Iterator<Item = (&'a usize, &'a Mapped)>> Walker<'_, '_, I> {
    fn walk(&mut self, table: u64, level: u32, start: usize) {
        const SIZE: usize = size_of::<paging::Raw>();
        const ADDRESS: u64 = 0x000f_ffff_ffff_f000;
        let mut bytes = [0; PAGE_SIZE];
        {
            let pfn = Pfn::<Paging>::containing(table & ADDRESS).expect("a table is in memory");
            self.right &= level == paging::levels() || Zone::of(pfn.number()) == best_zone();
            // SAFETY: a table of a space that this thread has, which others may write at any time.
            let frame = unsafe { highmem::SharedFrame::from_pfn(pfn) };
            let mut atomic = self.task.atomic();
            kmap_atomic(atomic.slots().user0, &frame).read_at(0, &mut bytes).expect("a page has so many bytes");
        }
        let shift = PAGE_SIZE.ilog2() + paging::ENTRIES.ilog2() * (level - 1);
        for (index, entry) in bytes.chunks_exact(SIZE).enumerate() {
            let mut all = [0; 8];
            all[..SIZE].copy_from_slice(entry);
            let entry = u64::from_le_bytes(all);
            let address = (start as u64).wrapping_add((index as u64) << shift);
            if address >= (USER.count * PAGE_SIZE) as u64 {
                break;
            }
            WALKED.fetch_add(1, Relaxed);
            match entry & 1 {
                0 => {}
                _ if level > 1 => self.walk(entry, level - 1, address as usize),
                _ => {
                    self.right &= self.pages.next().is_some_and(|(&at, page)| {
                        at as u64 == address
                            && page.frame.pfn().address() == entry & ADDRESS
                            && page.writable == (entry & 2 != 0)
                            && entry & 4 != 0
                    });
                }
            }
        }
    }
}

/// What all CPUs see in the space that they have together: nothing, or a word, which can be written or not.
static ROUND: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicUsize = AtomicUsize::new(0);

/// All CPUs have the first space; in each round, one of them changes a page, and all look at it.
fn together(task: &mut Task<'_>) {
    smp::run_on_all(task, |task, cpu| {
        let wait_until = |condition: &dyn Fn() -> bool| {
            let in_time = (0..1 << 28).inspect(|_| core::hint::spin_loop()).any(|_: u32| condition());
            assert!(in_time, "a CPU does not come");
        };
        let root = LIVES[0].lock().as_ref().expect("it is there").space.root();
        // SAFETY: the space is freed when all CPUs are done.
        unsafe {
            spaces::with_root(task, root, |task| {
                for round in 1..=ROUNDS {
                    if round % smp::count() == cpu {
                        wait_until(&|| DONE.load(SeqCst) == (round - 1) * smp::count());
                        let mut life = LIVES[0].lock();
                        let life = life.as_mut().expect("it is there");
                        match round % 3 {
                            0 => life.take_rights(task),
                            _ => life.replace_place(task),
                        }
                        ROUND.store(round, SeqCst);
                    }
                    wait_until(&|| ROUND.load(SeqCst) == round);
                    LIVES[0].lock().as_ref().expect("it is there").look(task);
                    DONE.fetch_add(1, SeqCst);
                }
            });
        }
    });
}

fn flags(writable: bool) -> Flags {
    let flags = Flags::USER | Flags::NO_EXECUTE;
    if writable { flags | Flags::WRITABLE } else { flags }
}

/// A word of user space.
fn read(at: usize) -> Option<u32> {
    let mut word = [0; 4];
    // SAFETY: the bytes are this function's.
    let left = unsafe { copy_from_user(word.as_mut_ptr(), at, word.len(), NotHandled) };
    (left == 0).then_some(u32::from_le_bytes(word))
}

/// Writes a byte of user space, if that works.
fn write(at: usize, byte: u8) -> Result<(), probe::PageFault> {
    // SAFETY: user space, whose frames are volatile.
    unsafe { probe::write_u8(at, byte) }
}

/// Counts a mismatch if something is not so.
#[track_caller]
fn compare(is_so: bool) {
    if !is_so && MISMATCHES.fetch_add(1, Relaxed) < 10 {
        println!("a mismatch at {}", core::panic::Location::caller());
    }
}

/// A random number below `limit` (xorshift). CPUs may get the same one.
fn random(limit: usize) -> usize {
    let mut number = RANDOM.load(Relaxed);
    number ^= number << 13;
    number ^= number >> 17;
    number ^= number << 5;
    RANDOM.store(number, Relaxed);
    number as usize % limit
}
