//! Runs of pages, scatter lists and cursors do what the same operations on a plain array do: at every boundary, with no byte beside them
//! touched, and with each page mapped once.

mod model;

use std::cell::Cell;
use std::num::NonZero;
use std::ops::Range;

use embedded_io::{BufRead, Error as _, ErrorKind, Read, ReadExactError, Write};
use highmem::fixmap::slots_of_cpu;
use highmem::linux::{User0, User1};
use highmem::model::{FRESH, FrameRun, Machine, ModelKernel, SharedFrameRun, Zone};
use highmem::ops::*;
use highmem::page::ReadWrite;
use highmem::paging::Paging;
use highmem::{PAGE_SIZE, PageRun, Pfn, Slot, kmap_atomic};
use model::{in_each_mode, panic_of, words_per_entry};
use proptest::prelude::*;
use proptest::sample::{Index, select};
use proptest::test_runner::{Config, RngSeed, TestRunner};

type K<P> = ModelKernel<P>;

in_each_mode!(
    copies_out_of_a_run_are_those_of_its_bytes,
    copies_into_a_run_are_those_into_its_bytes,
    fills_of_a_run_are_those_of_its_bytes,
    copies_between_runs_are_those_between_their_bytes,
    lists_are_copied_out_as_their_bytes_are,
    lists_are_written_as_their_bytes_are,
    lists_are_copied_to_lists_as_their_bytes_are,
    a_walk_shows_each_byte_once,
    a_cursor_reads_what_is_there,
    a_cursor_writes_what_there_is_room_for,
    values_lie_over_the_end_of_a_page,
    a_copy_out_of_a_run_goes_on_behind_what_it_has_copied,
    a_tail_is_filled_to_the_end_of_the_last_page,
    a_segment_longer_than_a_page_is_summed_page_by_page,
    a_cursor_goes_on_in_the_next_page,
    nothing_at_the_very_end_is_mapped_nowhere,
    a_walk_that_ends_early_unmaps,
    a_list_that_owns_its_runs_frees_them_as_it_goes,
    a_run_is_freed_after_its_page_is_unmapped,
    the_ends_of_a_cursor_are_those_of_the_traits,
    more_must_not_be_consumed_than_was_lent,
    memory_that_others_write_is_copied_as_it_is_at_the_time,
    the_total_length_is_checked,
    handlers_come_at_each_step_of_a_copy,
);

/// A run between two frames that nobody may touch, and what is to be in it.
struct Island<P: Paging, R> {
    run: R,
    beside: [FrameRun<P>; 2],
    bytes: Vec<u8>,
    first: u64,
}

fn nonzero(pages: usize) -> NonZero<usize> {
    NonZero::new(pages).expect("a run has a page")
}

/// Bytes that differ from place to place, from run to run and from page to page.
fn pattern(seed: u64, len: usize) -> Vec<u8> {
    let mut state = seed.wrapping_mul(0x9e37_79b9_7f4a_7c15) | 1;
    let mut next = || {
        state ^= state << 13;
        state ^= state >> 7;
        state ^= state << 17;
        (state >> 32) as u8
    };
    (0..len).map(|_| next()).collect()
}

impl<P: Paging> Island<P, FrameRun<P>> {
    fn new(machine: &Machine<P>, zone: Zone, pages: usize) -> Self {
        let [one, mut run, other] = [1, pages, 1].map(|pages| machine.alloc_run(zone, nonzero(pages)));
        let first = run.first().number() as u64;
        let beside = [one.first().number() as u64, other.first().number() as u64];
        assert_eq!(beside.map(|pfn| pfn.min(first)).into_iter().min().unwrap(), first - 1, "nothing is in between");
        assert_eq!(beside.into_iter().max().unwrap(), first + pages as u64, "nothing is in between");

        let bytes = pattern(first, pages * PAGE_SIZE);
        machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            for (number, bytes) in bytes.chunks(PAGE_SIZE).enumerate() {
                kmap_atomic(slots.user0.reborrow(), run.page_mut(number).unwrap()).copy_from_slice(bytes);
            }
        });
        Self { run, beside: [one, other], bytes, first }
    }

    fn share(self) -> Island<P, SharedFrameRun<P>> {
        let Self { run, beside, bytes, first } = self;
        Island { run: run.share(), beside, bytes, first }
    }
}

impl<P: Paging, R> Island<P, R> {
    /// Panics if a frame has other bytes than it has to, in the run or beside it.
    #[track_caller]
    fn check(&self, machine: &Machine<P>) {
        for (number, bytes) in self.bytes.chunks(PAGE_SIZE).enumerate() {
            let found = machine.peek(Pfn::new(self.first + number as u64).unwrap());
            if let Some(at) = (0..PAGE_SIZE).find(|&at| found[at] != bytes[at]) {
                panic!("page {number} has {:#x} at {at}, not {:#x}", found[at], bytes[at]);
            }
        }
        for frame in &self.beside {
            assert!(machine.peek(frame.first()) == [FRESH; PAGE_SIZE], "a frame beside the run was written");
        }
    }
}

