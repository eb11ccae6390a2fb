//! Each helper does what it says to the bytes of its pages, to no others, and asks no more of the processor than it has to: beside plain
//! arrays, on all kinds of pages.

mod model;

use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::sync::{Arc, Barrier};
use std::thread;

use highmem::copy::CopyBy;
use highmem::debug;
use highmem::linux::{Set, User0, User1};
use highmem::model::{Config, Counts, FRESH, Frame, Machine, ModelKernel, SharedFrame, Zone};
use highmem::ops::Error;
use highmem::page::{Memory, Writable};
use highmem::paging::Paging;
use highmem::{
    PAGE_SIZE, Page, PageBytes, Pfn, Slot, ViewError, clear_highpage, clear_user_highpage, copy_highpage,
    copy_mc_highpage, copy_mc_user_highpage, copy_user_highpage, kmap_atomic, memcpy_from_page, memcpy_page,
    memcpy_to_page, memset_page, memzero_page, zero_user_segments,
};
use model::{in_each_mode, panic_of, words_per_entry};
use proptest::prelude::*;
use proptest::sample::select;
use proptest::test_runner::{Config as Cases, RngSeed, TestRunner};

type K<P, const FORCE_MAP: bool> = ModelKernel<P, Set, FORCE_MAP>;
type Model<P, const FORCE_MAP: bool> = Machine<P, Set, FORCE_MAP>;

const DEBUG: bool = cfg!(feature = "debug");

in_each_mode!(
    helpers_do_what_plain_arrays_do,
    helpers_do_what_plain_arrays_do_at_each_boundary,
    helpers_do_it_by_other_instructions,
    each_helper_maps_and_unmaps_its_pages_once,
    a_copy_stops_where_memory_is_broken,
    a_frame_that_is_two_pages_is_copied_to_itself,
    handlers_that_copy_come_at_each_step_of_a_copy,
    no_increment_is_lost,
    an_update_that_panics_leaves_no_mapping,
    a_word_at_a_wrong_place_is_refused,
);

/// An operation, with its arguments but for slots and pages.
#[derive(Clone, Copy, Debug)]
enum Op {
    Clear { user: bool },
    Copy { user: bool },
    CopyMc { user: bool, whole: usize },
    Memcpy { to: usize, from: usize, len: usize },
    FromPage { offset: usize, len: usize },
    ToPage { offset: usize, len: usize },
    Set { offset: usize, byte: u8, len: usize },
    Zero { offset: usize, len: usize },
    Segments { first: (usize, usize), second: (usize, usize) },
}

/// No buffer is longer than this.
const LONGEST: usize = PAGE_SIZE + 2;

