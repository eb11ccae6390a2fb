//! Slots and their tokens: the right to use one entry of this CPU's window.
//!
//! In C a slot is a number. `kmap_atomic(page, KM_USER0)` in a function that calls another function that does the same
//! overwrites the first mapping, and the caller goes on writing, into the other page. Whoever writes code with slots has to
//! know what everybody above and below uses.
//!
//! The rule (I1): one token per CPU and slot type. Whoever has the token has the slot; nobody else can have it.
//!
//! The types say it: a slot type ([`KmType`]) is an empty type with a number; a token ([`Slot`]) is an empty value of
//! that type that can be moved but not made. Tokens come out of a [context](crate::context), each once.

use core::fmt;
use core::marker::PhantomData;

use typenum::Unsigned;

use crate::kernel::Kernel;

/// A slot type: the purpose that one entry of each CPU's window serves. Linux's `enum km_type`.
///
/// # Safety
/// Implemented by [`km_types!`](crate::km_types) only: within a set, no two slot types have the same index, and each
/// belongs to one context.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a slot type",
    note = "slot types are declared by `km_types!`; Linux's are in `highmem::linux`"
)]
pub unsafe trait KmType: 'static {
    /// The set it belongs to.
    type Set: KmTypes;
    /// Its place among the slots of a CPU.
    type Index: Unsigned;
    /// Its name, for reports.
    const NAME: &'static str;
    /// What makes it exclusive.
    const GROUP: Group;

    /// Whether it is [lazy](crate::lazy).
    const LAZY: bool = false;

    /// Its place among all entries of a CPU.
    #[doc(hidden)]
    const PLACE: usize = <Self::Index as Unsigned>::USIZE;
}

/// What makes a slot exclusive.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub enum Group {
    /// The task has its CPU to itself: others run there, too, but not with its mappings. See [`local`](crate::local).
    MigrationOff,
    /// Preemption is off.
    PreemptionOff,
    /// Softirqs are off, or this is one.
    SoftirqsOff,
    /// Interrupts are off.
    InterruptsOff,
    /// This is a non-maskable interrupt.
    InNmi,
}

/// The consecutive entries that each CPU has for a [batch](crate::batch).
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct BatchEntries {
    /// The batch's name, for reports.
    pub name: &'static str,
    /// What makes it exclusive.
    pub group: Group,
    /// How many pages it has room for.
    pub pages: usize,
}

/// A kernel's set of slot types, grouped by the context that makes each exclusive.
///
/// # Safety
/// Implemented by [`km_types!`](crate::km_types) only: each struct of tokens holds each slot type of its group once, and
/// no slot type is in two groups.
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a set of slot types",
    note = "a set is the type `Set` in a module that `km_types!` declares, as `highmem::linux::Set`"
)]
pub unsafe trait KmTypes: Sized + 'static {
    /// How many slots each CPU has.
    type Count: Unsigned;

    /// Their names, in the order of their places in the window.
    const NAMES: &'static [&'static str];

    /// What makes each exclusive, in the same order.
    const GROUPS: &'static [Group];

    /// Which of them are [lazy](crate::lazy), in the same order.
    const LAZY: &'static [bool];

    /// The [batches](crate::batch): they are behind the slots in the window, in this order.
    const BATCHES: &'static [BatchEntries];

    /// The tokens of a task that cannot be preempted.
    type Atomic<'cx, K: Kernel<KmTypes = Self>>;
    /// The tokens of a softirq, and of a task that keeps softirqs out.
    type Softirq<'cx, K: Kernel<KmTypes = Self>>;
    /// The tokens of whoever runs with interrupts off.
    type IrqsOff<'cx, K: Kernel<KmTypes = Self>>;
    /// The tokens of a non-maskable interrupt.
    type Nmi<'cx, K: Kernel<KmTypes = Self>>;

    /// # Safety
    /// The caller is such a context on this CPU, and hands its tokens out only once in `'cx` (I1).
    #[doc(hidden)]
    unsafe fn atomic<'cx, K: Kernel<KmTypes = Self>>() -> Self::Atomic<'cx, K>;
    /// # Safety
    /// As [`atomic`](Self::atomic).
    #[doc(hidden)]
    unsafe fn softirq<'cx, K: Kernel<KmTypes = Self>>() -> Self::Softirq<'cx, K>;
    /// # Safety
    /// As [`atomic`](Self::atomic).
    #[doc(hidden)]
    unsafe fn irqs_off<'cx, K: Kernel<KmTypes = Self>>() -> Self::IrqsOff<'cx, K>;
    /// # Safety
    /// As [`atomic`](Self::atomic).
    #[doc(hidden)]
    unsafe fn nmi<'cx, K: Kernel<KmTypes = Self>>() -> Self::Nmi<'cx, K>;
}

