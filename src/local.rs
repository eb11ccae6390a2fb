//! Local maps: pages mapped one under the other, in slots without names, by code that may be preempted and may sleep.
//!
//! In C, `kmap_local_page` takes the next slot of a stack, and `kunmap_local` the topmost one, whatever address it is given. So mappings
//! have to end in reverse order, and nothing says so but a comment: for years, `kunmap_local(source); kunmap_local(target);` was wrong where
//! the source had been mapped first. The topmost entry was cleared, and the other's translation flushed; what came next read and wrote
//! the wrong page (CVE-2025-39899). How deep the stack is, nobody knows until it is full, and the machine stops.
//!
//! The rule (I1, I2, I3): the slot of a mapping is its own until the mapping ends, whatever ends before or after; and while a task has
//! mappings, it stays on its CPU, which has none of them while another task runs there.
//!
//! The types say it: [`Local`] is a token whose depth is a number in its type, and so is its slot. [`kmap_local_page`] borrows it, and gives
//! a guard and the token of the next depth: as long as either lives, nobody gets another one of that depth. The order in which they end
//! does not matter. Past the last slot, it does not compile.
//!
//! ```
//! use highmem::{Frame, LocalKernel, Task, kmap_local_page};
//!
//! # fn wait_for_more<K>(_: &mut highmem::MaySleepHere<'_, K>) {}
//! fn copy<K: LocalKernel<TaskLevels = typenum::U2>>(
//!     task: &mut Task<'_, K>,
//!     to: &mut Frame<K::Paging>,
//!     from: &Frame<K::Paging>,
//! ) {
//!     let mut pinned = task.pinned();
//!     let (mut local, task) = pinned.local();
//!     let (from, mut local) = kmap_local_page(&mut local, from);
//!     let (mut to, _) = kmap_local_page(&mut local, to);
//!     to[..2048].copy_from_slice(&from[..2048]);
//!     wait_for_more(task);
//!     to[2048..].copy_from_slice(&from[2048..]);
//!     drop(from); // the first that was mapped
//!     to[4095] = 0;
//! }
//! ```
//!
//! # Contexts
//!
//! Each kind of context has slots of its own: a level. A task's ([`InTask`]) are used by the task that runs, with preemption on; those of the others
//! are those of the [context](crate::context) that makes them exclusive, as named slots are. So what an interrupt maps lies beside what the
//! interrupted task has mapped, and no stack pointer has to say where: [`Pinned::local`](crate::Pinned::local) and
//! [`HardIrq::local`](crate::HardIrq::local) and the like give tokens of depth 0 that are different types.
//!
//! A local slot is a slot: [`Local::slot`] and [`Local::split`] give a [`Slot`] for all that takes one, such as the
//! [operations](crate::ops).
//!
//! # Callees
//!
//! A function that maps takes a token of whatever depth, and says by [`Room`] how many levels it needs:
//!
//! ```
//! use highmem::local::{Depth, InTask, Local, Room};
//! use highmem::{Frame, LocalKernel, copy_highpage};
//!
//! fn duplicate<K: LocalKernel, D: Depth + Room<K, InTask, 2>>(
//!     local: &mut Local<'_, K, InTask, D>,
//!     to: &mut Frame<K::Paging>,
//!     from: &Frame<K::Paging>,
//! ) {
//!     let (slot, mut local) = local.split();
//!     copy_highpage(slot, to, local.slot(), from);
//! }
//! ```
//!
//! A recursive function that maps before it calls itself would need as many slots as it is deep, and does not compile.
//!
//! # Switches
//!
//! Each thread has a [`SaveArea`]. When another one is to run on the CPU, [`switch_out`] moves the thread's entries there, and flushes them;
//! [`switch_in`] puts them back. For a thread that is not [`Pinned`](crate::Pinned), either is one load and a branch. While a thread runs, the entries are the
//! truth, and there is no other; so mapping costs no more than with a named slot. A thread can be switched out between any two
//! instructions of a mapping: what is half written is saved half written, and an entry that is cleared but not yet flushed says so
//! ([`Paging::retire`]).

