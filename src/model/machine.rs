//! The machine: turned on, asked for frames and CPUs, looked at, turned off.

use core::fmt;
use core::marker::PhantomData;
use core::num::NonZero;
use core::ptr::{self, NonNull};
use core::sync::atomic::Ordering::{Acquire, Relaxed, Release};
use core::sync::atomic::{AtomicBool, AtomicU8, AtomicUsize};
use core::time::Duration;
use std::collections::VecDeque;
use std::string::String;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::thread::{self, ThreadId};
use std::time::Instant;
use std::vec::Vec;

use rustix::fd::AsRawFd;
use rustix::fs::{MemfdFlags, memfd_create};
use rustix::io::pread;
use rustix::mm::{MapFlags, ProtFlags, mmap, munmap};
use typenum::{U4, Unsigned};

use super::cpu::{Cpu, Pending};
use super::fault::{self, Fault};
use super::kernel::{CPUS, ModelKernel, Parameters};
use super::layout;
use super::memory::{Frame, FrameRun, Memory, Zone};
use super::mmu::{self, Owner, Stale};
use super::pool::{ModelPool, PoolSize};
use super::tlb::Translation;
use super::user::{Process, UserMemory};
use crate::copy::{AtomicCopyBy, CopyBy};
use crate::fixmap::{notes_of_cpu, slots_of_cpu};
use crate::kernel::PoolKernel;
use crate::paging::{PAGE_SHIFT, PAGE_SIZE, Pae, Paging};
use crate::slot::KmTypes;
use crate::{PageBytes, Pfn, linux};

/// What a machine has.
///
/// ```
/// use highmem::model::{Config, Machine};
///
/// let machine = Machine::<highmem::paging::Long>::with(Config { memory: 1 << 40, ..Config::default() });
/// ```
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Config {
    /// How many CPUs: up to 8.
    pub cpus: usize,
    /// How many bytes of memory. What the paging mode has no frame numbers for is left out.
    pub memory: u64,
    /// How many of them, from the first, the direct map has.
    pub lowmem: u64,
    /// Whether entries may forbid execution: EFER.NXE.
    pub no_execute: bool,
    /// What [`Kernel::copy_by`](crate::Kernel::copy_by) is. The host's processor has to have it.
    pub copy_by: CopyBy,
    /// Whether what the feature `debug` reports to the kernel becomes a panic at once. It is in [`Machine::reports`] in any case.
    pub panic_on_report: bool,
}

impl Default for Config {
    /// Two CPUs, 8 GiB of memory, 16 MiB of them lowmem.
    fn default() -> Self {
        Self {
            cpus: 2,
            memory: 8 << 30,
            lowmem: 16 << 20,
            no_execute: true,
            copy_by: CopyBy::Words,
            panic_on_report: true,
        }
    }
}

/// A machine that is turned on until it is dropped. There is one in a process at a time: others wait for it.
///
/// `P` is the paging mode, `T` the set of slot types, `FORCE_MAP` is [`Kernel::FORCE_MAP`](crate::Kernel::FORCE_MAP), and `E` is how many entries the pool has
/// ([`PoolKernel::PoolEntries`]).
pub struct Machine<P: Paging = Pae, T: KmTypes = linux::Set, const FORCE_MAP: bool = false, E: PoolSize = U4> {
    inner: Arc<Inner>,
    kernel: Parameters<P, T, E>,
}

/// What frames keep alive, too.
pub(super) struct Inner {
    pub(super) memory: Memory,
    lowmem: usize,
    occupied: Vec<AtomicU8>,
    pending: Vec<Mutex<VecDeque<Pending>>>,
    signals: Vec<AtomicBool>,
    process: Mutex<Process>,
    /// How often somebody has woken those who wait.
    wakes: Mutex<u64>,
    woken: Condvar,
}

/// Who is a CPU.
const NOBODY: u8 = 0;
const A_THREAD: u8 = 1;
/// Another CPU, for as long as it takes to do something there.
const A_VISITOR: u8 = 2;

/// The machine that is turned on: who did it, and when it was dropped, if only frames are left of it.
struct Running {
    by: ThreadId,
    dropped: Option<Instant>,
}

static RUNNING: Mutex<Option<Running>> = Mutex::new(None);
static TURNED_OFF: Condvar = Condvar::new();

/// How long frames may outlive their machine, when another is to be turned on.
const PATIENCE: Duration = Duration::from_secs(5);

