//! Does the pool behind `kmap` do to the machine what it promises? On as many CPUs as there are.

use alloc::sync::Arc;
use alloc::vec::Vec;
use core::hint;
use core::mem;
use core::sync::atomic::{AtomicBool, AtomicU32, AtomicUsize, Ordering::SeqCst};
use core::time::Duration;

use highmem::pool::{PoolStats, Refusal, stats};
use highmem::tlb::Translations;
use highmem::typenum::Unsigned;
use highmem::{
    Kernel, PAGE_SIZE, Page, PageBytes, PoolKernel, flush_unused, kmap, kmap_all, kmap_atomic, kmap_pair, kunmap,
    page_address, try_kmap,
};
use kernel::frames::{self, Frame};
use kernel::kmap::{self as kernel_kmap, ExampleKernel, MaySleep, Softirq, Task};
use kernel::sync::IrqLock;
use kernel::thread::{self, JoinHandle};
use kernel::{cpu, harness, ipi, irq, paging, probe, smp, softirq, timer};
use spin::Once;

kernel::main!(pool_tests);

fn pool_tests(task: &mut Task<'_>) {
    harness::run_tests(
        task,
        &[
            ("the_pool_is_empty_at_boot", the_pool_is_empty_at_boot),
            ("an_entry_names_the_frame_and_what_is_allowed", an_entry_names_the_frame_and_what_is_allowed),
            ("a_page_that_is_mapped_twice_has_one_address", a_page_that_is_mapped_twice_has_one_address),
            ("all_cpus_see_a_page_at_its_address", all_cpus_see_a_page_at_its_address),
            ("a_read_only_mapping_cannot_be_written", a_read_only_mapping_cannot_be_written),
            ("what_is_flushed_is_mapped_nowhere", what_is_flushed_is_mapped_nowhere),
            ("an_idle_page_stays_where_it_is", an_idle_page_stays_where_it_is),
            ("no_cpu_sees_the_page_before", no_cpu_sees_the_page_before),
            ("cpus_that_never_stop_reading_see_no_page_of_others", cpus_that_never_stop_reading_see_no_page_of_others),
            ("what_is_in_use_stays_when_all_else_is_remapped", what_is_in_use_stays_when_all_else_is_remapped),
            ("a_guard_follows_its_thread", a_guard_follows_its_thread),
            ("who_cannot_wait_is_refused", who_cannot_wait_is_refused),
            ("who_waits_is_woken", who_waits_is_woken),
            ("a_guard_may_end_with_interrupts_off", a_guard_may_end_with_interrupts_off),
            ("those_who_wait_for_one_page_share_its_entry", those_who_wait_for_one_page_share_its_entry),
            ("threads_take_many_at_once_in_any_order", threads_take_many_at_once_in_any_order),
            ("who_wants_many_gets_them_among_those_who_want_few", who_wants_many_gets_them_among_those_who_want_few),
            ("no_wake_up_is_lost_while_others_flush", no_wake_up_is_lost_while_others_flush),
            ("tasks_and_softirqs_map_at_once", tasks_and_softirqs_map_at_once),
            ("a_forgotten_guard_keeps_its_entry", a_forgotten_guard_keeps_its_entry),
        ],
    )
}

// What the tests have in common

/// How long something may take that takes far less.
const PATIENCE: Duration = Duration::from_secs(20);

/// Ticks a second on the first CPU, and clocks between two on the others, for many switches.
const RATE: u32 = 1_000;
const CLOCKS: u32 = 1_000_000;

/// Entries of the pool.
const COUNT: usize = <<ExampleKernel as PoolKernel>::PoolEntries as Unsigned>::USIZE;

/// So many entries are left where threads are to want more than there are: all of a small pool.
const FEW: usize = 16;

/// Spins until something is so, with this CPU kept from nobody.
#[track_caller]
fn spin_until(what: &str, condition: impl Fn() -> bool) {
    let end = timer::uptime() + PATIENCE;
    while !condition() {
        assert!(timer::uptime() < end, "not within {PATIENCE:?}: {what}");
        hint::spin_loop();
    }
}

