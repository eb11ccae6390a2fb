//! User memory that may fault, on the model: what is copied is what a plain array says, however far it is there; and nobody sleeps who
//! must not.

mod model;

use std::ops::Range;

use highmem::kernel::{Faults, UserKernel};
use highmem::linux::Set;
use highmem::model::{Machine, ModelKernel, UserFaults, UserPage, Zone};
use highmem::paging::Paging;
use highmem::user::{
    Error, UserReader, UserSlice, UserWriter, copy_from_user, copy_from_user_inatomic, copy_page_from_user,
    copy_page_to_user, copy_to_user, copy_to_user_inatomic, get_user, put_user,
};
use highmem::{PAGE_SIZE, Page, Task, kmap, kmap_atomic, ops};
use model::{in_each_mode, panic_of};
use proptest::prelude::*;
use proptest::test_runner::{Config as Runs, RngAlgorithm, TestRng, TestRunner};

type K<P> = ModelKernel<P>;
type Model<P> = Machine<P, Set>;

in_each_mode!(
    copies_are_those_of_plain_arrays,
    what_is_left_is_exact_around_the_end_of_a_page,
    a_page_is_filled_from_pages_that_do_not_stay,
    a_page_is_copied_to_pages_that_do_not_stay,
    pages_go_away_at_each_step_and_come_back,
    pages_go_away_at_each_step_for_good,
    a_value_is_read_once,
    a_handler_takes_what_is_there,
    who_must_not_sleep_and_has_faults_handled_is_found_out,
    ranges_that_do_not_fit_are_refused_before_anything_is_copied,
);

/// Where the process has its pages: the last of them ends where user memory does.
const PAGES: usize = 4;
fn base<P: Paging>() -> usize {
    <K<P> as UserKernel>::USER_END - PAGES * PAGE_SIZE
}

fn slice<P: Paging>(offset: usize, len: usize) -> UserSlice<K<P>> {
    UserSlice::new(base::<P>() + offset, len).expect("it is user memory")
}
fn reader<P: Paging>(offset: usize, len: usize) -> UserReader<K<P>> {
    slice::<P>(offset, len).reader()
}
fn writer<P: Paging>(offset: usize, len: usize) -> UserWriter<K<P>> {
    slice::<P>(offset, len).writer()
}

/// A byte of user memory, and one of a page of the kernel's, at first.
fn user_byte(at: usize) -> u8 {
    (at % 251) as u8
}
fn kernel_byte(at: usize) -> u8 {
    (at % 241) as u8 ^ 0x80
}

/// The process has these pages; `None` is one that it has not.
fn map<P: Paging>(machine: &Model<P>, kinds: &[Option<UserPage>]) {
    for (page, kind) in kinds.iter().enumerate() {
        let addresses = base::<P>() + page * PAGE_SIZE..base::<P>() + (page + 1) * PAGE_SIZE;
        machine.user().unmap(addresses.clone());
        if let &Some(kind) = kind {
            machine.user().map(addresses.clone(), kind);
            let bytes: Vec<u8> = (page * PAGE_SIZE..).take(PAGE_SIZE).map(user_byte).collect();
            machine.user().write(addresses.start, &bytes);
        }
    }
}

/// Where bytes of the kernel's are.
#[derive(Clone, Copy, Debug)]
enum Place {
    Buffer,
    SharedInASlot,
    OwnedInASlot,
    SharedInThePool,
    OfAPage,
}

/// A copy.
#[derive(Clone, Debug)]
struct Copy {
    to_user: bool,
    sleeps: bool,
    place: Place,
    zone: Zone,
    at: usize,
    user_at: usize,
    len: usize,
    pages: Vec<Option<UserPage>>,
}

impl Copy {
    /// Whether faults are handled.
    fn may_sleep(&self) -> bool {
        match self.place {
            Place::Buffer => self.sleeps,
            Place::SharedInASlot | Place::OwnedInASlot => false,
            Place::SharedInThePool => self.sleeps,
            Place::OfAPage => true,
        }
    }

    /// How many bytes a plain account copies: up to the first page that is not to be had.
    fn copied(&self) -> usize {
        let can_be_had = |kind: Option<UserPage>| match kind {
            Some(UserPage::Present) => true,
            Some(UserPage::ReadOnly) => !self.to_user,
            Some(UserPage::OnDemand | UserPage::Fleeting) => self.may_sleep(),
            None => false,
        };
        (0..self.len).find(|at| !can_be_had(self.pages[(self.user_at + at) / PAGE_SIZE])).unwrap_or(self.len)
    }

