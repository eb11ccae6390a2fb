//! Does the machine do what page tables of `highmem` say: pages, rights, the bits of the processor, and what other CPUs see?

use alloc::vec::Vec;
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::{Relaxed, SeqCst};

use highmem::kernel::Faults::NotHandled;
use highmem::pagetable::{Editor, Pages, TableSource};
use highmem::paging::{Flags, PageSize};
use highmem::{PAGE_SIZE, Page, Pfn, kmap_atomic, linux};
use kernel::frames::{self, Frame, SharedFrame, Zone};
use kernel::kmap::{ExampleKernel, Paging, Task};
use kernel::probe;
use kernel::spaces::{self, Space, Tables, USER};
use kernel::user::copy::{copy_from_user, copy_to_user};
use kernel::{cpu, harness, paging, smp};

kernel::main!(pagetable_tests);

fn pagetable_tests(task: &mut Task<'_>) {
    const SEVERAL: &str = "there is one CPU";
    let left_out: &[_] = if smp::count() > 1 {
        &[]
    } else {
        &[("other_cpus_see_no_old_page", SEVERAL), ("what_the_processor_sets_meanwhile_is_not_lost", SEVERAL)]
    };
    harness::run_tests_except(
        task,
        left_out,
        &[
            ("tables_are_in_high_memory", tables_are_in_high_memory),
            ("a_page_is_there_from_map_to_unmap", a_page_is_there_from_map_to_unmap),
            ("rights_taken_away_are_gone", rights_taken_away_are_gone),
            ("the_processor_sets_its_bits_and_sets_them_again", the_processor_sets_its_bits_and_sets_them_again),
            ("a_large_page_is_split_and_no_byte_changes", a_large_page_is_split_and_no_byte_changes),
            ("a_page_moves_with_its_bytes", a_page_moves_with_its_bytes),
            ("tables_come_back_behind_the_flush", tables_come_back_behind_the_flush),
            ("a_free_table_is_walked_no_more", a_free_table_is_walked_no_more),
            ("without_a_table_nothing_changes", without_a_table_nothing_changes),
            ("spaces_do_not_see_each_other", spaces_do_not_see_each_other),
            ("other_cpus_see_no_old_page", other_cpus_see_no_old_page),
            ("what_the_processor_sets_meanwhile_is_not_lost", what_the_processor_sets_meanwhile_is_not_lost),
        ],
    )
}

// What the tests have in common

/// Where pages are mapped: far from each other, so that they have tables of their own.
const PLACES: [usize; 3] = [0x1000, 0x1234_5000, 0xA000_0000];

const USER_PAGE: Flags = Flags::USER.with(Flags::WRITABLE).with(Flags::NO_EXECUTE);

type Edit<'e, 'cx, A> = Editor<'e, 'cx, ExampleKernel, SharedFrame, linux::Pte0, linux::Pte1, A>;

/// Runs `f` with the right to change the space, in this thread.
fn edit<R>(task: &mut Task<'_>, space: &mut Space, f: impl FnOnce(&mut Edit<'_, '_, Tables>) -> R) -> R {
    edit_from(task, space, &mut Tables, f)
}

fn edit_from<A: TableSource<Frame = SharedFrame>, R>(
    task: &mut Task<'_>,
    space: &mut Space,
    source: &mut A,
    f: impl FnOnce(&mut Edit<'_, '_, A>) -> R,
) -> R {
    let mut atomic = task.atomic();
    let slots = atomic.slots();
    f(&mut space.edit(slots.pte0, slots.pte1, source))
}

/// Maps a frame, which stays until it is unmapped, as the tests have it.
#[track_caller]
fn map(task: &mut Task<'_>, space: &mut Space, at: usize, pfn: Pfn<Paging>, size: PageSize) {
    edit(task, space, |edit| {
        // SAFETY: a frame that is shared, and outlives the space, or is unmapped before it goes.
        let flush = unsafe { edit.map(at, pfn, size, USER_PAGE) }.expect("nothing is there");
        edit.flush(flush);
    });
}