/// Waits until all threads have ended; for ever would be too long.
#[track_caller]
fn join_all<T>(task: &mut MaySleep<'_>, threads: Vec<JoinHandle<T>>) -> Vec<T> {
    let end = timer::uptime() + PATIENCE;
    while let Some(late) = threads.iter().position(|thread| !thread.is_finished()) {
        assert!(timer::uptime() < end, "thread {late} of {} does not end", threads.len());
        thread::sleep(task, Duration::from_millis(2));
    }
    threads.into_iter().map(|thread| thread.join(task)).collect()
}

/// Runs `f` while all CPUs have many ticks.
fn with_many_ticks<R>(task: &mut Task<'_>, f: impl FnOnce(&mut Task<'_>) -> R) -> R {
    timer::set_rate(RATE);
    smp::run_on_all(task, |_, _| timer::start_local(CLOCKS));
    let result = f(task);
    smp::run_on_all(task, |_, _| timer::stop_local());
    timer::set_rate(timer::DEFAULT_RATE);
    result
}

/// Runs `f` on every CPU, at once on all but the one that this thread is on.
fn on_all_cpus(task: &mut MaySleep<'_>, f: &(dyn Fn() + Sync)) {
    let seen = AtomicU32::new(0);
    let visit = || {
        f();
        seen.fetch_or(1 << cpu::number(), SeqCst);
    };
    // Again if this thread has moved in between.
    while seen.load(SeqCst).count_ones() < smp::count() as u32 {
        ipi::call_on_others_with(task, &|_| visit());
        let _stays = task.atomic();
        visit();
    }
}

fn pool() -> PoolStats {
    stats::<ExampleKernel>()
}

/// The addresses of all entries.
fn addresses() -> impl Iterator<Item = usize> {
    (0..COUNT).map(|entry| ExampleKernel::PKMAP_BASE + entry * PAGE_SIZE)
}

fn high() -> Frame {
    frames::alloc_highmem().expect("a frame of high memory")
}

/// A frame that says in each word which number it has; by way of a slot, and not of the pool.
fn signed(task: &mut MaySleep<'_>, number: usize) -> Frame {
    let mut frame = high();
    sign(&mut kmap_atomic(task.atomic().slots().user0, &mut frame), number);
    frame
}

fn sign(bytes: &mut PageBytes, number: usize) {
    bytes.as_chunks_mut::<4>().0.fill((number as u32).to_le_bytes());
}

fn is_signed(bytes: &PageBytes, number: usize) -> bool {
    bytes.as_chunks::<4>().0.iter().all(|&word| word == (number as u32).to_le_bytes())
}

/// As [`is_signed`], by a look at the first and the last words.
fn looks_signed(bytes: &PageBytes, number: usize) -> bool {
    let (words, _) = bytes.as_chunks::<4>();
    [words[0], words[1], words[511], words[1023]].iter().all(|&word| word == (number as u32).to_le_bytes())
}

/// The number that the page at an address has, as this CPU sees it; `None` if it sees none.
fn number_at(address: usize) -> Option<usize> {
    let mut word = [0; 4];
    for (offset, byte) in word.iter_mut().enumerate() {
        *byte = probe::read_u8(address + offset).ok()?;
    }
    Some(u32::from_le_bytes(word) as usize)
}

/// Has this CPU remember whatever the entries map.
fn warm_up() {
    for address in addresses() {
        let _ = probe::read_u8(address);
    }
}

/// Threads that hold entries.
struct Hoard {
    threads: Vec<JoinHandle<()>>,
    end: Arc<AtomicBool>,
}

impl Hoard {
    const THREADS: usize = 4;

    /// Takes all entries.
    fn all() -> Self {
        Self::new::<{ COUNT / Self::THREADS }>()
    }

    /// Takes all entries but [`FEW`].
    fn all_but_few() -> Self {
        Self::new::<{ (COUNT - FEW) / Self::THREADS }>()
    }

    fn new<const EACH: usize>() -> Self {
        let there = Arc::new(AtomicUsize::new(0));
        let end = Arc::new(AtomicBool::new(false));
        let hoard = || {
            let (there, end) = (Arc::clone(&there), Arc::clone(&end));
            thread::spawn("hoard", move |task| {
                let pages: [Frame; EACH] = core::array::from_fn(|_| high());
                let (_guards, task) = kmap_all(task, pages).expect("there are entries");
                there.fetch_add(1, SeqCst);
                while !end.load(SeqCst) {
                    thread::sleep(task, Duration::from_millis(1));
                }
            })
        };
        let threads = (0..Self::THREADS).map(|_| hoard()).collect();
        spin_until("all are there", || there.load(SeqCst) == Self::THREADS);
        assert_eq!(pool().in_use, EACH * Self::THREADS);
        Self { threads, end }
    }