    fn run<P: Paging>(&self, machine: &Model<P>) {
        map(machine, &self.pages);
        let before = machine.user().faults();
        let bytes: Vec<u8> = (0..PAGE_SIZE).map(kernel_byte).collect();
        let (mut from, mut to) = slice::<P>(self.user_at, self.len).reader_writer();
        let (result, after) =
            machine.cpu(0).task(|task| self.with_page(task, machine, bytes.clone(), &mut from, &mut to));

        let copied = self.copied();
        let expected = if copied == self.len { Ok(()) } else { Err(Error::Fault { left: self.len - copied }) };
        assert_eq!(result, expected);
        let left = if self.to_user { to.len() } else { from.len() };
        assert_eq!(left, self.len - copied, "it goes on behind what was copied");

        let mut expected = bytes;
        if !self.to_user {
            expected[self.at..][..copied].iter_mut().zip(self.user_at..).for_each(|(byte, at)| *byte = user_byte(at));
        }
        assert!(after == expected, "the kernel's bytes");
        for (at, _) in (0..).zip(&self.pages).filter(|(_, kind)| kind.is_some()) {
            let address = at * PAGE_SIZE;
            let expected = (address..address + PAGE_SIZE).map(|at| match at.checked_sub(self.user_at) {
                Some(written) if self.to_user && written < copied => kernel_byte(self.at + written),
                _ => user_byte(at),
            });
            assert!(machine.user().read(base::<P>() + address, PAGE_SIZE).into_iter().eq(expected), "user page {at}");
        }
        let faults = machine.user().faults();
        if !self.may_sleep() {
            assert_eq!(faults.handled, before.handled, "somebody has slept");
            assert_eq!(faults.refused - before.refused, usize::from(copied < self.len));
        }
    }

    /// The copy, with a page of the kernel's or a buffer that holds `bytes`; and what is in it then.
    fn with_page<P: Paging>(
        &self,
        task: &mut Task<'_, K<P>>,
        machine: &Model<P>,
        mut bytes: Vec<u8>,
        from: &mut UserReader<K<P>>,
        to: &mut UserWriter<K<P>>,
    ) -> (Result<(), Error>, Vec<u8>) {
        let at = self.at..self.at + self.len;
        let mut shared = machine.alloc(self.zone).share();
        let mut owned = machine.alloc(self.zone);
        machine.poke(shared.pfn(), 0, &bytes);
        kmap_atomic(task.atomic().slots().user0, &mut owned).copy_from_slice(&bytes);
        let result = match (self.place, self.to_user) {
            (Place::Buffer, false) if self.sleeps => copy_from_user(task, &mut bytes[at], from),
            (Place::Buffer, false) => copy_from_user_inatomic(&mut bytes[at], from),
            (Place::Buffer, true) if self.sleeps => copy_to_user(task, to, &bytes[at]),
            (Place::Buffer, true) => copy_to_user_inatomic(to, &bytes[at]),
            (Place::SharedInASlot, to_user) => {
                let mut atomic = task.atomic();
                let mut mapped = kmap_atomic(atomic.slots().user0, &mut shared);
                if to_user {
                    copy_to_user_inatomic(to, (&mapped, at))
                } else {
                    copy_from_user_inatomic((&mut mapped, at), from)
                }
            }
            (Place::OwnedInASlot, to_user) => {
                let mut atomic = task.atomic();
                let mut mapped = kmap_atomic(atomic.slots().user0, &mut owned);
                if to_user {
                    copy_to_user_inatomic(to, &mapped[at])
                } else {
                    copy_from_user_inatomic((&mut mapped, at), from)
                }
            }
            (Place::SharedInThePool, to_user) => {
                let (mut mapped, task) = kmap(task, &mut shared).expect("nobody gives up");
                match (to_user, self.sleeps) {
                    (true, true) => copy_to_user(task, to, (&mapped, at)),
                    (true, false) => copy_to_user_inatomic(to, (&mapped, at)),
                    (false, true) => copy_from_user(task, (&mut mapped, at), from),
                    (false, false) => copy_from_user_inatomic((&mut mapped, at), from),
                }
            }
            (Place::OfAPage, true) => copy_page_to_user(task, to, |atomic| atomic.slots().user0, &shared, at),
            (Place::OfAPage, false) => copy_page_from_user(task, |atomic| atomic.slots().user0, &mut shared, at, from),
        };
        let after = match self.place {
            Place::Buffer => bytes,
            Place::OwnedInASlot => machine.peek(owned.pfn()).to_vec(),
            Place::SharedInASlot | Place::SharedInThePool | Place::OfAPage => machine.peek(shared.pfn()).to_vec(),
        };
        (result, after)
    }
}

