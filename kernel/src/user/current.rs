//! The address space of the thread that runs; into ring 3, and out of it.
//!
//! In C, the handler of a page fault may find itself anywhere: in a thread that may sleep, under a spin lock, in an interrupt; it asks
//! counters, and where one of them was forgotten, it sleeps with a lock held. The rule: a fault in the kernel is served only for a copy whose
//! caller has said that it may sleep, and only if the counters say so, too.
//!
//! The types say it: who copies so has the thread's `&mut MaySleep`, and lends it to the handler for that time. Ring 3 is left like a
//! function: whoever entered it, with `&mut Task`, goes on.

use core::cell::{Cell, RefCell};
use core::ptr::{self, NonNull};
use core::sync::atomic::AtomicUsize;
use core::sync::atomic::Ordering::Relaxed;

use crate::kmap::{MaySleep, Task};
use crate::paging::user::{OutOfMemory, Top};
use crate::probe::PageFault;
use crate::trap::{TrapFrame, UserFrame};
use crate::user::copy;
use crate::user::layout::USER_END;
use crate::user::space::{Refusal, Space};
use crate::{arch, cpu, gdt, irq, sched};

/// Why ring 3 was left.
#[derive(Clone, Copy, Debug)]
pub(crate) enum Trap {
    SystemCall,
    PageFault(PageFault),
    /// Another exception: its vector.
    Exception(u8),
}

/// What a thread has of user space, while it has an address space. Only the thread uses it, and whoever switches to it.
pub(crate) struct Current {
    top: Top,
    /// Where the processor begins when it comes out of ring 3.
    kernel_stack: AtomicUsize,
    /// What it says of faults; `None` if a page that is missing is just that.
    space: Option<RefCell<Space>>,
    /// Whether a copy runs whose caller has lent its right to sleep.
    lent: Cell<bool>,
    /// With what ring 3 was left.
    left: Cell<Option<(UserFrame, Trap)>>,
}

/// Where a thread has it, if it has.
#[derive(Clone, Copy)]
pub(crate) struct Link(*const Current);

// SAFETY: the scheduler hands it from the thread to the CPU that switches to it, and looks into it only there.
unsafe impl Send for Link {}

impl Link {
    /// A thread without an address space.
    pub const NONE: Self = Self(ptr::null());
}

/// Has this CPU use the address space of a thread: what a switch to the thread needs. Called with interrupts off.
///
/// Whoever comes from another address space flushes what the TLB has of it, by loading CR3; kernel threads, too. So a thread that goes to
/// another CPU leaves no translation behind.
///
/// # Safety
///
/// What `link` leads to stays until this CPU has loaded another.
pub(crate) unsafe fn load(link: Link) {
    let cpu = cpu::this();
    let new = link.0.cast_mut();
    if cpu.user.swap(new, Relaxed) == new {
        return;
    }
    // SAFETY: by this function's contract. The thread runs here, or is about to, and so nobody changes what is behind the pointer. It is
    // noted in `kernel_stack` from where it has entered ring 3.
    unsafe {
        match link.0.as_ref() {
            None => Top::of_kernel().load(),
            Some(current) => {
                gdt::set_kernel_stack(current.kernel_stack.load(Relaxed));
                current.top.load();
            }
        }
    }
}

/// Notes where ring 3 is being entered from; called by `enter_user`, with interrupts off.
pub(crate) extern "C" fn set_kernel_stack(stack: usize) {
    Current::get(|current| {
        let current = current.expect("a thread in ring 3 has an address space");
        current.kernel_stack.store(stack, Relaxed);
        // SAFETY: this thread enters ring 3 now; until it leaves the CPU, or ring 3, the stack is as it is.
        unsafe { gdt::set_kernel_stack(stack) };
    });
}

/// Notes with what ring 3 is left; called with interrupts off.
pub(crate) fn leave(frame: &UserFrame, trap: Trap) {
    Current::get(|current| {
        let current = current.expect("a thread in ring 3 has an address space");
        current.left.set(Some((*frame, trap)));
    });
}