    fn release(self, task: &mut MaySleep<'_>) {
        self.end.store(true, SeqCst);
        join_all(task, self.threads);
    }
}

// One mapping

fn the_pool_is_empty_at_boot(task: &mut Task<'_>) {
    let now = pool();
    assert_eq!((now.entries, now.in_use, now.idle, now.hits, now.remaps, now.flushes), (COUNT, 0, 0, 0, 0, 0));
    assert!(cfg!(feature = "small-pool") == (COUNT == FEW) && (COUNT == FEW || COUNT == paging::ENTRIES));
    on_all_cpus(task, &|| {
        for address in addresses() {
            let fault = probe::read_u8(address).expect_err("an empty entry should fault");
            assert!(fault.address == address && !fault.was_present(), "{fault}");
        }
    });
}

fn an_entry_names_the_frame_and_what_is_allowed(task: &mut Task<'_>) {
    const PRESENT: u64 = 1 << 0;
    const WRITABLE: u64 = 1 << 1;
    const ACCESSED: u64 = 1 << 5;
    const DIRTY: u64 = 1 << 6;
    const GLOBAL: u64 = 1 << 8;
    let global = if matches!(ExampleKernel::TRANSLATIONS, Translations::Global) { GLOBAL } else { 0 };
    let always = u64::from(paging::has_nx()) << 63 | global | PRESENT | ACCESSED;

    let mut frame = high();
    let physical = frame.pfn().address();
    let (guard, _) = kmap(task, &mut frame).unwrap();
    assert_eq!(kernel_kmap::pool_entry(guard.address()), physical | always | WRITABLE | DIRTY);
    drop(guard);
    let (guard, _) = kmap(task, &frame).unwrap();
    assert_eq!(kernel_kmap::pool_entry(guard.address()), physical | always);
}

fn a_page_that_is_mapped_twice_has_one_address(task: &mut Task<'_>) {
    flush_unused::<ExampleKernel, _>(task);
    let frame = signed(task, 7);
    let before = pool();
    let (one, task) = kmap(task, &frame).unwrap();
    let address = one.address();
    assert!(is_signed(&one, 7) && addresses().any(|entry| entry == address));
    let (two, task) = try_kmap(task, &frame).unwrap();
    let mut atomic = task.atomic();
    let (three, _) = page_address(&mut atomic, &frame).expect("it is mapped");
    assert_eq!([two.address(), three.address()], [address; 2]);
    let during = pool();
    assert_eq!((during.in_use, during.remaps - before.remaps, during.hits - before.hits), (1, 1, 2));
    assert_eq!(kunmap(two).pfn(), frame.pfn());
    drop(one);
    assert!(is_signed(&three, 7) && pool().in_use == 1, "one is still in use");
    drop(three);
    assert_eq!(pool().in_use, 0);
}

fn all_cpus_see_a_page_at_its_address(task: &mut Task<'_>) {
    let mut frame = signed(task, 1);
    for number in 2..10 {
        let (mut guard, task) = kmap(task, &mut frame).unwrap();
        sign(&mut guard, number);
        let bytes = &guard;
        on_all_cpus(task, &|| {
            assert!(is_signed(bytes, number));
            assert_eq!(number_at(bytes.address()), Some(number));
        });
    }
    assert!(is_signed(&kmap_atomic(task.atomic().slots().user0, &frame), 9), "it is the frame itself");
}

fn a_read_only_mapping_cannot_be_written(task: &mut Task<'_>) {
    let mut frame = signed(task, 3);
    // Mapped both ways, one after the other: these are two entries.
    let (guard, _) = kmap(task, &mut frame).unwrap();
    let writable = guard.address();
    drop(guard);
    let (guard, task) = kmap(task, &frame).unwrap();
    let address = guard.address();
    assert_ne!(address, writable);
    on_all_cpus(task, &|| {
        // SAFETY: it must not work.
        let fault = unsafe { probe::write_u8(address, 4) }.expect_err("a read-only page was written");
        assert!(fault.address == address && fault.was_present() && fault.was_write(), "{fault}");
        if paging::has_nx() {
            // SAFETY: it must not work.
            let fault = unsafe { probe::execute(address) }.expect_err("a page of data was executed");
            assert!(fault.was_present() && fault.was_instruction_fetch(), "{fault}");
        }
    });
    assert!(is_signed(&guard, 3));
}

