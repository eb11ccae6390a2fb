//! Of `docs/why.md`.

use highmem::model::Machine;
use highmem::{PAGE_SIZE, Page as _, kmap_atomic};

use super::mm::{Atomic, Frame};

fn clear_page(atomic: &mut Atomic<'_>, page: &mut Frame) {
    let mut bytes = kmap_atomic(atomic.slots().user0, page);
    bytes.fill(0);
} // here the mapping ends: there is no call that could be given something else

#[test]
fn the_page_is_cleared() {
    let machine = Machine::new();
    let mut page = super::page(&machine, 1);
    super::atomic(&machine, |atomic| clear_page(atomic, &mut page));
    assert_eq!(machine.peek(page.pfn()), [0; PAGE_SIZE]);
    super::check(&machine);
}