fn running() -> MutexGuard<'static, Option<Running>> {
    RUNNING.lock().unwrap_or_else(PoisonError::into_inner)
}

/// Waits until no machine is turned on, and then one is.
fn take_turn() {
    let mut running = running();
    while let Some(other) = &*running {
        match other.dropped {
            None if other.by == thread::current().id() => {
                drop(running);
                panic!("this thread has a machine already, and there is one at a time: drop it first");
            }
            Some(dropped) if dropped.elapsed() > PATIENCE => {
                drop(running);
                panic!("the machine before this one is gone, but frames of it are not: in a static, perhaps?");
            }
            _ => {}
        }
        running = TURNED_OFF.wait_timeout(running, PATIENCE / 10).unwrap_or_else(PoisonError::into_inner).0;
    }
    *running = Some(Running { by: thread::current().id(), dropped: None });
}

/// What [`Kernel`] asks the machine that runs.
pub(super) static LOWMEM_FRAMES: AtomicUsize = AtomicUsize::new(0);
pub(super) static NO_EXECUTE: AtomicBool = AtomicBool::new(false);
pub(super) static COPY_BY: AtomicCopyBy = AtomicCopyBy::new(CopyBy::Words);
pub(super) static PANIC_ON_REPORT: AtomicBool = AtomicBool::new(true);

/// Where the direct map has a frame.
pub(super) fn direct_map(pfn: usize) -> Option<NonNull<PageBytes>> {
    let address = layout::DIRECT_MAP + (pfn << PAGE_SHIFT);
    if pfn < LOWMEM_FRAMES.load(Relaxed) { NonNull::new(ptr::with_exposed_provenance_mut(address)) } else { None }
}

/// The frame that the direct map has at an address, if it is one of its.
fn frame_of_direct_map(address: usize) -> Option<usize> {
    let pfn = address.checked_sub(layout::DIRECT_MAP)? >> PAGE_SHIFT;
    (pfn < LOWMEM_FRAMES.load(Relaxed)).then_some(pfn)
}

impl Inner {
    fn new<K: PoolKernel>(config: Config) -> Self
    where
        K::Pool: ModelPool,
    {
        take_turn();
        let frames = (config.memory >> PAGE_SHIFT).min(1 << K::Paging::PFN_BITS) as usize;
        let low = ((config.lowmem >> PAGE_SHIFT) as usize).min(frames);
        let memory = Memory::new(frames, low);
        // SAFETY: `Inner` stops the MMU, and takes the file from the handler, before the memory is gone.
        let file = unsafe { memory.file() };
        fault::reserve();
        fault::set_memory(file.as_raw_fd());

        let (first_shared, first_of_pool, end) = layout::pages::<K::Paging>();
        let owner = |page: usize| match page {
            page if page < first_shared => Owner::Nobody,
            page if page < first_of_pool => Owner::All,
            page if page - first_of_pool < <K::PoolEntries as Unsigned>::USIZE => {
                Owner::OfPool { entry: page - first_of_pool }
            }
            _ => Owner::Nobody,
        };
        let mut owners: Vec<Owner> = (0..end).map(owner).collect();
        for cpu in 0..config.cpus {
            for (name, address) in slots_of_cpu::<K>(cpu).chain(notes_of_cpu::<K>(cpu)) {
                owners[(address - layout::BASE) >> PAGE_SHIFT] = Owner::OfSlot { cpu, name };
            }
        }
        mmu::start(mmu::Start {
            memory: file,
            frames: frames as u64,
            cpus: config.cpus,
            pool: K::Pool::power_on::<K>().first_entry(),
            entry_size: size_of::<<K::Paging as Paging>::Entry>(),
            no_execute: config.no_execute,
            pat: K::PAT.register(),
            owners,
        });

        let at = ptr::with_exposed_provenance_mut(layout::DIRECT_MAP);
        let (protection, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::SHARED | MapFlags::FIXED_NOREPLACE);
        if low > 0 {
            // SAFETY: nothing of the host's is replaced.
            let mapped = unsafe { mmap(at, low << PAGE_SHIFT, protection, flags, file, 0) };
            mapped.expect("the addresses of the direct map are free in this process");
        }
        LOWMEM_FRAMES.store(low, Relaxed);
        NO_EXECUTE.store(config.no_execute, Relaxed);
        assert!(
            config.copy_by.is_good_here() || config.copy_by == CopyBy::Bytes,
            "this processor has no {:?}",
            config.copy_by
        );
        COPY_BY.store(config.copy_by);
        PANIC_ON_REPORT.store(config.panic_on_report, Relaxed);

        let occupied = (0..config.cpus).map(|_| AtomicU8::new(NOBODY)).collect();
        let pending = (0..config.cpus).map(|_| Mutex::default()).collect();
        let signals = (0..config.cpus).map(|_| AtomicBool::new(false)).collect();
        let (wakes, woken) = (Mutex::new(0), Condvar::new());
        Self { memory, lowmem: low, occupied, pending, signals, process: Mutex::default(), wakes, woken }
    }