/// How many pages `len` bytes from `offset` on are in.
fn pages_of(offset: usize, len: usize) -> usize {
    if len == 0 { 0 } else { (offset + len - 1) / PAGE_SIZE - offset / PAGE_SIZE + 1 }
}

/// Runs `f` with two slots, and panics if it maps other than `pages` pages, or leaves one mapped.
#[track_caller]
fn mapping<P: Paging, R>(
    machine: &Machine<P>,
    zone: Zone,
    pages: usize,
    f: impl FnOnce(Slot<'_, K<P>, User0>, Slot<'_, K<P>, User1>) -> R,
) -> R {
    let (result, counts) = machine.cpu(0).task(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        machine.cpu(0).count(|| f(slots.user0, slots.user1))
    });
    let expected = if zone == Zone::High { pages } else { 0 };
    assert_eq!((counts.stores, counts.invlpg), (expected * 2 * words_per_entry::<P>(), expected), "{pages} pages");
    assert_eq!(mapped(machine), Vec::<&str>::new());
    assert_eq!(machine.stale(), []);
    result
}

/// The slots of CPU 0 in which something is mapped.
fn mapped<P: Paging>(machine: &Machine<P>) -> Vec<&'static str> {
    let slots = slots_of_cpu::<K<P>>(0);
    slots.filter(|&(_, address)| machine.translation(address).is_some()).map(|(name, _)| name).collect()
}

/// Runs `f` on many random cases, the same ones each time.
#[track_caller]
fn for_each<T: std::fmt::Debug>(cases: impl Strategy<Value = T>, f: impl Fn(T)) {
    let config = Config { cases: 96, failure_persistence: None, rng_seed: RngSeed::Fixed(7), ..Config::default() };
    let result = TestRunner::new(config).run(&cases, |case| {
        f(case);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

/// A number up to a limit that is not yet known, and a bit more: near the end of a page, or anywhere.
#[derive(Clone, Copy, Debug)]
struct Near {
    page: Index,
    step: Option<isize>,
    anywhere: Index,
}

impl Near {
    fn to(self, limit: usize) -> usize {
        match self.step {
            Some(step) => {
                let pages = limit / PAGE_SIZE + 2;
                let at = self.page.index(pages) * PAGE_SIZE;
                // The limit is such an end, too.
                let at = if at > limit { limit } else { at };
                at.saturating_add_signed(step)
            }
            None => self.anywhere.index(limit + 1),
        }
    }

    fn within(self, limit: usize) -> usize {
        self.to(limit).min(limit)
    }
}

fn near() -> impl Strategy<Value = Near> {
    let step = prop_oneof![3 => select(&[-1, 0, 0, 1][..]).prop_map(Some), 2 => Just(None)];
    (any::<Index>(), step, any::<Index>()).prop_map(|(page, step, anywhere)| Near { page, step, anywhere })
}

fn zone() -> impl Strategy<Value = Zone> {
    prop_oneof![7 => Just(Zone::High), 1 => Just(Zone::Low)]
}

/// A zone, a number of pages, an offset and a length.
fn ranges() -> impl Strategy<Value = (Zone, usize, Near, Near, bool)> {
    (zone(), 1..=5_usize, near(), near(), any::<bool>())
}

/// The offset and the length of a case: most of them fit.
fn range(pages: usize, offset: Near, len: Near, fits: bool) -> (usize, usize) {
    let size = pages * PAGE_SIZE;
    if fits {
        let offset = offset.within(size);
        (offset, len.within(size - offset))
    } else {
        (offset.to(size), len.to(size))
    }
}

fn fit(offset: usize, len: usize, size: usize) -> Result<(), Error> {
    if offset + len <= size { Ok(()) } else { Err(Error::OutOfBounds { offset, len, size }) }
}

/// Does the same to a run that is this value's alone, and to one that others may write.
macro_rules! own_and_shared {
    ($island:ident = $machine:expr, $zone:expr, $pages:expr; $do:block) => {{
        {
            #[allow(unused_mut, reason = "where it is only read")]
            let mut $island = Island::new($machine, $zone, $pages);
            $do
        }
        {
            #[allow(unused_mut, reason = "where it is only read")]
            let mut $island = Island::new($machine, $zone, $pages).share();
            $do
        }
    }};
}

fn copies_out_of_a_run_are_those_of_its_bytes<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    for_each(ranges(), |(zone, pages, offset, len, fits)| {
        let (offset, len) = range(pages, offset, len, fits);
        let expected = fit(offset, len, pages * PAGE_SIZE);
        let visited = if expected.is_ok() { pages_of(offset, len) } else { 0 };
        own_and_shared!(island = &machine, zone, pages; {
            let mut to = vec![0xee; len + 2];
            let done = mapping(&machine, zone, visited, |slot, _| {
                memcpy_from_run(&mut to[1..=len], slot, &island.run, offset)
            });
            assert_eq!(done, expected);
            match expected {
                Ok(()) => assert!(to[1..=len] == island.bytes[offset..][..len], "other bytes were copied"),
                Err(_) => assert!(to.iter().all(|&byte| byte == 0xee), "bytes were copied"),
            }
            assert_eq!((to[0], to[len + 1]), (0xee, 0xee));
            island.check(&machine);
        });
    });
}

fn copies_into_a_run_are_those_into_its_bytes<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    for_each(ranges(), |(zone, pages, offset, len, fits)| {
        let (offset, len) = range(pages, offset, len, fits);
        let expected = fit(offset, len, pages * PAGE_SIZE);
        let visited = if expected.is_ok() { pages_of(offset, len) } else { 0 };
        let from = pattern(1, len);
        own_and_shared!(island = &machine, zone, pages; {
            let done = mapping(&machine, zone, visited, |slot, _| memcpy_to_run(slot, &mut island.run, offset, &from));
            assert_eq!(done, expected);
            if expected.is_ok() {
                island.bytes[offset..][..len].copy_from_slice(&from);
            }
            island.check(&machine);
        });
    });
}

fn fills_of_a_run_are_those_of_its_bytes<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    for_each((ranges(), 0..4), |((zone, pages, offset, len, fits), what)| {
        let (offset, len) = range(pages, offset, len, fits);
        let size = pages * PAGE_SIZE;
        let from = pattern(1, len);
        let to_the_end = size.saturating_sub(offset);
        let (expected, written) = match what {
            0 | 1 => (fit(offset, len, size), len),
            2 => (fit(offset, 0, size), to_the_end),
            _ => (fit(offset, len, size), to_the_end),
        };
        let visited = if expected.is_ok() { pages_of(offset, written) } else { 0 };
        own_and_shared!(island = &machine, zone, pages; {
            let done = mapping(&machine, zone, visited, |slot, _| match what {
                0 => memset_run(slot, &mut island.run, offset, 0x5a, len),
                1 => memzero_run(slot, &mut island.run, offset, len),
                2 => run_zero_tail(slot, &mut island.run, offset),
                _ => run_fill_tail(slot, &mut island.run, offset, &from),
            });
            assert_eq!(done, expected);
            if expected.is_ok() {
                let bytes = &mut island.bytes[offset..][..written];
                bytes.fill(if what == 0 { 0x5a } else { 0 });
                if what == 3 {
                    bytes[..len].copy_from_slice(&from);
                }
            }
            island.check(&machine);
        });
    });
}

