#![doc = include_str!("../README.md")]
#![no_std]
#![cfg_attr(docsrs, feature(doc_cfg))]
#![cfg_attr(all(test, shuttle), allow(dead_code, reason = "other tests than those in many orders are left out"))]

#[cfg(any(test, all(feature = "model", target_os = "linux", target_arch = "x86_64")))]
extern crate std;

pub mod atomic;
pub mod batch;
pub mod bounce;
mod cache;
pub mod context;
pub mod copy;
pub mod debug;
pub mod fixmap;
#[doc = include_str!("../docs/invariants.md")]
pub mod invariants {}
pub mod kernel;
pub mod lazy;
pub mod local;
pub mod machine;
#[cfg(all(feature = "model", target_os = "linux", target_arch = "x86_64"))]
pub mod model;
#[cfg(all(feature = "model", not(any(doc, all(target_os = "linux", target_arch = "x86_64")))))]
compile_error!(
    "the feature `model` of highmem is for unit tests on a host with 64-bit Linux on x86: leave it out elsewhere"
);
pub mod ops;
pub mod page;
pub mod pagetable;
pub mod paging;
pub mod pool;
pub mod selftest;
pub mod slot;
mod sync;
#[cfg(test)]
mod test_kernel;
pub mod tlb;
pub mod trace;
pub mod unmapped;
pub mod user;
pub mod view;
mod volatile;

#[doc(hidden)]
pub use typenum;
#[doc(no_inline)]
pub use zerocopy;

pub use atomic::{KmapAtomic, kmap_atomic, kunmap_atomic};
pub use batch::{BatchSlot, BatchType, KmapBatch, kmap_batch, kunmap_batch};
pub use context::{Atomic, BhOff, HardIrq, IrqsOff, MaySleep, MaySleepHere, Nmi, Pinned, Softirq, Task};
pub use fixmap::Fixmap;
pub use kernel::{BounceKernel, Kernel, LocalKernel, PageTableKernel, PoolKernel, UserKernel};
pub use local::{KmapLocal, Local, kmap_local_page, kmap_local_pfn, kunmap_local};
pub use ops::{
    FrameRun, PageRun, SharedFrameRun, clear_highpage, clear_user_highpage, copy_highpage, copy_mc_highpage,
    copy_mc_user_highpage, copy_user_highpage, memcpy_from_page, memcpy_page, memcpy_to_page, memset_page,
    memzero_page, zero_user_segments,
};
pub use page::{DeviceFrame, Frame, Page, PageBytes, Pfn, PfnError, SharedFrame};
pub use paging::PAGE_SIZE;
pub use pool::{Kmap, Pool, flush_unused, kmap, kmap_all, kmap_pair, kunmap, page_address, try_kmap};
pub use selftest::selftest;
pub use slot::{KmType, KmTypes, Slot, linux};
pub use user::{
    UserSlice, copy_from_user, copy_from_user_inatomic, copy_page_from_user, copy_page_to_user, copy_to_user,
    copy_to_user_inatomic, get_user, put_user,
};
pub use view::ViewError;
