//! The Rust of `docs/porting-from-linux.md`, as it stands there, and tests of it on the model.

use highmem::linux::{Irq0, Set, SkbDataSoftirq, User0, User1};
use highmem::ops::{self, Segment, SgWalk, memcpy_to_page, memset_page, zero_user_segments};
use highmem::pagetable::{self, Pages};
use highmem::user::{self, UserSlice, copy_from_user, copy_from_user_inatomic, copy_page_from_user};
use highmem::{
    DeviceFrame, HardIrq, KmType, KmapAtomic, PAGE_SIZE, Page, PageRun, Pfn, Softirq, clear_highpage, copy_highpage,
    debug, kmap, kmap_atomic, kmap_local_page, kmap_pair, kunmap_atomic, page_address, try_kmap,
};
use mm::{Atomic, Frame, FrameRun, K, MaySleep, SharedFrame, Slot, Task};

#[allow(dead_code, reason = "the tests use those of the model")]
mod mm_of_the_kernel {
    use super::MyKernel;

    // mm.rs: the kernel's own names for what the crate has, with its own types in them
    use highmem::paging::Pae;

    pub type K = MyKernel;
    pub type Frame = highmem::Frame<Pae>;
    pub type FrameRun = highmem::FrameRun<Pae>;
    pub type SharedFrame = highmem::SharedFrame<Pae>;

    pub type Task<'e> = highmem::Task<'e, K>;
    pub type MaySleep<'e> = highmem::MaySleep<'e, K>;
    pub type Atomic<'cx> = highmem::Atomic<'cx, K>;
    pub type Slot<'cx, S> = highmem::Slot<'cx, K, S>;
}

struct MyKernel;

mod mm {
    use highmem::paging::Pae;

    pub type K = highmem::model::ModelKernel<Pae>;
    pub type Frame = highmem::model::Frame<Pae>;
    pub type FrameRun = highmem::model::FrameRun<Pae>;
    pub type SharedFrame = highmem::model::SharedFrame<Pae>;

    pub type Task<'e> = highmem::Task<'e, K>;
    pub type MaySleep<'e> = highmem::MaySleep<'e, K>;
    pub type Atomic<'cx> = highmem::Atomic<'cx, K>;
    pub type Slot<'cx, S> = highmem::Slot<'cx, K, S>;
}

fn read_page(task: &mut Task<'_>, page: &Frame, to: &mut [u8; PAGE_SIZE]) {
    let mut atomic = task.atomic(); // preempt_disable()
    let slots = atomic.slots(); // each token of a task, once
    to.copy_from_slice(&*kmap_atomic(slots.user0, page));
} // preempt_enable()

fn clear_head(atomic: &mut Atomic<'_>, page: &mut Frame, n: usize) {
    let mut v = kmap_atomic(atomic.slots().user0, page);
    v[..n].fill(0);
} // unmapped

fn checksum(atomic: &mut Atomic<'_>, pages: &[Frame]) -> u32 {
    let mut slots = atomic.slots();
    let mut sum = 0_u32;
    for page in pages {
        let v = kmap_atomic(slots.user0.reborrow(), page);
        sum = v.iter().fold(sum, |sum, &byte| sum.wrapping_add(byte.into()));
    } // unmapped, and the slot is free for the next
    sum
}

fn move_bytes(slot: Slot<'_, User0>, (from, to): (&Frame, &mut Frame), n: usize) {
    let mut few = [0; 64];
    let v = kmap_atomic(slot, from);
    few[..n].copy_from_slice(&v[..n]);
    let (slot, _from) = kunmap_atomic(v); // the slot comes back, and the page
    kmap_atomic(slot, to)[..n].copy_from_slice(&few[..n]);
}

fn copy_part(atomic: &mut Atomic<'_>, (to, to_offset): (&mut Frame, usize), (from, offset): (&Frame, usize), n: usize) {
    let slots = atomic.slots();
    let from = kmap_atomic(slots.user0, from);
    let mut to = kmap_atomic(slots.user1, to);
    to[to_offset..][..n].copy_from_slice(&from[offset..][..n]);
} // in whatever order