fn a_copy() -> impl Strategy<Value = Copy> {
    let place = prop_oneof![
        Just(Place::Buffer),
        Just(Place::SharedInASlot),
        Just(Place::OwnedInASlot),
        Just(Place::SharedInThePool),
        Just(Place::OfAPage),
    ];
    let page = prop_oneof![
        4 => Just(Some(UserPage::Present)),
        2 => Just(Some(UserPage::OnDemand)),
        2 => Just(Some(UserPage::Fleeting)),
        1 => Just(Some(UserPage::ReadOnly)),
        1 => Just(None),
    ];
    let zone = prop_oneof![Just(Zone::High), Just(Zone::Low)];
    // Close to the bounds of pages, or anywhere.
    let user_at = prop_oneof![
        (1..PAGES, -20..20_isize).prop_map(|(page, by)| (page * PAGE_SIZE).wrapping_add_signed(by)),
        0..PAGES * PAGE_SIZE,
    ];
    let len = prop_oneof![0..40_usize, 0..=PAGE_SIZE];
    let at = prop_oneof![Just(0), 0..PAGE_SIZE, Just(PAGE_SIZE)];
    let pages = proptest::collection::vec(page, PAGES);
    (any::<bool>(), any::<bool>(), place, zone, at, user_at, len, pages).prop_map(
        |(to_user, sleeps, place, zone, at, user_at, len, pages)| {
            let len = len.min(PAGE_SIZE - at).min(PAGES * PAGE_SIZE - user_at);
            Copy { to_user, sleeps, place, zone, at, user_at, len, pages }
        },
    )
}

/// The same copies each time.
fn copies_are_those_of_plain_arrays<P: Paging>() {
    let machine = Model::<P>::with(Default::default());
    let runs = Runs { cases: 1500, failure_persistence: None, ..Runs::default() };
    let mut runner = TestRunner::new_with_rng(runs, TestRng::deterministic_rng(RngAlgorithm::ChaCha));
    let run = |copy: Copy| {
        copy.run(&machine);
        Ok(())
    };
    runner.run(&a_copy(), run).unwrap_or_else(|error| panic!("{error}"));
}

fn what_is_left_is_exact_around_the_end_of_a_page<P: Paging>() {
    let machine = Model::<P>::with(Default::default());
    for next in [None, Some(UserPage::OnDemand), Some(UserPage::Present)] {
        for user_at in PAGE_SIZE - 6..PAGE_SIZE + 3 {
            for (len, place) in (0..12).flat_map(|len| [(len, Place::Buffer), (len, Place::SharedInASlot)]) {
                let pages = vec![Some(UserPage::Present), next, None, None];
                for to_user in [false, true] {
                    let (sleeps, zone, at, pages) = (false, Zone::High, PAGE_SIZE - len, pages.clone());
                    Copy { to_user, sleeps, place, zone, at, user_at, len, pages }.run(&machine);
                }
            }
        }
    }
}

/// The copy comes to an end although each page is gone again when it is looked at a second time.
fn a_page_is_filled_from_pages_that_do_not_stay<P: Paging>() {
    let machine = Model::<P>::with(Default::default());
    let pages = vec![Some(UserPage::Fleeting); PAGES];
    for user_at in [0, 1, PAGE_SIZE - 1, PAGE_SIZE + 2000] {
        let (to_user, sleeps, place, zone, at, len) = (false, true, Place::OfAPage, Zone::High, 0, PAGE_SIZE);
        let before = machine.user().faults();
        Copy { to_user, sleeps, place, zone, at, user_at, len, pages: pages.clone() }.run(&machine);
        let after = machine.user().faults();
        assert!((32..=34).contains(&(after.handled - before.handled)), "128 bytes with each page that is brought in");
    }
}

fn a_page_is_copied_to_pages_that_do_not_stay<P: Paging>() {
    let machine = Model::<P>::with(Default::default());
    let pages = vec![Some(UserPage::Fleeting); PAGES];
    for user_at in [0, 1, PAGE_SIZE - 1, PAGE_SIZE + 2000] {
        let (to_user, sleeps, place, zone, at, len) = (true, true, Place::OfAPage, Zone::High, 0, PAGE_SIZE);
        Copy { to_user, sleeps, place, zone, at, user_at, len, pages: pages.clone() }.run(&machine);
    }
}

