//! Do runs of frames, scatter lists and cursors do with real page tables what they do on the model? Needs memory above 4 GiB (6 GiB will
//! do), or without PAE, above lowmem.

#![no_std]
#![no_main]

extern crate alloc;

use alloc::vec;
use alloc::vec::Vec;
use core::num::NonZero;

use embedded_io::{BufRead, Read, Write};
use highmem::ops::{
    Cursor, Segment, SgWalk, memcpy_from_run, memcpy_run, memcpy_to_run, run_fill_tail, run_zero_tail, sg_copy,
    sg_pcopy_to_buffer, sg_total_len,
};
use highmem::page::ReadWrite;
use highmem::{Page, PageRun, Pfn, kmap_atomic};
use kernel::frames::{self, Frame, Zone};
use kernel::harness;
use kernel::kmap::{self, Task};

kernel::main!(run_tests);

fn run_tests(task: &mut Task<'_>) {
    harness::run_tests(
        task,
        &[
            ("a_run_is_its_frames", a_run_is_its_frames),
            ("a_tail_ends_with_the_run", a_tail_ends_with_the_run),
            ("a_copy_between_runs_keeps_to_them", a_copy_between_runs_keeps_to_them),
            ("a_list_is_copied_to_one_of_another_shape", a_list_is_copied_to_one_of_another_shape),
            ("a_walk_maps_one_page_at_a_time", a_walk_maps_one_page_at_a_time),
            ("a_cursor_keeps_its_page_between_calls", a_cursor_keeps_its_page_between_calls),
        ],
    )
}

const PAGE: usize = highmem::PAGE_SIZE;

type Paging = <Frame as Page>::Paging;

/// Frames of the allocator that follow one another.
struct Run(Vec<Frame>);

// SAFETY: I5, I6: the frames are this value's, and `Run::new` has looked whether they follow one another.
unsafe impl PageRun for Run {
    type Paging = Paging;
    type Access = ReadWrite;

    fn first(&self) -> Pfn<Paging> {
        self.0[0].pfn()
    }

    fn pages(&self) -> NonZero<usize> {
        NonZero::new(self.0.len()).expect("a run has a page")
    }
}

impl Run {
    /// Frames that have no address.
    fn new(pages: usize) -> Self {
        let zone = if Zone::Above4G.is_reachable() { Zone::Above4G } else { Zone::High };
        let mut others = Vec::new();
        loop {
            let first = frames::alloc(zone)
                .unwrap_or_else(|| panic!("no frames free in zone {zone}: start this with 6 GiB (--mem 6G)"));
            let number = first.pfn().number();
            let mut run = vec![first];
            run.extend((1..pages).map_while(|next| frames::alloc_at(number + next)));
            assert!(run.iter().enumerate().all(|(next, frame)| frame.pfn().number() == number + next));
            if run.len() == pages {
                return Self(run);
            }
            others.push(run);
        }
    }

    /// The bytes of the run, each frame mapped by itself.
    fn bytes(&self, task: &mut Task<'_>) -> Vec<u8> {
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        let mut bytes = Vec::new();
        for frame in &self.0 {
            bytes.extend_from_slice(&kmap_atomic(slots.user1.reborrow(), frame)[..]);
        }
        bytes
    }

    /// A run with bytes that differ from place to place, and what they are.
    fn filled(task: &mut Task<'_>, pages: usize, seed: usize) -> (Self, Vec<u8>) {
        let mut run = Self::new(pages);
        let bytes: Vec<u8> = (0..pages * PAGE).map(|at| (at * 31 + at / PAGE * 7 + seed) as u8).collect();
        let mut atomic = task.atomic();
        let mut slots = atomic.slots();
        for (frame, bytes) in run.0.iter_mut().zip(bytes.chunks(PAGE)) {
            kmap_atomic(slots.user0.reborrow(), frame).copy_from_slice(bytes);
        }
        (run, bytes)
    }
}

/// How many slots have a page.
fn mapped() -> usize {
    kmap::slots().filter(|&(_, address)| kmap::entry(address) != 0).count()
}

fn a_run_is_its_frames(task: &mut Task<'_>) {
    let (mut run, mut bytes) = Run::filled(task, 3, 1);
    let mut found = vec![0; PAGE + 2];
    memcpy_from_run(&mut found, task.atomic().slots().user0, &run, PAGE - 1).expect("within the run");
    assert!(found == bytes[PAGE - 1..][..PAGE + 2]);

    let data = vec![0xe5; PAGE + 100];
    memcpy_to_run(task.atomic().slots().user0, &mut run, PAGE - 50, &data).expect("within the run");
    bytes[PAGE - 50..][..data.len()].copy_from_slice(&data);
    assert!(run.bytes(task) == bytes);
    assert!(memcpy_to_run(task.atomic().slots().user0, &mut run, 2 * PAGE, &data).is_err());
    assert!(run.bytes(task) == bytes);
    assert_eq!(mapped(), 0);
}

