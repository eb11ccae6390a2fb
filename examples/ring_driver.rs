//! A driver, and its tests as one would write them: a receive ring whose interrupt handler copies packets into pages of high memory.
//! `cargo run --example ring_driver --features model`, and `cargo test --example ring_driver --features model`
//!
//! The driver knows nothing of the model: it is generic over the kernel.

use highmem::linux::{Irq0, Irq1, Set, User0};
use highmem::model::{Machine, ModelKernel, Zone};
use highmem::page::{ReadWrite, Volatile};
use highmem::{HardIrq, Kernel, PAGE_SIZE, Page, Slot, kmap_atomic};

/// How many packets fit into the ring.
const PLACES: usize = PAGE_SIZE / PLACE;

/// The bytes of one place in the ring: four for the length, 0 if the device has not filled it; then the packet.
const PLACE: usize = 512;

/// The longest packet.
const LONGEST: usize = PLACE - 4;

/// The ring as the device fills it, place by place, and the pages to which the driver copies.
struct Receiver<R, F> {
    /// Shared with the device, which may write it at any time.
    ring: R,
    /// The next place to be looked at.
    next: usize,
    /// Where received packets are collected: their bytes, one behind the other.
    page: F,
    length: usize,
    dropped: usize,
}

impl<R, F> Receiver<R, F> {
    fn new(ring: R, page: F) -> Self {
        Self { ring, next: 0, page, length: 0, dropped: 0 }
    }

