//! J07, ZFS abd_raidz_gen_iterate: the pages of parity are unmapped before that of the data, which was mapped last.
//!
//! OpenZFS, `module/zfs/abd.c`, 2025. Fixed in 2cab0554c0 (zfs #15668). Seen: the diff.
//!
//! ```c
//! for (c = 0; c < parity; c++)
//!         map(c);
//! map(d);
//! gen();
//! for (c = parity - 1; c >= 0; c--)
//!         unmap(c);
//! unmap(d);
//! ```
//!
//! The loop over the parity goes backwards, as it should, and the data come too late. Here the order is of no concern.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

/// P is the sum, and Q the sum of what is doubled before.
fn raidz_gen_pq(p: &mut [u8], q: &mut [u8], d: &[u8]) {
    for ((p, q), d) in p.iter_mut().zip(q).zip(d) {
        *p ^= d;
        *q = (*q << 1) ^ if *q & 0x80 != 0 { 0x1d } else { 0 } ^ d;
    }
}

fn abd_raidz_gen_iterate<D: Depth + Room<Nested, InTask, 3>>(
    local: &mut Local<'_, Nested, InTask, D>,
    [p, q]: &mut [Frame; 2],
    dabd: &Frame,
) {
    let (mut p, mut local) = kmap_local_page(local, p);
    let (mut q, mut local) = kmap_local_page(&mut local, q);
    let (d, _) = kmap_local_page(&mut local, dabd);
    raidz_gen_pq(&mut p[..], &mut q[..], &d[..]);
    kunmap_local(q);
    kunmap_local(p);
    kunmap_local(d);
}

fn main() {
    let (mut parity, mut data) = ([frame(0), frame(1)], [frame(2), frame(3)]);
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _task) = pinned.local();
        for (page, byte) in data.iter_mut().zip([0x81, 0x02]) {
            kmap_local_page(&mut local, &mut *page).0.fill(byte);
            abd_raidz_gen_iterate(&mut local, &mut parity, page);
        }
        for (page, byte) in parity.iter().zip([0x83, 0x1d]) {
            assert_eq!(*kmap_local_page(&mut local, page).0, [byte; 4096]);
        }
    });
}
