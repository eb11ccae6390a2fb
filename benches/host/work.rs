//! What the benchmarks of the host measure: code of the crate that needs no hardware, on the model.
//!
//! The model does in software what a processor does in none of its instructions, so that the figures are no prices: they are for comparing
//! the crate with itself. What the crate costs on a processor is in `docs/hot-path.md`.

use std::hint::black_box;
use std::num::NonZero;

use highmem::model::{Frame, FrameRun, Machine, Zone};
use highmem::ops::{Segment, copy_highpage, memcpy_run, sg_copy_from_buffer};
use highmem::paging::Pae;
use highmem::{PAGE_SIZE, flush_unused, kmap, kmap_atomic};

/// How many pages a run has.
pub const PAGES: usize = 16;

/// The sizes of the pieces of a list, in bytes: less than a page, a page and a bit, and several pages.
const PIECES: [usize; 4] = [61, PAGE_SIZE, PAGE_SIZE + 13, 3 * PAGE_SIZE];

/// A machine, and memory of it.
pub struct Bench {
    /// The machine. Each benchmark has its own.
    pub machine: Machine<Pae>,
    page: Frame<Pae>,
    other: Frame<Pae>,
    from: FrameRun<Pae>,
    to: FrameRun<Pae>,
    list: Vec<Segment<FrameRun<Pae>>>,
    bytes: Vec<u8>,
}

impl Bench {
    /// A machine whose memory has been used once.
    pub fn new(zone: Zone) -> Self {
        let machine = Machine::<Pae>::new();
        let run = |pages: usize| machine.alloc_run(zone, NonZero::new(pages).expect("a run has a page"));
        let piece = |&len: &usize| Segment::new(run(len.div_ceil(PAGE_SIZE) + 1), 100, len).expect("it fits");
        let list: Vec<_> = PIECES.iter().map(piece).collect();
        let bytes = (0..PIECES.iter().sum()).map(|at: usize| (at * 7 / 3) as u8).collect();
        let [page, other] = [zone; 2].map(|zone| machine.alloc(zone));
        let (from, to) = (run(PAGES), run(PAGES));
        let mut bench = Self { page, other, from, to, list, bytes, machine };
        // The host gives memory at its first use.
        bench.atomic_pair();
        bench.copy_page();
        bench.copy_run();
        bench.fill_list();
        bench.kmap_hit();
        bench
    }

    /// A pair of `kmap_atomic`.
    pub fn atomic_pair(&mut self) {
        self.machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            black_box(kmap_atomic(atomic.slots().user0, &self.page)[0]);
        });
    }

    /// A pair of `kmap` on a page that the pool still has.
    pub fn kmap_hit(&mut self) {
        self.machine.cpu(0).task(|task| {
            let (mapped, _) = kmap(task, &self.page).expect("nobody gives up");
            black_box(mapped[0]);
        });
    }

    /// Pairs of `kmap` on such a page, on this CPU.
    pub fn kmap_hits(&self, cpu: usize, count: u64) {
        self.machine.cpu(cpu).task(|task| {
            for _ in 0..count {
                let (mapped, _) = kmap(task, &self.page).expect("nobody gives up");
                black_box(mapped[0]);
            }
        });
    }

    /// Has the pool forget all pages.
    pub fn forget(&mut self) {
        self.machine.cpu(0).task(|task| flush_unused(task));
    }

    /// `copy_highpage`.
    pub fn copy_page(&mut self) {
        self.machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            copy_highpage(slots.user0, &mut self.other, slots.user1, &self.page);
        });
    }

    /// A copy of [`PAGES`] pages that begins and ends within a page.
    pub fn copy_run(&mut self) {
        let len = (PAGES - 1) * PAGE_SIZE;
        self.machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            memcpy_run(slots.user0, (&mut self.to, 100), slots.user1, (&self.from, 3000), len).expect("it fits");
        });
    }

    /// Bytes from a buffer to a scatter list of four segments, nine pages.
    pub fn fill_list(&mut self) {
        self.machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            let copied = sg_copy_from_buffer(atomic.slots().user0, &mut self.list, &self.bytes);
            assert_eq!(copied, self.bytes.len());
        });
    }
}
