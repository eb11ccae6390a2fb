//! The test that the README shows, as it stands there.

use highmem::page::ReadWrite;
use highmem::{Kernel, Page, Task, kmap_atomic, linux::Set};

fn clear<K: Kernel<KmTypes = Set>>(
    task: &mut Task<'_, K>,
    page: &mut impl Page<Paging = K::Paging, Access = ReadWrite>,
) {
    let mut atomic = task.atomic(); // no preemption from here on
    kmap_atomic(atomic.slots().user0, page).fill(0);
}

#[cfg(test)]
mod tests {
    use super::clear;
    use highmem::PAGE_SIZE;
    use highmem::model::{Machine, Zone};
    use highmem::page::Page;

    #[test]
    fn clear_fills_the_page_with_zeros() {
        let machine = Machine::new(); // two CPUs, 8 GiB of memory, 16 MiB of it lowmem
        let mut page = machine.alloc(Zone::High);
        machine.cpu(0).task(|task| clear(task, &mut page));
        assert_eq!(machine.peek(page.pfn()), [0; PAGE_SIZE]);
    }
}

#[test]
fn it_stands_in_the_readme() {
    let (_, test) = include_str!("model_readme.rs").split_once("#[cfg(test)]").expect("there is a test");
    let (test, _) = test.split_once("\n}\n").expect("it ends");
    assert!(include_str!("../README.md").contains(&format!("#[cfg(test)]{test}\n}}\n")));
}