fn end_io(irq: &mut HardIrq<'_, K>, buffer: &mut Frame, valid: usize) {
    kmap_atomic(irq.slots().irq0, buffer)[valid..].fill(0);
}

fn zero_fill_bio(
    atomic: &mut Atomic<'_>,
    bv_page: &mut Frame,
    bv_offset: usize,
    bv_len: usize,
) -> Result<(), ops::Error> {
    let mut irqs_off = atomic.irqs_off(); // local_irq_save(flags)
    memset_page(irqs_off.slots().bio_src_irq, bv_page, bv_offset, 0, bv_len)
} // local_irq_restore(flags)

fn log_under_a_mapping(atomic: &mut Atomic<'_>, page: &Frame, log: &mut Frame) {
    let mut slots = atomic.slots();
    let v = kmap_atomic(slots.user0, page);
    let mut irqs_off = slots.deeper.irqs_off(); // `v` stays mapped
    kmap_atomic(irqs_off.slots().irq0, log)[0] = v[0];
}

fn skb_copy_bits(slot: Slot<'_, SkbDataSoftirq>, frag: &Frame, offset: usize, to: &mut [u8]) -> Result<(), ops::Error> {
    ops::memcpy_from_page(to, slot, frag, offset)
}

fn from_net_rx_action(softirq: &mut Softirq<'_, K>, frag: &Frame, header: &mut [u8]) -> Result<(), ops::Error> {
    skb_copy_bits(softirq.slots().skb_data_softirq, frag, 0, header)
}

fn from_a_system_call(task: &mut Task<'_>, frag: &Frame, header: &mut [u8]) -> Result<(), ops::Error> {
    let mut atomic = task.atomic();
    let mut bh_off = atomic.bh_off(); // local_bh_disable()
    skb_copy_bits(bh_off.slots().skb_data_softirq, frag, 0, header)
}

fn crypto_xor<S, T>(out_slot: Slot<'_, S>, out: &mut Frame, in_slot: Slot<'_, T>, input: &Frame)
where
    S: KmType<Set = Set>,
    T: KmType<Set = Set>,
{
    let input = kmap_atomic(in_slot, input);
    let mut out = kmap_atomic(out_slot, out);
    out.iter_mut().zip(input.iter()).for_each(|(out, input)| *out ^= input);
}

fn xor_in_a_task(atomic: &mut Atomic<'_>, out: &mut Frame, input: &Frame) {
    let slots = atomic.slots();
    crypto_xor(slots.user1, out, slots.user0, input);
}

fn xor_in_a_softirq(softirq: &mut Softirq<'_, K>, out: &mut Frame, input: &Frame) {
    let slots = softirq.slots();
    crypto_xor(slots.softirq1, out, slots.softirq0, input);
}

struct Sg<'a> {
    page: &'a mut Frame,
    offset: usize,
}

type Mapped<'cx> = KmapAtomic<'cx, K, Irq0, &'cx mut Frame>;

fn ata_scsi_rbuf_get<'cx>(slot: Slot<'cx, Irq0>, sg: &'cx mut Sg<'_>) -> (Mapped<'cx>, usize) {
    (kmap_atomic(slot, &mut *sg.page), sg.offset)
} // whoever gets the mapping ends it

fn ata_scsi_inquiry(irq: &mut HardIrq<'_, K>, sg: &mut Sg<'_>) {
    let (mut rbuf, offset) = ata_scsi_rbuf_get(irq.slots().irq0, sg);
    rbuf[offset..][..4].copy_from_slice(b"ATA ");
}

fn read_header(atomic: &mut Atomic<'_>, page: &Frame, second: &Frame) -> Result<u32, BadImage> {
    let slots = atomic.slots();
    let header = kmap_atomic(slots.user0, page);
    if header[..4] != *b"\x7fELF" {
        return Err(BadImage); // goto out_unmap
    }
    let table = kmap_atomic(slots.user1, second);
    let entry = table.get(usize::from(header[4])..).and_then(|rest| rest.first_chunk());
    entry.map(|bytes| u32::from_le_bytes(*bytes)).ok_or(BadImage) // goto out_unmap_both
}

