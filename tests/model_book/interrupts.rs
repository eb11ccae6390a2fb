//! Of `docs/how-to/interrupts.md`.

use highmem::linux::SkbDataSoftirq;
use highmem::{KmType, ViewError, kmap_atomic, linux::Set};

use super::mm::{Atomic, Frame, HardIrq, SharedFrame, Slot, Softirq, Task};

/// What the card has received: its ring, and where packets are collected.
struct Nic {
    ring: SharedFrame,
    packets: Frame,
    length: usize,
}

impl Nic {
    fn interrupt(&mut self, irq: &mut HardIrq<'_>) -> Result<(), ViewError> {
        let slots = irq.slots();
        let ring = kmap_atomic(slots.irq0, &self.ring);
        let mut packets = kmap_atomic(slots.irq1, &mut self.packets);
        let length = ring.load::<u32>(0)? as usize; // once: the card may change it
        let free = packets.get_mut(self.length..self.length + length.min(508)).unwrap_or_default();
        ring.read_at(4, free)?;
        self.length += free.len();
        Ok(())
    } // both unmapped
}

impl Nic {
    fn read(&self, task: &mut Task<'_>, to: &mut [u8]) -> usize {
        let mut atomic = task.atomic();
        let mut irqs_off = atomic.irqs_off(); // until it is dropped
        let packets = kmap_atomic(irqs_off.slots().irq1, &self.packets);
        let count = to.len().min(self.length);
        to[..count].copy_from_slice(&packets[..count]);
        count
    }
}

fn checksum_while_logging(atomic: &mut Atomic<'_>, page: &Frame, log: &mut Frame) -> u8 {
    let mut slots = atomic.slots();
    let bytes = kmap_atomic(slots.user0, page);
    let sum = bytes.iter().fold(0, |sum: u8, byte| sum.wrapping_add(*byte));
    let mut irqs_off = slots.deeper.irqs_off(); // `bytes` stays mapped
    kmap_atomic(irqs_off.slots().irq0, log)[0] = sum;
    sum
}

fn header(slot: Slot<'_, SkbDataSoftirq>, fragment: &Frame) -> [u8; 4] {
    let bytes = kmap_atomic(slot, fragment);
    [bytes[0], bytes[1], bytes[2], bytes[3]]
}

fn in_a_softirq(softirq: &mut Softirq<'_>, fragment: &Frame) -> [u8; 4] {
    header(softirq.slots().skb_data_softirq, fragment)
}

fn in_a_task(task: &mut Task<'_>, fragment: &Frame) -> [u8; 4] {
    let mut atomic = task.atomic();
    let mut bh_off = atomic.bh_off(); // no softirq on this CPU
    header(bh_off.slots().skb_data_softirq, fragment)
}

fn fill<S: KmType<Set = Set>>(slot: Slot<'_, S>, page: &mut Frame, byte: u8) {
    kmap_atomic(slot, page).fill(byte);
}

mod tests {
    use highmem::Page as _;
    use highmem::model::{Machine, Zone};

    use super::*;
    use crate::{check, page};

    fn nic(machine: &Machine, packet: &[u8]) -> Nic {
        let ring = machine.alloc(Zone::High).share();
        machine.poke(ring.pfn(), 0, &(packet.len() as u32).to_le_bytes());
        machine.poke(ring.pfn(), 4, packet);
        Nic { ring, packets: machine.alloc(Zone::High), length: 0 }
    }

    #[test]
    fn packets_are_collected_and_read() {
        let machine = Machine::new();
        let mut nic = nic(&machine, b"packet");
        let mut to = [0; 12];
        machine.cpu(0).task(|task| {
            (0..2).for_each(|_| machine.cpu(0).interrupt_now(|irq| nic.interrupt(irq)).unwrap());
            assert_eq!(nic.read(task, &mut to), 12);
        });
        assert_eq!(&to, b"packetpacket");
        check(&machine);
    }

    #[test]
    fn a_length_that_lies_reads_no_more_than_a_place() {
        let machine = Machine::new();
        let mut nic = nic(&machine, b"packet");
        machine.poke(nic.ring.pfn(), 0, &[0xff; 4]);
        machine.cpu(0).task(|_| {
            (0..9).for_each(|_| machine.cpu(0).interrupt_now(|irq| nic.interrupt(irq)).unwrap());
        });
        assert_eq!(nic.length, 8 * 508, "the ninth does not fit any more");
    }

    #[test]
    fn the_handler_may_come_at_each_step_of_a_task() {
        let machine = Machine::new();
        let (from, mut log) = (page(&machine, 1), page(&machine, 0));
        let mut nic = nic(&machine, b"p");
        let steps = machine.cpu(0).task(|task| {
            machine.cpu(0).interrupt_everywhere(
                |irq| nic.interrupt(irq).unwrap(),
                || assert_eq!(checksum_while_logging(&mut task.atomic(), &from, &mut log), 0),
            )
        });
        assert!(steps > 10, "{steps}");
        assert!(nic.length > 10, "the handler ran {} times", nic.length);
        check(&machine);
    }

    #[test]
    fn a_fragment_is_read_in_both_contexts() {
        let machine = Machine::new();
        let mut fragment = page(&machine, 3);
        let both = machine.cpu(0).task(|task| {
            [machine.cpu(0).softirq_now(|softirq| in_a_softirq(softirq, &fragment)), in_a_task(task, &fragment)]
        });
        assert_eq!(both, [[3; 4]; 2]);
        machine.cpu(0).task(|task| {
            fill(task.atomic().slots().user0, &mut fragment, 4);
            assert_eq!(in_a_task(task, &fragment), [4; 4]);
            machine.cpu(0).interrupt_now(|irq| fill(irq.slots().irq0, &mut fragment, 5));
            assert_eq!(in_a_task(task, &fragment), [5; 4]);
        });
    }
}