use core::marker::PhantomData;
use core::ops::Add;
use core::sync::atomic::AtomicU32;
use core::sync::atomic::Ordering::Relaxed;

use const_panic::concat_panic;
use typenum::consts::{U0, U1, U2, U3, U4, U5, U6, U7, U8, U9, U10, U11, U12, U13, U14, U15, U16};
use typenum::{B1, Const, IsLessOrEqual, LeEq, Sum, ToUInt, U, Unsigned};

use crate::atomic::{KmapAtomic, kmap_atomic, kunmap_atomic};
use crate::cache;
use crate::debug::{self, Report};
use crate::fixmap::Window;
use crate::kernel::{Kernel, LocalKernel};
use crate::machine::Machine;
use crate::page::{Access, DeviceMemory, Page, Pfn};
use crate::paging::{MemoryType, Paging};
use crate::slot::{Group, Invariant, KmType, Slot, StaysHere};
use crate::tlb::{self, PageAddress};
use crate::trace::{self, Switch};

/// The right to map pages at depth `D` and below, in the slots of level `L`.
///
/// It takes no memory. It cannot be made, copied or sent to another CPU; a [context](crate::context) hands that of depth 0 out, and a
/// mapping that of the next depth.
pub struct Local<'cx, K, L, D = U0> {
    _cpu: StaysHere,
    /// As long as the borrow of the context, or of the token above.
    context: PhantomData<&'cx mut ()>,
    types: Invariant<(K, L, D)>,
}

/// A page mapped by [`kmap_local_page`]; dropping it unmaps. It is what [`kmap_atomic`] gives, in another slot.
pub type KmapLocal<'cx, K, L, D, P> = KmapAtomic<'cx, K, LocalSlot<K, L, D>, P>;

/// What [`kmap_local_page`] gives: the page, mapped, and the token of the next depth.
pub type Mapped<'cx, K, L, D, P> = (KmapLocal<'cx, K, L, D, P>, Deeper<'cx, K, L, D>);

/// What [`Local::split`] gives: the slot of one depth, and the token of the next.
pub type Split<'cx, K, L, D> = (Slot<'cx, K, LocalSlot<K, L, D>>, Deeper<'cx, K, L, D>);

/// The token of the next depth.
pub type Deeper<'cx, K, L, D> = Local<'cx, K, L, <D as Depth>::Next>;

/// Maps `page` on this CPU, at the depth of `local`, and gives the token of the next depth. Linux: `kmap_local_page()`.
///
/// As with [`kmap_atomic`], a page of the direct map is not mapped a second time, unless [`Kernel::FORCE_MAP`].
#[inline]
#[track_caller]
pub fn kmap_local_page<'cx, K, L, D, P>(local: &'cx mut Local<'_, K, L, D>, page: P) -> Mapped<'cx, K, L, D, P>
where
    K: LocalKernel,
    L: Level<K>,
    D: Depth,
    P: Page<Paging = K::Paging>,
{
    let (slot, local) = local.split();
    (kmap_atomic(slot, page), local)
}

/// Maps a frame of which there is only the number, with the protection that `A` says ([`ReadWrite`](crate::page::ReadWrite),
/// [`Volatile`](crate::page::Volatile) and so on), cached as `C` says. Linux: `kmap_local_pfn()`, `kmap_local_page_prot()`.
///
/// ```
/// use highmem::local::{KmapLocal, KnownFrame, Local};
/// use highmem::page::{Uncached, VolatileReadOnly};
/// use highmem::{LocalKernel, Pfn, kmap_local_pfn};
///
/// # use highmem::local::{InTask, Depth};
/// /// # Safety
/// /// Nobody maps the frame otherwise.
/// unsafe fn peek<K: LocalKernel, D: Depth>(local: &mut Local<'_, K, InTask, D>, pfn: Pfn<K::Paging>) -> u32 {
///     // SAFETY: the caller's promise.
///     let (page, _) = unsafe { kmap_local_pfn::<VolatileReadOnly, Uncached, _, _, _>(local, pfn) };
///     page.load(0).unwrap()
/// }
/// ```
///
/// # Safety
/// The frame is one that may be a [`Page`] with this access and this memory type, until the guard is dropped.
#[inline]
#[track_caller]
pub unsafe fn kmap_local_pfn<'cx, A, C, K, L, D>(
    local: &'cx mut Local<'_, K, L, D>,
    pfn: Pfn<K::Paging>,
) -> Mapped<'cx, K, L, D, KnownFrame<K::Paging, A, C>>
where
    A: Access,
    C: Caching,
    K: LocalKernel,
    L: Level<K>,
    D: Depth,
{
    kmap_local_page(local, KnownFrame { pfn, types: PhantomData })
}

