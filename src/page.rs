//! Pages: which frames may be mapped, and how their bytes may be touched.
//!
//! In C a page is a `struct page *`: it can be freed while it is mapped, mapped writable by two CPUs at once, or shared
//! with user space and yet read twice as if it could not change in between.
//!
//! The rule (I5, I6): a mapping holds the page or the borrow of it, and the bytes of a mapping are as exclusive as the
//! page that it was made of.
//!
//! The types say it: [`Page`] is what can be mapped. `&P` maps read only, `&mut P` as the page allows, and an owned page
//! moves into the mapping and comes out again. Its [`Access`] decides whether the bytes may become Rust references
//! ([`ReadWrite`], [`ReadOnly`]), or only be copied, because someone else may write at any time ([`Volatile`],
//! [`VolatileReadOnly`]), or because they are no memory at all ([`Device`], [`DeviceReadOnly`]).

use core::fmt;
use core::marker::PhantomData;

use crate::paging::{MemoryType, PAGE_SHIFT, PAGE_SIZE, Paging};

/// The bytes of one page.
pub type PageBytes = [u8; PAGE_SIZE];

/// A page frame number that the paging mode `M` can express.
///
/// ```
/// use highmem::{Pfn, paging::Pae};
///
/// let pfn = Pfn::<Pae>::new(0x14_0000)?; // the frame at 5 GiB
/// assert_eq!(pfn.address(), 5 << 30);
/// assert!(Pfn::<Pae>::new(1 << 32).is_err()); // 16 TiB: never cut to fit
/// # Ok::<(), highmem::PfnError>(())
/// ```
#[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Pfn<M> {
    number: usize,
    paging: PhantomData<M>,
}

impl<M: Paging> Pfn<M> {
    /// The frame with this number: the physical address divided by [`PAGE_SIZE`].
    ///
    /// # Errors
    /// When the number has more than [`Paging::PFN_BITS`] bits. It is never cut to fit.
    pub const fn new(number: u64) -> Result<Self, PfnError> {
        if number >> M::PFN_BITS != 0 {
            return Err(PfnError { number, bits: M::PFN_BITS, limit: "this paging mode" });
        }
        Ok(Self { number: number as usize, paging: PhantomData })
    }

    /// The frame in an entry, of which there are the bits of the address alone: in this paging mode, there are no more.
    #[inline]
    pub(crate) const fn in_entry(address: u64) -> Self {
        let number = address >> PAGE_SHIFT & ((1 << M::PFN_BITS) - 1);
        Self { number: number as usize, paging: PhantomData }
    }

    /// As [`new`](Self::new), for a processor with so many bits of physical address (SDM's MAXPHYADDR;
    /// [`X86::physical_address_bits`](crate::machine::X86::physical_address_bits)): an entry for a frame beyond has a reserved bit set,
    /// and using it faults.
    ///
    /// ```
    /// use highmem::{Pfn, paging::Pae};
    ///
    /// assert!(Pfn::<Pae>::within(0xff_ffff, 36).is_ok());
    /// assert!(Pfn::<Pae>::within(0x100_0000, 36).is_err()); // 64 GiB
    /// ```
    ///
    /// # Errors
    /// When the number is too large for the processor, or for the paging mode.
    pub const fn within(number: u64, physical_address_bits: u32) -> Result<Self, PfnError> {
        let bits = physical_address_bits.saturating_sub(PAGE_SHIFT);
        if bits < M::PFN_BITS && number >> bits != 0 {
            return Err(PfnError { number, bits, limit: "this processor" });
        }
        Self::new(number)
    }

    /// The frame that holds the byte at this physical address.
    ///
    /// # Errors
    /// As [`new`](Self::new).
    pub const fn containing(address: u64) -> Result<Self, PfnError> {
        Self::new(address >> PAGE_SHIFT)
    }

    /// The number.
    #[inline]
    pub const fn number(self) -> usize {
        self.number
    }

    /// The physical address of the frame's first byte.
    #[inline]
    pub const fn address(self) -> u64 {
        (self.number as u64) << PAGE_SHIFT
    }
}

impl<M> fmt::Debug for Pfn<M> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "pfn {:#x}", self.number)
    }
}

