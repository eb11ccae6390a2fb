//! What no token, context or guard may be (I2): sent or lent to another CPU, copied, or made of nothing. And what they take: no
//! memory.
//!
//! Checked when this is compiled.

use core::marker::PhantomData;
use std::ptr::NonNull;

use highmem::context::{AtomicDeeper, SoftirqDeeper};
use highmem::local::{InIrq, InTask, Local, LocalSlot, Locals, SaveArea};
use highmem::paging::{NonPae, Pae};
use highmem::user::{UserReader, UserSlice, UserWriter};
use highmem::{
    Atomic, BhOff, DeviceFrame, Fixmap, Frame, HardIrq, IrqsOff, Kernel, KmTypes, Kmap, KmapAtomic, LocalKernel,
    MaySleep, MaySleepHere, Nmi, Page, PageBytes, Pfn, Pinned, Pool, PoolKernel, SharedFrame, Slot, Softirq, Task,
    linux,
};
use static_assertions::{assert_impl_all, assert_not_impl_any, const_assert, const_assert_eq};

/// A set of slot types with all groups.
mod all_groups {
    highmem::km_types! {
        pub mod km {
            atomic { a: A }
            softirq { b: B }
            irqsoff { c: C }
            nmi { d: D }
        }
    }
}
use all_groups::km;

/// A kernel that is only named. All of it could go to another CPU, so what does not has a reason of its own.
struct Named<T>(PhantomData<T>);
assert_impl_all!(Named<km::Set>: Send, Sync, Unpin);

// SAFETY: no context of this kernel is entered, so nothing is mapped.
unsafe impl<T: KmTypes> Kernel for Named<T> {
    type Paging = Pae;
    type KmTypes = T;
    type Cpus = typenum::U1;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;
    const LOCALS: Locals = Locals::of::<Self>();

    fn fixmap() -> &'static Fixmap<1> {
        unreachable!("nothing is mapped")
    }
    fn cpu() -> usize {
        unreachable!("nothing is mapped")
    }
    fn preempt_disable() {}
    unsafe fn preempt_enable() {}
    fn irq_save() -> bool {
        true
    }
    unsafe fn irq_restore(_were_on: bool) {}
    fn no_execute() -> bool {
        true
    }
    fn direct_map(_pfn: Pfn<Pae>) -> Option<NonNull<PageBytes>> {
        None
    }
}

// SAFETY: as above.
unsafe impl<T: KmTypes> PoolKernel for Named<T> {
    type PoolEntries = typenum::U1;
    type Pool = Pool<512>;
    const PKMAP_BASE: usize = 0xff80_0000;

    fn pool() -> &'static Pool<512> {
        unreachable!("nothing is mapped")
    }
    fn wait(_: &mut MaySleep<'_, Self>, _: &(dyn Fn() -> bool + Sync)) -> Result<(), highmem::kernel::GaveUp> {
        unreachable!("nothing is mapped")
    }
    fn wake_one() {}
    fn on_other_cpus(_: &(dyn Fn() + Sync)) {}
}

// SAFETY: as above.
unsafe impl<T: KmTypes> LocalKernel for Named<T> {
    type TaskLevels = typenum::U2;
    type AtomicLevels = typenum::U1;
    type SoftirqLevels = typenum::U1;
    type IrqLevels = typenum::U1;
    type NmiLevels = typenum::U1;
    type SaveArea = SaveArea<2>;

    fn save_area() -> NonNull<SaveArea<2>> {
        unreachable!("nothing is mapped")
    }
}