impl Op {
    /// Does it. Gives how many bytes are left, of those that have such a result.
    fn run<P, const F: bool>(
        self,
        (from_slot, from): (Slot<'_, K<P, F>, User0>, impl Page<Paging = P, Access: Memory>),
        (to_slot, to): (Slot<'_, K<P, F>, User1>, impl Page<Paging = P, Access: Memory + Writable>),
        buffer: &mut [u8],
    ) -> Result<usize, Error>
    where
        P: Paging,
    {
        match self {
            Self::Clear { user: false } => clear_highpage(to_slot, to),
            Self::Clear { user: true } => clear_user_highpage(to_slot, to),
            Self::Copy { user: false } => copy_highpage(to_slot, to, from_slot, from),
            Self::Copy { user: true } => copy_user_highpage(to_slot, to, from_slot, from),
            Self::CopyMc { user: false, .. } => return Ok(copy_mc_highpage(to_slot, to, from_slot, from)),
            Self::CopyMc { user: true, .. } => return Ok(copy_mc_user_highpage(to_slot, to, from_slot, from)),
            Self::Memcpy { to: at, from: from_at, len } => {
                memcpy_page(to_slot, (to, at), from_slot, (from, from_at), len)?;
            }
            Self::FromPage { offset, len } => memcpy_from_page(&mut buffer[..len], from_slot, from, offset)?,
            Self::ToPage { offset, len } => memcpy_to_page(to_slot, to, offset, &buffer[..len])?,
            Self::Set { offset, byte, len } => memset_page(to_slot, to, offset, byte, len)?,
            Self::Zero { offset, len } => memzero_page(to_slot, to, offset, len)?,
            Self::Segments { first, second } => zero_user_segments(to_slot, to, first.0..first.1, second.0..second.1)?,
        }
        Ok(0)
    }

    /// Does it to arrays.
    fn plain(self, from: &PageBytes, to: &mut PageBytes, buffer: &mut [u8]) -> Result<usize, Error> {
        /// The bytes, as numbers that cannot overflow.
        fn part(bytes: &mut [u8], offset: usize, len: usize) -> Result<&mut [u8], Error> {
            let fits = offset as u128 + len as u128 <= PAGE_SIZE as u128;
            if fits {
                Ok(&mut bytes[offset..][..len])
            } else {
                Err(Error::OutOfBounds { offset, len, size: PAGE_SIZE })
            }
        }
        let mut from = *from;
        match self {
            Self::Clear { .. } => to.fill(0),
            Self::Copy { .. } => *to = from,
            Self::CopyMc { whole, .. } => {
                to[..whole].copy_from_slice(&from[..whole]);
                return Ok(PAGE_SIZE - whole);
            }
            Self::Memcpy { to: at, from: from_at, len } => {
                let target = part(to, at, len)?;
                target.copy_from_slice(part(&mut from, from_at, len)?);
            }
            Self::FromPage { offset, len } => buffer[..len].copy_from_slice(part(&mut from, offset, len)?),
            Self::ToPage { offset, len } => part(to, offset, len)?.copy_from_slice(&buffer[..len]),
            Self::Set { offset, byte, len } => part(to, offset, len)?.fill(byte),
            Self::Zero { offset, len } => part(to, offset, len)?.fill(0),
            Self::Segments { first, second } => {
                for (start, end) in [first, second] {
                    part(to, start, end.saturating_sub(start))?;
                }
                for (start, end) in [first, second] {
                    part(to, start, end.saturating_sub(start))?.fill(0);
                }
            }
        }
        Ok(0)
    }

    fn reads_page(self) -> bool {
        matches!(self, Self::Copy { .. } | Self::CopyMc { .. } | Self::Memcpy { .. } | Self::FromPage { .. })
    }

    fn writes_page(self) -> bool {
        !matches!(self, Self::FromPage { .. })
    }

    fn is_for_user_space(self) -> bool {
        matches!(self, Self::Clear { user: true } | Self::Copy { user: true } | Self::CopyMc { user: true, .. })
    }
}

/// A page of a machine, of either kind.
enum Any<P> {
    Owned(Frame<P>),
    Shared(SharedFrame<P>),
}

impl<P: Paging> Any<P> {
    fn pfn(&self) -> Pfn<P> {
        match self {
            Self::Owned(page) => page.pfn(),
            Self::Shared(page) => page.pfn(),
        }
    }

    fn put<const F: bool>(&mut self, slot: Slot<'_, K<P, F>, User0>, bytes: &PageBytes) {
        match self {
            Self::Owned(page) => kmap_atomic(slot, page).copy_from_slice(bytes),
            Self::Shared(page) => kmap_atomic(slot, page).write_at(0, bytes).expect("it is a page"),
        }
    }
}

/// A page between two others, which nobody touches: their frames are the next ones.
struct Between<P> {
    page: Any<P>,
    neighbours: [Frame<P>; 2],
}

impl<P: Paging> Between<P> {
    fn new<const F: bool>(machine: &Model<P, F>, zone: Zone, shared: bool) -> Self {
        let [one, page, other] = [(); 3].map(|()| machine.alloc(zone));
        let numbers = [&one, &page, &other].map(|frame| frame.pfn().number());
        assert_eq!([numbers[0].abs_diff(numbers[1]), numbers[1].abs_diff(numbers[2])], [1, 1], "frames in a row");
        let page = if shared { Any::Shared(page.share()) } else { Any::Owned(page) };
        Self { page, neighbours: [one, other] }
    }

    fn check<const F: bool>(&self, machine: &Model<P, F>) {
        for neighbour in &self.neighbours {
            assert_eq!(machine.peek(neighbour.pfn()), [FRESH; PAGE_SIZE], "the neighbour was written");
        }
    }
}

/// A machine with pages of all kinds to copy from and to, and one that stands in the slot behind those of the helpers.
struct World<P: Paging, const F: bool> {
    machine: Model<P, F>,
    from: Vec<Between<P>>,
    to: Vec<Between<P>>,
    behind: Frame<P>,
}

/// How many kinds of pages there are.
const KINDS: usize = 4;

impl<P: Paging, const F: bool> World<P, F> {
    fn new(copy_by: CopyBy) -> Self {
        let machine = Model::with(Config { copy_by, ..Config::default() });
        let pages = || {
            let kinds = [(Zone::High, false), (Zone::High, true), (Zone::Low, false), (Zone::Low, true)];
            kinds.map(|(zone, shared)| Between::new(&machine, zone, shared)).into_iter().collect()
        };
        let (from, to, behind) = (pages(), pages(), machine.alloc(Zone::High));
        Self { from, to, behind, machine }
    }

    /// Runs an operation beside plain arrays.
    fn check(&mut self, op: Op, from: usize, to: usize, seed: u8) {
        let Self { machine, from: froms, to: tos, behind } = self;
        let (from, to) = (&mut froms[from], &mut tos[to]);
        let (from_bytes, mut to_bytes) = (pattern(seed), pattern(!seed));
        let mut buffer: Vec<u8> = pattern(seed ^ 0x55).into_iter().cycle().take(LONGEST).collect();
        let mut plain_buffer = buffer.clone();
        let high = |page: &Any<P>| F || page.pfn().address() >= Config::default().lowmem;
        let maps = usize::from(op.reads_page() && high(&from.page)) + usize::from(op.writes_page() && high(&to.page));

        let (result, counts) = machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            from.page.put(slots.user0.reborrow(), &from_bytes);
            to.page.put(slots.user0.reborrow(), &to_bytes);
            if let Op::CopyMc { whole, .. } = op {
                machine.poison(from.page.pfn(), whole);
            }
            // Whoever goes past the end of the second slot writes here; past the end of the first, nothing is mapped, or the other page.
            let behind = kmap_atomic(slots.pte0, &mut *behind);
            let (user0, user1) = (slots.user0, slots.user1);
            let done = machine.cpu(0).count(|| match (&from.page, &mut to.page) {
                (Any::Owned(from), Any::Owned(to)) => op.run((user0, from), (user1, to), &mut buffer),
                (Any::Owned(from), Any::Shared(to)) => op.run((user0, from), (user1, to), &mut buffer),
                (Any::Shared(from), Any::Owned(to)) => op.run((user0, from), (user1, to), &mut buffer),
                (Any::Shared(from), Any::Shared(to)) => op.run((user0, from), (user1, to), &mut buffer),
            });
            assert_eq!(behind[..], [FRESH; PAGE_SIZE], "the page in the next slot was written");
            drop(behind);
            assert_eq!(debug::mappings::<K<P, F>>().count(), 0, "a slot is not empty");
            done
        });

        let expected = op.plain(&from_bytes, &mut to_bytes, &mut plain_buffer);
        assert_eq!(result, expected);
        assert!(machine.peek(to.page.pfn()) == to_bytes, "the target has other bytes");
        assert!(machine.peek(from.page.pfn()) == from_bytes, "the source was written");
        assert!(buffer == plain_buffer, "the buffer has other bytes");
        from.check(machine);
        to.check(machine);
        assert_eq!(counts, cost::<P>(op, if expected.is_ok() { maps } else { 0 }, expected.is_ok()));
        assert_eq!((machine.stale(), machine.faults()), (Vec::new(), Vec::new()));
    }
}