/// The frame, as the crate [`x86_64`](https://docs.rs/x86_64) has it. The other way is [`TryFrom`].
///
/// ```
/// use highmem::{Pfn, paging::Long};
/// use x86_64::structures::paging::PhysFrame;
///
/// let pfn = Pfn::<Long>::new(0x14_0000)?;
/// let frame = PhysFrame::from(pfn);
/// assert_eq!(frame.start_address().as_u64(), 5 << 30);
/// assert_eq!(Pfn::try_from(frame), Ok(pfn));
/// # Ok::<(), highmem::PfnError>(())
/// ```
#[cfg(all(feature = "x86_64", target_arch = "x86_64"))]
impl<M: Paging> From<Pfn<M>> for ::x86_64::structures::paging::PhysFrame {
    fn from(pfn: Pfn<M>) -> Self {
        // No mode has more bits than the crate's addresses: 52.
        Self::containing_address(::x86_64::PhysAddr::new(pfn.address()))
    }
}

/// Fails where the paging mode has no number for the frame: it is never cut to fit.
#[cfg(all(feature = "x86_64", target_arch = "x86_64"))]
impl<M: Paging> TryFrom<::x86_64::structures::paging::PhysFrame> for Pfn<M> {
    type Error = PfnError;

    fn try_from(frame: ::x86_64::structures::paging::PhysFrame) -> Result<Self, PfnError> {
        Self::containing(frame.start_address().as_u64())
    }
}

/// The frame that holds the byte at an address. Fails as [`Pfn::containing`] does.
#[cfg(all(feature = "x86_64", target_arch = "x86_64"))]
impl<M: Paging> TryFrom<::x86_64::PhysAddr> for Pfn<M> {
    type Error = PfnError;

    fn try_from(address: ::x86_64::PhysAddr) -> Result<Self, PfnError> {
        Self::containing(address.as_u64())
    }
}

/// A page frame number that the paging mode, or the processor, cannot express.
#[derive(Clone, Copy, PartialEq, Eq, Debug)]
pub struct PfnError {
    number: u64,
    bits: u32,
    limit: &'static str,
}

impl fmt::Display for PfnError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { number, bits, limit } = self;
        write!(f, "page frame number {number:#x} does not fit the {bits} bits of {limit}")
    }
}

impl core::error::Error for PfnError {}

/// How the bytes of a mapped page may be touched. Sealed.
pub trait Access: sealed::Sealed + 'static {
    /// Whether the page-table entry lets writes through.
    const WRITABLE: bool;
    /// Whether it is memory, which the direct map may have, or a device.
    const RAM: bool;
    /// The same access through a shared borrow of the page.
    type Shared: Access;
}

/// Nobody else touches the frame: its bytes are `&` and `&mut`.
#[derive(Debug)]
pub struct ReadWrite;

/// Nobody writes the frame: its bytes are `&`.
#[derive(Debug)]
pub struct ReadOnly;

/// User space, a device or another CPU may write the frame at any time: its bytes are copied in and out, never
/// referenced.
#[derive(Debug)]
pub struct Volatile;

/// As [`Volatile`], but only to be read.
#[derive(Debug)]
pub struct VolatileReadOnly;

/// A device answers to accesses: its registers are read and written one by one, and its memory is copied in and out.
#[derive(Debug)]
pub struct Device;

/// As [`Device`], but only to be read.
#[derive(Debug)]
pub struct DeviceReadOnly;

macro_rules! access {
    ($($name:ident: RAM $ram:literal, writable $writable:literal, through a shared borrow $shared:ident;)*) => {$(
        impl sealed::Sealed for $name {}
        impl Access for $name {
            const WRITABLE: bool = $writable;
            const RAM: bool = $ram;
            type Shared = $shared;
        }
    )*};
}

access! {
    ReadWrite: RAM true, writable true, through a shared borrow ReadOnly;
    ReadOnly: RAM true, writable false, through a shared borrow ReadOnly;
    Volatile: RAM true, writable true, through a shared borrow VolatileReadOnly;
    VolatileReadOnly: RAM true, writable false, through a shared borrow VolatileReadOnly;
    Device: RAM false, writable true, through a shared borrow DeviceReadOnly;
    DeviceReadOnly: RAM false, writable false, through a shared borrow DeviceReadOnly;
}