#[derive(Debug, PartialEq)]
struct BadImage;

fn sum_with_parity(atomic: &mut Atomic<'_>, data: &Frame, parity: Option<&Frame>) -> u8 {
    let slots = atomic.slots();
    let data = kmap_atomic(slots.user0, data);
    let parity = parity.map(|page| kmap_atomic(slots.user1, page)); // mapped or not: it knows
    data[0] ^ parity.map_or(0, |parity| parity[0])
}

fn outer(atomic: &mut Atomic<'_>, node: &Frame, child: &Frame) -> u8 {
    let mut slots = atomic.slots();
    let node = kmap_atomic(slots.user0, node);
    node[0] ^ inner(slots.user1.reborrow(), child) ^ inner(slots.user1, child)
}

/// Uses `User1`, with all that it calls.
fn inner(slot: Slot<'_, User1>, child: &Frame) -> u8 {
    kmap_atomic(slot, child)[0]
}

fn read_block_into(task: &mut Task<'_>, page: &mut Frame) -> Result<(), highmem::pool::Refusal> {
    let (mut v, task) = kmap(task, page).map_err(|error| error.why)?;
    read_block(task, &mut v[..512]); // may sleep
    Ok(())
} // kunmap(page)

fn read_block(_task: &mut MaySleep<'_>, block: &mut [u8]) {
    block.fill(7);
}

fn copy_slowly(task: &mut Task<'_>, to: &mut Frame, from: &Frame) -> Result<(), highmem::pool::Refusal> {
    let (from, mut to, task) = kmap_pair(task, from, to).map_err(|error| error.why)?;
    for (to, from) in to.chunks_mut(512).zip(from.chunks(512)) {
        to.copy_from_slice(from);
        cond_resched(task);
    }
    Ok(())
}