/// Makes what holds it neither `Send` nor `Sync` (I2). It takes no memory, and no alignment.
///
/// Not a `PhantomData`, for the sake of the message: "`*mut ThisCpu` cannot be sent between threads safely", and then the token.
#[derive(Clone, Copy)]
#[repr(C, packed)]
pub(crate) struct StaysHere([*mut ThisCpu; 0]);

impl StaysHere {
    pub(crate) const NEW: Self = Self([]);
}

/// Named in messages only.
pub(crate) enum ThisCpu {}

/// The token of slot `S` on this CPU: whoever has it may map one page there.
///
/// It takes no memory. It cannot be made, copied or sent to another CPU; a [context](crate::context) hands it out.
pub struct Slot<'cx, K, S> {
    _cpu: StaysHere,
    /// As long as the borrow of the context.
    context: PhantomData<&'cx mut ()>,
    types: Invariant<(K, S)>,
}

/// Of no use for a subtype of `T`: that one kernel's type is a subtype of another's (`K<for<'a> fn(&'a u8)>` of
/// `K<fn(&'static u8)>`) does not make its tokens those of the other (I1).
pub(crate) type Invariant<T> = PhantomData<fn(T) -> T>;

impl<K, S> Slot<'_, K, S> {
    /// # Safety
    /// No other token for `S` is live on this CPU in `'cx` (I1), and the value does not leave the CPU (I2).
    #[doc(hidden)]
    #[inline]
    pub const unsafe fn new() -> Self {
        Slot { _cpu: StaysHere::NEW, context: PhantomData, types: PhantomData }
    }

    /// Lends the slot: a guard made of the lent token gives the slot back when it is dropped.
    #[inline]
    pub const fn reborrow(&mut self) -> Slot<'_, K, S> {
        // SAFETY: `self` is borrowed, and so of no use, for as long as the new token lives (I1).
        unsafe { Slot::new() }
    }
}

impl<K, S: KmType> fmt::Debug for Slot<'_, K, S> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "Slot({})", S::NAME)
    }
}