/// What an operation that maps so many pages may ask of the processor: each entry is looked at and written once, emptied once and flushed
/// once; what user space is to see is put before what follows.
fn cost<P: Paging>(op: Op, maps: usize, done: bool) -> Counts {
    Counts {
        loads: maps * if DEBUG { 2 } else { 1 },
        stores: 2 * maps * words_per_entry::<P>(),
        invlpg: maps,
        flush_all: 0,
        barriers: 2 * maps + usize::from(done && op.is_for_user_space()),
    }
}

/// Bytes that differ from their neighbours, and from those a word or two away.
fn pattern(seed: u8) -> PageBytes {
    std::array::from_fn(|at| (at % 251) as u8 ^ (at >> 8) as u8 ^ seed)
}

/// Where offsets and lengths go wrong, if they do.
const BOUNDARIES: [usize; 18] = [
    0,
    1,
    3,
    4,
    7,
    8,
    9,
    16,
    PAGE_SIZE / 2,
    PAGE_SIZE - 9,
    PAGE_SIZE - 8,
    PAGE_SIZE - 4,
    PAGE_SIZE - 1,
    PAGE_SIZE,
    PAGE_SIZE + 1,
    usize::MAX - PAGE_SIZE + 1,
    usize::MAX - 1,
    usize::MAX,
];