#[track_caller]
fn unmap(task: &mut Task<'_>, space: &mut Space, pages: Pages) -> usize {
    edit(task, space, |edit| {
        let mut count = 0;
        let flush = edit.unmap(pages, |gone| count += usize::from(gone.is_ok())).expect("no table is corrupt");
        edit.flush(flush);
        count
    })
}

#[track_caller]
fn flags_of(task: &mut Task<'_>, space: &Space, at: usize) -> Option<Flags> {
    let leaf = space.translate(task.atomic().slots().pte0, at).expect("no table is corrupt");
    leaf.map(|leaf| leaf.flags)
}

/// A frame that has this byte everywhere.
fn frame(task: &mut Task<'_>, byte: u8) -> SharedFrame {
    let mut frame = frames::alloc_highmem().expect("there is memory");
    kmap_atomic(task.atomic().slots().user0, &mut frame).fill(byte);
    frame.share()
}

/// Runs `f` in a thread that has the space, and frees all of it.
#[track_caller]
fn with_space(task: &mut Task<'_>, f: impl FnOnce(&mut Task<'_>, &mut Space)) {
    let free = || Zone::ALL.map(|zone| frames::stats(zone).free);
    let (before, tables) = (free(), spaces::tables());
    let mut space = spaces::new(task).expect("there is memory");
    // SAFETY: freed below.
    unsafe { spaces::with_root(task, space.root(), |task| f(task, &mut space)) };
    // SAFETY: the only thread that used it uses it no longer.
    unsafe { spaces::free(task, space) };
    assert_eq!((free(), spaces::tables()), (before, tables), "frames by zone, and tables, that were not given back");
}

/// Writes a byte, if that works.
fn write(at: usize, byte: u8) -> Result<(), probe::PageFault> {
    // SAFETY: user space, where the frames are volatile.
    unsafe { probe::write_u8(at, byte) }
}

fn is_missing(at: usize) -> bool {
    probe::read_u8(at).is_err_and(|fault| !fault.was_present() && fault.address == at)
}

// Tests

fn tables_are_in_high_memory(task: &mut Task<'_>) {
    let zone = if frames::stats(Zone::Above4G).total > 0 { Zone::Above4G } else { Zone::High };
    with_space(task, |task, space| {
        let page = frame(task, 1);
        let before = frames::stats(zone).free;
        map(task, space, PLACES[0], page.pfn(), PageSize::Small);
        assert_eq!(before - frames::stats(zone).free, paging::levels() as usize - 1, "tables {zone}");
        assert_eq!(spaces::tables(), paging::levels() as usize - 1);
        assert_eq!(unmap(task, space, Pages::one(PLACES[0])), 1);
        assert_eq!((frames::stats(zone).free, spaces::tables()), (before, 0));
    });
}

fn a_page_is_there_from_map_to_unmap(task: &mut Task<'_>) {
    with_space(task, |task, space| {
        for (byte, at) in (1..).zip(PLACES) {
            let page = frame(task, byte);
            assert!(is_missing(at), "before it is mapped");
            map(task, space, at, page.pfn(), PageSize::Small);
            for offset in [0, 1, PAGE_SIZE - 1] {
                assert_eq!(probe::read_u8(at + offset), Ok(byte));
            }
            assert!(is_missing(at + PAGE_SIZE) && (at < PAGE_SIZE || is_missing(at - 1)), "its neighbours");
            write(at + 7, 0xee).expect("it is writable");
            let mut byte = [0];
            kmap_atomic(task.atomic().slots().user0, &page).read_at(7, &mut byte).expect("it is in the page");
            assert_eq!(byte, [0xee]);
            assert_eq!(unmap(task, space, Pages::one(at)), 1);
            assert!(is_missing(at), "after it is unmapped");
        }
        assert_eq!(unmap(task, space, USER), 0);
    });
}

