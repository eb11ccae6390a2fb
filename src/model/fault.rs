//! What went wrong on the machine: accesses that the hardware refuses, and stores that it may take amiss.
//!
//! A refused access is a `SIGSEGV` of the host. The handler notes it down, and puts a page there on which the access can go on: the
//! fault becomes a panic later, where unwinding is possible.

use core::fmt;
use core::mem::MaybeUninit;
use core::ptr;
use core::sync::atomic::{AtomicBool, AtomicI32, AtomicU64, AtomicUsize, Ordering};
use std::sync::Once;
use std::vec::Vec;

use rustix::fd::BorrowedFd;
use rustix::mm::{MapFlags, ProtFlags, mmap, mmap_anonymous};

use super::{cpu, layout};
use crate::paging::{PAGE_SHIFT, PAGE_SIZE};

/// Something that went wrong on the machine.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct Fault {
    /// What it is.
    pub what: What,
    /// The address, in the window or in the pages that all CPUs share.
    pub address: usize,
    /// The slot at that address and its CPU, if there is one.
    pub slot: Option<(&'static str, usize)>,
    /// The CPU that did it.
    pub cpu: usize,
}

/// The kinds of [`Fault`].
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
#[non_exhaustive]
pub enum What {
    /// A read where nothing is mapped: a use after unmap, or beyond the end of a page. It saw bytes 0xcc.
    Read,
    /// A write where nothing is mapped. It is lost.
    Write,
    /// A write through a read-only mapping. It is lost.
    WriteToReadOnly,
    /// A present entry was changed into another one: the processor may use either, or a mix (I10).
    ChangedWhilePresent {
        /// The entry before.
        from: u64,
        /// The entry after.
        to: u64,
    },
    /// A CPU wrote the entry of another CPU's slot, or one that belongs to no slot (I1).
    ForeignEntry,
    /// An entry names a frame beyond the end of memory.
    NoSuchFrame {
        /// The frame.
        pfn: u64,
    },
    /// An entry forbids execution, which this processor cannot: the bit is reserved.
    ReservedBit,
    /// An entry of the pool gets a page while a CPU may still take it for another one (I8). A panic at once, which the CPU that sets the
    /// entry sees.
    StillCached {
        /// The number of the entry.
        entry: usize,
        /// The CPU that has another translation cached, in some address space.
        by: usize,
        /// The frame that this CPU takes it for.
        was: u64,
        /// The frame that it maps now.
        now: u64,
    },
    /// The CPU goes on to something else, and a translation that its slot no longer has is still cached (I3).
    Stale {
        /// The frame that can still be accessed.
        pfn: u64,
    },
}

impl fmt::Display for Fault {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { what, address, slot, cpu } = self;
        match slot {
            Some((name, owner)) => write!(f, "slot {name} of CPU {owner} at {address:#x}: CPU {cpu} ")?,
            None if matches!(what, What::StillCached { .. }) => write!(f, "kmap pool at {address:#x}: CPU {cpu} ")?,
            None => write!(f, "no slot at {address:#x}: CPU {cpu} ")?,
        }
        match what {
            What::Read => f.write_str("reads, and nothing is mapped there"),
            What::Write => f.write_str("writes, and nothing is mapped there"),
            What::WriteToReadOnly => f.write_str("writes, and the mapping is read only"),
            What::ChangedWhilePresent { from, to } => {
                write!(f, "changes the entry from {from:#x} to {to:#x} while it is present")
            }
            What::ForeignEntry => f.write_str("writes the entry, which is not its own"),
            What::NoSuchFrame { pfn } => write!(f, "maps pfn {pfn:#x}, which is beyond the end of memory"),
            What::ReservedBit => f.write_str("forbids execution, which this processor cannot: the bit is reserved"),
            What::StillCached { entry, by, was, now } => {
                write!(
                    f,
                    "maps pfn {now:#x} in entry {entry}, which CPU {by} still takes for pfn {was:#x}: it was not flushed"
                )
            }
            What::Stale { pfn } => write!(f, "is done, and the translation to pfn {pfn:#x} is still cached"),
        }
    }
}

/// The memory, for the handler.
static MEMORY: AtomicI32 = AtomicI32::new(-1);

