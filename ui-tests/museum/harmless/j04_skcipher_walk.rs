//! J04, skcipher: a new walk maps the source first, and unmaps it first.
//!
//! Linux, `crypto/skcipher.c`, 2025. Fixed in eca6828403b8; lore 20250306033305.163767-1-ebiggers@kernel.org (fixes 95dbd711b1d8).
//! Seen: the diff.
//!
//! ```c
//! map_src();
//! map_dst();
//! /* ... */
//! unmap_src();
//! unmap_dst();
//! ```
//!
//! The order was turned when the code was written anew; the fix maps the target first. Here a walk's mappings have types of their
//! own, and end in any order.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/walk.rs"]
mod walk;
use highmem::local::KmapLocal;
use typenum::{U0, U1};
use walk::*;

struct SkcipherWalk<'cx, 'req> {
    src: KmapLocal<'cx, Nested, InTask, U0, &'req Frame>,
    dst: KmapLocal<'cx, Nested, InTask, U1, &'req mut Frame>,
    nbytes: usize,
}

/// Goes on with the mapped request, in this step.
fn skcipher_walk_next(
    local: &mut Local<'_, Nested, InTask>,
    req: &mut SkcipherRequest,
    step: impl FnOnce(&mut SkcipherWalk<'_, '_>),
) {
    let SkcipherRequest { src, dst, cryptlen } = req;
    let (src, mut local) = kmap_local_page(local, &*src);
    let (dst, _) = kmap_local_page(&mut local, dst);
    let mut walk = SkcipherWalk { src, dst, nbytes: *cryptlen };
    step(&mut walk);
    skcipher_walk_done(walk);
}

fn skcipher_walk_done(walk: SkcipherWalk<'_, '_>) {
    kunmap_local(walk.src);
    kunmap_local(walk.dst);
}

fn main() {
    let mut req = SkcipherRequest { src: frame(0), dst: frame(1), cryptlen: 2 * BLOCK };
    fill(&mut req.src, 1);
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _task) = pinned.local();
        skcipher_walk_next(&mut local, &mut req, |walk| {
            encrypt_block(&mut walk.dst[..walk.nbytes], &walk.src[..walk.nbytes]);
        });
        assert_eq!(kmap_local_page(&mut local, &req.src).0[..33], [1; 33]);
        assert_eq!(kmap_local_page(&mut local, &req.dst).0[..33], [[0x5b; 32].as_slice(), &[0]].concat());
    });
}