fn copies_between_runs_are_those_between_their_bytes<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let other = (1..=5_usize, near(), any::<bool>());
    for_each((ranges(), other), |((zone, pages, offset, len, fits), (from_pages, from_offset, abreast))| {
        let (offset, len) = range(pages, offset, len, fits);
        let from_size = from_pages * PAGE_SIZE;
        let mut from_offset = if fits { from_offset.within(from_size) } else { from_offset.to(from_size) };
        if fits && abreast {
            // The pages of both end together.
            from_offset = from_offset / PAGE_SIZE * PAGE_SIZE + offset % PAGE_SIZE;
            from_offset = if from_offset > from_size { offset % PAGE_SIZE } else { from_offset };
        }
        let len = if fits { len.min(from_size - from_offset) } else { len };
        let expected = fit(offset, len, pages * PAGE_SIZE).and(fit(from_offset, len, from_size));
        let visited = pages_of(offset, len) + pages_of(from_offset, len);
        let from = Island::new(&machine, zone, from_pages);
        own_and_shared!(to = &machine, zone, pages; {
            let visited = if expected.is_ok() { visited } else { 0 };
            let done = mapping(&machine, zone, visited, |from_slot, slot| {
                memcpy_run(slot, (&mut to.run, offset), from_slot, (&from.run, from_offset), len)
            });
            assert_eq!(done, expected);
            if expected.is_ok() {
                to.bytes[offset..][..len].copy_from_slice(&from.bytes[from_offset..][..len]);
            }
            to.check(&machine);
            from.check(&machine);
        });
    });
}

/// For each segment of a list: how many pages its run has, where it begins, and how long it is.
fn shapes() -> impl Strategy<Value = Vec<(usize, Near, Near)>> {
    prop::collection::vec((1..=4_usize, near(), near()), 0..=5)
}

/// A list, each of whose segments has a run of its own, and where the list is to be in two.
struct List<P: Paging> {
    segments: Vec<Segment<FrameRun<P>>>,
    islands: Vec<([FrameRun<P>; 2], Vec<u8>, u64)>,
    zone: Zone,
}

impl<P: Paging> List<P> {
    fn new(machine: &Machine<P>, zone: Zone, shape: &[(usize, Near, Near)]) -> Self {
        let (mut segments, mut islands) = (Vec::new(), Vec::new());
        for &(pages, offset, len) in shape {
            let Island { run, beside, bytes, first } = Island::new(machine, zone, pages);
            let (offset, len) = range(pages, offset, len, true);
            segments.push(Segment::new(run, offset, len).unwrap());
            islands.push((beside, bytes, first));
        }
        Self { segments, islands, zone }
    }

