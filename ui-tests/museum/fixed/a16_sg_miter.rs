//! Both functions take the guard, each its own.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

/// `struct sg_mapping_iter`: a page that is mapped in one of two ways.
enum SgMiter<'a> {
    Atomic(KmapAtomic<'a, MyKernel, User0, &'a mut Frame>),
    MaySleep(Kmap<'a, MyKernel, &'a mut Frame>),
}

impl SgMiter<'_> {
    fn bytes(&mut self) -> &mut [u8] {
        match self {
            Self::Atomic(mapped) => &mut mapped[..],
            Self::MaySleep(mapped) => &mut mapped[..],
        }
    }
}

fn sg_miter_stop(miter: SgMiter<'_>) {
    match miter {
        SgMiter::Atomic(mapped) => {
            kunmap_atomic(mapped);
        }
        SgMiter::MaySleep(mapped) => {
            kunmap(mapped);
        }
    }
}

/// Uses a page.
fn fill(mut miter: SgMiter<'_>, bytes: &[u8]) {
    miter.bytes()[..bytes.len()].copy_from_slice(bytes);
    sg_miter_stop(miter);
}

fn main() {
    let mut page = frame(0);
    thread(|task| {
        fill(SgMiter::Atomic(kmap_atomic(task.atomic().slots().user0, &mut page)), b"atomic..");
        fill(SgMiter::MaySleep(kmap(task, &mut page).unwrap().0), b"sleep");
    });
    assert_eq!(get(&page, 0), *b"sleepc..");
}