fn rights_taken_away_are_gone(task: &mut Task<'_>) {
    with_space(task, |task, space| {
        let (page, [at, other, _]) = (frame(task, 5), PLACES);
        map(task, space, at, page.pfn(), PageSize::Small);
        map(task, space, other, page.pfn(), PageSize::Small);
        write(at, 6).expect("it is writable");
        edit(task, space, |edit| {
            let flush = edit.restrict(Pages::one(at), |leaf| leaf.flags.without(Flags::WRITABLE)).expect("it is there");
            assert_eq!(flush.scope().pages(), Some(1));
            edit.flush(flush);
        });
        let fault = write(at, 7).expect_err("ring 0 respects it, too (CR0.WP)");
        assert!(fault.was_present() && fault.was_write() && fault.address == at, "{fault}");
        // SAFETY: the bytes are this function's.
        let left = unsafe { copy_to_user(at, b"four".as_ptr(), 4, NotHandled) };
        assert_eq!(left, 4, "bytes that were copied over a page that is read-only");
        let mut bytes = [0; 4];
        // SAFETY: as above.
        let left = unsafe { copy_from_user(bytes.as_mut_ptr(), at, 4, NotHandled) };
        assert_eq!((left, bytes), (0, [6, 5, 5, 5]), "reading is allowed");
        write(other, 8).expect("the other mapping of the frame is writable still");

        edit(task, space, |edit| {
            // SAFETY: as when it was mapped.
            let flush = unsafe { edit.protect(Pages::one(at), |leaf| leaf.flags.with(Flags::WRITABLE)) };
            let flush = flush.expect("it is there");
            edit.flush(flush);
        });
        write(at, 9).expect("it is writable again");
        assert_eq!(probe::read_u8(other), Ok(9));
    });
}

fn the_processor_sets_its_bits_and_sets_them_again(task: &mut Task<'_>) {
    with_space(task, |task, space| {
        let (page, at) = (frame(task, 5), PLACES[1]);
        map(task, space, at, page.pfn(), PageSize::Small);
        let bits = |task: &mut Task<'_>, space: &Space| {
            let flags = flags_of(task, space, at).expect("it is mapped");
            (flags.contains(Flags::ACCESSED), flags.contains(Flags::DIRTY))
        };
        for _ in 0..3 {
            assert_eq!(bits(task, space), (false, false));
            assert_eq!(probe::read_u8(at), Ok(5));
            assert_eq!(bits(task, space), (true, false), "behind a read");
            write(at, 5).expect("it is writable");
            assert_eq!(bits(task, space), (true, true), "behind a write");

            let mut atomic = task.atomic();
            let slots = atomic.slots();
            let mut slot = slots.pte0;
            for (is_set, is_left) in [(true, true), (false, false)] {
                let entry = space.entry(slot.reborrow(), at).expect("there is a table");
                let (accessed, one) = entry.test_and_clear_accessed();
                let (dirty, other) = entry.test_and_clear_dirty();
                drop(entry);
                assert_eq!((accessed, dirty), (is_set, is_set));
                assert_eq!(one.scope().is_nothing(), !is_left, "what was not set is not flushed");
                one.merge(slot.reborrow(), other).flush(slot.reborrow(), &mut Tables);
            }
        }
    });
}

/// Frames that a large page is made of.
fn large_page(task: &mut Task<'_>) -> Vec<SharedFrame> {
    let count = PageSize::Large.pages::<Paging>();
    let blocks = (1..).map(|block| frames::highest_pfn() / count * count - block * count);
    let mut blocks = blocks.map_while(|first| (Zone::of(first) != Zone::Low).then_some(first));
    let take = |first: usize| (first..first + count).map(frames::alloc_at).collect::<Option<Vec<Frame>>>();
    let frames = blocks.find_map(take).expect("there is a block of memory");
    let fill = |mut frame: Frame| {
        let number = frame.pfn().number();
        let mut atomic = task.atomic();
        let mut bytes = kmap_atomic(atomic.slots().user0, &mut frame);
        bytes.chunks_exact_mut(4).zip(0..).for_each(|(word, at)| word.copy_from_slice(&stamp(number, at)));
        drop(bytes);
        frame.share()
    };
    frames.into_iter().map(fill).collect()
}