/// Unmaps, and gives back the slot and the page. Linux: `kunmap_local()`.
///
/// Takes nothing but the guard that [`kmap_local_page`] returned. The slot is that of the one depth: others may still be in use below it.
/// A page can be mapped there by [`kmap_atomic`].
#[inline]
pub fn kunmap_local<G, S, P>(guard: G) -> (S, P)
where
    G: LocalGuard<Slot = S, Page = P>,
{
    guard.unmap()
}

/// A mapping that [`kmap_local_page`] made, and [`kunmap_local`] ends. Sealed.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a local mapping, so it cannot be unmapped",
    label = "expected the guard that `kmap_local_page` returned",
    note = "keep the guard: `let (guard, local) = kmap_local_page(&mut local, page);`, and pass it here, or let it go out of scope",
    note = "the guard gives back both: `let (slot, page) = kunmap_local(guard);`",
    note = "what `kmap` has mapped is unmapped by `kunmap`"
)]
pub trait LocalGuard: sealed::LocalGuard {
    /// The token that comes back.
    type Slot;
    /// The page that comes back.
    type Page;

    #[doc(hidden)]
    fn unmap(self) -> (Self::Slot, Self::Page);
}

#[diagnostic::do_not_recommend]
impl<'cx, K: LocalKernel, L: Level<K>, D: Depth, P> LocalGuard for KmapLocal<'cx, K, L, D, P> {
    type Slot = Slot<'cx, K, LocalSlot<K, L, D>>;
    type Page = P;

    #[inline]
    fn unmap(self) -> (Self::Slot, P) {
        kunmap_atomic(self)
    }
}

impl<K: LocalKernel, L: Level<K>, D: Depth, P> sealed::LocalGuard for KmapLocal<'_, K, L, D, P> {}

/// What [`kmap_local_pfn`] maps.
#[derive(Debug)]
pub struct KnownFrame<M, A, C> {
    pfn: Pfn<M>,
    types: PhantomData<(A, C)>,
}

// SAFETY: I5, I6: whoever called `kmap_local_pfn` has promised it.
unsafe impl<M: Paging, A: Access, C: Caching> Page for KnownFrame<M, A, C> {
    type Paging = M;
    type Access = A;

    const MEMORY_TYPE: MemoryType = C::MEMORY_TYPE;

    #[inline]
    fn pfn(&self) -> Pfn<M> {
        self.pfn
    }
}

/// How a frame is cached: [`WriteBack`], or as [`DeviceMemory`] has it.
pub trait Caching: 'static {
    /// Which it is.
    const MEMORY_TYPE: MemoryType;
}

/// For ordinary memory.
#[derive(Debug)]
pub struct WriteBack;

impl Caching for WriteBack {
    const MEMORY_TYPE: MemoryType = MemoryType::WriteBack;
}

impl<C: DeviceMemory> Caching for C {
    const MEMORY_TYPE: MemoryType = C::MEMORY_TYPE;
}

impl<K, L, D> Local<'_, K, L, D> {
    /// # Safety
    /// No other token of this level, and of this depth or below, is live on this CPU in `'cx` (I1), and the value does not leave the CPU
    /// (I2).
    #[inline]
    pub(crate) const unsafe fn new() -> Self {
        Self { _cpu: StaysHere::NEW, context: PhantomData, types: PhantomData }
    }

    /// Lends the token.
    #[inline]
    pub const fn reborrow(&mut self) -> Local<'_, K, L, D> {
        // SAFETY: I1: `self` is borrowed, and so of no use, for as long as the new token lives.
        unsafe { Local::new() }
    }
}

