//! Of `docs/how-to/testing-on-the-model.md`.

use highmem::page::ReadWrite;
use highmem::{Kernel, KmType, Page, Slot, kmap_atomic};

/// The code under test: a log in a page, whose first two bytes say how long it is.
pub struct Log<P>(pub P);

impl<P: Page<Access = ReadWrite>> Log<P> {
    pub fn clear<K, S>(&mut self, slot: Slot<'_, K, S>)
    where
        K: Kernel<Paging = P::Paging>,
        S: KmType<Set = K::KmTypes>,
    {
        kmap_atomic(slot, &mut self.0)[..2].fill(0);
    }

    pub fn append<K, S>(&mut self, slot: Slot<'_, K, S>, text: &[u8]) -> bool
    where
        K: Kernel<Paging = P::Paging>,
        S: KmType<Set = K::KmTypes>,
    {
        let mut page = kmap_atomic(slot, &mut self.0);
        let end = 2 + usize::from(u16::from_le_bytes([page[0], page[1]]));
        let Some(free) = page.get_mut(end..end + text.len()) else { return false };
        free.copy_from_slice(text);
        page[..2].copy_from_slice(&((end - 2 + text.len()) as u16).to_le_bytes());
        true
    }
}

#[cfg(test)]
mod tests {
    use highmem::model::{Machine, Zone};
    use highmem::{Page as _, kmap_atomic};

    use super::Log;

    #[test]
    fn text_is_appended() {
        let machine = Machine::new(); // two CPUs, 8 GiB, 16 MiB of it low memory, PAE
        let mut log = Log(machine.alloc(Zone::High));
        machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            log.clear(atomic.slots().user0); // what was allocated is not zero
            assert!(log.append(atomic.slots().user0, b"one "));
            assert!(log.append(atomic.slots().user0, b"two"));
        });
        assert_eq!(&machine.peek(log.0.pfn())[..9], b"\x07\0one two");
    }

    #[test]
    fn a_handler_that_maps_comes_at_each_step() {
        let machine = Machine::new();
        let mut log = Log(machine.alloc(Zone::High));
        let mut others = machine.alloc(Zone::High);
        let pfn = log.0.pfn();
        let steps = machine.cpu(0).task(|task| {
            machine.cpu(0).interrupt_everywhere(
                |irq| kmap_atomic(irq.slots().irq0, &mut others).fill(0xee),
                || {
                    let mut atomic = task.atomic();
                    log.clear(atomic.slots().user0);
                    assert!(log.append(atomic.slots().user0, b"text"));
                    assert_eq!(&machine.peek(pfn)[..6], b"\x04\0text");
                },
            )
        });
        assert!(steps > 5, "{steps}");
        assert_eq!(machine.stale(), [], "each translation was flushed");
    }

    #[test]
    #[should_panic(expected = "CPU 0 writes, and the mapping is read only")]
    fn the_machine_notices_what_types_cannot_see() {
        let machine = Machine::new();
        let page = machine.alloc(Zone::High);
        machine.cpu(0).task(|task| {
            let mut atomic = task.atomic();
            let mapped = kmap_atomic(atomic.slots().user0, &page); // read only
            let address = mapped.as_ptr().cast_mut();
            // SAFETY: there is none: this is the mistake.
            unsafe { address.write_volatile(1) };
        });
    }
}