/// Declares a kernel's slot types, as a module.
///
/// Slots are grouped by what makes each exclusive: `atomic` (a task that cannot be preempted), `softirq` (softirqs, and tasks
/// that keep them out), `irqsoff` (interrupt handlers, and whoever has interrupts off), `nmi`. A group may be left out; the
/// order is fixed. Each slot has the name of the field that holds its token, and the name of its type.
///
/// The module has one type for each slot, `Set` to name in [`Kernel::KmTypes`](crate::Kernel::KmTypes), and for each group a
/// struct of tokens.
///
/// A slot whose name is followed by `lazy` keeps its last page mapped: see [`lazy`](mod@crate::lazy), before you write that.
///
/// One whose name is followed by a number in brackets is a [batch](crate::batch): it has that many consecutive entries on each CPU.
///
/// ```
/// highmem::km_types! {
///     /// What my kernel maps.
///     pub mod km {
///         atomic {
///             /// The page that is copied from.
///             source: Source,
///             target: Target,
///         }
///         irqsoff { rx_ring: RxRing }
///     }
/// }
/// ```
///
/// Linux's own thirteen are [`linux`](crate::linux).
#[macro_export]
macro_rules! km_types {
    (
        $(#[$meta:meta])*
        $vis:vis mod $module:ident {
            $(atomic { $($(#[$atomic_meta:meta])* $atomic:ident: $Atomic:ident $($atomic_lazy:ident)? $([$atomic_pages:expr])?),* $(,)? })?
            $(softirq { $($(#[$softirq_meta:meta])* $softirq:ident: $Softirq:ident $($softirq_lazy:ident)? $([$softirq_pages:expr])?),* $(,)? })?
            $(irqsoff { $($(#[$irqsoff_meta:meta])* $irqsoff:ident: $IrqsOff:ident $($irqsoff_lazy:ident)? $([$irqsoff_pages:expr])?),* $(,)? })?
            $(nmi { $($(#[$nmi_meta:meta])* $nmi:ident: $Nmi:ident $([$nmi_pages:expr])?),* $(,)? })?
        }
    ) => {
        $(#[$meta])*
        #[allow(dead_code, reason = "a kernel need not use each slot everywhere")]
        $vis mod $module {
            $crate::km_types!(@types unsafe $crate::typenum::U0; [] [];
                $($([PreemptionOff $($atomic_lazy)? $([$atomic_pages])?] $(#[$atomic_meta])* $Atomic)*)?
                $($([SoftirqsOff $($softirq_lazy)? $([$softirq_pages])?] $(#[$softirq_meta])* $Softirq)*)?
                $($([InterruptsOff $($irqsoff_lazy)? $([$irqsoff_pages])?] $(#[$irqsoff_meta])* $IrqsOff)*)?
                $($([InNmi $([$nmi_pages])?] $(#[$nmi_meta])* $Nmi)*)?
            );

            $crate::km_types!(@tokens unsafe
                /// The tokens of a task that cannot be preempted.
                AtomicSlots {
                    $($($atomic: $Atomic $([$atomic_pages])?,)*)?
                    /// The right to go on to a context that excludes more, while these tokens are in use.
                    deeper: [$crate::context::AtomicDeeper<'cx, K>],
                }
            );
            $crate::km_types!(@tokens unsafe
                /// The tokens of a softirq, and of a task that keeps softirqs out.
                SoftirqSlots {
                    $($($softirq: $Softirq $([$softirq_pages])?,)*)?
                    /// The right to go on to a context that excludes more, while these tokens are in use.
                    deeper: [$crate::context::SoftirqDeeper<'cx, K>],
                }
            );
            $crate::km_types!(@tokens unsafe
                /// The tokens of whoever runs with interrupts off.
                IrqsOffSlots { $($($irqsoff: $IrqsOff $([$irqsoff_pages])?,)*)? }
            );
            $crate::km_types!(@tokens unsafe
                /// The tokens of a non-maskable interrupt.
                NmiSlots { $($($nmi: $Nmi $([$nmi_pages])?,)*)? }
            );

            /// The set of these slot types, for [`Kernel::KmTypes`]($crate::Kernel::KmTypes).
            #[derive(Debug)]
            pub struct Set;
        }
    };

    // One slot type after the other, each with the next index; then their number. These rules keep the promises of the traits
    // only together, so that to use one by itself takes an `unsafe`.
    (@types unsafe $index:ty; [$($slot:ident)*] [$($batch:ident)*];
        [$group:ident $($lazy:ident)?] $(#[$meta:meta])* $name:ident $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;
        // SAFETY: I1: the index of each slot type is the one before it plus one.
        unsafe impl $crate::KmType for $name {
            type Set = Set;
            type Index = $index;
            const NAME: &'static str = stringify!($name);
            const GROUP: $crate::slot::Group = $crate::slot::Group::$group;
            const LAZY: bool = $crate::km_types!(@lazy $($lazy)?);
        }
        $crate::km_types!(@types unsafe $crate::typenum::Add1<$index>; [$($slot)* $name] [$($batch)*]; $($rest)*);
    };
    (@types unsafe $index:ty; [$($slot:ident)*] [$($batch:ident)*];
        [$group:ident [$pages:expr]] $(#[$meta:meta])* $name:ident $($rest:tt)*
    ) => {
        $(#[$meta])*
        #[derive(Debug)]
        pub struct $name;
        // SAFETY: I1: the index of each batch is how many are before it, and so its place in `KmTypes::BATCHES`.
        unsafe impl $crate::BatchType for $name {
            type Set = Set;
            const INDEX: usize = <[&str]>::len(&[$(stringify!($batch)),*]);
            const ENTRIES: $crate::slot::BatchEntries = $crate::slot::BatchEntries {
                name: stringify!($name),
                group: $crate::slot::Group::$group,
                pages: $pages,
            };
        }
        $crate::km_types!(@types unsafe $index; [$($slot)*] [$($batch)* $name]; $($rest)*);
    };
    (@types unsafe $index:ty; [$($slot:ident)*] [$($batch:ident)*];) => {
        /// How many slots each CPU has.
        pub type Count = $index;

        // SAFETY: I1: each struct holds each of its tokens once, and each slot type is declared once.
        unsafe impl $crate::KmTypes for Set {
            type Count = Count;

            const NAMES: &'static [&'static str] = &[$(stringify!($slot)),*];
            const GROUPS: &'static [$crate::slot::Group] = &[$(<$slot as $crate::KmType>::GROUP),*];
            const LAZY: &'static [bool] = &[$(<$slot as $crate::KmType>::LAZY),*];
            const BATCHES: &'static [$crate::slot::BatchEntries] = &[$(<$batch as $crate::BatchType>::ENTRIES),*];

            type Atomic<'cx, K: $crate::Kernel<KmTypes = Self>> = AtomicSlots<'cx, K>;
            type Softirq<'cx, K: $crate::Kernel<KmTypes = Self>> = SoftirqSlots<'cx, K>;
            type IrqsOff<'cx, K: $crate::Kernel<KmTypes = Self>> = IrqsOffSlots<'cx, K>;
            type Nmi<'cx, K: $crate::Kernel<KmTypes = Self>> = NmiSlots<'cx, K>;

            #[inline]
            unsafe fn atomic<'cx, K: $crate::Kernel<KmTypes = Self>>() -> AtomicSlots<'cx, K> {
                // SAFETY: the caller's promise (I1).
                unsafe { AtomicSlots::new() }
            }
            #[inline]
            unsafe fn softirq<'cx, K: $crate::Kernel<KmTypes = Self>>() -> SoftirqSlots<'cx, K> {
                // SAFETY: the caller's promise (I1).
                unsafe { SoftirqSlots::new() }
            }
            #[inline]
            unsafe fn irqs_off<'cx, K: $crate::Kernel<KmTypes = Self>>() -> IrqsOffSlots<'cx, K> {
                // SAFETY: the caller's promise (I1).
                unsafe { IrqsOffSlots::new() }
            }
            #[inline]
            unsafe fn nmi<'cx, K: $crate::Kernel<KmTypes = Self>>() -> NmiSlots<'cx, K> {
                // SAFETY: the caller's promise (I1).
                unsafe { NmiSlots::new() }
            }
        }
    };

    (@token $cx:lifetime, $k:ident, $slot:path) => { $crate::Slot<$cx, $k, $slot> };
    (@token [$pages:expr] $cx:lifetime, $k:ident, $slot:path) => { $crate::BatchSlot<$cx, $k, $slot> };

    (@lazy) => { false };
    (@lazy lazy) => { true };

    // A struct of tokens, and for some of them a way deeper.
    (@tokens unsafe
        $(#[$meta:meta])*
        $name:ident {
            $($field:ident: $slot:ident $([$pages:expr])?,)*
            $($(#[$deeper_meta:meta])* deeper: [$deeper:ty],)?
        }
    ) => {
        $(#[$meta])*
        #[non_exhaustive]
        pub struct $name<'cx, K: $crate::Kernel<KmTypes = Set>> {
            $(#[doc = concat!("The token of [`", stringify!($slot), "`].")] pub $field: $crate::km_types!(@token $([$pages])? 'cx, K, self::$slot),)*
            $($(#[$deeper_meta])* pub deeper: $deeper,)?
            borrow: ::core::marker::PhantomData<&'cx mut K>,
        }

        impl<'cx, K: $crate::Kernel<KmTypes = Set>> $name<'cx, K> {
            /// # Safety
            /// The caller is such a context on this CPU, and hands its tokens out only once in `'cx` (I1).
            #[inline]
            unsafe fn new() -> Self {
                Self {
                    // SAFETY: I1: the caller's promise, passed on to each token.
                    $($field: unsafe { <$crate::km_types!(@token $([$pages])? 'cx, K, self::$slot)>::new() },)*
                    // SAFETY: I1: the caller's promise, passed on.
                    $(deeper: unsafe { <$deeper>::new() },)?
                    borrow: ::core::marker::PhantomData,
                }
            }
        }
    };

    ($($other:tt)*) => {
        ::core::compile_error!(
            "expected `pub mod NAME { atomic { field: Type, .. } softirq { .. } irqsoff { .. } nmi { .. } }`: \
             groups may be left out, but are in this order"
        );
    };
}

km_types! {
    /// The thirteen slot types of Linux 2.6 (`include/asm-i386/kmap_types.h`), by the context that makes each exclusive.
    ///
    /// Where a copy needs two slots, 0 is the source and 1 the destination.
    pub mod linux {
        atomic {
            /// `KM_USER0`: a page that is copied from, cleared, or looked at.
            user0: User0,
            /// `KM_USER1`: the page that is copied to.
            user1: User1,
            /// `KM_PTE0`: a page table, under the lock of its address space.
            pte0: Pte0,
            /// `KM_PTE1`: the second page table of two.
            pte1: Pte1,
            /// `KM_SKB_SUNRPC_DATA`: the data of a remote procedure call.
            skb_sunrpc_data: SkbSunrpcData,
        }
        softirq {
            /// `KM_SKB_DATA_SOFTIRQ`: the fragment of a network packet.
            skb_data_softirq: SkbDataSoftirq,
            /// `KM_SOFTIRQ0`: as `User0`, in a softirq.
            softirq0: Softirq0,
            /// `KM_SOFTIRQ1`: as `User1`, in a softirq.
            softirq1: Softirq1,
        }
        irqsoff {
            /// `KM_BOUNCE_READ`: the page that a finished read is copied to from its bounce buffer.
            bounce_read: BounceRead,
            /// `KM_BIO_SRC_IRQ`: a page of a block request that is read from.
            bio_src_irq: BioSrcIrq,
            /// `KM_BIO_DST_IRQ`: a page of a block request that is written to.
            bio_dst_irq: BioDstIrq,
            /// `KM_IRQ0`: as `User0`, in an interrupt handler.
            irq0: Irq0,
            /// `KM_IRQ1`: as `User1`, in an interrupt handler.
            irq1: Irq1,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::fixmap::Window;
    use crate::test_kernel::TestKernel;
    use crate::{Frame, HardIrq, Nmi, Pfn, Softirq, Task, kmap_atomic};

    km_types! {
        mod all_groups {
            atomic { a: A, b: B }
            softirq { c: C }
            irqsoff { d: D }
            nmi { e: E }
        }
    }

    km_types! {
        mod one_group {
            irqsoff { only: Only }
        }
    }

    fn index<S: KmType>() -> usize {
        S::Index::USIZE
    }

    #[test]
    fn indices_count_on_through_all_groups() {
        use all_groups::*;
        assert_eq!([index::<A>(), index::<B>(), index::<C>(), index::<D>(), index::<E>()], [0, 1, 2, 3, 4]);
        assert_eq!(<Set as KmTypes>::Count::USIZE, 5);
        assert_eq!(Set::NAMES, ["A", "B", "C", "D", "E"]);
        assert_eq!(Set::NAMES[index::<D>()], D::NAME);
        assert_eq!(
            Set::GROUPS,
            [Group::PreemptionOff, Group::PreemptionOff, Group::SoftirqsOff, Group::InterruptsOff, Group::InNmi]
        );
    }

    #[test]
    fn each_context_has_the_slots_of_its_group() {
        type Own = TestKernel<false, all_groups::Set>;

        fn address<S: KmType<Set = all_groups::Set>>(slot: Slot<'_, Own, S>) -> usize {
            // SAFETY: I5: exists only as a number.
            kmap_atomic(slot, unsafe { Frame::from_pfn(Pfn::new(0x10_0000).unwrap()) }).address()
        }

        // SAFETY: I1: nothing interrupts this test, and each context is entered for itself.
        let addresses = unsafe {
            [
                Task::<Own>::enter(|task| address(task.atomic().slots().b)),
                Softirq::<Own>::enter(|softirq| address(softirq.slots().c)),
                HardIrq::<Own>::enter(|irq| address(irq.slots().d)),
                Nmi::<Own>::enter(|nmi| address(nmi.slots().e)),
            ]
        };
        assert_eq!(addresses, [1, 2, 3, 4].map(|slot| Window::<Own>::place(0, slot).0));
    }

    #[test]
    fn groups_can_be_left_out() {
        assert_eq!(index::<one_group::Only>(), 0);
        assert_eq!(<one_group::Set as KmTypes>::Count::USIZE, 1);
    }

    #[test]
    fn linux_has_thirteen() {
        assert_eq!(<linux::Set as KmTypes>::Count::USIZE, 13);
        assert_eq!(linux::Set::NAMES.len(), 13);
    }
}