fn offsets() -> impl Strategy<Value = usize> {
    prop_oneof![1 => select(&BOUNDARIES[..]), 2 => 0..=PAGE_SIZE]
}

/// An offset and a length: mostly of bytes that are there.
fn spans() -> impl Strategy<Value = (usize, usize)> {
    prop_oneof![
        1 => (offsets(), offsets()),
        2 => (0..=PAGE_SIZE).prop_flat_map(|offset| (Just(offset), 0..=PAGE_SIZE - offset)),
        1 => (0..=PAGE_SIZE).prop_map(|offset| (offset, PAGE_SIZE - offset)),
        1 => (0..=PAGE_SIZE, 1..3_usize).prop_map(|(offset, more)| (offset, PAGE_SIZE - offset + more)),
    ]
}

/// The same, for a length that a buffer has.
fn short_spans() -> impl Strategy<Value = (usize, usize)> {
    spans().prop_map(|(offset, len)| (offset, len.min(LONGEST)))
}

fn ops() -> impl Strategy<Value = Op> {
    prop_oneof![
        1 => any::<bool>().prop_map(|user| Op::Clear { user }),
        1 => any::<bool>().prop_map(|user| Op::Copy { user }),
        2 => (any::<bool>(), 0..=PAGE_SIZE).prop_map(|(user, whole)| Op::CopyMc { user, whole }),
        4 => (spans(), offsets()).prop_map(|((from, len), to)| Op::Memcpy { to, from, len }),
        4 => (spans(), 0..=PAGE_SIZE).prop_map(|((to, len), from)| {
            Op::Memcpy { to, from: from.min(PAGE_SIZE.saturating_sub(len)), len }
        }),
        3 => short_spans().prop_map(|(offset, len)| Op::FromPage { offset, len }),
        3 => short_spans().prop_map(|(offset, len)| Op::ToPage { offset, len }),
        3 => (spans(), any::<u8>()).prop_map(|((offset, len), byte)| Op::Set { offset, byte, len }),
        2 => spans().prop_map(|(offset, len)| Op::Zero { offset, len }),
        3 => (offsets(), offsets(), offsets(), offsets())
            .prop_map(|(a, b, c, d)| Op::Segments { first: (a, b), second: (c, d) }),
    ]
}

fn helpers_do_what_plain_arrays_do<P: Paging>() {
    beside_plain_arrays::<P, false>(CopyBy::Words, 600);
    beside_plain_arrays::<P, true>(CopyBy::Words, 600);
}

fn helpers_do_it_by_other_instructions<P: Paging>() {
    beside_plain_arrays::<P, false>(CopyBy::Bytes, 300);
    beside_plain_arrays::<P, false>(CopyBy::NonTemporal, 300);
    at_each_boundary::<P>(CopyBy::Bytes);
    at_each_boundary::<P>(CopyBy::NonTemporal);
}

fn beside_plain_arrays<P: Paging, const F: bool>(by: CopyBy, cases: u32) {
    let world = std::cell::RefCell::new(World::<P, F>::new(by));
    let config = Cases { failure_persistence: None, rng_seed: RngSeed::Fixed(39899), cases, ..Cases::default() };
    let result = TestRunner::new(config).run(&(ops(), 0..KINDS, 0..KINDS, any::<u8>()), |(op, from, to, seed)| {
        world.borrow_mut().check(op, from, to, seed);
        Ok(())
    });
    if let Err(error) = result {
        panic!("{error}");
    }
}