/// Access by reference: nobody else writes these bytes.
#[diagnostic::on_unimplemented(
    message = "memory that others may write at any time gives no references",
    label = "this mapping's access is `{Self}`",
    note = "copy the bytes out and in with `read_at` and `write_at`, or single values with `load` and `store`"
)]
pub trait Referenced: Access {}
impl Referenced for ReadWrite {}
impl Referenced for ReadOnly {}

/// Access by exclusive reference.
#[diagnostic::on_unimplemented(
    message = "these bytes cannot be borrowed for writing",
    label = "this mapping's access is `{Self}`",
    note = "a page mapped from `&page` is read only: map `&mut page` or the owned page to write to it",
    note = "memory that others may write at any time gives no references: use `write_at`"
)]
pub trait ReferencedMut: Referenced {}
impl ReferencedMut for ReadWrite {}

/// Access to memory, in contrast to a device.
#[diagnostic::on_unimplemented(
    message = "a frame of a device is not memory",
    label = "this page's access is `{Self}`",
    note = "map it by `kmap_atomic`, and use the mapping's `load`, `store`, `read_at` and `write_at`"
)]
pub trait Memory: Access {}
impl Memory for ReadWrite {}
impl Memory for ReadOnly {}
impl Memory for Volatile {}
impl Memory for VolatileReadOnly {}

/// Access that can write.
#[diagnostic::on_unimplemented(
    message = "this mapping cannot be written",
    label = "this mapping's access is `{Self}`",
    note = "a page mapped from `&page` is read only: map `&mut page` to write to it"
)]
pub trait Writable: Access {}
impl Writable for ReadWrite {}
impl Writable for Volatile {}
impl Writable for Device {}

/// Access where each load and store counts: others see it, or may have written in between.
#[diagnostic::on_unimplemented(
    message = "`load` and `store` are for registers, and for memory that others may write",
    label = "this mapping's access is `{Self}`",
    note = "these bytes belong to this mapping alone: use it as a `[u8; 4096]`"
)]
pub trait Copied: Access {}
impl Copied for Volatile {}
impl Copied for VolatileReadOnly {}
impl Copied for Device {}
impl Copied for DeviceReadOnly {}

/// Access where a word can be exchanged in one step: memory that others write as well as whoever maps it.
#[diagnostic::on_unimplemented(
    message = "words are exchanged in memory that others may write",
    label = "this mapping's access is `{Self}`",
    note = "bytes that belong to this mapping alone need no exchange: use it as a `[u8; 4096]`",
    note = "a shared page that is mapped from `&page` is read only: map `&mut page` to write to it",
    note = "a device's registers are not exchanged: use `load` and `store`"
)]
pub trait Exchanged: Copied + Memory + Writable {}
impl Exchanged for Volatile {}

/// Something that can be mapped: a page frame, and what its owner may do with it.
///
/// A kernel's own frame type joins by implementing this trait; [`Frame`] and [`SharedFrame`] serve kernels without one.
/// `&P` and `&mut P` are pages whenever `P` is.
///
/// # Safety
/// The implementer promises, for as long as the value exists:
///
/// - [ ] `pfn` returns the same number each time, and the frame is not given to anybody else. It is ordinary memory, except with
///   [`Device`] and [`DeviceReadOnly`].
/// - [ ] [`MEMORY_TYPE`](Self::MEMORY_TYPE) is the one type with which this frame is mapped anywhere, by any CPU. For ordinary
///   memory it is write-back. The pool keeps pages mapped that nobody uses: see [`flush_unused`](crate::flush_unused).
/// - [ ] With [`ReadWrite`]: the frame's bytes are touched only through this value, by any CPU, device, address or other
///   value. Whoever has `&self` may read them, whoever has `&mut self` or owns the value may write them, as if the bytes
///   were a field. So the type is not `Clone`, and is `Sync` only if shared reading is.
/// - [ ] With [`ReadOnly`]: nobody writes the frame.
/// - [ ] With [`Volatile`], [`VolatileReadOnly`], [`Device`] and [`DeviceReadOnly`]: nobody has a Rust reference into the frame.
/// - [ ] With [`Device`]: no access to the frame breaks Rust's rules elsewhere. (A register that starts a transfer into any memory
///   is not for everybody who holds the frame.)
#[diagnostic::on_unimplemented(
    message = "`{Self}` is not a page that can be mapped",
    label = "expected a page: `&frame` (read only), `&mut frame` (read-write) or an owned frame",
    note = "a frame number or an address is not a page: nothing says who else uses that frame",
    note = "a mapping says which page it is of: `guard.page()`",
    note = "a kernel's own frame type becomes a page by `unsafe impl highmem::Page`",
    note = "a run of pages is mapped page by page: `run.page(number)?` or `run.page_mut(number)?`; or copy by `memcpy_to_run` and its like"
)]
pub unsafe trait Page {
    /// The paging mode whose frame numbers these are.
    type Paging: Paging;