/// A value of this type cannot leave its CPU, and there is no second one.
macro_rules! stays_here {
    ($($type:ty),* $(,)?) => {$(
        assert_not_impl_any!($type: Send, Sync, Clone, Copy, Default, zerocopy::FromZeros, zerocopy::Immutable);
        // A shared borrow is no better than the value.
        assert_not_impl_any!(&'static $type: Send, Sync);
        assert_not_impl_any!(&'static mut $type: Send, Sync, Clone, Copy);
    )*};
}

/// As [`stays_here`], and it takes no memory.
macro_rules! stays_here_and_is_empty {
    ($($type:ty),* $(,)?) => {$(
        stays_here!($type);
        const_assert_eq!(size_of::<$type>(), 0);
        const_assert_eq!(align_of::<$type>(), 1);
    )*};
}

/// All of a set: its tokens, their structures and the contexts that hand them out.
macro_rules! set {
    ($module:path, structures $($tokens:ident)*, tokens $($slot:ident)*) => {
        const _: () = {
            use $module as km;
            type K = Named<km::Set>;
            stays_here!(Task<'static, K>);
            // With the feature, a task counts its mappings of the pool.
            const_assert!((size_of::<Task<'static, K>>() == 0) != cfg!(feature = "debug"));
            stays_here_and_is_empty!(
                MaySleep<'static, K>,
                MaySleepHere<'static, K>,
                Pinned<'static, K>,
                Local<'static, K, InTask>,
                Local<'static, K, InIrq, typenum::U1>,
                Slot<'static, K, LocalSlot<K, InTask, typenum::U1>>,
                Atomic<'static, K>,
                BhOff<'static, K>,
                Softirq<'static, K>,
                HardIrq<'static, K>,
                Nmi<'static, K>,
                AtomicDeeper<'static, K>,
                SoftirqDeeper<'static, K>,
                $(km::$tokens<'static, K>,)*
            );
            guards!(K, LocalSlot<K, InTask, typenum::U0>, Frame<Pae>, SharedFrame<Pae>, DeviceFrame<Pae>);
            stays_here!(IrqsOff<'static, K>);
            stays_here!(UserSlice<K>, UserReader<K>, UserWriter<K>);
            const_assert_eq!(size_of::<IrqsOff<'static, K>>(), size_of::<bool>());
            $(
                stays_here_and_is_empty!(Slot<'static, K, km::$slot>);
                guards!(K, km::$slot, Frame<Pae>, SharedFrame<Pae>, DeviceFrame<Pae>);
            )*
        };
    };
}

/// The guards of a slot, with owned and with borrowed pages, each of which could be sent.
macro_rules! guards {
    ($kernel:ty, $slot:ty, $($page:ty),*) => {$(
        assert_impl_all!($page: Send, Sync);
        assert_not_impl_any!($page: Clone, Copy, Default, zerocopy::FromZeros);
        stays_here!(
            KmapAtomic<'static, $kernel, $slot, $page>,
            KmapAtomic<'static, $kernel, $slot, &'static $page>,
            KmapAtomic<'static, $kernel, $slot, &'static mut $page>,
        );
        const_assert_eq!(size_of::<KmapAtomic<'static, $kernel, $slot, &'static $page>>(), 2 * size_of::<usize>());
    )*};
}

// Without slots for NMIs, their structure holds nothing that could matter.
set!(linux, structures AtomicSlots SoftirqSlots IrqsOffSlots, tokens
    User0 User1 Pte0 Pte1 SkbSunrpcData
    SkbDataSoftirq Softirq0 Softirq1
    BounceRead BioSrcIrq BioDstIrq Irq0 Irq1);
set!(km, structures AtomicSlots SoftirqSlots IrqsOffSlots NmiSlots, tokens A B C D);

/// A page that goes to other threads, and is lent to them, as far as `M` may.
struct Marked<M>(PhantomData<M>);

// SAFETY: there is none.
unsafe impl<M> Page for Marked<M> {
    type Paging = Pae;
    type Access = highmem::page::ReadWrite;

    fn pfn(&self) -> Pfn<Pae> {
        unreachable!("nothing is mapped")
    }
}

/// A mapping of the pool, which all CPUs see, goes where its page may, and there is no second one.
const _: () = {
    type K = Named<linux::Set>;
    type Of<P> = Kmap<'static, K, P>;
    type Sent = std::cell::Cell<()>;
    type Lent = std::sync::MutexGuard<'static, ()>;
    type Neither = *mut ();
    assert_impl_all!(Of<Marked<()>>: Send, Sync);
    assert_impl_all!(Of<Marked<Sent>>: Send);
    assert_not_impl_any!(Of<Marked<Sent>>: Sync);
    assert_impl_all!(Of<Marked<Lent>>: Sync);
    assert_not_impl_any!(Of<Marked<Lent>>: Send);
    assert_not_impl_any!(Of<Marked<Neither>>: Send, Sync);
    // A borrow of a page is sent if the page may be lent.
    assert_impl_all!(Of<&'static Marked<Lent>>: Send, Sync);
    assert_not_impl_any!(Of<&'static Marked<Sent>>: Send, Sync);
    assert_impl_all!(Of<&'static mut Marked<Sent>>: Send);
    assert_not_impl_any!(Of<&'static mut Marked<Lent>>: Send);
    assert_impl_all!(Of<&'static Frame<Pae>>: Send, Sync);
    assert_impl_all!(Of<SharedFrame<Pae>>: Send, Sync);
    assert_not_impl_any!(Of<Marked<()>>: Clone, Copy, Default, zerocopy::FromZeros, zerocopy::Immutable);
};

// A frame number is only a number: it is not the frame.
assert_impl_all!(Pfn<Pae>: Send, Sync, Copy);
assert_not_impl_any!(Pfn<Pae>: highmem::Page, Default);
assert_not_impl_any!(Pfn<NonPae>: highmem::Page, Into<Pfn<Pae>>);

/// All slot types of a set are asserted above.
#[test]
fn no_slot_type_is_left_out() {
    assert_eq!(
        linux::Set::NAMES.join(" "),
        concat!(
            "User0 User1 Pte0 Pte1 SkbSunrpcData ",
            "SkbDataSoftirq Softirq0 Softirq1 ",
            "BounceRead BioSrcIrq BioDstIrq Irq0 Irq1"
        )
    );
    assert_eq!(km::Set::NAMES.join(" "), "A B C D");
}