    pub(super) fn cpus(&self) -> usize {
        self.occupied.len()
    }

    /// How many of the `len` bytes at an address, which are mapped or in the direct map, come before the first that is broken.
    pub(super) fn whole(&self, address: usize, len: usize) -> usize {
        let mut at = 0;
        while at < len {
            let (address, offset) = (address + at, (address + at) % PAGE_SIZE);
            let mapped = || Some(mmu::with(|mmu| mmu.translation(address))?.pfn as usize);
            let Some(pfn) = frame_of_direct_map(address).or_else(mapped) else { break };
            let whole = self.memory.whole(pfn);
            if whole < PAGE_SIZE {
                return (at + whole.saturating_sub(offset)).min(len);
            }
            at += PAGE_SIZE - offset;
        }
        len
    }

    /// Whether nobody was CPU `cpu`; from now on, a thread is.
    pub(super) fn try_occupy(&self, cpu: usize) -> bool {
        loop {
            match self.occupied[cpu].compare_exchange(NOBODY, A_THREAD, Acquire, Relaxed) {
                // It does not stay.
                Err(A_VISITOR) => thread::yield_now(),
                result => break result.is_ok(),
            }
        }
    }

    /// Whether nobody was CPU `cpu`; until it is vacated, another CPU does something there.
    pub(super) fn try_visit(&self, cpu: usize) -> bool {
        self.occupied[cpu].compare_exchange(NOBODY, A_VISITOR, Acquire, Relaxed).is_ok()
    }

    pub(super) fn vacate(&self, cpu: usize) {
        self.occupied[cpu].store(NOBODY, Release);
    }

    /// The process that runs.
    pub(super) fn process(&self) -> MutexGuard<'_, Process> {
        self.process.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wakes(&self) -> MutexGuard<'_, u64> {
        self.wakes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// How often somebody has woken those who wait.
    pub(super) fn count_of_wakes(&self) -> u64 {
        *self.wakes()
    }

    /// Wakes those who wait.
    pub(super) fn wake(&self) {
        *self.wakes() += 1;
        self.woken.notify_all();
    }

    /// Sleeps for a moment, unless there were more than `wakes`.
    pub(super) fn doze(&self, wakes: u64) {
        let count = self.wakes();
        if *count == wakes {
            drop(self.woken.wait_timeout(count, Duration::from_millis(2)).unwrap_or_else(PoisonError::into_inner));
        }
    }

    /// Has the next wait on `cpu` end, or the one that lasts.
    pub(super) fn signal(&self, cpu: usize) {
        self.signals[cpu].store(true, Release);
        self.wake();
    }

    /// Whether the wait on `cpu` is to end; once.
    pub(super) fn take_signal(&self, cpu: usize) -> bool {
        self.signals[cpu].swap(false, Acquire)
    }

    /// Takes away what is pending on `cpu` and is of this kind.
    pub(super) fn take_away(&self, cpu: usize, is_meant: impl Fn(&Pending) -> bool) -> usize {
        let mut pending = self.pending(cpu);
        let before = pending.len();
        pending.retain(|pending| !is_meant(pending));
        before - pending.len()
    }

    fn pending(&self, cpu: usize) -> MutexGuard<'_, VecDeque<Pending>> {
        self.pending[cpu].lock().unwrap_or_else(PoisonError::into_inner)
    }

    pub(super) fn pend(&self, cpu: usize, pending: Pending) {
        self.pending(cpu).push_back(pending);
    }

    /// The first that is pending on `cpu` of those that can be served.
    pub(super) fn next_pending(&self, cpu: usize, can_be_served: impl Fn(&Pending) -> bool) -> Option<Pending> {
        let mut pending = self.pending(cpu);
        let at = pending.iter().position(can_be_served)?;
        pending.remove(at)
    }
}