    /// The device's interrupt handler: takes all packets out of the ring. Returns how many there were.
    ///
    /// Both pages may be anywhere in memory: each is mapped for as long as it is touched, in a slot of interrupt handlers.
    fn handle_interrupt<K>(&mut self, irq: &mut HardIrq<'_, K>) -> usize
    where
        K: Kernel<KmTypes = Set>,
        R: Page<Paging = K::Paging, Access = Volatile>,
        F: Page<Paging = K::Paging, Access = ReadWrite>,
    {
        let mut slots = irq.slots();
        let mut packets = 0;
        while self.receive(slots.irq0.reborrow(), slots.irq1.reborrow()) {
            packets += 1;
        }
        packets
    }

    /// Takes one packet out of the ring, if there is one.
    fn receive<K>(&mut self, ring_slot: Slot<'_, K, Irq0>, page_slot: Slot<'_, K, Irq1>) -> bool
    where
        K: Kernel<KmTypes = Set>,
        R: Page<Paging = K::Paging, Access = Volatile>,
        F: Page<Paging = K::Paging, Access = ReadWrite>,
    {
        let mut ring = kmap_atomic(ring_slot, &mut self.ring);
        let place = self.next * PLACE;

        // The device may change the length while we look: it is read once, and what was read is checked.
        let length = ring.load::<u32>(place).expect("a place is in the page, and aligned") as usize;
        if length == 0 {
            return false;
        }
        if length > LONGEST || self.length + length > PAGE_SIZE {
            self.dropped += 1;
        } else {
            let mut page = kmap_atomic(page_slot, &mut self.page);
            let target = &mut page[self.length..][..length];
            ring.read_at(place + 4, target).expect("a packet is in its place");
            self.length += length;
        }
        ring.store(place, 0_u32).expect("a place is in the page, and aligned");
        self.next = (self.next + 1) % PLACES;
        true
    }

    /// What a reader does, as a task: copies what has been received.
    fn copy_received<K>(&self, slot: Slot<'_, K, User0>, target: &mut Vec<u8>)
    where
        K: Kernel<KmTypes = Set>,
        F: Page<Paging = K::Paging, Access = ReadWrite>,
    {
        target.extend_from_slice(&kmap_atomic(slot, &self.page)[..self.length]);
    }
}

/// The model's side: a device that fills the ring of a driver.
mod device {
    use super::*;
    use highmem::Pfn;
    use highmem::paging::Pae;

    /// Puts a packet into a place: first its bytes, then its length.
    pub fn send(machine: &Machine, ring: Pfn<Pae>, place: usize, packet: &[u8]) {
        send_with_length(machine, ring, place, packet, packet.len() as u32);
    }

    pub fn send_with_length(machine: &Machine, ring: Pfn<Pae>, place: usize, packet: &[u8], length: u32) {
        machine.poke(ring, place * PLACE + 4, packet);
        machine.poke(ring, place * PLACE, &length.to_le_bytes());
    }
}

type Driver = Receiver<highmem::model::SharedFrame<highmem::paging::Pae>, highmem::model::Frame<highmem::paging::Pae>>;

/// A driver whose pages are both beyond 4 GiB.
fn driver(machine: &Machine) -> Driver {
    let ring = machine.alloc(Zone::High).share();
    (0..PLACES).for_each(|place| device::send_with_length(machine, ring.pfn(), place, &[], 0));
    Receiver::new(ring, machine.alloc(Zone::High))
}

fn main() {
    let machine = Machine::new();
    let mut driver = driver(&machine);
    let (ring, page) = (driver.ring.pfn(), driver.page.pfn());
    println!("the ring is {ring:?}, packets go to {page:?}");

    for (place, packet) in ["a packet, ", "another, ", "and the last"].iter().enumerate() {
        device::send(&machine, ring, place, packet.as_bytes());
    }
    let packets = machine.cpu(0).interrupt_now(|irq| driver.handle_interrupt(irq));
    println!("one interrupt, {packets} packets");

    let mut received = Vec::new();
    machine.cpu(0).task(|task| driver.copy_received::<ModelKernel>(task.atomic().slots().user0, &mut received));
    println!("received: {}", String::from_utf8_lossy(&received));
}

#[cfg(test)]
mod tests {
    use super::*;

    fn received(machine: &Machine, driver: &Driver) -> Vec<u8> {
        let mut received = Vec::new();
        machine.cpu(0).task(|task| driver.copy_received::<ModelKernel>(task.atomic().slots().user0, &mut received));
        received
    }

    #[test]
    fn packets_arrive_in_order() {
        let machine = Machine::new();
        let mut driver = driver(&machine);
        device::send(&machine, driver.ring.pfn(), 0, b"one");
        device::send(&machine, driver.ring.pfn(), 1, b"two");
        assert_eq!(machine.cpu(0).interrupt_now(|irq| driver.handle_interrupt(irq)), 2);
        assert_eq!(machine.cpu(0).interrupt_now(|irq| driver.handle_interrupt(irq)), 0);
        assert_eq!(received(&machine, &driver), b"onetwo");
    }

    #[test]
    fn the_ring_goes_round() {
        let machine = Machine::new();
        let mut driver = driver(&machine);
        for number in 0..2 * PLACES {
            device::send(&machine, driver.ring.pfn(), number % PLACES, &[number as u8]);
            machine.cpu(0).interrupt_now(|irq| driver.handle_interrupt(irq));
        }
        assert!(received(&machine, &driver).into_iter().eq(0..2 * PLACES as u8));
    }

    #[test]
    fn a_length_that_is_a_lie_does_no_harm() {
        let machine = Machine::new();
        let mut driver = driver(&machine);
        device::send_with_length(&machine, driver.ring.pfn(), 0, b"long", u32::MAX);
        device::send(&machine, driver.ring.pfn(), 1, b"good");
        assert_eq!(machine.cpu(0).interrupt_now(|irq| driver.handle_interrupt(irq)), 2);
        assert_eq!((driver.dropped, received(&machine, &driver)), (1, b"good".to_vec()));
    }

    #[test]
    fn packets_that_do_not_fit_are_dropped() {
        let machine = Machine::new();
        let mut driver = driver(&machine);
        for number in 0..PLACES + 1 {
            device::send(&machine, driver.ring.pfn(), number % PLACES, &[number as u8; LONGEST]);
            machine.cpu(0).interrupt_now(|irq| driver.handle_interrupt(irq));
        }
        assert_eq!((driver.dropped, driver.length), (1, PLACES * LONGEST));
    }

    /// The handler comes before each single step of a reader that maps in its own slot, and neither disturbs the other.
    #[test]
    fn a_reader_is_interrupted_anywhere() {
        let machine = Machine::new();
        let mut driver = driver(&machine);
        let ring = driver.ring.pfn();
        let mut others = machine.alloc(Zone::High);
        let mut packets = 0;
        machine.cpu(0).task(|task| {
            machine.cpu(0).interrupt_everywhere(
                |irq| {
                    device::send(&machine, ring, packets % PLACES, b"x");
                    packets += driver.handle_interrupt(irq);
                },
                || {
                    let mut atomic = task.atomic();
                    let mut slots = atomic.slots();
                    kmap_atomic(slots.user0.reborrow(), &mut others).fill(b'y');
                    assert!(kmap_atomic(slots.user0, &others).iter().all(|&byte| byte == b'y'));
                },
            );
        });
        assert!(packets > 10);
        assert_eq!(received(&machine, &driver), vec![b'x'; packets]);
    }

    /// What the handler costs, in stores to page-table entries and in flushes: a budget that a change cannot exceed unnoticed.
    #[test]
    fn a_packet_costs_two_mappings() {
        let machine = Machine::new();
        let mut driver = driver(&machine);
        device::send(&machine, driver.ring.pfn(), 0, b"packet");
        machine.cpu(0).interrupt_now(|irq| {
            let slots = irq.slots();
            let (received, counts) = machine.cpu(0).count(|| driver.receive(slots.irq0, slots.irq1));
            assert!(received);
            // Each mapping is an entry set and cleared, of two halves with PAE, and one flush.
            assert_eq!((counts.stores, counts.invlpg), (2 * 4, 2));
        });
    }

    /// No slot of the handler can be in use when it comes: the same pages from two CPUs would be a data race, and do not compile.
    #[test]
    fn nothing_is_left_mapped() {
        let machine = Machine::new();
        let mut driver = driver(&machine);
        device::send(&machine, driver.ring.pfn(), 0, b"packet");
        machine.cpu(1).interrupt_now(|irq| driver.handle_interrupt(irq));
        assert_eq!(highmem::debug::mappings::<ModelKernel>().count(), 0);
        assert_eq!(machine.stale(), []);
        drop(driver);
        assert_eq!(machine.allocated(), 0);
    }
}