fn cond_resched(_task: &mut MaySleep<'_>) {}

fn under_a_spinlock(atomic: &mut Atomic<'_>, page: &mut Frame) -> bool {
    match try_kmap(atomic, page) {
        Ok((mut v, _atomic)) => {
            v[0] = 1;
            true
        }
        Err(_all_entries_are_in_use) => false,
    }
}

fn first_byte_if_mapped(task: &mut Task<'_>, page: &Frame) -> Option<u8> {
    let (v, _task) = page_address(task, page)?; // one user more, as long as `v` lives
    Some(v[0])
}

fn copy_preemptibly(task: &mut Task<'_>, to: &mut Frame, from: &Frame) {
    let mut pinned = task.pinned(); // migrate_disable()
    let (mut local, _may_sleep_here) = pinned.local();
    let (from, mut local) = kmap_local_page(&mut local, from);
    let (mut to, _) = kmap_local_page(&mut local, to);
    to.copy_from_slice(&*from);
    drop(from); // first mapped, first unmapped: no stack
    to[0] = 1;
}

fn shmem_write(task: &mut Task<'_>, page: &mut Frame, offset: usize, from: usize, n: usize) -> Result<(), user::Error> {
    let mut from = UserSlice::<K>::new(from, n)?.reader(); // access_ok()
    copy_page_from_user(task, |atomic| atomic.slots().user0, page, offset..offset + n, &mut from)
}

fn peek_at_user(atomic: &mut Atomic<'_>, page: &mut Frame, from: usize) -> Result<(), user::Error> {
    let mut from = UserSlice::<K>::new(from, 16)?.reader();
    let mut v = kmap_atomic(atomic.slots().user0, page);
    copy_from_user_inatomic(&mut v[..16], &mut from) // what is not there is an error
}

fn ioctl(task: &mut Task<'_>, page: &mut Frame, from: usize) -> Result<(), user::Error> {
    let mut arguments = [0; 16];
    copy_from_user(task, &mut arguments, &mut UserSlice::<K>::new(from, 16)?.reader())?; // may sleep: first
    let mut atomic = task.atomic();
    Ok(memcpy_to_page(atomic.slots().user0, page, 0, &arguments)?)
}

fn helpers(atomic: &mut Atomic<'_>, to: &mut Frame, from: &Frame) -> Result<(), ops::Error> {
    let mut slots = atomic.slots();
    clear_highpage(slots.user0.reborrow(), &mut *to);
    copy_highpage(slots.user1, &mut *to, slots.user0.reborrow(), from);
    memcpy_to_page(slots.user0.reborrow(), &mut *to, 100, b"some bytes")?;
    zero_user_segments(slots.user0, to, 0..100, 110..PAGE_SIZE)
}

fn count_zeros(atomic: &mut Atomic<'_>, sg: &[Segment<FrameRun>]) -> usize {
    let mut miter = SgWalk::new(atomic.slots().user0, sg);
    let mut zeros = 0;
    while let Some(part) = miter.next() {
        zeros += part.iter().filter(|&&byte| byte == 0).count();
    }
    zeros
}

fn inquiry(atomic: &mut Atomic<'_>, sg: &mut [Segment<FrameRun>]) -> usize {
    ops::sg_copy_from_buffer(atomic.slots().user0, sg, b"ATA     a disk")
}

type Space = pagetable::AddressSpace<K, highmem::SharedFrame<highmem::paging::Pae>>;

fn follow_page(atomic: &mut Atomic<'_>, space: &Space, address: usize) -> Result<Option<usize>, pagetable::Error> {
    let pte = space.entry(atomic.slots().pte0, address)?; // the table stays mapped as long as `pte` lives
    Ok(pte.leaf()?.map(|leaf| leaf.pfn.number()))
}

fn is_shared(atomic: &mut Atomic<'_>, parent: &Space, child: &Space, address: usize) -> Result<bool, pagetable::Error> {
    let slots = atomic.slots();
    let src = parent.entry(slots.pte0, address)?;
    let dst = child.entry(slots.pte1, address)?;
    Ok(src.leaf()? == dst.leaf()?)
}

fn status(
    irq: &mut HardIrq<'_, K>,
    registers: &mut DeviceFrame<highmem::paging::Pae>,
) -> Result<u32, highmem::ViewError> {
    let mut mapped = kmap_atomic(irq.slots().irq0, registers);
    let status = mapped.load::<u32>(0x10)?; // readl
    mapped.store::<u32>(0x14, status)?; // writel
    Ok(status)
}

fn cmpxchg_futex(atomic: &mut Atomic<'_>, page: &mut SharedFrame, offset: usize) -> Result<bool, highmem::ViewError> {
    let mut v = kmap_atomic(atomic.slots().user0, page);
    Ok(v.compare_exchange::<u32>(offset, 0, 1)?.is_ok())
}

use highmem::bounce::{Completed, Refused, Reserve, Segments, Submitted};

type Pool = Reserve<K, SharedFrame, 16>;
type Bio = Segments<FrameRun, 2>;
type Request<'r> = Submitted<'r, K, FrameRun, SharedFrame, 16, 2>;

fn submit_read<'r>(task: &mut Task<'_>, page_pool: &'r Pool, bio: Bio) -> Result<Request<'r>, Refused<FrameRun, 2>> {
    let (prepared, _may_sleep) = page_pool.read(task, bio)?; // sleeps for low pages, holding none
    let request = prepared.submit();
    start_dma(request.extents()); // each within the device's reach
    Ok(request)
}

fn bounce_end_io_read(irq: &mut HardIrq<'_, K>, request: Request<'_>, bytes: usize) -> Completed<FrameRun, (), 2> {
    // SAFETY: the device has said that it is done.
    unsafe { request.complete(irq.slots().bounce_read, Ok(bytes)) }
}

fn start_dma(extents: impl Iterator<Item = highmem::bounce::Extent>) {
    extents.for_each(drop);
}

highmem::km_types! {
    /// A slot for each purpose, in the context that has it.
    mod km {
        atomic { user0: User0, user1: User1, pte0: Pte0, pte1: Pte1 }
        softirq { net_frag: NetFrag }
        irqsoff { dma_sync: DmaSync, crash_dump: CrashDump }
        nmi { perf_stack: PerfStack }
    }
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;
    use std::num::NonZero;

    use highmem::model::{Config, Machine, UserPage, Zone};
    use highmem::paging::{Flags, Layout, Pae, PageSize};

    use super::*;

    /// Runs `f` on a machine, as a task that cannot be preempted.
    fn atomic<R>(machine: &Machine, f: impl FnOnce(&mut Atomic<'_>) -> R) -> R {
        machine.cpu(0).task(|task| f(&mut task.atomic()))
    }

    /// A page in which each byte is that one.
    fn page(machine: &Machine, byte: u8) -> Frame {
        let mut page = machine.alloc(Zone::High);
        atomic(machine, |atomic| kmap_atomic(atomic.slots().user0, &mut page).fill(byte));
        page
    }

    #[test]
    fn a_page_is_read_and_cleared() {
        let machine = Machine::new();
        let (mut page, mut to) = (page(&machine, 5), [0; PAGE_SIZE]);
        machine.cpu(0).task(|task| read_page(task, &page, &mut to));
        assert_eq!(to, [5; PAGE_SIZE]);
        atomic(&machine, |atomic| clear_head(atomic, &mut page, 10));
        assert_eq!(machine.peek(page.pfn())[..11], [0, 0, 0, 0, 0, 0, 0, 0, 0, 0, 5]);
    }

    #[test]
    fn the_first_test() {
        let machine = Machine::new();
        let mut page = machine.alloc(Zone::High);
        machine.cpu(0).task(|task| clear_head(&mut task.atomic(), &mut page, 10));
        assert_eq!(machine.peek(page.pfn())[..10], [0; 10]);
    }

    #[test]
    fn one_page_after_the_other() {
        let machine = Machine::new();
        let pages = [1, 2, 3].map(|byte| page(&machine, byte));
        assert_eq!(atomic(&machine, |atomic| checksum(atomic, &pages)), 6 * PAGE_SIZE as u32);
        let [from, _, mut to] = pages;
        atomic(&machine, |atomic| move_bytes(atomic.slots().user0, (&from, &mut to), 5));
        assert_eq!(machine.peek(to.pfn())[..6], [1, 1, 1, 1, 1, 3]);
    }

    #[test]
    fn two_pages_at_once() {
        let machine = Machine::new();
        let (from, mut to) = (page(&machine, 1), page(&machine, 2));
        atomic(&machine, |atomic| copy_part(atomic, (&mut to, 10), (&from, 4000), 3));
        assert_eq!(machine.peek(to.pfn())[9..14], [2, 1, 1, 1, 2]);
    }

    #[test]
    fn in_a_handler_and_with_interrupts_off() {
        let machine = Machine::new();
        let mut buffer = page(&machine, 1);
        machine.cpu(0).task(|_| machine.cpu(0).interrupt_now(|irq| end_io(irq, &mut buffer, 2)));
        assert_eq!(machine.peek(buffer.pfn())[..3], [1, 1, 0]);
        let mut buffer = page(&machine, 1);
        atomic(&machine, |atomic| zero_fill_bio(atomic, &mut buffer, 1, 1)).unwrap();
        assert_eq!(machine.peek(buffer.pfn())[..3], [1, 0, 1]);
        let past_the_end = atomic(&machine, |atomic| zero_fill_bio(atomic, &mut buffer, 4000, 97));
        assert_eq!(past_the_end, Err(ops::Error::OutOfBounds { offset: 4000, len: 97, size: PAGE_SIZE }));
        let from = page(&machine, 9);
        atomic(&machine, |atomic| log_under_a_mapping(atomic, &from, &mut buffer));
        assert_eq!(machine.peek(buffer.pfn())[0], 9);
    }

    #[test]
    fn a_fragment_in_a_softirq_and_in_a_task() {
        let machine = Machine::new();
        let frag = page(&machine, 7);
        let (mut header, mut other) = ([0; 20], [0; 20]);
        machine.cpu(0).task(|task| {
            machine.cpu(0).softirq_now(|softirq| from_net_rx_action(softirq, &frag, &mut header)).unwrap();
            from_a_system_call(task, &frag, &mut other).unwrap();
        });
        assert_eq!((header, other), ([7; 20], [7; 20]));
    }

    #[test]
    fn a_cipher_in_both() {
        let machine = Machine::new();
        let (input, mut out) = (page(&machine, 0xf0), page(&machine, 0x3c));
        atomic(&machine, |atomic| xor_in_a_task(atomic, &mut out, &input));
        assert_eq!(machine.peek(out.pfn()), [0xcc; PAGE_SIZE]);
        machine.cpu(0).task(|_| machine.cpu(0).softirq_now(|softirq| xor_in_a_softirq(softirq, &mut out, &input)));
        assert_eq!(machine.peek(out.pfn()), [0x3c; PAGE_SIZE]);
    }

    #[test]
    fn mapped_here_and_unmapped_there() {
        let machine = Machine::new();
        let mut page = page(&machine, 0);
        machine.cpu(0).task(|_| {
            machine.cpu(0).interrupt_now(|irq| ata_scsi_inquiry(irq, &mut Sg { page: &mut page, offset: 8 }));
        });
        assert_eq!(&machine.peek(page.pfn())[7..13], b"\0ATA \0");
    }

    #[test]
    fn errors_leave_nothing_mapped() {
        let machine = Machine::new();
        let (mut header, table) = (page(&machine, 4), page(&machine, 1));
        assert_eq!(atomic(&machine, |atomic| read_header(atomic, &header, &table)), Err(BadImage));
        atomic(&machine, |atomic| memcpy_to_page(atomic.slots().user0, &mut header, 0, b"\x7fELF")).unwrap();
        assert_eq!(atomic(&machine, |atomic| read_header(atomic, &header, &table)), Ok(0x0101_0101));
        assert_eq!(debug::mappings::<K>().count(), 0);
    }

    #[test]
    fn a_mapping_that_may_not_be_there() {
        let machine = Machine::new();
        let (data, parity) = (page(&machine, 1), page(&machine, 2));
        let sums =
            atomic(&machine, |atomic| [None, Some(&parity)].map(|parity| sum_with_parity(atomic, &data, parity)));
        assert_eq!(sums, [1, 3]);
    }

    #[test]
    fn a_callee_has_its_own_slot() {
        let machine = Machine::new();
        let (node, child) = (page(&machine, 1), page(&machine, 2));
        assert_eq!(atomic(&machine, |atomic| outer(atomic, &node, &child)), 1);
    }

    #[test]
    fn the_pool() {
        let machine = Machine::new();
        let (mut one, mut two) = (page(&machine, 1), page(&machine, 2));
        machine.cpu(0).task(|task| {
            assert_eq!(first_byte_if_mapped(task, &one), None);
            read_block_into(task, &mut one).unwrap();
            copy_slowly(task, &mut two, &one).unwrap();
            assert_eq!(machine.peek(two.pfn())[511..513], [7, 1]);
            assert!(under_a_spinlock(&mut task.atomic(), &mut two));
            assert_eq!(first_byte_if_mapped(task, &one), Some(7));
        });
        assert_eq!(machine.peek(two.pfn())[..2], [1, 7]);
    }

    #[test]
    fn local_maps() {
        let machine = Machine::new();
        let (from, mut to) = (page(&machine, 3), page(&machine, 4));
        machine.cpu(0).task(|task| copy_preemptibly(task, &mut to, &from));
        assert_eq!(machine.peek(to.pfn())[..2], [1, 3]);
    }

    #[test]
    fn user_memory_that_comes_when_it_is_asked_for() {
        let machine = Machine::new();
        machine.user().map(0x1000..0x3000, UserPage::OnDemand);
        machine.user().write(0x1ff8, b"sixteen bytes on");
        let mut page = page(&machine, 0);
        machine.cpu(0).task(|task| {
            let not_there = peek_at_user(&mut task.atomic(), &mut page, 0x1ff8);
            assert_eq!(not_there, Err(user::Error::Fault { left: 16 }));
            ioctl(task, &mut page, 0x1ff8).unwrap();
            shmem_write(task, &mut page, 100, 0x1ff8, 16).unwrap();
            assert_eq!(machine.peek(page.pfn())[..16], machine.peek(page.pfn())[100..116]);
            peek_at_user(&mut task.atomic(), &mut page, 0x1ffc).unwrap(); // it is there now
            assert!(matches!(ioctl(task, &mut page, K_END), Err(user::Error::NotUser { .. })));
        });
        assert_eq!(&machine.peek(page.pfn())[100..116], b"sixteen bytes on");
        assert_eq!(&machine.peek(page.pfn())[..12], b"een bytes on");
    }

    /// An address of the kernel.
    const K_END: usize = 0xc000_0000;

    #[test]
    fn helpers_map_for_themselves() {
        let machine = Machine::new();
        let (mut to, from) = (page(&machine, 1), page(&machine, 2));
        atomic(&machine, |atomic| helpers(atomic, &mut to, &from)).unwrap();
        let bytes = machine.peek(to.pfn());
        assert_eq!(&bytes[99..111], b"\0some bytes\0");
        assert_eq!(bytes.iter().filter(|&&byte| byte != 0).count(), 10);
    }

    #[test]
    fn scatter_lists() {
        let machine = Machine::new();
        let mut list: Vec<Segment<FrameRun>> = Vec::new();
        for _ in 0..2 {
            let mut run = machine.alloc_run(Zone::High, NonZero::new(2).unwrap());
            atomic(&machine, |atomic| ops::memset_run(atomic.slots().user0, &mut run, 0, 0, 2 * PAGE_SIZE)).unwrap();
            list.push(Segment::new(run, PAGE_SIZE - 4, 8).unwrap());
        }
        assert_eq!(atomic(&machine, |atomic| count_zeros(atomic, &list)), 16);
        assert_eq!(atomic(&machine, |atomic| inquiry(atomic, &mut list)), 14);
        assert_eq!(atomic(&machine, |atomic| count_zeros(atomic, &list)), 2);
    }

    /// Where page tables come from.
    struct Stock<'m>(&'m Machine, BTreeMap<usize, SharedFrame>);

    impl pagetable::TableSource for Stock<'_> {
        type Frame = highmem::SharedFrame<Pae>;

        fn take(&mut self) -> Option<Self::Frame> {
            let frame = self.0.alloc(Zone::High).share();
            let pfn = frame.pfn();
            self.1.insert(pfn.number(), frame);
            // SAFETY: I5: the frame stays in the map until it is given back.
            Some(unsafe { highmem::SharedFrame::from_pfn(pfn) })
        }

        fn give_back(&mut self, frame: Self::Frame) {
            self.1.remove(&frame.into_pfn().number()).expect("a table is given back once");
        }
    }

    #[test]
    fn page_tables() {
        use pagetable::TableSource as _;

        let machine = Machine::with(Config { memory: 64 << 20, lowmem: 0, ..Config::default() });
        let mut stock = Stock(&machine, BTreeMap::new());
        atomic(&machine, |atomic| {
            let mut spaces = [7, 8].map(|pfn| {
                let mut slots = atomic.slots();
                let root = stock.take().unwrap();
                let span = Pages::new(0, 1 << 18);
                let mut space = Space::new(slots.user0.reborrow(), root, span, Layout::new()).unwrap();
                let mut edit = space.edit(slots.pte0, slots.pte1, &mut stock);
                for (address, pfn) in [(0x1000, 6), (0x2000, pfn)] {
                    // SAFETY: no CPU uses the address space.
                    let flush = unsafe { edit.map(address, Pfn::new(pfn).unwrap(), PageSize::Small, Flags::USER) };
                    edit.flush(flush.unwrap());
                }
                space
            });
            let [parent, child] = &mut spaces;
            assert_eq!(follow_page(atomic, parent, 0x2fff), Ok(Some(7)));
            assert_eq!(follow_page(atomic, parent, 0x3000), Ok(None));
            assert!(is_shared(atomic, parent, child, 0x1000).unwrap());
            assert!(!is_shared(atomic, parent, child, 0x2000).unwrap());
        });
        stock.1.clear();
    }

    #[test]
    fn registers() {
        let machine = Machine::new();
        let frame = page(&machine, 6).share();
        // SAFETY: a frame that is used by nobody else.
        let mut registers = unsafe { DeviceFrame::from_pfn(frame.pfn()) };
        machine.cpu(0).task(|_| {
            let read = machine.cpu(0).interrupt_now(|irq| status(irq, &mut registers));
            assert_eq!(read, Ok(0x0606_0606));
        });
    }

    #[test]
    fn a_futex() {
        let machine = Machine::new();
        let mut word = page(&machine, 0).share();
        let taken = atomic(&machine, |atomic| [8, 8].map(|offset| cmpxchg_futex(atomic, &mut word, offset)));
        assert_eq!(taken, [Ok(true), Ok(false)]);
    }

    #[test]
    fn a_bounced_read() {
        let machine = Machine::new();
        let page_pool = Pool::new(highmem::bounce::Reach::of_bits(24).unwrap());
        page_pool.add(machine.alloc(Zone::Low).share()).unwrap();
        let run = machine.alloc_run(Zone::High, NonZero::new(1).unwrap());
        let pfn = run.first();
        let mut bio = Bio::new();
        bio.push(Segment::whole(run)).unwrap();
        machine.cpu(0).task(|task| {
            let request = submit_read(task, &page_pool, bio).unwrap();
            let low = request.extents().next().unwrap();
            machine.poke(Pfn::containing(low.address).unwrap(), 0, &[3; 512]);
            let done = machine.cpu(0).interrupt_now(|irq| bounce_end_io_read(irq, request, 511));
            assert_eq!(done.result, Ok(511));
            assert_eq!(machine.peek(pfn)[..511], [3; 511]);
            assert_ne!(machine.peek(pfn)[511], 3);
        });
    }

    /// What the feature `debug` reports, but for numbers and places.
    #[cfg(feature = "debug")]
    #[test]
    fn the_guide_quotes_reports() {
        let machine: Machine = Machine::with(Config { panic_on_report: false, ..Config::default() });
        let mut page = machine.alloc(Zone::High);
        machine.cpu(0).task(|task| {
            std::mem::forget(kmap_atomic(task.atomic().slots().user0, &mut page));
            // SAFETY: there is none: interrupts are on.
            unsafe { HardIrq::<K>::enter(|irq| drop(kmap_atomic(irq.slots().irq0, &page))) };
        });
        let is_same = |word: &&str| !word.starts_with("0x") && !word.contains(".rs:");
        let words = |text: &str| text.split_whitespace().filter(is_same).map(str::to_owned).collect::<Vec<_>>();
        let guide = words(include_str!("../docs/porting-from-linux.md"));
        let reports = machine.reports();
        assert_eq!(reports.len(), 2, "{reports:?}");
        for report in reports {
            let report = words(&report);
            assert!(guide.windows(report.len()).any(|quoted| quoted == report), "the guide does not quote {report:?}");
        }
    }

    #[test]
    fn the_guide_has_this_code() {
        let lines = |text: &str| text.lines().map(|line| format!("{}\n", line.trim())).collect::<String>();
        let code = lines(include_str!("model_porting.rs"));
        let guide = lines(include_str!("../docs/porting-from-linux.md"));
        let mut blocks = 0;
        for part in guide.split("\n```rust\n").skip(1) {
            let (block, _) = part.split_once("```\n").expect("a block ends");
            for item in block.split("\n\n") {
                assert!(
                    code.contains(&format!("\n{}\n", item.trim())),
                    "this is not in tests/model_porting.rs:\n{item}"
                );
            }
            blocks += 1;
        }
        assert_ne!(blocks, 0);
        assert_eq!(blocks, guide.matches("```r").count(), "each block of Rust is looked for");
    }
}
