//! G07, skcipher_walk_done: with an error, both pages stay mapped.
//!
//! Linux, `crypto/skcipher.c`, 2018 to 2019. Lore 20190903065438.GA9372@gondor (8088d3dd4d7c). Seen: the diff.
//!
//! ```c
//! if (err < 0)
//!         goto finish; /* external callers: src, dst still mapped */
//! ```
//!
//! An earlier fix for a crash had made it so: the walk's own calls come with nothing mapped, and those of drivers with two pages.
//! Here the walk holds both slots, and the context with them, until it ends: what comes after an error is not possible before.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/walk.rs"]
mod walk;
use walk::*;

struct SkcipherWalk<'cx, 'req> {
    src: KmapAtomic<'cx, MyKernel, User0, &'req Frame>,
    dst: KmapAtomic<'cx, MyKernel, User1, &'req mut Frame>,
    offset: usize,
    nbytes: usize,
}

impl<'cx, 'req> SkcipherWalk<'cx, 'req> {
    fn virt(
        src_slot: Slot<'cx, MyKernel, User0>,
        dst_slot: Slot<'cx, MyKernel, User1>,
        req: &'req mut SkcipherRequest,
    ) -> Self {
        let SkcipherRequest { src, dst, cryptlen } = req;
        Self { src: kmap_atomic(src_slot, src), dst: kmap_atomic(dst_slot, dst), offset: 0, nbytes: *cryptlen }
    }

    /// Says how many bytes of those that were mapped are left.
    fn done(&mut self, left: Result<usize, Error>) -> Result<(), Error> {
        let left = left?; // as `goto finish`
        (self.offset, self.nbytes) = (self.offset + self.nbytes - left, left);
        Ok(())
    }
}

/// Preemption is on again, and the registers are somebody else's.
fn kernel_fpu_end(_atomic: Atomic<'_, MyKernel>) {}

fn ecb_encrypt(task: &mut Task<'_>, req: &mut SkcipherRequest) -> Result<(), Error> {
    let mut atomic = task.atomic();
    let slots = atomic.slots();
    let mut walk = SkcipherWalk::virt(slots.user0, slots.user1, req);
    let mut result = Ok(());
    while result.is_ok() && walk.nbytes > 0 {
        let (at, nbytes) = (walk.offset, walk.nbytes);
        if nbytes >= BLOCK {
            encrypt_block(&mut walk.dst[at..at + BLOCK], &walk.src[at..at + BLOCK]);
        }
        result = walk.done(nbytes.checked_sub(BLOCK).ok_or(Error::Invalid));
    }
    kernel_fpu_end(atomic);
    result
}

fn main() {
    let mut req = SkcipherRequest { src: frame(0), dst: frame(1), cryptlen: 2 * BLOCK };
    fill(&mut req.src, 1);
    thread(|task| {
        assert_eq!(ecb_encrypt(task, &mut req), Ok(()));
        req.cryptlen = 5;
        assert_eq!(ecb_encrypt(task, &mut req), Err(Error::Invalid));
        let mut atomic = task.atomic();
        assert_eq!(kmap_atomic(atomic.slots().user0, &req.dst)[..33], [[0x5b; 32].as_slice(), &[0]].concat());
    });
}
