//! Of `docs/how-to/smp.md`.

use highmem::kmap_atomic;

use super::mm::{Frame, Slot};
use highmem::linux::{User0, User1};

/// Runs on any CPU: which one, the tokens know.
fn exchange(one: (&mut Frame, Slot<'_, User0>), other: (&mut Frame, Slot<'_, User1>)) {
    let mut one = kmap_atomic(one.1, one.0);
    let mut other = kmap_atomic(other.1, other.0);
    one.swap_with_slice(&mut other[..]);
}

mod tests {
    use std::sync::Mutex;

    use highmem::model::{Cpu, Machine, Schedules};
    use highmem::paging::Pae;
    use highmem::{Page as _, linux::Set};

    use super::*;
    use crate::{check, page};

    #[test]
    fn in_all_orders() {
        let machine = Machine::new();
        let pages = [1, 2].map(|byte| Mutex::new([page(&machine, byte), page(&machine, byte + 2)]));
        let work = |cpu: Cpu<'_, Pae, Set, false>| {
            let mut pages = pages[cpu.number()].lock().unwrap();
            let [one, other] = &mut *pages;
            let pfns = [one.pfn(), other.pfn()];
            let before = pfns.map(|pfn| machine.peek(pfn));
            cpu.task(|task| {
                let mut atomic = task.atomic();
                let slots = atomic.slots();
                exchange((one, slots.user0), (other, slots.user1));
            });
            assert!(
                pfns.map(|pfn| machine.peek(pfn)) == [before[1], before[0]],
                "what was exchanged is something else"
            );
        };
        let runs = machine.interleave(Schedules::exhaustive(1), 2, work, || check(&machine));
        assert!(runs > 20, "{runs}");
    }
}