fn a_tail_ends_with_the_run(task: &mut Task<'_>) {
    let (mut run, mut bytes) = Run::filled(task, 3, 2);
    run_zero_tail(task.atomic().slots().user0, &mut run, 2 * PAGE + 1).expect("within the run");
    bytes[2 * PAGE + 1..].fill(0);
    assert!(run.bytes(task) == bytes);
    run_fill_tail(task.atomic().slots().user0, &mut run, 9, &[7; PAGE]).expect("within the run");
    bytes[9..9 + PAGE].fill(7);
    bytes[9 + PAGE..].fill(0);
    assert!(run.bytes(task) == bytes);
    assert_eq!(mapped(), 0);
}

fn a_copy_between_runs_keeps_to_them(task: &mut Task<'_>) {
    let (mut to, mut expected) = Run::filled(task, 4, 3);
    let (from, bytes) = Run::filled(task, 3, 4);
    for (to_offset, from_offset, len) in
        [(0, 0, 3 * PAGE), (1, PAGE - 1, 2 * PAGE), (2 * PAGE, 77, PAGE + 1), (5, 5, 0)]
    {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        memcpy_run(slots.user1, (&mut to, to_offset), slots.user0, (&from, from_offset), len).expect("within both");
        drop(atomic);
        expected[to_offset..][..len].copy_from_slice(&bytes[from_offset..][..len]);
        assert!(to.bytes(task) == expected, "{len} bytes from {from_offset} to {to_offset}");
    }
    assert!(from.bytes(task) == bytes);
    assert_eq!(mapped(), 0);
}

fn a_list_is_copied_to_one_of_another_shape(task: &mut Task<'_>) {
    let mut from = Vec::new();
    let mut bytes = Vec::new();
    for (pages, offset, len) in [(1, 4095, 1), (3, PAGE + 5, PAGE + 90), (2, 0, 2 * PAGE)] {
        let (run, found) = Run::filled(task, pages, offset);
        bytes.extend_from_slice(&found[offset..][..len]);
        from.push(Segment::new(run, offset, len).expect("within the run"));
    }
    assert_eq!(sg_total_len(&from), Some(bytes.len()));
    let mut to = [(4, 1000, 3 * PAGE), (1, 1, 500)]
        .map(|(pages, offset, len)| Segment::new(Run::new(pages), offset, len).expect("within the run"));
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    let copied = sg_copy(slots.user1, &mut to, slots.user0.reborrow(), &from, usize::MAX);
    assert_eq!(copied, bytes.len());
    let mut found = vec![0; bytes.len()];
    assert_eq!(sg_pcopy_to_buffer(&mut found, slots.user0, &to, 3), bytes.len());
    assert!(found[..bytes.len() - 3] == bytes[3..]);
    drop(atomic);
    assert_eq!(mapped(), 0);
}

fn a_walk_maps_one_page_at_a_time(task: &mut Task<'_>) {
    let (mut run, mut bytes) = Run::filled(task, 3, 5);
    let mut atomic = task.atomic();
    let segment = Segment::new(&mut run, 100, 2 * PAGE).expect("within the run");
    let mut walk = SgWalk::new(atomic.slots().user0, [segment]);
    let mut parts = 0;
    while let Some(mut part) = walk.next() {
        assert_eq!(mapped(), 1);
        part.iter_mut().for_each(|byte| *byte = !*byte);
        parts += 1;
    }
    assert_eq!((parts, mapped()), (3, 0));
    drop(walk);
    drop(atomic);
    bytes[100..][..2 * PAGE].iter_mut().for_each(|byte| *byte = !*byte);
    assert!(run.bytes(task) == bytes);
}

fn a_cursor_keeps_its_page_between_calls(task: &mut Task<'_>) {
    let (mut run, mut bytes) = Run::filled(task, 2, 6);
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    let mut cursor = Cursor::over(slots.user0.reborrow(), &mut run);
    assert_eq!(mapped(), 0);
    for at in (0..bytes.len()).step_by(16) {
        let mut word = [0; 8];
        cursor.read_exact(&mut word).expect("there is more");
        assert!(word == bytes[at..at + 8]);
        cursor.write_all(&word.map(|byte| byte ^ 0x55)).expect("there is room");
        assert_eq!(mapped(), usize::from((at + 16) % PAGE != 0), "at {at}");
    }
    assert!(cursor.fill_buf().expect("it does not fail").is_empty());
    drop(cursor);
    assert_eq!(mapped(), 0);
    drop(atomic);
    bytes.chunks_mut(16).for_each(|words| {
        let (from, to) = words.split_at_mut(8);
        from.iter().zip(to).for_each(|(from, to)| *to = from ^ 0x55);
    });
    assert!(run.bytes(task) == bytes);
}