    /// Where the bytes of the list are: in which run, and which of its bytes.
    fn spans(&self) -> Vec<(usize, Range<usize>)> {
        self.segments.iter().map(|segment| segment.offset()..segment.offset() + segment.len()).enumerate().collect()
    }

    /// All bytes of the list, as they have to be.
    fn bytes(&self) -> Vec<u8> {
        self.spans().into_iter().flat_map(|(island, span)| self.islands[island].1[span].to_vec()).collect()
    }

    /// The pages that are to be mapped for `len` bytes, `skip` left out.
    fn pages(&self, mut skip: usize, mut len: usize) -> usize {
        let mut pages = 0;
        for (_, span) in self.spans() {
            let out = skip.min(span.len());
            let here = len.min(span.len() - out);
            pages += pages_of(span.start + out, here);
            (skip, len) = (skip - out, len - here);
        }
        pages
    }

    /// What is in the list from now on, from the byte number `skip` on.
    fn set(&mut self, mut skip: usize, mut bytes: &[u8]) {
        for (island, span) in self.spans() {
            let out = skip.min(span.len());
            let (here, rest) = bytes.split_at(bytes.len().min(span.len() - out));
            self.islands[island].1[span.start + out..][..here.len()].copy_from_slice(here);
            (skip, bytes) = (skip - out, rest);
        }
        assert!(bytes.is_empty());
    }

    #[track_caller]
    fn check(&self, machine: &Machine<P>) {
        for (beside, bytes, first) in &self.islands {
            for (number, bytes) in bytes.chunks(PAGE_SIZE).enumerate() {
                let found = machine.peek(Pfn::new(first + number as u64).unwrap());
                assert!(found[..] == *bytes, "page {number} of the run at {first:#x} has other bytes");
            }
            assert!(beside.iter().all(|frame| machine.peek(frame.first()) == [FRESH; PAGE_SIZE]));
        }
    }
}

fn lists_are_copied_out_as_their_bytes_are<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    for_each((zone(), shapes(), near(), near(), any::<Index>()), |(zone, shape, skip, len, cut)| {
        let list = List::new(&machine, zone, &shape);
        let bytes = list.bytes();
        assert_eq!(sg_total_len(&list.segments), Some(bytes.len()));
        let (skip, len) = (skip.to(bytes.len()), len.to(bytes.len()));
        let expected = &bytes[skip.min(bytes.len())..];
        let expected = &expected[..len.min(expected.len())];

        let mut to = vec![0xee; len];
        let copied = mapping(&machine, list.zone, list.pages(skip, len), |slot, _| {
            let (one, other) = list.segments.split_at(cut.index(list.segments.len() + 1));
            sg_pcopy_to_buffer(&mut to, slot, one.iter().chain(other), skip)
        });
        assert_eq!(copied, expected.len());
        assert!(to[..copied] == *expected && to[copied..].iter().all(|&byte| byte == 0xee));

        to.fill(0xee);
        let copied = mapping(&machine, list.zone, list.pages(0, len), |slot, _| {
            sg_copy_to_buffer(&mut to, slot, &list.segments)
        });
        assert_eq!(copied, len.min(bytes.len()));
        assert!(to[..copied] == bytes[..copied]);
        list.check(&machine);
    });
}

fn lists_are_written_as_their_bytes_are<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    for_each((zone(), shapes(), near(), near(), 0..3), |(zone, shape, skip, len, what)| {
        let mut list = List::new(&machine, zone, &shape);
        let total = list.bytes().len();
        let (skip, len) = (if what == 0 { 0 } else { skip.to(total) }, len.to(total));
        let expected = len.min(total.saturating_sub(skip));
        let from = if what == 2 { vec![0; len] } else { pattern(1, len) };
        let pages = list.pages(skip, len);
        let segments = &mut list.segments;
        let written = mapping(&machine, list.zone, pages, |slot, _| match what {
            0 => sg_copy_from_buffer(slot, segments, &from),
            1 => sg_pcopy_from_buffer(slot, segments, &from, skip),
            _ => sg_zero_buffer(slot, segments, len, skip),
        });
        assert_eq!(written, expected);
        list.set(skip.min(total), &from[..written]);
        list.check(&machine);
    });
}

fn lists_are_copied_to_lists_as_their_bytes_are<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    for_each((zone(), shapes(), shapes(), near()), |(zone, to, from, len)| {
        let (mut to, from) = (List::new(&machine, zone, &to), List::new(&machine, zone, &from));
        let (room, bytes) = (to.bytes().len(), from.bytes());
        let len = len.to(room.max(bytes.len()));
        let expected = len.min(room).min(bytes.len());
        let pages = to.pages(0, expected) + from.pages(0, expected);
        let segments = &mut to.segments;
        let copied =
            mapping(&machine, zone, pages, |from_slot, slot| sg_copy(slot, segments, from_slot, &from.segments, len));
        assert_eq!(copied, expected);
        to.set(0, &bytes[..copied]);
        to.check(&machine);
        from.check(&machine);
    });
}

