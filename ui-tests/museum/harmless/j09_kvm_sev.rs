//! J09, KVM SEV: a guest's first pages are copied, and the source unmapped before the target.
//!
//! Linux, `arch/x86/kvm/svm/sev.c`, 2026. KVM list, 2026-06-23, J. Roedel, patch 2/4 (fixes 2a62345b3052). Seen: the diff.
//!
//! ```c
//! s = kmap_local_page(src);
//! d = kmap_local_page(dst);
//! memcpy(d, s, PAGE_SIZE);
//! kunmap_local(s);
//! kunmap_local(d);
//! ```
//!
//! Sixteen years after `kmap_atomic` became a stack, one more of the same. Here the order is of no concern.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

fn sev_gmem_post_populate<D: Depth + Room<Nested, InTask, 2>>(
    local: &mut Local<'_, Nested, InTask, D>,
    src: &Frame,
    dst: &mut Frame,
) {
    let (src_vaddr, mut local) = kmap_local_page(local, src);
    let (mut dst_vaddr, _) = kmap_local_page(&mut local, dst);
    dst_vaddr.copy_from_slice(&src_vaddr[..]);
    kunmap_local(src_vaddr);
    kunmap_local(dst_vaddr);
}

fn main() {
    let (mut src, mut dst) = (frame(0), frame(1));
    nested_thread(|task| {
        let mut pinned = task.pinned();
        let (mut local, _task) = pinned.local();
        kmap_local_page(&mut local, &mut src).0.fill(0xc3);
        sev_gmem_post_populate(&mut local, &src, &mut dst);
        assert_eq!(*kmap_local_page(&mut local, &dst).0, [0xc3; 4096]);
    });
}
