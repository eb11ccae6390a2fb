//! The pool of the kernel that runs on the machine: each machine begins with a new one.

use core::ptr;
use core::sync::atomic::{AtomicPtr, Ordering};
use std::boxed::Box;

use typenum::{NonZero, Unsigned};

use super::ModelKernel;
use crate::kernel::PoolKernel;
use crate::paging::{NonPae, Pae};
use crate::pool::{Pool, PoolTable};

/// How many entries a pool has: `typenum::U4` and the like.
pub trait PoolSize: Unsigned + NonZero + 'static {}
impl<E: Unsigned + NonZero + 'static> PoolSize for E {}

/// A pool of the size that a paging mode asks for.
pub trait ModelPool: PoolTable + Sized {
    /// That of the machine that runs, or of the last one; before there was any, one that nobody has started.
    fn current() -> &'static Self;

    /// Becomes the current one, and is started.
    fn power_on<K: PoolKernel<Pool = Self>>() -> &'static Self;

    /// Where its first entry is.
    fn first_entry(&self) -> *mut u8;
}

macro_rules! model_pool {
    ($($entries:literal of $mode:ty;)*) => {$(
        const _: () = {
            static FIRST: Pool<$entries> = Pool::new::<ModelKernel<$mode>>();
            static CURRENT: AtomicPtr<Pool<$entries>> = AtomicPtr::new(ptr::null_mut());

            impl ModelPool for Pool<$entries> {
                fn current() -> &'static Self {
                    // SAFETY: I4: null, or a pool that is never given back.
                    unsafe { CURRENT.load(Ordering::Acquire).as_ref() }.unwrap_or(&FIRST)
                }

                fn power_on<K: PoolKernel<Pool = Self>>() -> &'static Self {
                    // Never given back, as safe code may have a reference: 20 KiB for each machine.
                    let pool = Box::leak(Box::new(Pool::new::<K>()));
                    CURRENT.store(pool, Ordering::Release);
                    // SAFETY: I8: the walkers of the machine that is being turned on look into this table.
                    unsafe { pool.start::<K>() };
                    pool
                }

                fn first_entry(&self) -> *mut u8 {
                    (&raw const *self.table()).cast_mut().cast()
                }
            }
        };
    )*};
}

model_pool! {
    1024 of NonPae;
    512 of Pae;
}