fn a_walk_shows_each_byte_once<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    for_each((zone(), shapes(), any::<bool>()), |(zone, shape, writes)| {
        let mut list = List::new(&machine, zone, &shape);
        let mut bytes = list.bytes();
        let pages = list.pages(0, usize::MAX);
        let mut seen = Vec::new();
        if writes {
            let segments = &mut list.segments;
            mapping(&machine, zone, pages, |slot, _| {
                let mut walk = SgWalk::new(slot, segments);
                while let Some(mut part) = walk.next() {
                    seen.extend_from_slice(&part);
                    part.iter_mut().for_each(|byte| *byte ^= 0xff);
                }
                assert!(walk.next().is_none());
            });
        } else {
            mapping(&machine, zone, pages, |slot, _| {
                let mut walk = SgWalk::new(slot, &list.segments);
                while let Some(part) = walk.next() {
                    assert!(!part.is_empty() && part.len() <= PAGE_SIZE);
                    assert!(mapped(&machine).len() == usize::from(zone == Zone::High), "one page, and no other");
                    seen.extend_from_slice(&part);
                }
            });
        }
        assert!(seen == bytes);
        if writes {
            bytes.iter_mut().for_each(|byte| *byte ^= 0xff);
            list.set(0, &bytes);
        }
        list.check(&machine);
    });
}

/// What is done with a cursor, one after the other.
fn calls() -> impl Strategy<Value = Vec<(u8, Near)>> {
    prop::collection::vec((0..3_u8, near()), 0..20)
}

fn a_cursor_reads_what_is_there<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    for_each((zone(), shapes(), calls()), |(zone, shape, calls)| {
        let list = List::new(&machine, zone, &shape);
        let bytes = list.bytes();
        let ((), counts) = machine.cpu(0).task(|task| {
            machine.cpu(0).count(|| {
                let mut atomic = task.atomic();
                let mut cursor = Cursor::new(atomic.slots().user0, &list.segments);
                let mut rest = &bytes[..];
                for &(call, len) in &calls {
                    let len = len.to(2 * PAGE_SIZE);
                    let step = match call {
                        0 => {
                            let mut to = vec![0xee; len];
                            let read = cursor.read(&mut to).unwrap();
                            assert_eq!(read, len.min(rest.len()));
                            assert!(to[..read] == rest[..read]);
                            read
                        }
                        1 => {
                            let lent = cursor.fill_buf().unwrap();
                            assert_eq!(lent.is_empty(), rest.is_empty());
                            assert!(lent == &rest[..lent.len()]);
                            let step = len.min(lent.len());
                            cursor.consume(step);
                            step
                        }
                        _ => {
                            let skipped = cursor.skip(len);
                            assert_eq!(skipped, len.min(rest.len()));
                            skipped
                        }
                    };
                    rest = &rest[step..];
                }
            })
        });
        let most = if zone == Zone::High { list.pages(0, usize::MAX) } else { 0 };
        assert!(counts.invlpg <= most, "{} mappings of {most} pages", counts.invlpg);
        assert_eq!(mapped(&machine), Vec::<&str>::new());
        list.check(&machine);
    });
}

fn a_cursor_writes_what_there_is_room_for<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    for_each((zone(), shapes(), calls()), |(zone, shape, calls)| {
        let mut list = List::new(&machine, zone, &shape);
        let mut bytes = list.bytes();
        let most = if zone == Zone::High { list.pages(0, usize::MAX) } else { 0 };
        let segments = &mut list.segments;
        let ((), counts) = machine.cpu(0).task(|task| {
            machine.cpu(0).count(|| {
                let mut atomic = task.atomic();
                let mut cursor = Cursor::new(atomic.slots().user0, segments);
                let mut rest = &mut bytes[..];
                for (number, &(call, len)) in calls.iter().enumerate() {
                    let len = len.to(2 * PAGE_SIZE);
                    let fits = len.min(rest.len());
                    let step = match call {
                        0 | 1 => {
                            let from = pattern(number as u64 + 2, len);
                            let written = cursor.write(&from);
                            if fits == 0 && len > 0 {
                                assert_eq!(written, Err(Error::NoRoom));
                            } else {
                                assert_eq!(written, Ok(fits));
                                rest[..fits].copy_from_slice(&from[..fits]);
                            }
                            fits
                        }
                        _ => {
                            let mut to = vec![0xee; len];
                            assert_eq!(cursor.read(&mut to), Ok(fits), "it can be read as well");
                            assert!(to[..fits] == rest[..fits]);
                            fits
                        }
                    };
                    rest = &mut rest[step..];
                }
            })
        });
        assert!(counts.invlpg <= most, "{} mappings of {most} pages", counts.invlpg);
        assert_eq!(mapped(&machine), Vec::<&str>::new());
        list.set(0, &bytes);
        list.check(&machine);
    });
}