/// If a copy in the kernel has met this fault, and may sleep: brings the page in, and says whether the access can be tried again. Called
/// with interrupts off.
pub(crate) fn bring_in(frame: &TrapFrame, fault: PageFault) -> bool {
    Current::get(|current| {
        let Some(current) = current else { return false };
        let may_sleep = current.lent.get() && frame.interrupts_were_on() && sched::may_sleep_with_irqs_on();
        if !may_sleep || fault.address >= USER_END {
            return false;
        }
        const { assert!(size_of::<MaySleep<'_>>() == 0) };
        // SAFETY: of no size, so the pointer says nothing: this is the right of the thread, which the caller of `copy` has lent for as long
        // as `lent` says so, and uses for nothing else. The fault came from the copy, and not from what has interrupted it: by the
        // counters, nothing has. So this is no second `MaySleep`, but the same one, passed on.
        let task = unsafe { NonNull::<MaySleep<'_>>::dangling().as_mut() };
        irq::enable();
        let result = current.fault(task, fault);
        irq::disable();
        if result.is_ok() {
            copy::count_brought_in();
        }
        result.is_ok()
    })
}

impl Current {
    /// Runs `f` with `space` as the address space of this thread.
    pub fn with<R>(task: &mut Task<'_>, space: Space, f: impl FnOnce(&mut Task<'_>, &Self) -> R) -> R {
        // SAFETY: the space has the tables, and goes with `Current`.
        unsafe { Self::with_top(task, space.top(), Some(space), f) }
    }

    /// As [`with`](Self::with), with these tables.
    ///
    /// # Safety
    ///
    /// They stay until this function returns.
    pub unsafe fn with_top<R>(
        task: &mut Task<'_>,
        top: Top,
        space: Option<Space>,
        f: impl FnOnce(&mut Task<'_>, &Self) -> R,
    ) -> R {
        assert!(cpu::user().is_null(), "the thread has an address space already");
        let current = Self {
            top,
            kernel_stack: AtomicUsize::new(0),
            space: space.map(RefCell::new),
            lent: Cell::new(false),
            left: Cell::new(None),
        };
        // SAFETY: it is taken away before `current` goes, and with it the page tables.
        unsafe { sched::set_user(Link(&raw const current)) };
        let result = f(task, &current);
        // SAFETY: there is nothing to stay.
        unsafe { sched::set_user(Link::NONE) };
        result
    }

    /// That of the thread that runs.
    pub fn get<R>(f: impl FnOnce(Option<&Self>) -> R) -> R {
        // SAFETY: `with` is running further up this thread's stack, and takes it away before it ends.
        f(unsafe { cpu::user().as_ref() })
    }

    /// Goes on in ring 3 with these registers, until there is a reason to leave; gives that, and the registers.
    pub fn run(&self, _task: &mut Task<'_>, frame: &mut UserFrame) -> Trap {
        assert!(ptr::eq(cpu::user(), self), "not the address space of this thread");
        sched::assert_may_sleep();
        // SAFETY: the thread has this address space, and may sleep.
        unsafe { arch::enter_user(frame) };
        irq::enable();
        let (registers, trap) = self.left.take().expect("ring 3 is left by `leave`");
        *frame = registers;
        trap
    }

    /// Brings in the page that a fault asks for.
    pub fn fault(&self, task: &mut MaySleep<'_>, fault: PageFault) -> Result<(), Refusal> {
        self.space.as_ref().ok_or(Refusal::NotAllowed)?.borrow_mut().fault(task, fault)
    }

    /// The address space of a child.
    pub fn fork(&self, task: &mut MaySleep<'_>) -> Result<Space, OutOfMemory> {
        self.space.as_ref().expect("a process has a space").borrow_mut().fork(task)
    }

    /// Runs `f` while faults of this thread may be served in its stead.
    ///
    /// # Safety
    ///
    /// The caller holds the thread's `&mut MaySleep`, or was lent it, and neither it nor `f` uses that meanwhile. `f` copies, and does nothing
    /// else.
    pub unsafe fn lend<R>(&self, f: impl FnOnce() -> R) -> R {
        let before = self.lent.replace(true);
        let result = f();
        self.lent.set(before);
        result
    }
}
