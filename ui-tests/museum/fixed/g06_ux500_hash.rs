//! The device first, and then the walk.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/walk.rs"]
mod walk;
use walk::*;

type Softirq0Slot<'cx> = Slot<'cx, MyKernel, Softirq0>;

struct HashWalk<'cx, 'req> {
    data: KmapAtomic<'cx, MyKernel, Softirq0, &'req Frame>,
    nbytes: usize,
}

fn hash_walk_first<'cx, 'req>(slot: Softirq0Slot<'cx>, req: &'req HashRequest) -> HashWalk<'cx, 'req> {
    HashWalk { data: kmap_atomic(slot, &req.pages[0]), nbytes: highmem::PAGE_SIZE }
}

fn hash_walk_done<'cx>(walk: HashWalk<'cx, '_>) -> Softirq0Slot<'cx> {
    kunmap_atomic(walk.data).0
}

/// The slot comes back, for the request that is next.
fn hash_process_data<'cx>(
    slot: Softirq0Slot<'cx>,
    req: &HashRequest,
    device: Option<&mut u32>,
) -> (Softirq0Slot<'cx>, Result<(), Error>) {
    let Some(device) = device else {
        return (slot, Err(Error::NoDevice));
    };
    let walk = hash_walk_first(slot, req);
    *device = digest(&walk.data[..walk.nbytes]);
    (hash_walk_done(walk), Ok(()))
}

fn main() {
    let mut req = HashRequest { pages: vec![frame(0)] };
    fill(&mut req.pages[0], 3);
    let mut device = 0;
    softirq(|softirq| {
        let slot = softirq.slots().softirq0;
        let (slot, result) = hash_process_data(slot, &req, None);
        assert_eq!(result, Err(Error::NoDevice));
        let (_slot, result) = hash_process_data(slot, &req, Some(&mut device));
        assert_eq!(result, Ok(()));
    });
    assert_eq!(device, digest(&[3; highmem::PAGE_SIZE]));
}