    /// How the bytes may be touched.
    type Access: Access;

    /// How the processor caches them.
    const MEMORY_TYPE: MemoryType = MemoryType::WriteBack;

    /// Whether it is a page table: for [`trace`](crate::trace).
    #[doc(hidden)]
    const IS_TABLE: bool = false;

    /// The frame.
    fn pfn(&self) -> Pfn<Self::Paging>;
}

// SAFETY: I6: the shared borrow keeps everybody from writing through the value, and the access is cut down to reading.
unsafe impl<P: Page + ?Sized> Page for &P {
    type Paging = P::Paging;
    type Access = <P::Access as Access>::Shared;

    const MEMORY_TYPE: MemoryType = P::MEMORY_TYPE;

    #[inline]
    fn pfn(&self) -> Pfn<P::Paging> {
        P::pfn(self)
    }
}

// SAFETY: I6: an exclusive borrow is as good as the value for as long as it lasts.
unsafe impl<P: Page + ?Sized> Page for &mut P {
    type Paging = P::Paging;
    type Access = P::Access;

    const MEMORY_TYPE: MemoryType = P::MEMORY_TYPE;

    #[inline]
    fn pfn(&self) -> Pfn<P::Paging> {
        P::pfn(self)
    }
}

/// A frame that belongs to this value alone.
///
/// It has no `Drop`: [`into_pfn`](Self::into_pfn) gives the frame back to whoever hands out frames. A kernel that wants
/// frames to free themselves wraps it, or implements [`Page`] for its own type.
#[derive(PartialEq, Eq, Debug)]
pub struct Frame<M>(Pfn<M>);

impl<M: Paging> Frame<M> {
    /// Takes possession of a frame.
    ///
    /// # Safety
    /// The frame is ordinary memory, and until the value is given back nobody else touches its bytes, by any address.
    #[inline]
    pub const unsafe fn from_pfn(pfn: Pfn<M>) -> Self {
        Self(pfn)
    }

    /// Gives the frame back.
    #[inline]
    pub fn into_pfn(self) -> Pfn<M> {
        self.0
    }
}

// SAFETY: I5, I6: by `from_pfn` the frame belongs to this value, which cannot be cloned.
unsafe impl<M: Paging> Page for Frame<M> {
    type Paging = M;
    type Access = ReadWrite;

    #[inline]
    fn pfn(&self) -> Pfn<M> {
        self.0
    }
}

/// A frame that user space, a device or other CPUs may write at any time.
#[derive(PartialEq, Eq, Debug)]
pub struct SharedFrame<M>(Pfn<M>);

impl<M: Paging> SharedFrame<M> {
    /// Refers to a frame that others use as well.
    ///
    /// # Safety
    /// The frame is ordinary memory and stays allocated for this use until the value is given back, and nobody has a
    /// Rust reference into it.
    #[inline]
    pub const unsafe fn from_pfn(pfn: Pfn<M>) -> Self {
        Self(pfn)
    }

    /// Gives the frame back.
    #[inline]
    pub fn into_pfn(self) -> Pfn<M> {
        self.0
    }
}

// SAFETY: I5, I6: by `from_pfn` the frame stays allocated, and nobody has a reference into it.
unsafe impl<M: Paging> Page for SharedFrame<M> {
    type Paging = M;
    type Access = Volatile;

    #[inline]
    fn pfn(&self) -> Pfn<M> {
        self.0
    }
}

/// How the frames of a device are cached. Sealed.
pub trait DeviceMemory: sealed::Sealed + 'static {
    /// Which it is.
    const MEMORY_TYPE: MemoryType;
}