/// What a frame has in a word.
fn stamp(number: usize, word: u32) -> [u8; 4] {
    (number as u32).wrapping_mul(0x9e37_79b1).wrapping_add(word).to_le_bytes()
}

/// Reads pages of user space, all bytes, and says whether they are what these frames have.
fn shows(at: usize, frames: &[SharedFrame]) -> bool {
    (at..).step_by(PAGE_SIZE).zip(frames).all(|(at, frame)| {
        let mut bytes = [0; PAGE_SIZE];
        // SAFETY: the bytes are this function's.
        let left = unsafe { copy_from_user(bytes.as_mut_ptr(), at, PAGE_SIZE, NotHandled) };
        left == 0 && bytes.chunks_exact(4).zip(0..).all(|(word, n)| word == stamp(frame.pfn().number(), n))
    })
}

fn a_large_page_is_split_and_no_byte_changes(task: &mut Task<'_>) {
    with_space(task, |task, space| {
        let frames = large_page(task);
        let (count, at) = (frames.len(), 0x4000_0000);
        map(task, space, at, frames[0].pfn(), PageSize::Large);
        let tables = spaces::tables();
        let leaf = |task: &mut Task<'_>, space: &Space, page: usize| {
            let leaf = space.translate(task.atomic().slots().pte0, at + page * PAGE_SIZE).expect("no table is corrupt");
            let leaf = leaf.expect("it is mapped");
            (leaf.size, leaf.frame(at + page * PAGE_SIZE))
        };
        for page in [0, 1, count - 1] {
            assert_eq!(leaf(task, space, page), (PageSize::Large, Some(frames[page].pfn())));
        }
        assert!(shows(at, &frames), "the large page shows something else");

        let middle = count / 2 + 3;
        edit(task, space, |edit| {
            let one = Pages::one(at + middle * PAGE_SIZE);
            let flush = edit.restrict(one, |leaf| leaf.flags.without(Flags::WRITABLE)).expect("there is a table");
            edit.flush(flush);
        });
        assert_eq!(spaces::tables(), tables + 1);
        for (page, frame) in frames.iter().enumerate() {
            assert_eq!(leaf(task, space, page), (PageSize::Small, Some(frame.pfn())), "page {page}");
        }
        assert!(shows(at, &frames), "its parts show something else");
        for (page, works) in [(middle - 1, true), (middle, false), (middle + 1, true)] {
            let first = at + page * PAGE_SIZE;
            let byte = probe::read_u8(first).expect("it can be read");
            assert_eq!(write(first, byte).is_ok(), works, "page {page}");
        }

        assert_eq!(unmap(task, space, Pages::one(at)), 1);
        assert!(is_missing(at) && shows(at + PAGE_SIZE, &frames[1..]));
        assert_eq!(unmap(task, space, Pages::new(at, count)), count - 1);
        assert!((0..count).all(|page| is_missing(at + page * PAGE_SIZE)));
    });
}

fn a_page_moves_with_its_bytes(task: &mut Task<'_>) {
    with_space(task, |task, space| {
        let (page, [from, to, _]) = (frame(task, 0x5a), PLACES);
        map(task, space, from, page.pfn(), PageSize::Small);
        assert_eq!(probe::read_u8(from), Ok(0x5a));
        edit(task, space, |edit| {
            let leaf = edit.translate(from).expect("no table is corrupt").expect("it is mapped");
            assert_eq!((leaf.pfn, leaf.size), (page.pfn(), PageSize::Small));
            // SAFETY: the frame stays.
            let new = unsafe { edit.map(to, leaf.pfn, leaf.size, leaf.flags) }.expect("nothing is there");
            let old = edit.unmap(Pages::one(from), |_| ()).expect("no table is corrupt");
            edit.flush_both(new, old);
        });
        assert!(is_missing(from));
        assert_eq!(probe::read_u8(to), Ok(0x5a));
    });
}