fn values_lie_over_the_end_of_a_page<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let mut island = Island::new(&machine, Zone::High, 2);
    for offset in PAGE_SIZE - 9..=PAGE_SIZE + 1 {
        let expected = u64::from_le_bytes(island.bytes[offset..][..8].try_into().unwrap());
        let pages = pages_of(offset, 8);
        let read =
            mapping(&machine, Zone::High, pages, |slot, _| run_read_obj::<u64, _, _, _>(slot, &island.run, offset));
        assert_eq!(read.map(u64::from_le), Ok(expected));
        let value = !expected;
        let written = mapping(&machine, Zone::High, pages, |slot, _| {
            run_write_obj(slot, &mut island.run, offset, &value.to_le())
        });
        assert_eq!(written, Ok(()));
        island.bytes[offset..][..8].copy_from_slice(&value.to_le_bytes());
        island.check(&machine);
    }
    let (offset, size) = (2 * PAGE_SIZE - 7, 2 * PAGE_SIZE);
    let read = mapping(&machine, Zone::High, 0, |slot, _| run_read_obj::<u64, _, _, _>(slot, &island.run, offset));
    assert_eq!(read, Err(Error::OutOfBounds { offset, len: 8, size }));
}

/// Linux's `memcpy_from_folio` went on in the page that it copied from, and began anew where it copied to.
fn a_copy_out_of_a_run_goes_on_behind_what_it_has_copied<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let island = Island::new(&machine, Zone::High, 3);
    let mut to = vec![0; 2 * PAGE_SIZE];
    mapping(&machine, Zone::High, 3, |slot, _| memcpy_from_run(&mut to, slot, &island.run, 100)).unwrap();
    assert!(to[PAGE_SIZE - 100..][..PAGE_SIZE] == island.bytes[PAGE_SIZE..][..PAGE_SIZE]);
    assert!(to == island.bytes[100..][..2 * PAGE_SIZE]);
}

/// Linux's `folio_fill_tail` left the last page, or what is behind the data in it, as it was.
fn a_tail_is_filled_to_the_end_of_the_last_page<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    for len in [0, 1, PAGE_SIZE - 1, PAGE_SIZE, PAGE_SIZE + 1, 2 * PAGE_SIZE, 3 * PAGE_SIZE - 1, 3 * PAGE_SIZE] {
        let mut island = Island::new(&machine, Zone::High, 3);
        let from = vec![0x77; len];
        mapping(&machine, Zone::High, 3, |slot, _| run_fill_tail(slot, &mut island.run, 0, &from)).unwrap();
        island.bytes[..len].fill(0x77);
        island.bytes[len..].fill(0);
        island.check(&machine);
    }
}

/// An entry longer than a page was hashed through one mapping, and what lay behind the page with it.
fn a_segment_longer_than_a_page_is_summed_page_by_page<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let island = Island::new(&machine, Zone::High, 4);
    let (offset, len) = (PAGE_SIZE + 4000, 2 * PAGE_SIZE + 90);
    let segment = Segment::new(&island.run, offset, len).unwrap();
    let sum = |sum: u32, bytes: &[u8]| bytes.iter().fold(sum, |sum, &byte| sum.rotate_left(5) ^ u32::from(byte));
    let (found, parts) = mapping(&machine, Zone::High, 3, |slot, _| {
        let mut walk = SgWalk::new(slot, [segment]);
        let (mut state, mut parts) = (0, Vec::new());
        while let Some(part) = walk.next() {
            state = sum(state, &part);
            parts.push(part.len());
        }
        (state, parts)
    });
    assert_eq!(parts, [96, PAGE_SIZE, len - 96 - PAGE_SIZE]);
    assert_eq!(found, sum(0, &island.bytes[offset..][..len]));
}

/// A pointer was advanced past its page.
fn a_cursor_goes_on_in_the_next_page<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let island = Island::new(&machine, Zone::High, 3);
    let bytes = mapping(&machine, Zone::High, 3, |slot, _| {
        let mut cursor = Cursor::over(slot, &island.run);
        let (mut bytes, mut piece) = (Vec::new(), [0; 7]);
        loop {
            let read = cursor.read(&mut piece).unwrap();
            if read == 0 {
                break bytes;
            }
            assert!(mapped(&machine).len() <= 1);
            bytes.extend_from_slice(&piece[..read]);
        }
    });
    assert!(bytes == island.bytes, "small reads, and each page is mapped once");
}

