//! What this kernel does with pages. It says nothing of a particular kernel, so the tests below run
//! it on another one: highmem's model of a machine.

use highmem::linux::Set;
use highmem::page::ReadWrite;
use highmem::{Kernel, Page, Task, kmap_atomic};

/// Writes `text` to the beginning of a page. Says at which address that was.
pub fn write<K: Kernel<KmTypes = Set>>(
    task: &mut Task<'_, K>,
    page: &mut impl Page<Paging = K::Paging, Access = ReadWrite>,
    text: &[u8],
) -> usize {
    let mut atomic = task.atomic(); // no other thread runs from here on
    let mut mapped = kmap_atomic(atomic.slots().user0, page); // the page has an address
    mapped[..text.len()].copy_from_slice(text);
    mapped.address()
} // and has none any more

/// Reads the beginning of a page, through another slot. Says at which address that was.
pub fn read<K: Kernel<KmTypes = Set>>(
    task: &mut Task<'_, K>,
    page: &impl Page<Paging = K::Paging, Access = ReadWrite>,
    text: &mut [u8],
) -> usize {
    let mut atomic = task.atomic();
    let mapped = kmap_atomic(atomic.slots().user1, page); // read only: this is `&page`
    text.copy_from_slice(&mapped[..text.len()]);
    mapped.address()
}

#[cfg(test)]
mod tests {
    use super::{read, write};
    use highmem::model::{FRESH, Machine, Zone};
    use highmem::{PAGE_SIZE, Page, kmap_atomic};

    #[test]
    fn what_is_written_is_in_the_page_and_comes_back() {
        let machine = Machine::new(); // two CPUs, 8 GiB of memory, 16 MiB of it lowmem
        let mut page = machine.alloc(Zone::High);
        let mut text = [0; 5];
        machine.cpu(0).task(|task| {
            let written_at = write(task, &mut page, b"hello");
            let read_at = read(task, &page, &mut text);
            assert_ne!(written_at, read_at, "these are two slots");
        });
        assert_eq!(&text, b"hello");
        let bytes = machine.peek(page.pfn());
        assert_eq!(&bytes[..5], b"hello");
        assert!(bytes[5..].iter().all(|&byte| byte == FRESH), "nothing else was written");
    }

    #[test]
    fn an_interrupt_handler_may_map_pages_at_each_step() {
        let machine = Machine::new();
        let (mut page, mut other) = (machine.alloc(Zone::High), machine.alloc(Zone::High));
        machine.cpu(0).task(|task| {
            machine.cpu(0).interrupt_everywhere(
                |irq| kmap_atomic(irq.slots().irq0, &mut other).fill(0xff),
                || _ = write(task, &mut page, b"hello"),
            );
        });
        assert_eq!(&machine.peek(page.pfn())[..5], b"hello");
        assert_eq!(machine.peek(other.pfn()), [0xff; PAGE_SIZE]);
    }
}