/// Looks at what has been flushed when a table comes back.
struct Watchful {
    before: u64,
    came_back: usize,
}

impl TableSource for Watchful {
    type Frame = SharedFrame;

    fn take(&mut self) -> Option<SharedFrame> {
        Tables.take()
    }

    fn give_back(&mut self, frame: SharedFrame) {
        assert!(spaces::stats().here > self.before, "a table comes back before the flush");
        self.came_back += 1;
        Tables.give_back(frame);
    }
}

fn tables_come_back_behind_the_flush(task: &mut Task<'_>) {
    with_space(task, |task, space| {
        let page = frame(task, 1);
        for at in PLACES {
            map(task, space, at, page.pfn(), PageSize::Small);
            assert_eq!(probe::read_u8(at), Ok(1));
        }
        let tables = spaces::tables();
        let mut source = Watchful { before: spaces::stats().here, came_back: 0 };
        edit_from(task, space, &mut source, |edit| {
            let flush = edit.unmap(USER, |_| ()).expect("no table is corrupt");
            assert_eq!((flush.tables(), spaces::tables()), (tables, tables), "tables between unlinking and the flush");
            assert!(flush.scope().frees_tables());
            edit.flush(flush);
        });
        assert_eq!((source.came_back, spaces::tables()), (tables, 0));
        assert!(PLACES.into_iter().all(is_missing));
    });
}

/// Notes which frames come back.
struct Noting(Vec<usize>);

impl TableSource for Noting {
    type Frame = SharedFrame;

    fn take(&mut self) -> Option<SharedFrame> {
        Tables.take()
    }

    fn give_back(&mut self, frame: SharedFrame) {
        self.0.push(frame.pfn().number());
        Tables.give_back(frame);
    }
}

fn a_free_table_is_walked_no_more(task: &mut Task<'_>) {
    with_space(task, |task, space| {
        let page = frame(task, 1);
        for at in PLACES {
            map(task, space, at, page.pfn(), PageSize::Small);
            assert_eq!(probe::read_u8(at), Ok(1));
        }
        let mut source = Noting(Vec::new());
        edit_from(task, space, &mut source, |edit| {
            let flush = edit.unmap(USER, |_| ()).expect("no table is corrupt");
            edit.flush(flush);
        });
        // Who has their frames now fills them with what would be entries: present, writable, the user's.
        let entry = (page.pfn().address() | 0x67).to_le_bytes();
        let others: Vec<_> = source
            .0
            .into_iter()
            .map(|number| {
                let mut frame = frames::alloc_at(number).expect("it is free");
                let mut atomic = task.atomic();
                let mut bytes = kmap_atomic(atomic.slots().user0, &mut frame);
                let size = size_of::<paging::Raw>();
                bytes.chunks_exact_mut(size).for_each(|place| place.copy_from_slice(&entry[..size]));
                drop(bytes);
                frame
            })
            .collect();
        assert!(PLACES.into_iter().all(is_missing), "a table of nobody's is walked");
        drop(others);
    });
}

/// Has so many tables, and no more.
struct Few(usize);

impl TableSource for Few {
    type Frame = SharedFrame;

    fn take(&mut self) -> Option<SharedFrame> {
        self.0 = self.0.checked_sub(1)?;
        Tables.take()
    }

    fn give_back(&mut self, frame: SharedFrame) {
        self.0 += 1;
        Tables.give_back(frame);
    }
}