/// An offset that is the size, with no bytes there: neither an error, nor a page.
fn nothing_at_the_very_end_is_mapped_nowhere<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let (mut one, two) = (Island::new(&machine, Zone::High, 2), Island::new(&machine, Zone::High, 2));
    let end = 2 * PAGE_SIZE;
    for at in [end, end + 1, usize::MAX] {
        let len = 0;
        let expected = if at == end { Ok(()) } else { Err(Error::OutOfBounds { offset: at, len, size: end }) };
        let done = mapping(&machine, Zone::High, 0, |slot, mut other| {
            let mut slot = slot;
            [
                memcpy_from_run(&mut [], slot.reborrow(), &one.run, at),
                memcpy_to_run(slot.reborrow(), &mut one.run, at, &[]),
                memset_run(slot.reborrow(), &mut one.run, at, 1, 0),
                run_zero_tail(slot.reborrow(), &mut one.run, at),
                run_fill_tail(slot.reborrow(), &mut one.run, at, &[]),
                memcpy_run(slot.reborrow(), (&mut one.run, at), other.reborrow(), (&two.run, 0), 0),
                memcpy_run(slot.reborrow(), (&mut one.run, 0), other.reborrow(), (&two.run, at), 0),
                Segment::new(&one.run, at, 0).map(|segment| assert!(SgWalk::new(slot, [segment]).next().is_none())),
            ]
        });
        assert_eq!(done, [expected; 8], "at {at:#x}");
    }
    // And no sum of the two wraps.
    let refused = Err(Error::OutOfBounds { offset: 1, len: usize::MAX, size: end });
    assert_eq!(Segment::new(&one.run, 1, usize::MAX).map(|_| ()), refused);
    one.check(&machine);
}

/// `skb_seq_read` left the last page mapped.
fn a_walk_that_ends_early_unmaps<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let island = Island::new(&machine, Zone::High, 3);
    mapping(&machine, Zone::High, 3, |mut slot, _| {
        let mut walk = SgWalk::new(slot.reborrow(), [Segment::whole(&island.run)]);
        assert_eq!(walk.next().unwrap()[..], island.bytes[..PAGE_SIZE]);
        assert_eq!(mapped(&machine), ["User0"]);
        drop(walk);
        assert_eq!(mapped(&machine), Vec::<&str>::new());

        let mut cursor = Cursor::over(slot, &island.run);
        let mut byte = [0];
        cursor.read_exact(&mut byte).unwrap();
        assert_eq!(mapped(&machine), ["User0"]);
        assert_eq!(cursor.skip(2 * PAGE_SIZE - 1), 2 * PAGE_SIZE - 1);
        assert_eq!(mapped(&machine), Vec::<&str>::new(), "it has left the page");
        cursor.read_exact(&mut byte).unwrap();
        assert_eq!(byte[0], island.bytes[2 * PAGE_SIZE]);
    });
}

fn a_list_that_owns_its_runs_frees_them_as_it_goes<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let list: Vec<_> = (0..3).map(|_| Segment::whole(machine.alloc_run(Zone::High, nonzero(2)))).collect();
    let pfns: Vec<_> = list.iter().map(|segment| segment.run().first()).collect();
    mapping(&machine, Zone::High, 3, |slot, _| {
        let mut walk = SgWalk::new(slot, list);
        assert_eq!(machine.allocated(), 6);
        walk.next();
        walk.next();
        assert_eq!(machine.allocated(), 6, "the page is mapped");
        walk.next();
        assert_eq!(machine.allocated(), 4);
        assert_eq!(machine.peek(pfns[0]), [highmem::model::FREED; PAGE_SIZE]);
    });
    assert_eq!(machine.allocated(), 0);
    drop(machine.alloc_run(Zone::High, nonzero(1)));
}

/// A kernel's own run, which looks when it is freed whether a page is still mapped.
struct Watched<'m, P: Paging> {
    run: FrameRun<P>,
    machine: &'m Machine<P>,
    freed: &'m Cell<usize>,
}

// SAFETY: I5, I6: the run is this value's.
unsafe impl<P: Paging> PageRun for Watched<'_, P> {
    type Paging = P;
    type Access = ReadWrite;

    fn first(&self) -> Pfn<P> {
        self.run.first()
    }

    fn pages(&self) -> NonZero<usize> {
        self.run.pages()
    }
}

impl<P: Paging> Drop for Watched<'_, P> {
    fn drop(&mut self) {
        assert_eq!(mapped(self.machine), Vec::<&str>::new());
        self.freed.set(self.freed.get() + 1);
    }
}

fn a_run_is_freed_after_its_page_is_unmapped<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let freed = Cell::new(0);
    let list = [2, 1, 2, 1].map(|pages| {
        let run = machine.alloc_run(Zone::High, nonzero(pages));
        Segment::whole(Watched { run, machine: &machine, freed: &freed })
    });
    mapping(&machine, Zone::High, 5, |slot, _| {
        let mut walk = SgWalk::new(slot, list);
        for expected in [0, 0, 1, 2, 2] {
            let mut part = walk.next().unwrap();
            part[0] = 1;
            assert_eq!((freed.get(), mapped(&machine)), (expected, vec!["User0"]));
        }
        drop(walk);
        assert_eq!(freed.get(), 4);
    });
}