fn helpers_do_what_plain_arrays_do_at_each_boundary<P: Paging>() {
    at_each_boundary::<P>(CopyBy::Words);
}

fn at_each_boundary<P: Paging>(by: CopyBy) {
    let mut world = World::<P, false>::new(by);
    let (mut kind, mut seed) = (0, 0_u8);
    for offset in BOUNDARIES {
        for len in BOUNDARIES {
            let short = len.min(LONGEST);
            let ops = [
                Op::Memcpy { to: offset, from: 0, len },
                Op::Memcpy { to: 0, from: offset, len },
                Op::Memcpy { to: offset, from: PAGE_SIZE.saturating_sub(len), len },
                Op::FromPage { offset, len: short },
                Op::ToPage { offset, len: short },
                Op::Set { offset, byte: 0x5a, len },
                Op::Zero { offset, len },
                Op::Segments { first: (offset, len), second: (len, offset) },
                Op::Segments { first: (0, 0), second: (offset, offset.wrapping_add(len)) },
            ];
            for op in ops {
                world.check(op, kind % KINDS, kind / KINDS % KINDS, seed);
                (kind, seed) = (kind + 1, seed.wrapping_add(37));
            }
        }
    }
}

fn each_helper_maps_and_unmaps_its_pages_once<P: Paging>() {
    const ONE_PAGE: [Op; 7] = [
        Op::Clear { user: false },
        Op::Clear { user: true },
        Op::FromPage { offset: 4000, len: 96 },
        Op::ToPage { offset: 4000, len: 96 },
        Op::Set { offset: 1, byte: 1, len: 4095 },
        Op::Zero { offset: 0, len: 0 },
        Op::Segments { first: (0, 9), second: (4000, 4096) },
    ];
    const TWO_PAGES: [Op; 5] = [
        Op::Copy { user: false },
        Op::Copy { user: true },
        Op::CopyMc { user: false, whole: PAGE_SIZE },
        Op::CopyMc { user: true, whole: 100 },
        Op::Memcpy { to: 4000, from: 9, len: 96 },
    ];
    fn of<P: Paging, const F: bool>() {
        let machine = Model::<P, F>::with(Config::default());
        for (zone, maps) in [(Zone::High, 1), (Zone::Low, usize::from(F))] {
            let (from, mut to) = (machine.alloc(zone), machine.alloc(zone));
            for (ops, maps) in [(&ONE_PAGE[..], maps), (&TWO_PAGES[..], 2 * maps)] {
                for &op in ops {
                    let counts = machine.cpu(0).task(|task| {
                        let mut atomic = task.atomic();
                        let slots = atomic.slots();
                        let pages = ((slots.user0, &from), (slots.user1, &mut to));
                        machine.cpu(0).count(|| op.run(pages.0, pages.1, &mut [0; LONGEST]).unwrap()).1
                    });
                    let (user, words) = (usize::from(op.is_for_user_space()), words_per_entry::<P>());
                    assert_eq!((counts.stores, counts.invlpg), (2 * maps * words, maps), "{op:?} in zone {zone:?}");
                    assert_eq!(counts.barriers, 2 * maps + user, "{op:?} in zone {zone:?}");
                }
            }
        }
    }
    of::<P, false>();
    of::<P, true>();
}