// One entry after the other

fn an_idle_page_stays_where_it_is(task: &mut Task<'_>) {
    flush_unused::<ExampleKernel, _>(task);
    let frames: Vec<Frame> = (0..COUNT).map(|number| signed(task, number)).collect();
    let places: Vec<usize> = frames.iter().map(|frame| kmap(task, frame).unwrap().0.address()).collect();
    let before = pool();
    assert_eq!((before.in_use, before.idle), (0, COUNT));
    for (number, (frame, &place)) in frames.iter().zip(&places).enumerate().rev() {
        assert_eq!(kernel_kmap::pool_entry(place) & 0x7fff_ffff_ffff_f000, frame.pfn().address());
        assert_eq!(number_at(place), Some(number), "it is still mapped");
        let (guard, _) = kmap(task, frame).unwrap();
        assert!(guard.address() == place && is_signed(&guard, number));
    }
    let after = pool();
    assert_eq!((after.flushes, after.remaps, after.hits), (before.flushes, before.remaps, before.hits + COUNT as u64));
}

fn what_is_flushed_is_mapped_nowhere(task: &mut Task<'_>) {
    let frames: Vec<Frame> = (0..COUNT).map(|number| signed(task, number)).collect();
    frames.iter().for_each(|frame| drop(kmap(task, frame).unwrap()));
    let (guard, task) = kmap(task, &frames[COUNT / 2]).unwrap();
    let kept = guard.address();
    on_all_cpus(task, &warm_up);
    flush_unused::<ExampleKernel, _>(task);
    on_all_cpus(task, &|| {
        for address in addresses() {
            let expected = if address == kept { Some(COUNT / 2) } else { None };
            assert_eq!(number_at(address), expected, "{address:#x}");
        }
    });
    let empty = |address: &usize| kernel_kmap::pool_entry(*address) == 0;
    assert_eq!(addresses().filter(empty).count(), COUNT - 1);
    assert_eq!((pool().in_use, pool().idle), (1, 0));
    drop(guard);
}

/// All CPUs remember all entries; then each entry gets another page, and under its guard all CPUs look.
fn no_cpu_sees_the_page_before(task: &mut Task<'_>) {
    const ROUNDS: usize = if COUNT > FEW { 3 } else { 40 };

    flush_unused::<ExampleKernel, _>(task);
    let before = pool();
    let frames: Vec<Frame> = (0..2 * COUNT).map(|number| signed(task, number)).collect();
    for round in 0..ROUNDS {
        let first = round % 2 * COUNT;
        for (number, frame) in frames.iter().enumerate().skip(first).take(COUNT) {
            let (guard, task) = kmap(task, frame).unwrap();
            let address = guard.address();
            on_all_cpus(task, &|| {
                assert_eq!(number_at(address), Some(number), "CPU {} at {address:#x}", cpu::number());
            });
        }
        on_all_cpus(task, &warm_up);
    }
    let after = pool();
    assert_eq!(after.remaps - before.remaps, (ROUNDS * COUNT) as u64, "each page was mapped anew");
    assert_eq!(after.flushes - before.flushes, ROUNDS as u64 - 1, "one flush for a whole pool of pages");
}

/// A thread on each CPU reads all entries all the time, also between the moment when one is taken back and the flush.
fn cpus_that_never_stop_reading_see_no_page_of_others(task: &mut Task<'_>) {
    const REMAPS: usize = 150;
    static END: AtomicBool = AtomicBool::new(false);

    END.store(false, SeqCst);
    let frames: Vec<Frame> = (0..FEW + FEW / 2 + 1).map(|number| signed(task, number)).collect();
    let hoard = Hoard::all_but_few();
    let readers = (0..smp::count()).map(|cpu| {
        thread::spawn_on(cpu, "reader", |_| {
            while !END.load(SeqCst) {
                warm_up();
            }
        })
    });
    let readers = readers.collect();
    with_many_ticks(task, |task| {
        for remap in 0..REMAPS {
            let number = remap % frames.len();
            let (guard, task) = kmap(task, &frames[number]).unwrap();
            let address = guard.address();
            // By an interrupt, so that no switch of threads comes before the look.
            ipi::call_on_others_with(task, &|_| assert_eq!(number_at(address), Some(number)));
            assert!(looks_signed(&guard, number));
        }
    });
    END.store(true, SeqCst);
    join_all(task, readers);
    hoard.release(task);
}