/// Fills a page from two user pages, of which a handler does something at each step in turn.
fn at_each_step<P: Paging>(
    handler: impl Fn(&Model<P>, Range<usize>),
    check: impl Fn(Result<(), Error>, &[u8]),
) -> UserFaults {
    const AT: usize = PAGE_SIZE - 50;
    let machine = Model::<P>::with(Default::default());
    let mut page = machine.alloc(Zone::High).share();
    let (pfn, cpu) = (page.pfn(), machine.cpu(0));
    cpu.task(|task| {
        let steps = cpu.interrupt_everywhere(
            |_| handler(&machine, base::<P>()..base::<P>() + PAGES * PAGE_SIZE),
            || {
                map(&machine, &[Some(UserPage::Present); PAGES]);
                machine.poke(pfn, 0, &[0xee; PAGE_SIZE]);
                let mut from = reader::<P>(AT, 100);
                let result = copy_page_from_user(task, |atomic| atomic.slots().user0, &mut page, 0..100, &mut from);
                let bytes = machine.peek(pfn);
                let copied = match result {
                    Ok(()) => 100,
                    Err(Error::Fault { left }) => 100 - left,
                    Err(error) => panic!("{error}"),
                };
                assert_eq!(from.len(), 100 - copied);
                assert!(bytes[..copied].iter().copied().eq((AT..AT + copied).map(user_byte)));
                assert!(bytes[copied..].iter().all(|&byte| byte == 0xee), "the rest is untouched");
                check(result, &bytes);
            },
        );
        assert!(steps > 5, "{steps}");
    });
    machine.user().faults()
}

fn pages_go_away_at_each_step_and_come_back<P: Paging>() {
    let faults = at_each_step::<P>(
        |machine, pages| machine.user().map(pages, UserPage::OnDemand),
        |result, _| assert_eq!(result, Ok(())),
    );
    assert!(faults.handled > 0 && faults.refused > 0, "{faults:?}");
}

fn pages_go_away_at_each_step_for_good<P: Paging>() {
    let outcomes = std::cell::RefCell::new(Vec::new());
    at_each_step::<P>(|machine, pages| machine.user().unmap(pages), |result, _| outcomes.borrow_mut().push(result));
    let outcomes = outcomes.into_inner();
    for expected in [Ok(()), Err(Error::Fault { left: 50 }), Err(Error::Fault { left: 100 })] {
        assert!(outcomes.contains(&expected), "{outcomes:?}");
    }
}

/// What was checked stays so, whatever the process writes; and the place for an answer is another one.
fn a_value_is_read_once<P: Paging>() {
    let machine = Model::<P>::with(Default::default());
    map(&machine, &[Some(UserPage::OnDemand); PAGES]);
    // Over the end of a page, and not aligned.
    let at = PAGE_SIZE - 3;
    machine.user().write(base::<P>() + at, &[8, 0, 0, 0, 9, 0, 0, 0]);
    machine.cpu(0).task(|task| {
        let (mut from, mut to) = slice::<P>(at, 8).reader_writer();
        let len: u32 = get_user(task, &mut from).unwrap();
        machine.user().write(base::<P>() + at, &[0xff; 4]);
        let next: u32 = get_user(task, &mut from).unwrap();
        assert_eq!((len, next), (8, 9));
        assert_eq!(get_user::<u8, _>(task, &mut from), Err(Error::TooShort { len: 1, available: 0 }));
        put_user(task, &mut to, &0x0403_0201_u32).unwrap();
        assert_eq!(to.len(), 4);
    });
    assert_eq!(machine.user().read(base::<P>() + at, 8), [1, 2, 3, 4, 9, 0, 0, 0]);
    assert_eq!(machine.user().faults(), UserFaults { handled: 2, refused: 0 });

    // A value that is not whole is none, and the place stays.
    map(&machine, &[Some(UserPage::Present), None, None, None]);
    machine.cpu(0).task(|task| {
        let (mut from, mut to) = slice::<P>(at, 8).reader_writer();
        assert_eq!(get_user::<u64, _>(task, &mut from), Err(Error::Fault { left: 5 }));
        assert_eq!(put_user(task, &mut to, &7_u64), Err(Error::Fault { left: 5 }));
        assert_eq!((from.len(), to.len()), (8, 8));
    });
}