impl<K: LocalKernel, L: Level<K>, D: Depth> Local<'_, K, L, D> {
    /// The slot of this depth, and the token of the next: for operations that want several slots.
    ///
    /// Does not compile where the kernel has no slot of this depth.
    #[inline]
    pub fn split(&mut self) -> Split<'_, K, L, D> {
        const { check::<K, L, D>() };
        // SAFETY: I1: this depth goes to the one, and what is below to the other; `self` is borrowed while either lives.
        unsafe { (Slot::new(), Local::new()) }
    }

    /// The slot of this depth, for one operation after the other.
    ///
    /// Does not compile where the kernel has no slot of this depth.
    #[inline]
    pub fn slot(&mut self) -> Slot<'_, K, LocalSlot<K, L, D>> {
        self.split().0
    }
}

/// I9. The kernel's numbers agree.
#[track_caller]
const fn check_kernel<K: LocalKernel>() {
    let (ours, kernels) = (Locals::of::<K>(), K::LOCALS);
    let mut level = 0;
    while level < LEVELS {
        if ours.0[level] != kernels.0[level] {
            panic!("`Kernel::LOCALS` is not `Locals::of::<Self>()`: there are no slots for local maps");
        }
        if ours.0[level] > MOST {
            concat_panic!("a kind of context can have up to ", MOST, " local maps, not ", ours.0[level]);
        }
        level += 1;
    }
    let (room, levels) = (<K::SaveArea as SaveLevels>::LEVELS, <K::TaskLevels as Unsigned>::USIZE);
    if room != levels {
        concat_panic!("`LocalKernel::SaveArea` has room for ", room, " local maps, and a task can have ", levels);
    }
}

/// I9. A slot of this depth exists.
#[track_caller]
const fn check<K: LocalKernel, L: Level<K>, D: Depth>() {
    check_kernel::<K>();
    if D::USIZE >= L::Levels::USIZE {
        concat_panic!(
            "local maps: this is the page at depth ",
            D::USIZE + 1,
            display: ", and the limit is ",
            L::Levels::USIZE,
            display: " (`LocalKernel::",
            display: L::LIMIT,
            display: "`): end mappings before this one, pass bytes in place of the token, or map inside the callee",
        );
    }
}

/// A depth: a number of `typenum`, 0 for the first page, up to 16.
pub trait Depth: Unsigned {
    /// The next one. That of 16 is 16: no level has so many slots, and what would go deeper without end gets so far in its errors.
    type Next: Depth;
}

/// As many slots as a level can have.
const MOST: usize = 16;

macro_rules! depths {
    ($depth:ident) => {
        impl Depth for $depth {
            type Next = $depth;
        }
    };
    ($depth:ident $next:ident $($rest:ident)*) => {
        impl Depth for $depth {
            type Next = $next;
        }
        depths!($next $($rest)*);
    };
}

depths!(U0 U1 U2 U3 U4 U5 U6 U7 U8 U9 U10 U11 U12 U13 U14 U15 U16);

/// Depths below which there is room for `N` more pages of level `L`: what a function asks for that maps so many.
pub trait Room<K, L, const N: usize>: Depth {}

impl<K, L, D, const N: usize> Room<K, L, N> for D
where
    K: LocalKernel,
    L: Level<K>,
    Const<N>: ToUInt,
    D: Depth + Add<U<N>, Output: IsLessOrEqual<L::Levels>>,
    LeEq<Sum<D, U<N>>, L::Levels>: Enough,
{
}

/// That a number is not above the limit. Sealed, for the sake of the message.
#[diagnostic::on_unimplemented(
    message = "there is no room for the local maps of this function: too many are live where it is called",
    label = "it says by `Room` how many levels it needs, and `LocalKernel` how many there are",
    note = "end mappings before the call, pass bytes in place of the token, or map inside the callee"
)]
pub trait Enough: sealed::Enough {}
impl Enough for B1 {}
impl sealed::Enough for B1 {}