fn a_copy_stops_where_memory_is_broken<P: Paging>() {
    let machine = Model::<P, false>::with(Config::default());
    for zone in [Zone::High, Zone::Low] {
        let (mut from, mut to) = (machine.alloc(zone), machine.alloc(zone));
        let other = machine.alloc(zone);
        machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            kmap_atomic(slots.user0.reborrow(), &mut from).copy_from_slice(&pattern(1));
            for whole in [4096, 4095, 4089, 4088, 2048, 9, 8, 7, 1, 0, 4096] {
                kmap_atomic(slots.user0.reborrow(), &mut to).copy_from_slice(&pattern(2));
                machine.poison(from.pfn(), whole);
                machine.poison(other.pfn(), 0);
                let left = copy_mc_highpage(slots.user1.reborrow(), &mut to, slots.user0.reborrow(), &from);
                assert_eq!(left, PAGE_SIZE - whole);
                let bytes = machine.peek(to.pfn());
                assert_eq!((&bytes[..whole], &bytes[whole..]), (&pattern(1)[..whole], &pattern(2)[whole..]));
            }
            machine.poison(from.pfn(), 5);
        });
        // A frame that was given back is whole when it is handed out again.
        let pfn = from.pfn();
        drop(from);
        let from = machine.alloc(zone);
        assert_eq!(from.pfn(), pfn);
        machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            let slots = atomic.slots();
            assert_eq!(copy_mc_highpage(slots.user1, &mut to, slots.user0, &from), 0);
        });
        assert_eq!(machine.peek(to.pfn()), [FRESH; PAGE_SIZE]);
    }
    assert!(panic_of(|| machine.poison(Pfn::new(5).unwrap(), 0)).contains("is not in use"));
}

/// The same frame, as user space would have it twice.
fn twice<P: Paging>(page: &SharedFrame<P>) -> [highmem::SharedFrame<P>; 2] {
    // SAFETY: I5: others may write the frame, and it stays allocated as long as `page`, which its callers keep.
    [(); 2].map(|()| unsafe { highmem::SharedFrame::from_pfn(page.pfn()) })
}

fn a_frame_that_is_two_pages_is_copied_to_itself<P: Paging>() {
    let machine = Model::<P, false>::with(Config::default());
    for zone in [Zone::High, Zone::Low] {
        let page = machine.alloc(zone).share();
        let [from, mut to] = twice(&page);
        machine.poke(page.pfn(), 0, &pattern(1));
        machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            copy_highpage(slots.user1.reborrow(), &mut to, slots.user0.reborrow(), &from);
            assert_eq!(copy_mc_highpage(slots.user1.reborrow(), &mut to, slots.user0.reborrow(), &from), 0);
            assert_eq!(machine.peek(page.pfn()), pattern(1));
            // Apart, in one frame, by two mappings.
            memcpy_page(slots.user1, (&mut to, 1001), slots.user0, (&from, 3), 998).unwrap();
        });
        let mut expected = pattern(1);
        expected.copy_within(3..1001, 1001);
        assert_eq!(machine.peek(page.pfn()), expected);
    }
}

fn handlers_that_copy_come_at_each_step_of_a_copy<P: Paging>() {
    let machine = Model::<P, false>::with(Config::default());
    let [mut from, mut to, mut irq_from, mut irq_to] = [(); 4].map(|()| machine.alloc(Zone::High));
    machine.cpu(0).task(|task| {
        kmap_atomic(task.atomic().slots().user0, &mut from).copy_from_slice(&pattern(1));
        kmap_atomic(task.atomic().slots().user0, &mut irq_from).copy_from_slice(&pattern(2));
        let steps = machine.cpu(0).interrupt_everywhere(
            |irq| {
                let mut slots = irq.slots();
                clear_highpage(slots.irq1.reborrow(), &mut irq_to);
                copy_highpage(slots.irq1, &mut irq_to, slots.irq0, &irq_from);
                assert_eq!(machine.peek(irq_to.pfn()), pattern(2));
            },
            || {
                let mut atomic = task.atomic();
                let mut slots = atomic.slots();
                clear_user_highpage(slots.user1.reborrow(), &mut to);
                copy_user_highpage(slots.user1.reborrow(), &mut to, slots.user0, &from);
                assert_eq!(machine.peek(to.pfn()), pattern(1));
                zero_user_segments(slots.user1, &mut to, 0..5, 4000..4096).unwrap();
            },
        );
        assert!(steps > 20, "only {steps} steps");
    });
    assert_eq!((machine.stale(), machine.faults()), (Vec::new(), Vec::new()));
}