fn the_ends_of_a_cursor_are_those_of_the_traits<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let mut island = Island::new(&machine, Zone::High, 1);
    mapping(&machine, Zone::High, 2, |slot, other| {
        let mut cursor = Cursor::over(slot, &mut island.run);
        assert_eq!(cursor.skip(PAGE_SIZE - 2), PAGE_SIZE - 2);
        assert_eq!(cursor.write(&[1, 2, 3]), Ok(2));
        assert_eq!((cursor.write(&[]), cursor.write(&[3])), (Ok(0), Err(Error::NoRoom)));
        assert_eq!(cursor.write_all(&[3]).unwrap_err().kind(), ErrorKind::WriteZero);
        assert_eq!((cursor.flush(), cursor.skip(1)), (Ok(()), 0));
        assert_eq!(cursor.read(&mut [0]), Ok(0));
        assert_eq!(cursor.fill_buf(), Ok(&[][..]));
        drop(cursor);

        let mut cursor = Cursor::over(other, &island.run);
        let mut bytes = [0; 3];
        cursor.skip(PAGE_SIZE - 2);
        assert_eq!(cursor.read_exact(&mut bytes), Err(ReadExactError::UnexpectedEof));
        assert_eq!(bytes, [1, 2, 0]);
    });
}

fn more_must_not_be_consumed_than_was_lent<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let island = Island::new(&machine, Zone::High, 2);
    let message = panic_of(|| {
        mapping(&machine, Zone::High, 1, |slot, _| {
            let mut cursor = Cursor::over(slot, &island.run);
            cursor.skip(PAGE_SIZE - 1);
            assert_eq!(cursor.fill_buf().unwrap().len(), 1);
            cursor.consume(2);
        });
    });
    assert_eq!(message, "2 bytes are consumed of 1");
    assert_eq!(mapped(&machine), Vec::<&str>::new());
}

fn memory_that_others_write_is_copied_as_it_is_at_the_time<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let mut island = Island::new(&machine, Zone::High, 2).share();
    mapping(&machine, Zone::High, 1, |slot, _| {
        let mut walk = SgWalk::new(slot, [Segment::new(&mut island.run, 10, 100).unwrap()]);
        let mut part = walk.next().unwrap();
        let mut bytes = [0; 4];
        machine.poke(Pfn::new(island.first).unwrap(), 106, &[9, 8, 7, 6]);
        assert_eq!(part.read_at(96, &mut bytes), Ok(()));
        assert_eq!(bytes, [9, 8, 7, 6]);
        assert_eq!(part.write_at(97, &[1, 2, 3]), Ok(()));
        let refused = Err(Error::OutOfBounds { offset: 97, len: 4, size: 100 });
        assert_eq!((part.read_at(97, &mut bytes), part.write_at(97, &bytes)), (refused, refused));
    });
    island.bytes[106..110].copy_from_slice(&[9, 1, 2, 3]);
    island.check(&machine);
}

fn the_total_length_is_checked<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let run = machine.alloc_run(Zone::High, nonzero(2));
    assert_eq!(sg_total_len(std::iter::empty::<Segment<&FrameRun<P>>>()), Some(0));
    // As many bytes as there can be, of a run that is not there.
    let largest = (usize::MAX / PAGE_SIZE).min((1_usize << P::PFN_BITS) - 1);
    // SAFETY: I5: exists only as numbers.
    let none = unsafe { highmem::FrameRun::<P>::from_pfns(Pfn::new(1).unwrap(), nonzero(largest)) }.unwrap();
    let times = usize::MAX / none.size();
    let list = |times| std::iter::repeat_with(|| Segment::whole(&none)).take(times);
    if times < 1 << 20 {
        assert_eq!(sg_total_len(list(times)), Some(times * none.size()));
        assert_eq!(sg_total_len(list(times + 1)), None);
    }
    assert_eq!(Segment::whole(&run).len(), 2 * PAGE_SIZE);
}

fn handlers_come_at_each_step_of_a_copy<P: Paging>() {
    let machine = Machine::<P>::with(Default::default());
    let (mut to, from) = (Island::new(&machine, Zone::High, 3), Island::new(&machine, Zone::High, 3));
    let mut other = machine.alloc_run(Zone::High, nonzero(2));
    let handled = Cell::new(0);
    machine.cpu(0).task(|task| {
        machine.cpu(0).interrupt_everywhere(
            |irq| {
                handled.set(handled.get() + 1);
                memset_run(irq.slots().irq0, &mut other, 4000, 3, 200).unwrap();
            },
            || {
                let mut atomic = task.atomic();
                let slots = atomic.slots();
                memcpy_run(slots.user1, (&mut to.run, 50), slots.user0, (&from.run, 4000), 5000).unwrap();
            },
        )
    });
    assert!(handled.get() > 12);
    to.bytes[50..5050].copy_from_slice(&from.bytes[4000..9000]);
    to.check(&machine);
    from.check(&machine);
}