/// A kind of context that has local maps of its own. Sealed.
pub trait Level<K>: sealed::Level + 'static {
    /// How many pages it can have mapped.
    type Levels: Unsigned;
}

macro_rules! levels {
    ($($(#[$meta:meta])* $name:ident: $number:literal, $levels:ident, $group:ident;)*) => {
        $(
            $(#[$meta])*
            #[derive(Debug)]
            pub struct $name;

            impl sealed::Level for $name {
                const NUMBER: usize = $number;
                const GROUP: Group = Group::$group;
                const LIMIT: &'static str = stringify!($levels);
            }

            impl<K: LocalKernel> Level<K> for $name {
                type Levels = K::$levels;
            }
        )*

        const GROUPS: [Group; LEVELS] = [$(Group::$group),*];
        const NAMES: [[&str; 9]; LEVELS] = [$(names!($name)),*];

        impl Locals {
            /// Those of a kernel.
            pub const fn of<K: LocalKernel>() -> Self {
                Self([$(<K::$levels as Unsigned>::USIZE),*])
            }
        }
    };
}

/// The names of the slots of a level. Those that are further down have the last one.
macro_rules! names {
    ($level:ident) => {
        [
            concat!("Local", stringify!($level), "0"),
            concat!("Local", stringify!($level), "1"),
            concat!("Local", stringify!($level), "2"),
            concat!("Local", stringify!($level), "3"),
            concat!("Local", stringify!($level), "4"),
            concat!("Local", stringify!($level), "5"),
            concat!("Local", stringify!($level), "6"),
            concat!("Local", stringify!($level), "7"),
            concat!("Local", stringify!($level), "8.."),
        ]
    };
}

const LEVELS: usize = 5;

levels! {
    /// A task that may be preempted: [`Pinned`](crate::Pinned).
    InTask: 0, TaskLevels, MigrationOff;
    /// A task that cannot: [`Atomic`](crate::Atomic).
    InAtomic: 1, AtomicLevels, PreemptionOff;
    /// A softirq, or a task that keeps them out: [`Softirq`](crate::Softirq), [`BhOff`](crate::BhOff).
    InSoftirq: 2, SoftirqLevels, SoftirqsOff;
    /// An interrupt handler, or who has interrupts off: [`HardIrq`](crate::HardIrq), [`IrqsOff`](crate::IrqsOff).
    InIrq: 3, IrqLevels, InterruptsOff;
    /// A non-maskable interrupt: [`Nmi`](crate::Nmi).
    InNmi: 4, NmiLevels, InNmi;
}

/// How many slots each CPU has for local maps: [`Kernel::LOCALS`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Locals([usize; LEVELS]);

impl Locals {
    /// A kernel without local maps.
    pub const NONE: Self = Self([0; LEVELS]);

    /// All of them.
    pub(crate) const fn count(self) -> usize {
        self.first(LEVELS)
    }

    /// How many there are before those of a level.
    const fn first(self, level: usize) -> usize {
        let (mut first, mut before) = (0, 0);
        while before < level {
            first += self.0[before];
            before += 1;
        }
        first
    }

    /// The level of a slot, and its depth there.
    fn find(self, slot: usize) -> (usize, usize) {
        let level = (0..LEVELS).rfind(|&level| self.first(level) <= slot && self.0[level] > 0).unwrap_or_default();
        (level, slot - self.first(level))
    }

    pub(crate) fn name(self, slot: usize) -> &'static str {
        let (level, depth) = self.find(slot);
        let names = NAMES[level];
        names[depth.min(names.len() - 1)]
    }

    pub(crate) fn group(self, slot: usize) -> Group {
        GROUPS[self.find(slot).0]
    }
}

/// The slot of a local map: as any [slot type](KmType), but for its place, which its depth says.
#[derive(Debug)]
pub struct LocalSlot<K, L, D>(Invariant<(K, L, D)>);

// SAFETY: I1: behind the named slots, each level has a part of its own, as long as `check` wants it to be; within it, the depth is the
// place. Each level belongs to one context.
unsafe impl<K: LocalKernel, L: Level<K>, D: Depth> KmType for LocalSlot<K, L, D> {
    type Set = K::KmTypes;
    type Index = D;
    const NAME: &'static str = {
        let names = NAMES[L::NUMBER];
        if D::USIZE < names.len() { names[D::USIZE] } else { names[names.len() - 1] }
    };
    const GROUP: Group = L::GROUP;
    const PLACE: usize = Window::<K>::NAMED + K::LOCALS.first(L::NUMBER) + D::USIZE;
}

/// Ends a mapping of a task that may be switched out before any of these steps, and others run: until its translation is forgotten, the
/// entry is not empty, so that [`switch_out`] forgets it, too (I3).
#[inline]
pub(crate) fn unmap<K: Kernel>(at: impl PageAddress) {
    let pte = Window::<K>::entry_of(at.address());
    // I10: no access to the page moves down across the store that makes it inaccessible.
    K::Machine::barrier();
    // SAFETY: I1: the caller had the slot's token. I4: no address of the mapping is left in use.
    unsafe {
        K::Paging::retire::<K::Machine>(pte);
        tlb::forget::<K>(at);
        K::Paging::release::<K::Machine>(pte);
    }
}

/// What a thread has mapped, while it does not run; and whether it has to stay on its CPU. A part of the kernel's own structure of
/// a thread, for a kernel whose [`LocalKernel::TaskLevels`] is `LEVELS`.
#[derive(Debug)]
pub struct SaveArea<const LEVELS: usize> {
    /// Not 0 if the thread has to stay.
    pinned: AtomicU32,
    /// Where it was switched out, if it has to stay.
    cpu: AtomicU32,
    /// The words of its entries.
    saved: [[AtomicU32; 2]; LEVELS],
}

impl<const LEVELS: usize> SaveArea<LEVELS> {
    /// That of a thread that begins.
    pub const fn new() -> Self {
        Self {
            pinned: AtomicU32::new(0),
            cpu: AtomicU32::new(0),
            saved: [const { [const { AtomicU32::new(0) }; 2] }; LEVELS],
        }
    }

    /// Makes it that of another thread, which begins.
    ///
    /// # Safety
    /// The thread that had it has ended, and is switched out.
    pub unsafe fn reset(&self) {
        let words = self.saved.iter().flatten();
        words.chain([&self.pinned, &self.cpu]).for_each(|word| word.store(0, Relaxed));
    }

    /// The CPU that the thread has to go on on, if it is switched out, and has to.
    #[inline]
    pub fn pinned_to(&self) -> Option<usize> {
        self.is_pinned().then(|| self.cpu.load(Relaxed) as usize)
    }

    #[inline]
    fn is_pinned(&self) -> bool {
        self.pinned.load(Relaxed) != 0
    }
}

impl<const LEVELS: usize> Default for SaveArea<LEVELS> {
    fn default() -> Self {
        Self::new()
    }
}

/// A [`SaveArea`]. Sealed.
pub trait SaveLevels: sealed::SaveLevels + Sync + 'static {
    /// For how many pages it has room.
    const LEVELS: usize;
}

