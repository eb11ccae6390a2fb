//! A walk through the API, for reading from top to bottom: pages, tokens, guards, contexts.

#![no_std]
#![no_main]

use core::sync::atomic::{AtomicU32, Ordering::Relaxed};

use highmem::linux::{User0, User1};
use highmem::{Page, ViewError, kmap_atomic, kunmap_atomic};
use kernel::frames::{self, Frame};
use kernel::kmap::{HardIrq, Slot, Softirq, Task};
use kernel::{println, report, softirq, timer};

kernel::main!(token_tour);

fn frame() -> Frame {
    frames::alloc_highmem().expect("a frame of high memory")
}

/// The kernel begins each thread with a `Task`: the right to sleep. There are no slots in it.
fn token_tour(task: &mut Task<'_>) {
    println!("Every slot of this CPU has an address of its own:");
    report::window();

    tokens_and_guards(task);
    pages(task);
    memory_of_others(task);
    callees(task);
    deeper(task);
    handlers(task);
}

/// A token and a page go into a guard; both come out again.
fn tokens_and_guards(task: &mut Task<'_>) {
    let mut page = frame();

    // Preemption is off for as long as `atomic` lives. It holds the borrow of `task`, so nothing can sleep.
    let mut atomic = task.atomic();
    // Each token once. They are fields, so using one does not stop anybody from using another.
    let mut slots = atomic.slots();

    // A guard is the page's bytes. Dropping it unmaps: clear the entry, flush the translation.
    let mut mapped = kmap_atomic(slots.user0.reborrow(), &mut page);
    mapped[..5].copy_from_slice(b"hello");
    println!("{mapped:?}");
    drop(mapped);

    // The token was lent (`reborrow`), so it is here again. Unmapping by hand gives both back by value.
    let mapped = kmap_atomic(slots.user0, &page);
    assert_eq!(&mapped[..5], b"hello");
    let (user0, _page) = kunmap_atomic(mapped);

    // The token is as good as new. Where it went is up to us: it is a value of no size.
    let _mapped_again = kmap_atomic(user0, &page);
}

/// What may be done with the bytes is decided by how the page is passed.
fn pages(task: &mut Task<'_>) {
    let mut atomic = task.atomic();
    let mut slots = atomic.slots();

    // An owned page moves in, and can be neither freed nor replaced while it is mapped.
    let mut mapped = kmap_atomic(slots.user0.reborrow(), frame());
    mapped.fill(0);
    // Plain data is viewed in place; bounds and alignment are checked.
    *mapped.view_mut::<u32>(64).expect("in the page, and aligned") = 0xfeed;
    assert_eq!(mapped.view::<u32>(4094), Err(ViewError::Misaligned { offset: 4094 }));
    assert_eq!(mapped.view::<u64>(4096), Err(ViewError::OutOfBounds { offset: 4096 }));
    let (_, page) = kunmap_atomic(mapped);

    // A shared borrow maps read only, in the page-table entry too. So it may be mapped twice.
    let one = kmap_atomic(slots.user0, &page);
    let two = kmap_atomic(slots.user1, &page);
    assert_eq!(one.view::<u32>(64), two.view::<u32>(64));
    println!("{:?} is at {:#x} and at {:#x}", one.pfn(), one.address(), two.address());
}

/// User space, a device, another CPU may write these bytes at any time: they are copied, never referred to.
fn memory_of_others(task: &mut Task<'_>) {
    let mut user_page = frame().share();

    let mut atomic = task.atomic();
    let mut mapped = kmap_atomic(atomic.slots().user0, &mut user_page);
    mapped.write_at(100, b"from the kernel").expect("in the page");
    let mut copy = [0; 4];
    mapped.read_at(100, &mut copy).expect("in the page");
    assert_eq!(&copy, b"from");
}

/// A signature says which slots a function uses, with all that it calls.
fn callees(task: &mut Task<'_>) {
    let (page, mut copy) = (frame(), frame());
    let mut atomic = task.atomic();
    let slots = atomic.slots();
    let sum = copy_and_sum(slots.user0, &page, slots.user1, &mut copy);
    println!("{:?} is copied to {:?}, sum {sum}", page.pfn(), copy.pfn());
}

fn copy_and_sum(mut user0: Slot<'_, User0>, page: &Frame, mut user1: Slot<'_, User1>, copy: &mut Frame) -> u32 {
    let from = kmap_atomic(user0.reborrow(), page);
    kmap_atomic(user1.reborrow(), &mut *copy).copy_from_slice(&*from);
    // `User0` is in use here, and the callee cannot use it by mistake: it gets `User1`.
    sum(user1, copy)
}

fn sum(slot: Slot<'_, User1>, page: &Frame) -> u32 {
    kmap_atomic(slot, page).iter().map(|&byte| u32::from(byte)).sum()
}

/// While tokens are in use, a context can go deeper, and gets the tokens that this makes exclusive.
fn deeper(task: &mut Task<'_>) {
    let (mut one, mut two, mut three) = (frame(), frame(), frame());

    let mut atomic = task.atomic();
    let mut slots = atomic.slots();
    let in_task = kmap_atomic(slots.user0, &mut one);

    let mut bh_off = slots.deeper.bh_off();
    let mut slots = bh_off.slots();
    let in_bh_off = kmap_atomic(slots.softirq0, &mut two);

    let mut irqs_off = slots.deeper.irqs_off();
    let in_irqs_off = kmap_atomic(irqs_off.slots().bio_src_irq, &mut three);

    println!("three at once: {in_task:?}, {in_bh_off:?}, {in_irqs_off:?}");
}

static SOFTIRQS: AtomicU32 = AtomicU32::new(0);

/// Handlers begin with their own context, which has their own tokens and no others.
fn handlers(_task: &mut Task<'_>) {
    fn tick(irq: &mut HardIrq<'_>) {
        {
            let mut mapped = kmap_atomic(irq.slots().irq0, frame());
            mapped.fill(0x5a);
        }
        // To have interrupts on again, the handler gives its slots up for that time.
        irq.with_irqs_on(core::hint::spin_loop);
        softirq::raise();
    }

    fn bottom_half(softirq: &mut Softirq<'_>) {
        kmap_atomic(softirq.slots().softirq0, frame()).fill(0xa5);
        SOFTIRQS.fetch_add(1, Relaxed);
    }

    softirq::set_handler(bottom_half);
    timer::set_handler(tick);
    let start = timer::ticks();
    while timer::ticks() < start + 10 {
        core::hint::spin_loop();
    }
    assert!(SOFTIRQS.load(Relaxed) > 0);
    println!("{} softirqs and their interrupts have mapped pages", SOFTIRQS.load(Relaxed));
}