fn no_increment_is_lost<P: Paging + Send>() {
    const CPUS: usize = 4;
    /// With time for others to come in between, which have to be noticed.
    const SLOW: u32 = 400;
    /// As fast as can be: others come between the instructions of an exchange, if it has several.
    const FAST: u32 = 200_000;
    let machine = Model::<P, false>::with(Config { cpus: CPUS, ..Config::default() });
    let page = machine.alloc(Zone::High).share();
    machine.poke(page.pfn(), 0, &[0; PAGE_SIZE]);
    let all_have_begun = Barrier::new(CPUS);
    thread::scope(|scope| {
        for cpu in 0..CPUS {
            let (machine, [mut page, _], all_have_begun) = (&machine, twice(&page), &all_have_begun);
            scope.spawn(move || {
                machine.cpu(cpu).task(|task| {
                    let mut atomic = task.atomic();
                    let mut slots = atomic.slots();
                    all_have_begun.wait();
                    for _ in 0..SLOW {
                        let mut mapped = kmap_atomic(slots.user0.reborrow(), &mut page);
                        let increment = |word| {
                            thread::yield_now();
                            word + 1
                        };
                        mapped.fetch_update::<u32>(4092, increment).unwrap();
                        mapped.fetch_update::<u8>(7, |byte| byte.wrapping_add(1)).unwrap();
                    }
                    let mut mapped = kmap_atomic(slots.user0, &mut page);
                    all_have_begun.wait();
                    for _ in 0..FAST {
                        mapped.fetch_update::<u32>(2048, |word| word + 1).unwrap();
                    }
                });
            });
        }
    });
    let bytes = machine.peek(page.pfn());
    let word = |at: usize| u32::from_le_bytes(bytes[at..at + 4].try_into().unwrap());
    assert_eq!((word(4092), word(2048)), (CPUS as u32 * SLOW, CPUS as u32 * FAST));
    assert_eq!(bytes[7], (CPUS as u32 * SLOW) as u8);
    let others = bytes.iter().enumerate().filter(|(at, _)| *at != 7 && !(2048..2052).contains(at) && *at < 4092);
    assert!(others.into_iter().all(|(_, &byte)| byte == 0), "other bytes were written");
}

fn an_update_that_panics_leaves_no_mapping<P: Paging>() {
    let machine = Model::<P, true>::with(Config::default());
    let asked = Arc::new(AtomicUsize::new(0));
    for zone in [Zone::High, Zone::Low] {
        let mut page = machine.alloc(zone).share();
        machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            let mut slots = atomic.slots();
            let message = panic_of(|| {
                kmap_atomic(slots.user0.reborrow(), &mut page).fetch_update::<u16>(2, |_| {
                    asked.fetch_add(1, Relaxed);
                    panic!("in the update")
                })
            });
            assert_eq!(message, "in the update");
            assert_eq!(debug::mappings::<K<P, true>>().count(), 0);
        });
        assert_eq!(machine.peek(page.pfn()), [FRESH; PAGE_SIZE]);
    }
    assert_eq!(asked.load(Relaxed), 2);
    assert_eq!((machine.stale(), machine.faults()), (Vec::new(), Vec::new()));
}

fn a_word_at_a_wrong_place_is_refused<P: Paging>() {
    let machine = Model::<P, false>::with(Config::default());
    let mut page = machine.alloc(Zone::High).share();
    machine.cpu(0).task(|task| {
        let mut atomic = task.atomic();
        let slots = atomic.slots();
        let mut mapped = kmap_atomic(slots.user0, &mut page);
        for offset in 0..=PAGE_SIZE + 8 {
            // Were it done, a part of it would be in the next page, where nothing is mapped.
            let expected = match offset {
                4093.. => Err(ViewError::OutOfBounds { offset }),
                _ if offset % 4 != 0 => Err(ViewError::Misaligned { offset }),
                _ => Ok(Ok(0xaaaa_aaaa)),
            };
            assert_eq!(mapped.compare_exchange::<u32>(offset, 0xaaaa_aaaa, 0xaaaa_aaaa), expected);
            assert_eq!(mapped.fetch_update::<u32>(offset, |word| word), expected.map(|word| word.unwrap()));
        }
    });
    assert_eq!(machine.peek(page.pfn()), [FRESH; PAGE_SIZE]);
    assert_eq!(machine.faults(), []);
}