impl<const LEVELS: usize> SaveLevels for SaveArea<LEVELS> {
    const LEVELS: usize = LEVELS;
}

impl<const LEVELS: usize> sealed::SaveLevels for SaveArea<LEVELS> {
    #[inline]
    fn pinned(&self) -> &AtomicU32 {
        &self.pinned
    }

    fn cpu(&self) -> &AtomicU32 {
        &self.cpu
    }

    fn saved(&self) -> &[[AtomicU32; 2]] {
        &self.saved
    }
}

/// A thread is to be switched out: takes its local maps off this CPU. Linux: `kmap_local_sched_out()`.
///
/// # Safety
/// As [`LocalKernel`] says.
#[inline]
pub unsafe fn switch_out<K: LocalKernel>(area: &K::SaveArea) {
    if sealed::SaveLevels::pinned(area).load(Relaxed) != 0 {
        save::<K>(area);
    }
}

/// A thread is switched in: puts its local maps back. Linux: `kmap_local_sched_in()`.
///
/// # Safety
/// As [`LocalKernel`] says.
#[inline]
pub unsafe fn switch_in<K: LocalKernel>(area: &K::SaveArea) {
    if sealed::SaveLevels::pinned(area).load(Relaxed) != 0 {
        restore::<K>(area);
    }
}