fn what_is_in_use_stays_when_all_else_is_remapped(task: &mut Task<'_>) {
    let frames: Vec<Frame> = (0..3 * COUNT).map(|number| signed(task, number)).collect();
    let mut own = signed(task, 77_777);
    let (mut guard, task) = kmap(task, &mut own).unwrap();
    let (address, entry) = (guard.address(), kernel_kmap::pool_entry(guard.address()));
    let before = pool().flushes;
    for frame in &frames {
        let (other, _) = try_kmap(task, frame).unwrap();
        assert_ne!(other.address(), address);
    }
    assert!(pool().flushes - before >= 2);
    assert_eq!(kernel_kmap::pool_entry(address), entry);
    let bytes = &guard;
    on_all_cpus(task, &|| assert!(is_signed(bytes, 77_777)));
    sign(&mut guard, 88_888);
    drop(guard);
    drop(frames);
    assert!(is_signed(&kmap_atomic(task.atomic().slots().user0, &own), 88_888));
}

/// It maps on one CPU, sleeps, looks on another, and unmaps there.
fn a_guard_follows_its_thread(task: &mut Task<'_>) {
    const ROUNDS: usize = 50;

    fn wanderer(task: &mut Task<'_>, index: usize) {
        let mut frame = signed(task, index);
        let end = timer::uptime() + PATIENCE;
        let (mut round, mut moved) = (0, smp::count() == 1);
        while round < ROUNDS || !moved {
            assert!(timer::uptime() < end, "not within {PATIENCE:?}: the thread moves under its guard");
            round += 1;
            let (mut guard, task) = kmap(task, &mut frame).unwrap();
            let (from, number) = (cpu::number(), index << 16 | round & 0xffff);
            sign(&mut guard, number);
            if round % 20 == 0 {
                thread::sleep(task, Duration::from_millis(1));
            } else {
                thread::yield_now(task);
            }
            moved |= cpu::number() != from;
            assert!(is_signed(&guard, number));
        }
    }

    with_many_ticks(task, |task| {
        let threads = (0..6).map(|index| thread::spawn("wanderer", move |task| wanderer(task, index))).collect();
        join_all(task, threads);
    });
}

// More than there is

fn who_cannot_wait_is_refused(task: &mut Task<'_>) {
    static REFUSED: IrqLock<Option<Refusal>> = IrqLock::new(None);

    flush_unused::<ExampleKernel, _>(task);
    let hoard = Hoard::all();
    let frame = signed(task, 5);
    let why = |refusal: Option<Refusal>| assert_eq!(refusal, Some(Refusal::Exhausted));
    let error = try_kmap(task, frame).map(|_| ()).expect_err("there is no entry left");
    why(Some(error.why));
    let frame = error.page;
    let mut atomic = task.atomic();
    why(try_kmap(&mut atomic, &frame).err().map(|error| error.why));
    let mut bh_off = atomic.bh_off();
    why(try_kmap(&mut bh_off, &frame).err().map(|error| error.why));
    drop(bh_off);
    drop(atomic);
    softirq::set_handler(|softirq| {
        let refusal = try_kmap(softirq, high()).err().map(|error| error.why);
        REFUSED.with(|slot| *slot = refusal);
    });
    softirq::raise();
    spin_until("the softirq is refused", || REFUSED.with(|slot| slot.is_some()));
    softirq::set_handler(|_| ());
    why(REFUSED.with(|slot| *slot));
    assert_eq!((pool().in_use, pool().sleeps), (COUNT, 0));

    hoard.release(task);
    assert!(looks_signed(&try_kmap(task, &frame).unwrap().0, 5));
}

fn who_waits_is_woken(task: &mut Task<'_>) {
    const WAITERS: usize = 6;
    static DONE: AtomicUsize = AtomicUsize::new(0);

    DONE.store(0, SeqCst);
    let hoard = Hoard::all();
    let before = pool();
    let waiters = (0..WAITERS).map(|number| {
        thread::spawn("waiter", move |task| {
            let mut frame = signed(task, number);
            let (mut guard, _) = kmap(task, &mut frame).unwrap();
            assert!(is_signed(&guard, number));
            sign(&mut guard, number + 1);
            DONE.fetch_add(1, SeqCst);
        })
    });
    let waiters = waiters.collect();
    thread::sleep(task, Duration::from_millis(50));
    assert_eq!((DONE.load(SeqCst), pool().in_use), (0, COUNT));
    hoard.release(task);
    join_all(task, waiters);
    let after = pool();
    assert!(after.sleeps - before.sleeps >= WAITERS as u64 && after.longest_wait > 0, "{after}");
    assert_eq!(after.in_use, 0);
}

