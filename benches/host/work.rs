//! What the benchmarks of the host measure: code of the crate that needs no hardware, on the model.
//!
//! The model does in software what a processor does in none of its instructions, so that the figures are no prices: they are for comparing
//! the crate with itself. What the crate costs on a processor is in `docs/hot-path.md`.

use std::hint::black_box;
use std::num::NonZero;

use highmem::model::{Frame, FrameRun, Machine, ModelKernel, Zone};
use highmem::ops::{Segment, copy_highpage, memcpy_run, sg_copy_from_buffer};
use highmem::paging::Pae;
use highmem::{PAGE_SIZE, kmap, kmap_atomic};

/// A thread of the model.
pub type Task<'e> = highmem::Task<'e, ModelKernel<Pae>>;

/// How many pages a run has.
pub const PAGES: usize = 16;

/// The sizes of the pieces of a list, in bytes: less than a page, a page and a bit, and several pages.
const PIECES: [usize; 4] = [61, PAGE_SIZE, PAGE_SIZE + 13, 3 * PAGE_SIZE];

/// Memory of a machine, and what is done with it.
pub struct Work {
    page: Frame<Pae>,
    other: Frame<Pae>,
    from: FrameRun<Pae>,
    to: FrameRun<Pae>,
    list: Vec<Segment<FrameRun<Pae>>>,
    bytes: Vec<u8>,
}

impl Work {
    /// All of it has been done once: the host gives memory at its first use.
    pub fn new(machine: &Machine<Pae>, zone: Zone) -> Self {
        let run = |pages: usize| machine.alloc_run(zone, NonZero::new(pages).expect("a run has a page"));
        let piece = |&len: &usize| Segment::new(run(len.div_ceil(PAGE_SIZE) + 1), 100, len).expect("it fits");
        let list: Vec<_> = PIECES.iter().map(piece).collect();
        let bytes = (0..PIECES.iter().sum()).map(|at: usize| (at * 7 / 3) as u8).collect();
        let [page, other] = [zone; 2].map(|zone| machine.alloc(zone));
        let mut work = Self { page, other, from: run(PAGES), to: run(PAGES), list, bytes };
        machine.cpu(0).task(|task| {
            for step in [Self::atomic_pair, Self::copy_page, Self::copy_run, Self::shift_run, Self::fill_list] {
                step(&mut work, task);
            }
            work.kmap(task);
        });
        work
    }

    /// A pair of `kmap_atomic`.
    pub fn atomic_pair(&mut self, task: &mut Task<'_>) {
        let mut atomic = task.atomic();
        black_box(kmap_atomic(atomic.slots().user0, &self.page)[0]);
    }

    /// A pair of `kmap`: a hit, if the pool still has the page.
    pub fn kmap(&mut self, task: &mut Task<'_>) {
        self.kmap_of(task);
    }

    /// The same, of memory that other threads map at the same time.
    pub fn kmap_of(&self, task: &mut Task<'_>) {
        let (mapped, _) = kmap(task, &self.page).expect("nobody gives up");
        black_box(mapped[0]);
    }

    /// `copy_highpage`.
    pub fn copy_page(&mut self, task: &mut Task<'_>) {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        copy_highpage(slots.user0, &mut self.other, slots.user1, &self.page);
    }

    /// A copy of [`PAGES`] pages, one by one.
    pub fn copy_run(&mut self, task: &mut Task<'_>) {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        memcpy_run(slots.user0, (&mut self.to, 0), slots.user1, (&self.from, 0), PAGES * PAGE_SIZE).expect("it fits");
    }

    /// A copy of one page less, whose pages end elsewhere in the one run than in the other.
    pub fn shift_run(&mut self, task: &mut Task<'_>) {
        let len = (PAGES - 1) * PAGE_SIZE;
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        memcpy_run(slots.user0, (&mut self.to, 100), slots.user1, (&self.from, 3000), len).expect("it fits");
    }

    /// Bytes from a buffer to a scatter list of four segments, nine pages.
    pub fn fill_list(&mut self, task: &mut Task<'_>) {
        let mut atomic = task.atomic();
        let copied = sg_copy_from_buffer(atomic.slots().user0, &mut self.list, &self.bytes);
        assert_eq!(copied, self.bytes.len());
    }
}