#[cold]
#[inline(never)]
fn save<K: LocalKernel>(area: &K::SaveArea) {
    const { check_kernel::<K>() };
    let cpu = K::cpu();
    sealed::SaveLevels::cpu(area).store(cpu as u32, Relaxed);
    K::Machine::barrier();
    for (depth, [low, high]) in sealed::SaveLevels::saved(area).iter().enumerate() {
        let (address, pte) = Window::<K>::place(cpu, Window::<K>::NAMED + depth);
        // SAFETY: I1: the thread whose token it is does not run. I3: before another one does, the entry is empty, and its translation is
        // forgotten: so is one that the thread has cleared, and was about to have forgotten.
        unsafe {
            let entry = K::Paging::save::<K::Machine>(pte);
            low.store(entry as u32, Relaxed);
            high.store((entry >> 32) as u32, Relaxed);
            if !K::Paging::is_empty::<K::Machine>(pte) {
                trace::switched::<K>(Switch::Out, Window::<K>::NAMED + depth, address, pte);
                cache::end_of_entry::<K>(address, pte);
                K::Paging::clear::<K::Machine>(pte);
                tlb::forget::<K>(address);
            }
        }
    }
}

#[cold]
#[inline(never)]
fn restore<K: LocalKernel>(area: &K::SaveArea) {
    const { check_kernel::<K>() };
    let cpu = K::cpu();
    let from = sealed::SaveLevels::cpu(area).load(Relaxed) as usize;
    if debug::ON && from != cpu {
        K::report(&Report::Moved { from, to: cpu });
    }
    for (depth, [low, high]) in sealed::SaveLevels::saved(area).iter().enumerate() {
        let (address, pte) = Window::<K>::place(cpu, Window::<K>::NAMED + depth);
        // SAFETY: I1: the thread whose token it is runs next. I3: what a thread that ran meanwhile has forgotten there is gone before the
        // entry is written.
        unsafe {
            if !K::Paging::is_empty::<K::Machine>(pte) {
                trace::unmapped_forgotten::<K>(Window::<K>::name(Window::<K>::NAMED + depth), address);
                cache::end_of_entry::<K>(address, pte);
                K::Paging::clear::<K::Machine>(pte);
                tlb::forget::<K>(address);
            }
            let entry = u64::from(high.load(Relaxed)) << 32 | u64::from(low.load(Relaxed));
            K::Paging::restore::<K::Machine>(pte, entry);
            cache::begin_of_entry::<K>(address, pte);
            trace::switched::<K>(Switch::In, Window::<K>::NAMED + depth, address, pte);
        }
    }
    K::Machine::barrier();
}

pub(crate) mod sealed {
    use core::sync::atomic::AtomicU32;
    use core::sync::atomic::Ordering::Relaxed;

    use crate::slot::Group;

    pub trait LocalGuard {}

    pub trait Enough {}

    pub trait Level {
        /// Its place among the levels.
        const NUMBER: usize;
        /// What makes its slots exclusive.
        const GROUP: Group;
        /// What of `LocalKernel` says how many slots it has.
        const LIMIT: &'static str;
    }

    pub trait SaveLevels {
        fn pinned(&self) -> &AtomicU32;
        fn cpu(&self) -> &AtomicU32;
        fn saved(&self) -> &[[AtomicU32; 2]];

        /// The thread has to stay where it is, from now on; or has to no longer. It is the only one that says so.
        #[inline]
        fn pin(&self) {
            self.pinned().store(1, Relaxed);
        }

        #[inline]
        fn unpin(&self) {
            self.pinned().store(0, Relaxed);
        }
    }
}