fn without_a_table_nothing_changes(task: &mut Task<'_>) {
    with_space(task, |task, space| {
        let page = frame(task, 1);
        let needed = paging::levels() as usize - 1;
        for few in 0..needed {
            edit_from(task, space, &mut Few(few), |edit| {
                // SAFETY: the frame stays.
                let error = unsafe { edit.map(PLACES[0], page.pfn(), PageSize::Small, USER_PAGE) }.err();
                assert_eq!(error, Some(highmem::pagetable::Error::NoFrame));
            });
            assert!(is_missing(PLACES[0]) && spaces::tables() == 0, "with {few} tables");
        }
        map(task, space, PLACES[0], page.pfn(), PageSize::Small);
        assert_eq!(probe::read_u8(PLACES[0]), Ok(1));
    });
}

fn spaces_do_not_see_each_other(task: &mut Task<'_>) {
    let mut other = spaces::new(task).expect("there is memory");
    let (one_page, other_page) = (frame(task, 1), frame(task, 2));
    map(task, &mut other, PLACES[0], other_page.pfn(), PageSize::Small);
    map(task, &mut other, PLACES[1], other_page.pfn(), PageSize::Small);
    let other_root = other.root();
    let mut space = spaces::new(task).expect("there is memory");
    map(task, &mut space, PLACES[0], one_page.pfn(), PageSize::Small);
    for _ in 0..3 {
        // SAFETY: freed below.
        unsafe {
            spaces::with_root(task, space.root(), |_| {
                assert_eq!(probe::read_u8(PLACES[0]), Ok(1));
                assert!(is_missing(PLACES[1]));
            });
            assert!(is_missing(PLACES[0]), "the kernel's own tables have no user space");
            spaces::with_root(task, other_root, |_| {
                assert_eq!((probe::read_u8(PLACES[0]), probe::read_u8(PLACES[1])), (Ok(2), Ok(2)));
            });
        }
    }
    // SAFETY: nobody uses them.
    unsafe {
        spaces::free(task, space);
        spaces::free(task, other);
    }
}

// With several CPUs

/// The top table that all threads use, and what they have come to.
static ROOT: AtomicUsize = AtomicUsize::new(0);
static ROUND: AtomicUsize = AtomicUsize::new(0);
static DONE: AtomicUsize = AtomicUsize::new(0);
static WRONG: AtomicUsize = AtomicUsize::new(0);

/// Waits until a condition holds.
fn wait_until(condition: impl Fn() -> bool) {
    let in_time = (0..1 << 28).inspect(|_| core::hint::spin_loop()).any(|_: u32| condition());
    assert!(in_time, "another CPU does not come");
}

