//! Whose mappings of the pool have not been ended: with the feature, each task counts its own.
//!
//! A task maps again only when it has ended what it had mapped: it is borrowed until then. So whatever is counted at that time was
//! forgotten.

#[cfg(feature = "debug")]
pub(crate) use on::{Held, HeldBy};

#[cfg(not(feature = "debug"))]
pub(crate) use off::{Held, HeldBy};

#[cfg(feature = "debug")]
mod on {
    use core::panic::Location;
    use core::ptr;
    use core::sync::atomic::Ordering::Relaxed;
    use core::sync::atomic::{AtomicPtr, AtomicU32};

    use crate::debug::Report;
    use crate::kernel::Kernel;

    /// The mappings that a task has made and not ended.
    pub(crate) struct Held {
        guards: AtomicU32,
        mapped_by: AtomicPtr<Location<'static>>,
    }

    /// Who counts a mapping, if anybody does.
    pub(crate) struct HeldBy<'cx>(Option<&'cx Held>);

    impl Held {
        pub(crate) fn none() -> Self {
            Self { guards: AtomicU32::new(0), mapped_by: AtomicPtr::new(ptr::null_mut()) }
        }

        /// Counts one more, which `caller` mapped.
        pub(crate) fn add(&self, caller: &'static Location<'static>) -> HeldBy<'_> {
            self.guards.fetch_add(1, Relaxed);
            self.mapped_by.store(ptr::from_ref(caller).cast_mut(), Relaxed);
            HeldBy(Some(self))
        }

        /// Reports what was forgotten.
        pub(crate) fn check_none<K: Kernel>(&self) {
            let guards = self.guards.swap(0, Relaxed);
            // SAFETY: I4: it is null, or points to a place, which lives for ever.
            let mapped_by = unsafe { self.mapped_by.load(Relaxed).as_ref() };
            if let (1.., Some(mapped_by)) = (guards, mapped_by) {
                K::report(&Report::ForgottenKmap { guards, mapped_by });
            }
        }
    }

    impl HeldBy<'_> {
        pub(crate) const NOBODY: Self = Self(None);

        pub(crate) fn end(&self) {
            if let Some(task) = self.0 {
                task.guards.fetch_sub(1, Relaxed);
            }
        }
    }
}

#[cfg(not(feature = "debug"))]
mod off {
    use core::marker::PhantomData;
    use core::panic::Location;

    use crate::kernel::Kernel;

    pub(crate) struct Held;
    pub(crate) struct HeldBy<'cx>(PhantomData<&'cx Held>);

    impl Held {
        #[inline]
        pub(crate) fn none() -> Self {
            Self
        }

        #[inline]
        pub(crate) fn add(&self, _caller: &'static Location<'static>) -> HeldBy<'_> {
            HeldBy(PhantomData)
        }

        #[inline]
        pub(crate) fn check_none<K: Kernel>(&self) {}
    }

    impl HeldBy<'_> {
        pub(crate) const NOBODY: Self = Self(PhantomData);

        #[inline]
        pub(crate) fn end(&self) {}
    }
}
