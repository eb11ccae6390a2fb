//! The pages are mapped in a slot, by a function that says so.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "../fixtures/spinlock.rs"]
mod spinlock;
use spinlock::*;
#[path = "../fixtures/gem.rs"]
mod gem;
use gem::*;

fn i915_dump_pages(slot: &mut Slot<'_, MyKernel, User0>, m: &mut Vec<u32>, obj: &GemObject, len: usize) {
    for page in &obj.pages {
        let mem = kmap_atomic(slot.reborrow(), page);
        m.extend(mem.view_slice::<u32>(0, len).expect("aligned"));
    }
}

fn i915_batchbuffer_info(task: &mut Task<'_>, m: &mut Vec<u32>, active_list: &SpinLock<Vec<GemObject>>) {
    let mut list = active_list.lock(task);
    for obj in list.data.iter() {
        i915_dump_pages(&mut list.atomic.slots().user0, m, obj, 2);
    }
}

fn main() {
    let mut obj = GemObject { pages: vec![frame(0), frame(1)] };
    put(&mut obj.pages[0], 0, &0x0a00_0000_u32.to_ne_bytes());
    put(&mut obj.pages[1], 4, &0x0500_0000_u32.to_ne_bytes());
    let (mut m, active_list) = (Vec::new(), SpinLock::new(vec![obj]));
    thread(|task| i915_batchbuffer_info(task, &mut m, &active_list));
    assert_eq!(m, [0x0a00_0000, 0, 0, 0x0500_0000]);
}