/// What the host shows of each page, for the handler: 0, or the frame shifted by one, with a lowest bit that says "read only".
static SHOWN: [AtomicU64; layout::MAX_PAGES] = [const { AtomicU64::new(0) }; layout::MAX_PAGES];

/// A refused access, as the handler notes it down.
struct Note {
    is_full: AtomicBool,
    address: AtomicUsize,
    cpu: AtomicUsize,
    is_write: AtomicBool,
    was_mapped: AtomicBool,
}

static NOTES: [Note; 64] = [const {
    Note {
        is_full: AtomicBool::new(false),
        address: AtomicUsize::new(0),
        cpu: AtomicUsize::new(0),
        is_write: AtomicBool::new(false),
        was_mapped: AtomicBool::new(false),
    }
}; 64];

/// How many notes have been written, ever.
static WRITTEN: AtomicUsize = AtomicUsize::new(0);
/// How many of them had been written when they were last looked at.
static SEEN: AtomicUsize = AtomicUsize::new(0);

/// A refused access.
pub(super) struct Refused {
    pub(super) address: usize,
    pub(super) cpu: usize,
    pub(super) what: What,
}

/// The accesses that were refused since the last call.
pub(super) fn refused() -> Vec<Refused> {
    if SEEN.load(Ordering::Acquire) == WRITTEN.load(Ordering::Acquire) {
        return Vec::new();
    }
    SEEN.store(WRITTEN.load(Ordering::Acquire), Ordering::Release);
    let full = NOTES.iter().filter(|note| note.is_full.load(Ordering::Acquire));
    full.map(|note| {
        let what = match (note.is_write.load(Ordering::Relaxed), note.was_mapped.load(Ordering::Relaxed)) {
            (true, true) => What::WriteToReadOnly,
            (true, false) => What::Write,
            (false, _) => What::Read,
        };
        let refused =
            Refused { address: note.address.load(Ordering::Relaxed), cpu: note.cpu.load(Ordering::Relaxed), what };
        note.is_full.store(false, Ordering::Release);
        refused
    })
    .collect()
}

/// Has the page at `page` show a frame of `memory`, or nothing.
pub(super) fn show(memory: BorrowedFd<'_>, page: usize, frame: Option<(u64, bool)>) {
    let at = ptr::with_exposed_provenance_mut(layout::address(page));
    let shown = match frame {
        // SAFETY: I9: a page of the model's own range, which `reserve` took; it holds no Rust object.
        Some((pfn, writable)) => unsafe {
            let protection = if writable { ProtFlags::READ | ProtFlags::WRITE } else { ProtFlags::READ };
            mmap(at, PAGE_SIZE, protection, MapFlags::SHARED | MapFlags::FIXED, memory, pfn << PAGE_SHIFT)
        },
        // SAFETY: I9: as above.
        None => unsafe { mmap_anonymous(at, PAGE_SIZE, ProtFlags::empty(), MapFlags::PRIVATE | MapFlags::FIXED) },
    };
    shown.expect("the host maps a page");
    let note = frame.map_or(0, |(pfn, writable)| (pfn + 1) << 1 | u64::from(!writable));
    SHOWN[page].store(note, Ordering::Release);
}

/// Takes the addresses of the window from the host, once, and has faults there reported.
pub(super) fn reserve() {
    static ONCE: Once = Once::new();
    ONCE.call_once(|| {
        let at = ptr::with_exposed_provenance_mut(layout::BASE);
        let flags = MapFlags::PRIVATE | MapFlags::NORESERVE | MapFlags::FIXED_NOREPLACE;
        // SAFETY: nothing of the host's is replaced.
        let reserved = unsafe { mmap_anonymous(at, layout::END - layout::BASE, ProtFlags::empty(), flags) };
        if let Err(error) = reserved {
            panic!("the addresses {:#x} to {:#x} are not free in this process: {error}", layout::BASE, layout::END);
        }
        install();
    });
}

/// Tells the handler which memory the frames are in; -1: none.
pub(super) fn set_memory(memory: i32) {
    MEMORY.store(memory, Ordering::Release);
}

/// Who handled `SIGSEGV` before.
static mut PREVIOUS: MaybeUninit<libc::sigaction> = MaybeUninit::uninit();