impl Drop for Inner {
    fn drop(&mut self) {
        mmu::stop();
        fault::set_memory(-1);
        LOWMEM_FRAMES.store(0, Relaxed);
        if self.lowmem > 0 {
            let at = ptr::with_exposed_provenance_mut(layout::DIRECT_MAP);
            // SAFETY: I4: `new` mapped it, and no context is left that could have borrowed from it.
            unsafe { munmap(at, self.lowmem * PAGE_SIZE) }.expect("the direct map can be unmapped");
        }
        *running() = None;
        TURNED_OFF.notify_all();
    }
}

impl Machine {
    /// A machine with PAE, Linux's slot types, and [`Config::default`].
    ///
    /// # Panics
    /// As [`with`](Self::with).
    #[must_use = "the machine is turned off as soon as it is dropped"]
    pub fn new() -> Self {
        Self::with(Config::default())
    }
}

impl Default for Machine {
    fn default() -> Self {
        Self::new()
    }
}

impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> Machine<P, T, FORCE_MAP, E> {
    /// Turns a machine on. If there is one already, of another thread, waits until it is dropped.
    ///
    /// # Panics
    /// If this thread has one already, or frames of the last one are never freed; if `config.cpus` is 0 or more than 8; if
    /// the host has something at the addresses that the model needs, or not enough memory.
    #[must_use = "the machine is turned off as soon as it is dropped"]
    pub fn with(config: Config) -> Self {
        assert!((1..=CPUS).contains(&config.cpus), "a machine has 1 to {CPUS} CPUs, not {}", config.cpus);
        Self { inner: Arc::new(Inner::new::<ModelKernel<P, T, FORCE_MAP, E>>(config)), kernel: PhantomData }
    }

    pub(super) fn inner(&self) -> &Inner {
        &self.inner
    }

    /// CPU number `number`.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn cpu(&self, number: usize) -> Cpu<'_, P, T, FORCE_MAP, E> {
        let cpus = self.cpus();
        assert!(number < cpus, "there is no CPU {number}: the machine has {cpus}");
        Cpu::new(self, number)
    }

    /// How many CPUs there are.
    pub fn cpus(&self) -> usize {
        self.inner.occupied.len()
    }

    /// How many frames there are.
    pub fn frames(&self) -> usize {
        self.inner.memory.count()
    }

    /// A frame of this zone.
    ///
    /// # Panics
    /// When there is none left.
    pub fn alloc(&self, zone: Zone) -> Frame<P> {
        Frame::alloc(&self.inner, zone).unwrap_or_else(|| panic!("no frame is left in zone {zone:?}"))
    }

    /// Frames of this zone that follow one another, none of which was handed out before.
    ///
    /// # Panics
    /// When there are not so many left.
    pub fn alloc_run(&self, zone: Zone, pages: NonZero<usize>) -> FrameRun<P> {
        FrameRun::alloc(&self.inner, zone, pages)
            .unwrap_or_else(|| panic!("there is no run of {pages} frames left in {zone:?}"))
    }

    /// A frame of one's own choice.
    ///
    /// # Panics
    /// If it is in use, or beyond the end of memory.
    pub fn alloc_at(&self, pfn: Pfn<P>) -> Frame<P> {
        Frame::alloc_at(&self.inner, pfn.number())
            .unwrap_or_else(|| panic!("{pfn:?} is in use, or beyond the end of memory"))
    }

    /// How many frames are in use now.
    pub fn allocated(&self) -> usize {
        self.inner.memory.used()
    }

    /// The bytes of a frame, as a device would read them.
    ///
    /// # Panics
    /// If the frame is beyond the end of memory.
    pub fn peek(&self, pfn: Pfn<P>) -> PageBytes {
        self.inner.memory.peek(pfn.number())
    }

    /// Writes to a frame, as a device would: `bytes` at `at` bytes from its beginning.
    ///
    /// # Panics
    /// If the frame is not a [`SharedFrame`](super::SharedFrame): nobody writes to others' frames. If the bytes go over its end.
    pub fn poke(&self, pfn: Pfn<P>, at: usize, bytes: &[u8]) {
        self.inner.memory.poke(pfn.number(), at, bytes);
    }

    /// The memory of the process that runs.
    pub fn user(&self) -> UserMemory<'_> {
        UserMemory::new(&self.inner)
    }

    /// Breaks the memory of a frame, from byte `at` on: [`Kernel::copy_mc`](crate::Kernel::copy_mc) gets no further, as at a machine check.
    /// It is whole again when it is freed, or broken from [`PAGE_SIZE`] on.
    ///
    /// Any other access to a byte that is broken would end a real machine. Here it is not noticed.
    ///
    /// # Panics
    /// If the frame is not in use, or has no such byte.
    pub fn poison(&self, pfn: Pfn<P>, at: usize) {
        self.inner.memory.poison(pfn.number(), at);
    }

    /// One of the pages that all CPUs see: its address, and its entry, which maps nothing at first. For tests of what all CPUs have
    /// to flush: use [`Kernel::Machine`](crate::Kernel::Machine) on the entry.
    ///
    /// There is one address for all CPUs: as long as any has an old translation cached, the page shows what the oldest names, to all.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn shared_page(&self, number: usize) -> (usize, *mut P::Entry) {
        let (first_shared, first_of_pool, _) = layout::pages::<P>();
        assert!(number < first_of_pool - first_shared, "there is no shared page {number}");
        let page = first_shared + number;
        (layout::address(page), layout::entries().cast::<P::Entry>().wrapping_add(page))
    }

    /// The entry of the pool's page `number`, to be looked at; or to be written, with [`Kernel::Machine`](crate::Kernel::Machine), by a
    /// test of what all CPUs have to flush, on a machine whose pool nobody uses.
    ///
    /// # Panics
    /// If there are not so many.
    pub fn pool_entry(&self, number: usize) -> *mut P::Entry {
        assert!(number < E::USIZE, "there is no entry {number}: the pool has {}", E::USIZE);
        ModelKernel::<P, T, FORCE_MAP, E>::pool().first_entry().cast::<P::Entry>().wrapping_add(number)
    }

    /// What the CPU takes the page at an address for, if anything: not what the entry says, but what is cached.
    pub fn translation(&self, address: usize) -> Option<Translation> {
        mmu::with(|mmu| mmu.translation(address))
    }

    /// Reads eight bytes at an address of the window, or of the pages that all CPUs see; `None` if that faults, or if the address is
    /// another one, or not a multiple of 8. As Linux's `get_kernel_nofault()`, and what [`selftest`](fn@crate::selftest) asks for.
    pub fn try_read(&self, address: usize) -> Option<u64> {
        if layout::page(address).is_none() || !address.is_multiple_of(8) {
            return None;
        }
        // The host reads, and writes to a file: an access of our own could race with whoever has the page mapped.
        let file = memfd_create("highmem-model-read", MemfdFlags::CLOEXEC).expect("the host has memory files");
        let at = ptr::with_exposed_provenance(address);
        let mut bytes = [0; 8];
        // SAFETY: the host looks at the address, and says so if it cannot be read.
        let written = unsafe { libc::pwrite(file.as_raw_fd(), at, bytes.len(), 0) };
        let is_read = written == 8 && pread(&file, &mut bytes[..], 0) == Ok(bytes.len());
        is_read.then(|| u64::from_le_bytes(bytes))
    }

    /// All translations that are cached although their entry says something else, in any address space.
    pub fn stale(&self) -> Vec<Stale> {
        mmu::with(|mmu| mmu.stale(|_| true))
    }

    /// What went wrong so far; from now on it is forgotten, and no panic comes of it.
    pub fn faults(&self) -> Vec<Fault> {
        mmu::with(mmu::Mmu::take_faults)
    }

    /// What the feature `debug` reported to the kernel so far; from now on it is forgotten.
    pub fn reports(&self) -> Vec<String> {
        mmu::with(mmu::Mmu::take_reports)
    }
}

impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> Drop for Machine<P, T, FORCE_MAP, E> {
    fn drop(&mut self) {
        let faults = mmu::with(|mmu| mmu.tell(None));
        for pending in &self.inner.pending {
            pending.lock().unwrap_or_else(PoisonError::into_inner).clear();
        }
        if let Some(running) = &mut *running() {
            running.dropped = Some(Instant::now());
        }
        if let Some(faults) = faults.filter(|_| !thread::panicking()) {
            panic!("{faults}");
        }
    }
}

impl<P: Paging, T: KmTypes, const FORCE_MAP: bool, E: PoolSize> fmt::Debug for Machine<P, T, FORCE_MAP, E> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Machine({} CPUs, {:?})", self.cpus(), self.inner.memory)
    }
}