/// In the thread itself, and in an interrupt handler of another CPU that got the guard; a thread waits for each of them.
fn a_guard_may_end_with_interrupts_off(task: &mut Task<'_>) {
    for elsewhere in [false, true] {
        let few = Hoard::all_but_few();
        let pages: [Frame; FEW] = core::array::from_fn(|number| signed(task, number));
        let (guards, task) = kmap_all(task, pages).unwrap();
        assert_eq!(pool().in_use, COUNT);
        let sleeps = pool().sleeps;
        let waiter = thread::spawn("waiter", |task| {
            let frame = signed(task, 9);
            assert!(is_signed(&kmap(task, &frame).unwrap().0, 9));
        });
        thread::sleep(task, Duration::from_millis(20));
        assert!(!waiter.is_finished());
        if elsewhere && smp::count() > 1 {
            let guards = IrqLock::new(Some(guards));
            ipi::call_on_others_with(task, &|_| {
                assert!(!irq::enabled());
                drop(guards.with(Option::take));
            });
            assert!(guards.with(|guards| guards.is_none()));
        } else {
            let mut atomic = task.atomic();
            let irqs_off = atomic.irqs_off();
            drop(guards);
            assert!(!irq::enabled());
            drop(irqs_off);
        }
        join_all(task, [waiter].into());
        assert!(pool().sleeps > sleeps);
        few.release(task);
    }
}

/// They all sleep for the same page. The first that is woken maps it, and the others find it.
fn those_who_wait_for_one_page_share_its_entry(task: &mut Task<'_>) {
    const WAITERS: usize = 6;
    static PAGE: Once<Frame> = Once::new();
    static MAPPED: AtomicUsize = AtomicUsize::new(0);

    flush_unused::<ExampleKernel, _>(task);
    PAGE.call_once(|| signed(task, 12));
    MAPPED.store(0, SeqCst);
    let hoard = Hoard::all();
    let (remaps, sleeps) = (pool().remaps, pool().sleeps);
    let waiters = (0..WAITERS).map(|_| {
        thread::spawn("waiter", |task| {
            let (guard, task) = kmap(task, PAGE.wait()).unwrap();
            MAPPED.fetch_add(1, SeqCst);
            // They all hold it at the same time.
            while MAPPED.load(SeqCst) < WAITERS {
                thread::yield_now(task);
            }
            assert!(is_signed(&guard, 12));
            guard.address()
        })
    });
    let waiters = waiters.collect();
    thread::sleep(task, Duration::from_millis(50));
    assert_eq!(MAPPED.load(SeqCst), 0);
    hoard.release(task);
    let mut places = join_all(task, waiters);
    places.dedup();
    assert_eq!((places.len(), pool().remaps - remaps), (1, 1), "{places:#x?}");
    assert!(pool().sleeps > sleeps);
}

/// Random numbers, the same each time (xorshift).
struct Random(u32);

impl Random {
    fn below(&mut self, end: usize) -> usize {
        self.0 ^= self.0 << 13;
        self.0 ^= self.0 >> 17;
        self.0 ^= self.0 << 5;
        self.0 as usize % end
    }
}

/// Pages that all threads map to read; the number of each is its index.
static SHARED: Once<Vec<Frame>> = Once::new();

