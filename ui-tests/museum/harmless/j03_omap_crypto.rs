//! J03, omap-crypto: the fix for high memory unmaps the source before the target.
//!
//! Linux, `drivers/crypto/omap-crypto.c`, 2020. Lore 20200429144205.5291-4-t-kristo@ti.com. Seen: the diff.
//!
//! ```c
//! s = kmap_atomic(S);
//! d = kmap_atomic(D);
//! memcpy(d, s, n);
//! kunmap_atomic(s);
//! kunmap_atomic(d);
//! ```
//!
//! Wrong in three versions of the patch, as posted. Here the mapping that ends is the one that is named.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct ScatterEntry {
    page: Frame,
    offset: usize,
    length: usize,
}

fn omap_crypto_copy_data<D: Depth + Room<Nested, InTask, 2>>(
    local: &mut Local<'_, Nested, InTask, D>,
    src: &[ScatterEntry],
    dst: &mut [ScatterEntry],
) {
    for (s, d) in src.iter().zip(dst) {
        let (srcb, mut local) = kmap_local_page(local, &s.page);
        let (mut dstb, _) = kmap_local_page(&mut local, &mut d.page);
        let amt = s.length.min(d.length);
        dstb[d.offset..][..amt].copy_from_slice(&srcb[s.offset..][..amt]);
        kunmap_local(srcb);
        kunmap_local(dstb);
    }
}

fn main() {
    let entry = |number, offset| ScatterEntry { page: frame(number), offset, length: 3 };
    let (mut src, mut dst) = ([entry(0, 1), entry(1, 2)], [entry(2, 3), entry(3, 4)]);
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _task) = pinned.local();
        for (entry, data) in src.iter_mut().zip([b"abc", b"def"]) {
            kmap_local_page(&mut local, &mut entry.page).0[entry.offset..][..3].copy_from_slice(data);
        }
        omap_crypto_copy_data(&mut local, &src, &mut dst);
        for (entry, data) in dst.iter().zip([b"\0abc\0", b"\0def\0"]) {
            assert_eq!(kmap_local_page(&mut local, &entry.page).0[entry.offset - 1..][..5], *data);
        }
    });
}