/// For registers: each access reaches the device, in order.
#[derive(Debug)]
pub struct Uncached;

/// For frame buffers: writes reach the device later, many at once, in any order.
#[derive(Debug)]
pub struct WriteCombining;

/// Reads are cached, writes reach the device.
#[derive(Debug)]
pub struct WriteThrough;

impl sealed::Sealed for Uncached {}
impl DeviceMemory for Uncached {
    const MEMORY_TYPE: MemoryType = MemoryType::Uncached;
}
impl sealed::Sealed for WriteCombining {}
impl DeviceMemory for WriteCombining {
    const MEMORY_TYPE: MemoryType = MemoryType::WriteCombining;
}
impl sealed::Sealed for WriteThrough {}
impl DeviceMemory for WriteThrough {
    const MEMORY_TYPE: MemoryType = MemoryType::WriteThrough;
}

/// A frame of a device's memory or registers. It is always mapped, never found in the direct map. Linux: `iomap`,
/// `kmap_atomic_pfn`.
#[derive(Debug)]
pub struct DeviceFrame<M, C = Uncached> {
    pfn: Pfn<M>,
    memory: PhantomData<C>,
}

impl<M: Paging, C: DeviceMemory> DeviceFrame<M, C> {
    /// Takes possession of a frame of a device.
    ///
    /// # Safety
    /// The frame belongs to a device whose accesses cannot break Rust's rules elsewhere; nobody else uses it, nor maps it with
    /// another memory type, until the value is given back. Memory that becomes a device's (a graphics aperture, say) may be idle in the pool,
    /// which has it cached write-back: [`flush_unused`](crate::flush_unused) comes first.
    #[inline]
    pub const unsafe fn from_pfn(pfn: Pfn<M>) -> Self {
        Self { pfn, memory: PhantomData }
    }

    /// Gives the frame back.
    #[inline]
    pub fn into_pfn(self) -> Pfn<M> {
        self.pfn
    }
}

// SAFETY: I5, I6: by `from_pfn` the frame is this value's, and has one memory type.
unsafe impl<M: Paging, C: DeviceMemory> Page for DeviceFrame<M, C> {
    type Paging = M;
    type Access = Device;

    const MEMORY_TYPE: MemoryType = C::MEMORY_TYPE;

    #[inline]
    fn pfn(&self) -> Pfn<M> {
        self.pfn
    }
}

mod sealed {
    pub trait Sealed {}
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::paging::Pae;
    use std::string::ToString;

    #[test]
    fn the_last_frame_fits_and_the_next_does_not() {
        assert_eq!(Pfn::<Pae>::new(0xffff_ffff).unwrap().address(), 0xfff_ffff_f000);
        let error = Pfn::<Pae>::new(0x1_0000_0000).unwrap_err();
        assert_eq!(error.to_string(), "page frame number 0x100000000 does not fit the 32 bits of this paging mode");
    }

    #[test]
    fn a_processor_may_have_fewer_bits_than_the_mode() {
        assert_eq!(Pfn::<Pae>::within(0xff_ffff, 36), Pfn::new(0xff_ffff));
        let error = Pfn::<Pae>::within(0x100_0000, 36).unwrap_err();
        assert_eq!(error.to_string(), "page frame number 0x1000000 does not fit the 24 bits of this processor");
        let error = Pfn::<Pae>::within(0x1_0000_0000, 52).unwrap_err();
        assert_eq!(error.to_string(), "page frame number 0x100000000 does not fit the 32 bits of this paging mode");
        let error = Pfn::<Pae>::within(0x1_0000_0000, 44).unwrap_err();
        assert!(error.to_string().ends_with("of this paging mode"), "the mode is no larger than the processor");
        assert!(Pfn::<Pae>::within(1, 0).is_err());
    }

    #[test]
    fn a_number_is_an_error_and_not_a_wrap() {
        assert!(Pfn::<Pae>::new(u64::MAX).is_err());
        assert!(Pfn::<Pae>::new(1 << 32).is_err(), "its low 32 bits are a valid number");
        assert!(Pfn::<Pae>::containing(1 << 44).is_err());
    }

    #[test]
    fn an_address_is_in_its_frame() {
        assert_eq!(Pfn::<Pae>::containing(0x1_4000_0fff), Pfn::new(0x14_0000));
    }
}