/// Runs `main` here, and `others` on each other CPU, all in the address space.
fn on_all_cpus(
    task: &mut Task<'_>,
    space: &mut Space,
    main: impl FnOnce(&mut Task<'_>, &mut Space),
    others: fn(usize),
) {
    ROOT.store(space.root().number(), SeqCst);
    ROUND.store(0, SeqCst);
    DONE.store(0, SeqCst);
    let threads: Vec<_> = (1..smp::count())
        .map(|number| {
            kernel::thread::spawn_on(number, "other", move |task| {
                let root = Pfn::new(ROOT.load(SeqCst) as u64).expect("it was the number of a frame");
                // SAFETY: the space stays until the threads have ended.
                unsafe { spaces::with_root(task, root, |_| others(cpu::number())) }
            })
        })
        .collect();
    main(task, space);
    threads.into_iter().for_each(|thread| thread.join(task));
}

const ROUNDS: usize = 200;

/// What the page shows in a round: nothing in each third one.
fn shown(round: usize) -> Option<u8> {
    (!round.is_multiple_of(3)).then_some(round as u8)
}

fn looker(_cpu: usize) {
    for round in 1..=ROUNDS {
        wait_until(|| ROUND.load(SeqCst) == round);
        for _ in 0..2 {
            if probe::read_u8(PLACES[1]).ok() != shown(round) {
                WRONG.fetch_add(1, Relaxed);
            }
        }
        DONE.fetch_add(1, SeqCst);
    }
}

fn other_cpus_see_no_old_page(task: &mut Task<'_>) {
    WRONG.store(0, SeqCst);
    with_space(task, |task, space| {
        let others = smp::count() - 1;
        let mut current: Option<SharedFrame> = None;
        on_all_cpus(
            task,
            space,
            |task, space| {
                for round in 1..=ROUNDS {
                    let next = shown(round).map(|byte| frame(task, byte));
                    if current.is_some() {
                        let before = spaces::stats();
                        assert_eq!(unmap(task, space, Pages::one(PLACES[1])), 1);
                        let after = spaces::stats();
                        assert_eq!(after.here - before.here, 1);
                        assert_eq!(after.elsewhere - before.elsewhere, others as u64, "CPUs that were called");
                    }
                    if let Some(next) = &next {
                        map(task, space, PLACES[1], next.pfn(), PageSize::Small);
                    }
                    current = next;
                    ROUND.store(round, SeqCst);
                    assert_eq!(probe::read_u8(PLACES[1]).ok(), shown(round));
                    wait_until(|| DONE.load(SeqCst) == round * others);
                }
            },
            looker,
        );
        // Nobody else has the space now, and nobody is called.
        let before = spaces::stats();
        unmap(task, space, USER);
        let after = spaces::stats();
        assert_eq!(after.elsewhere, before.elsewhere, "a CPU was called that does not use the space");
    });
    assert_eq!(WRONG.load(SeqCst), 0, "looks of other CPUs that showed an old page");
}

/// Pages that another CPU writes while this one clears bits, and how often.
const WRITTEN: usize = 256;
const WRITES: usize = 30;
const WRITTEN_AT: usize = 0x2000_0000;

fn writer(cpu: usize) {
    for round in 1..=WRITES {
        wait_until(|| ROUND.load(SeqCst) == round);
        if cpu == 1 {
            for page in 0..WRITTEN {
                if write(WRITTEN_AT + page * PAGE_SIZE, round as u8).is_err() {
                    WRONG.fetch_add(1, Relaxed);
                }
            }
        }
        DONE.fetch_add(1, SeqCst);
    }
}

fn what_the_processor_sets_meanwhile_is_not_lost(task: &mut Task<'_>) {
    WRONG.store(0, SeqCst);
    let mut lost = 0;
    with_space(task, |task, space| {
        let pages: Vec<_> = (0..WRITTEN).map(|_| frame(task, 0)).collect();
        for (number, page) in pages.iter().enumerate() {
            map(task, space, WRITTEN_AT + number * PAGE_SIZE, page.pfn(), PageSize::Small);
        }
        let all = Pages::new(WRITTEN_AT, WRITTEN);
        // The bits of all pages: whether they were set, before they are cleared.
        let clear = |task: &mut Task<'_>, space: &mut Space, dirty: bool| {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            let (mut slot, mut second, mut count) = (slots.pte0, slots.pte1, 0);
            let flush = space.visit(slot.reborrow(), second.reborrow(), all, |pte| {
                let was_set = if dirty { pte.test_and_clear_dirty() } else { pte.test_and_clear_accessed() };
                count += usize::from(was_set);
            });
            flush.expect("no table is corrupt").flush(slot.reborrow(), &mut Tables);
            count
        };
        on_all_cpus(
            task,
            space,
            |task, space| {
                for round in 1..=WRITES {
                    clear(task, space, true);
                    ROUND.store(round, SeqCst);
                    while DONE.load(SeqCst) < round * (smp::count() - 1) {
                        clear(task, space, false);
                    }
                    // Each page was written behind the flush, and so is dirty, whatever became of the other bit.
                    lost += WRITTEN - clear(task, space, true);
                }
            },
            writer,
        );
    });
    assert_eq!((WRONG.load(SeqCst), lost), (0, 0), "writes that failed, and dirty pages that were not found");
}