fn shared(task: &mut Task<'_>) -> &'static [Frame] {
    SHARED.call_once(|| (0..64).map(|number| signed(task, number)).collect())
}

/// In C each of them would take a few of the pages, and wait for ever for the others.
fn threads_take_many_at_once_in_any_order(task: &mut Task<'_>) {
    const AT_ONCE: usize = 6;
    const ROUNDS: usize = 40;

    let pages = shared(task);
    let hoard = Hoard::all_but_few();
    // Until somebody has had to wait.
    let before = pool().sleeps;
    with_many_ticks(task, |task| {
        let threads = (0..9).map(|index| {
            thread::spawn("taker", move |task| {
                let mut random = Random(index + 1);
                let mut rounds = 0;
                while rounds < ROUNDS || pool().sleeps == before {
                    rounds += 1;
                    let numbers: [usize; AT_ONCE] = core::array::from_fn(|_| random.below(pages.len()));
                    let (guards, task) = kmap_all(task, numbers.map(|number| &pages[number])).unwrap();
                    thread::yield_now(task);
                    let right = |(guard, number): (&_, usize)| looks_signed(guard, number);
                    assert!(guards.iter().map(|guard| &**guard).zip(numbers).all(right));
                }
            })
        });
        let threads = threads.collect();
        join_all(task, threads);
    });
    hoard.release(task);
    assert_eq!(pool().in_use, 0);
}

/// Two want half of the entries at once, or all of them, and the others take pairs all the time.
fn who_wants_many_gets_them_among_those_who_want_few(task: &mut Task<'_>) {
    const ROUNDS: usize = 25;
    static END: AtomicBool = AtomicBool::new(false);
    static BEGUN: AtomicUsize = AtomicUsize::new(0);

    fn wants<const MANY: usize>(task: &mut Task<'_>) {
        let mut pages: [Frame; MANY] = core::array::from_fn(|number| signed(task, number));
        for round in 0..ROUNDS {
            let (mut guards, task) = kmap_all(task, pages.each_mut()).unwrap();
            thread::yield_now(task);
            for (number, guard) in guards.iter_mut().enumerate() {
                assert!(looks_signed(guard, round + number));
                sign(guard, round + number + 1);
            }
        }
    }

    END.store(false, SeqCst);
    BEGUN.store(0, SeqCst);
    let hoard = Hoard::all_but_few();
    let before = pool().sleeps;
    with_many_ticks(task, |task| {
        let singles = (0..8).map(|index| {
            thread::spawn("single", move |task| {
                let mut pages: [Frame; 8] = core::array::from_fn(|number| signed(task, index * 8 + number));
                let mut rounds = 0;
                while !END.load(SeqCst) {
                    let (one, two) = (rounds % 8, (rounds + 3) % 8);
                    let [first, second] = pages.get_disjoint_mut([one, two]).unwrap();
                    let (first, second, task) = kmap_pair(task, first, second).unwrap();
                    thread::yield_now(task);
                    assert!(looks_signed(&first, index * 8 + one) && looks_signed(&second, index * 8 + two));
                    BEGUN.fetch_add(usize::from(rounds == 0), SeqCst);
                    rounds += 1;
                }
                rounds
            })
        });
        let singles = singles.collect();
        spin_until("all take pairs", || BEGUN.load(SeqCst) == 8);
        let half = thread::spawn("half", wants::<{ FEW / 2 }>);
        let all = thread::spawn("all", wants::<FEW>);
        join_all(task, [half, all].into());
        END.store(true, SeqCst);
        let rounds = join_all(task, singles);
        assert!(rounds.iter().all(|&rounds| rounds > 0), "{rounds:?}");
    });
    assert!(pool().sleeps > before, "who wants all of them has to wait");
    hoard.release(task);
}

/// Whoever flushes takes back what others are about to hand over; then it is he who has to wake.
fn no_wake_up_is_lost_while_others_flush(task: &mut Task<'_>) {
    const ROUNDS: usize = 80;
    static END: AtomicBool = AtomicBool::new(false);

    END.store(false, SeqCst);
    let hoard = Hoard::all_but_few();
    // Until somebody has had to wait.
    let before = pool().sleeps;
    with_many_ticks(task, |task| {
        let flushers = (0..2).map(|_| {
            thread::spawn("flusher", |task| {
                while !END.load(SeqCst) {
                    flush_unused::<ExampleKernel, _>(task);
                    thread::yield_now(task);
                }
            })
        });
        let flushers = flushers.collect();
        let takers = (0..6).map(|index| {
            thread::spawn("taker", move |task| {
                let mut pages: [Frame; 5] = core::array::from_fn(|number| signed(task, index * 5 + number));
                let mut rounds = 0;
                while rounds < ROUNDS || pool().sleeps == before {
                    rounds += 1;
                    let (guards, task) = kmap_all(task, pages.each_mut()).unwrap();
                    thread::yield_now(task);
                    assert!(guards.iter().enumerate().all(|(number, guard)| looks_signed(guard, index * 5 + number)));
                }
            })
        });
        let takers = takers.collect();
        join_all(task, takers);
        END.store(true, SeqCst);
        join_all(task, flushers);
    });
    hoard.release(task);
}

/// Threads that map one page or two, preempted at any time, and a softirq on each CPU that takes what it can get.
fn tasks_and_softirqs_map_at_once(task: &mut Task<'_>) {
    const ROUNDS: usize = 600;
    static MAPPED: [AtomicU32; cpu::MAX] = [const { AtomicU32::new(0) }; _];
    static REFUSED: AtomicU32 = AtomicU32::new(0);
    static NEXT: AtomicUsize = AtomicUsize::new(0);

    fn bottom_half(softirq: &mut Softirq<'_>) {
        let number = NEXT.fetch_add(7, SeqCst) % 64;
        let Some(page) = SHARED.get().map(|pages| &pages[number]) else { return };
        match try_kmap(softirq, page) {
            Ok((guard, softirq)) => {
                assert!(looks_signed(&guard, number));
                // A second one, under the first.
                drop(try_kmap(softirq, page).expect("it is mapped"));
                MAPPED[cpu::number()].fetch_add(1, SeqCst);
            }
            Err(error) => {
                assert_eq!(error.why, Refusal::Exhausted);
                REFUSED.fetch_add(1, SeqCst);
            }
        }
    }

    let pages = shared(task);
    let hoard = Hoard::all_but_few();
    let before = pool();
    softirq::set_handler(bottom_half);
    timer::set_handler(|_| softirq::raise());
    with_many_ticks(task, |task| {
        let threads = (0..9).map(|index| {
            thread::spawn("mapper", move |task| {
                let mut random = Random(index + 1);
                let mut own = signed(task, 100);
                for round in 0..ROUNDS {
                    let number = random.below(pages.len());
                    if round % 4 == 0 {
                        let (guard, mut own, task) = kmap_pair(task, &pages[number], &mut own).unwrap();
                        assert!(looks_signed(&own, 100 + round / 4));
                        sign(&mut own, 101 + round / 4);
                        thread::yield_now(task);
                        assert!(looks_signed(&guard, number));
                    } else {
                        let (guard, _) = kmap(task, &pages[number]).unwrap();
                        assert!(looks_signed(&guard, number));
                    }
                }
            })
        });
        let threads = threads.collect();
        join_all(task, threads);
        // However fast that was.
        let all = || MAPPED[..smp::count()].iter().all(|mapped| mapped.load(SeqCst) > 0);
        spin_until("a softirq has mapped on each CPU", all);
    });
    timer::clear_handler();
    softirq::set_handler(|_| ());
    hoard.release(task);
    let after = pool();
    let softirqs: u64 = MAPPED.iter().map(|mapped| u64::from(mapped.load(SeqCst))).sum();
    // Hits that come at the same moment may count as one.
    let mappings = 9 * ROUNDS as u64 * 5 / 4 + 2 * softirqs;
    let counted = after.remaps - before.remaps + after.hits - before.hits;
    assert!(counted <= mappings && counted >= mappings * 9 / 10, "{counted} of {mappings} mappings counted");
    assert_eq!(after.in_use, 0);
}

/// Comes last: nobody can end the use of its entry any more.
fn a_forgotten_guard_keeps_its_entry(task: &mut Task<'_>) {
    let frames: Vec<Frame> = (0..3 * COUNT).map(|number| signed(task, number)).collect();
    let forgotten = signed(task, 66_666);
    let (guard, _) = kmap(task, &forgotten).unwrap();
    let address = guard.address();
    mem::forget(guard);
    for (number, frame) in frames.iter().enumerate() {
        let (guard, _) = kmap(task, frame).unwrap();
        assert!(guard.address() != address && looks_signed(&guard, number));
    }
    on_all_cpus(task, &|| assert_eq!(number_at(address), Some(66_666)));
    assert_eq!(pool().in_use, 1);
    // A user more, and gone again.
    drop(kmap(task, &forgotten).unwrap());
    assert_eq!(pool().in_use, 1);

    let reports = kernel_kmap::take_reports();
    if cfg!(feature = "debug") {
        assert!(reports.len() == 1 && reports[0].starts_with("kmap pool: 1 guard(s)"), "{reports:#?}");
    } else {
        assert_eq!(reports.len(), 0);
    }
}