/// Installs the handler.
fn install() {
    // SAFETY: both structures are plain data; `PREVIOUS` is written here, once, before the handler can read it: until then
    // nothing is mapped in its range. The handler does only what a signal handler may.
    unsafe {
        let mut action: libc::sigaction = core::mem::zeroed();
        action.sa_sigaction = handler as *const () as usize;
        action.sa_flags = libc::SA_SIGINFO | libc::SA_ONSTACK | libc::SA_NODEFER;
        let previous = (&raw mut PREVIOUS).cast::<libc::sigaction>();
        assert_eq!(libc::sigaction(libc::SIGSEGV, ptr::null(), previous), 0);
        assert_eq!(libc::sigaction(libc::SIGSEGV, &action, ptr::null_mut()), 0);
    }
}

/// Notes a refused access down, and lets it go on. Uses atomics and system calls only: it may come anywhere.
unsafe extern "C" fn handler(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    /// The bits of the page-fault error code (SDM vol. 3, 5.7).
    const WRITE: i64 = 1 << 1;
    const FETCH: i64 = 1 << 4;

    // SAFETY: the kernel passes both structures, by SA_SIGINFO.
    let (address, error) = unsafe {
        let context = &*context.cast::<libc::ucontext_t>();
        ((*info).si_addr().addr(), context.uc_mcontext.gregs[libc::REG_ERR as usize])
    };
    let Some(page) = layout::page(address).filter(|_| error & FETCH == 0) else {
        // SAFETY: this very signal, with the same arguments.
        unsafe { pass_on(signal, info, context) };
        return;
    };
    let shown = SHOWN[page].load(Ordering::Acquire);
    let note = &NOTES[WRITTEN.fetch_add(1, Ordering::AcqRel) % NOTES.len()];
    note.address.store(address, Ordering::Relaxed);
    note.cpu.store(cpu::current().unwrap_or(usize::MAX), Ordering::Relaxed);
    note.is_write.store(error & WRITE != 0, Ordering::Relaxed);
    note.was_mapped.store(shown != 0, Ordering::Relaxed);
    note.is_full.store(true, Ordering::Release);

    let at = ptr::with_exposed_provenance_mut(layout::address(page));
    let (allowed, flags) = (ProtFlags::READ | ProtFlags::WRITE, MapFlags::PRIVATE | MapFlags::FIXED);
    // SAFETY: I9: a page of the model's own range. Its new bytes are a copy of the frame's, or poison.
    unsafe {
        if shown == 0 {
            if mmap_anonymous(at, PAGE_SIZE, allowed, flags).is_err() {
                libc::abort();
            }
            at.cast::<u8>().write_bytes(0xcc, PAGE_SIZE);
        } else {
            let memory = BorrowedFd::borrow_raw(MEMORY.load(Ordering::Acquire));
            if mmap(at, PAGE_SIZE, allowed, flags, memory, ((shown >> 1) - 1) << PAGE_SHIFT).is_err() {
                libc::abort();
            }
        }
    }
}

/// Lets whoever handled the signal before handle it.
///
/// # Safety
/// Called by the handler, with its arguments.
unsafe fn pass_on(signal: libc::c_int, info: *mut libc::siginfo_t, context: *mut libc::c_void) {
    // SAFETY: `install` wrote it before the handler was there.
    let previous = unsafe { &*(&raw const PREVIOUS).cast::<libc::sigaction>() };
    match previous.sa_sigaction {
        // The access is done again, and nobody catches it.
        // SAFETY: takes this handler away.
        libc::SIG_DFL | libc::SIG_IGN => unsafe {
            libc::signal(signal, libc::SIG_DFL);
        },
        // SAFETY: it was installed as such a handler.
        action if previous.sa_flags & libc::SA_SIGINFO != 0 => unsafe {
            type Action = unsafe extern "C" fn(libc::c_int, *mut libc::siginfo_t, *mut libc::c_void);
            core::mem::transmute::<usize, Action>(action)(signal, info, context);
        },
        // SAFETY: it was installed as such a handler.
        action => unsafe {
            core::mem::transmute::<usize, unsafe extern "C" fn(libc::c_int)>(action)(signal);
        },
    }
}