fn a_handler_takes_what_is_there<P: Paging>() {
    let machine = Model::<P>::with(Default::default());
    map(&machine, &[Some(UserPage::Present), Some(UserPage::OnDemand), None, None]);
    let mut page = machine.alloc(Zone::High);
    machine.cpu(0).interrupt_now(|irq| {
        let mut mapped = kmap_atomic(irq.slots().irq0, &mut page);
        let mut from = reader::<P>(PAGE_SIZE - 8, 16);
        assert_eq!(copy_from_user_inatomic((&mut mapped, 0..16), &mut from), Err(Error::Fault { left: 8 }));
        assert!(mapped[..8].iter().copied().eq((PAGE_SIZE - 8..PAGE_SIZE).map(user_byte)));
    });
    assert_eq!(machine.user().faults(), UserFaults { handled: 0, refused: 1 });
}

/// A kernel's own promise that is not true.
fn who_must_not_sleep_and_has_faults_handled_is_found_out<P: Paging>() {
    let machine = Model::<P>::with(Default::default());
    map(&machine, &[Some(UserPage::Present); PAGES]);
    let panic = panic_of(|| {
        machine.cpu(0).task(|task| {
            let _atomic = task.atomic();
            let mut byte = 0;
            // SAFETY: the byte is writable. That this thread may sleep is the lie.
            unsafe { K::<P>::copy_from_user(&raw mut byte, base::<P>(), 1, Faults::Handled) };
        });
    });
    assert_eq!(
        panic,
        "CPU 0 copies user memory with its faults handled, and is a thread, with preemption off, softirqs on and \
         interrupts on: it must not sleep"
    );
}

fn ranges_that_do_not_fit_are_refused_before_anything_is_copied<P: Paging>() {
    let machine = Model::<P>::with(Default::default());
    map(&machine, &[Some(UserPage::Present); PAGES]);
    let mut page = machine.alloc(Zone::High).share();
    let before = machine.peek(page.pfn());
    let out_of_page = |offset, len| Err(Error::OutOfPage(ops::Error::OutOfBounds { offset, len, size: PAGE_SIZE }));
    machine.cpu(0).task(|task| {
        let (mut from, mut to) = slice::<P>(0, 2 * PAGE_SIZE).reader_writer();
        for (at, expected) in [
            (PAGE_SIZE - 1..PAGE_SIZE + 1, out_of_page(PAGE_SIZE - 1, 2)),
            (0..PAGE_SIZE + 1, out_of_page(0, PAGE_SIZE + 1)),
            (1..usize::MAX, out_of_page(1, usize::MAX - 1)),
            (PAGE_SIZE + 1..PAGE_SIZE + 1, out_of_page(PAGE_SIZE + 1, 0)),
            (PAGE_SIZE..PAGE_SIZE, Ok(())),
            (Range { start: 7, end: 3 }, Ok(())),
        ] {
            assert_eq!(copy_page_from_user(task, user0, &mut page, at.clone(), &mut from), expected);
            assert_eq!(copy_page_to_user(task, &mut to, user0, &page, at.clone()), expected);
            let (mut mapped, _) = kmap(task, &mut page).unwrap();
            assert_eq!(copy_from_user_inatomic((&mut mapped, at.clone()), &mut from), expected);
            assert_eq!(copy_to_user_inatomic(&mut to, (&mapped, at)), expected);
        }
        assert_eq!((from.len(), to.len()), (2 * PAGE_SIZE, 2 * PAGE_SIZE));

        let mut short = reader::<P>(0, 3);
        let too_short = Err(Error::TooShort { len: 4, available: 3 });
        assert_eq!(copy_page_from_user(task, user0, &mut page, 0..4, &mut short), too_short);
        let mut short = writer::<P>(0, 3);
        assert_eq!(copy_page_to_user(task, &mut short, user0, &page, 0..4), too_short);
        assert_eq!(short.len(), 3);
    });
    assert_eq!(machine.peek(page.pfn()), before);
    assert_eq!(machine.user().faults(), UserFaults::default());
    let bytes = machine.user().read(base::<P>(), PAGES * PAGE_SIZE);
    assert!(bytes.into_iter().eq((0..PAGES * PAGE_SIZE).map(user_byte)));
}

/// The slot that is used.
fn user0<'a, P: Paging>(atomic: &'a mut highmem::Atomic<'_, K<P>>) -> highmem::Slot<'a, K<P>, highmem::linux::User0> {
    atomic.slots().user0
}
