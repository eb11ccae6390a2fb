//! F01, RAID5: a request's page is mapped by `kmap()` under the lock of the stripe.
//!
//! Linux, `drivers/md/raid5.c`, 2003. Fixed in 240d3e2d1f (history before git). Seen: the diff.
//!
//! ```c
//! spin_lock(sh);
//! b = bio_kmap(bio, i);
//! ...
//! ```
//!
//! The fix is `__bio_kmap_atomic()`, and the variant that sleeps was deleted from the header, so that nobody takes it again. Here it can
//! stay: it takes a task that may sleep, which the lock's guard holds.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bio.rs"]
mod bio;
use bio::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/spinlock.rs"]
mod spinlock;
use spinlock::*;
#[path = "fixtures/raid5.rs"]
mod raid5;
use raid5::*;

/// Copies the data of a write into the stripe's page for a disk.
fn copy_data(task: &mut Task<'_>, frombio: &Bio, sh: &SpinLock<StripeHead>, dd: usize) {
    let mut sh = sh.lock(task);
    let mut page_offset = 0;
    for bvec in &frombio.io_vec {
        let clen = bvec.len.min(4096 - page_offset);
        let slots = sh.atomic.slots();
        let mut pa = kmap_atomic(slots.user1, &mut sh.data.dev[dd]);
        let (ba, _) = kmap(task, &bvec.page).expect("this kernel does not interrupt waits");
        pa[page_offset..][..clen].copy_from_slice(&ba[bvec.offset..][..clen]);
        page_offset += clen;
    }
}

fn main() {
    let mut frombio = bio();
    frombio.io_vec[0].len = 512;
    put(&mut frombio.io_vec[0].page, 508, b"raid");
    put(&mut frombio.io_vec[1].page, 512, b"5");
    let sh = SpinLock::new(StripeHead { dev: vec![frame(2), frame(3)] });
    thread(|task| copy_data(task, &frombio, &sh, 1));
    let page = thread(|task| sh.lock(task).data.dev.pop()).unwrap();
    assert_eq!(get(&page, 508), *b"raid5\0");
}
