//! The pages of a world: frames of memory, behind locks.

use std::cell::{Cell, Ref, RefCell, RefMut};

use highmem::model::{FRESH, Frame, Machine, SharedFrame, Zone};
use highmem::page::Access;
use highmem::paging::Paging;
use highmem::{KmType, KmapAtomic, PAGE_SIZE, Page, PageBytes, Pfn, Slot, kunmap_atomic};

use crate::{K, km};

/// A page behind a lock, and what is to be in it. The frame is away while a mapping owns it.
pub struct TestPage<P: Paging> {
    pub zone: Zone,
    pub memory: Memory<P>,
    pub pfn: Cell<Pfn<P>>,
    pub bytes: RefCell<Box<PageBytes>>,
}

pub enum Memory<P> {
    Own(RefCell<Option<Frame<P>>>),
    Shared(RefCell<Option<SharedFrame<P>>>),
}

impl<P: Paging> TestPage<P> {
    pub fn new(machine: &Machine<P, km::Set>, zone: Zone, is_shared: bool) -> Self {
        let frame = machine.alloc(zone);
        let pfn = Cell::new(frame.pfn());
        let memory = if is_shared {
            Memory::Shared(RefCell::new(Some(frame.share())))
        } else {
            Memory::Own(RefCell::new(Some(frame)))
        };
        Self { zone, memory, pfn, bytes: RefCell::new(Box::new([FRESH; PAGE_SIZE])) }
    }

    /// Another frame in place of one that is gone.
    pub fn replace(&self, machine: &Machine<P, km::Set>) {
        let frame = machine.alloc(self.zone);
        self.pfn.set(frame.pfn());
        self.bytes.borrow_mut().fill(FRESH);
        match &self.memory {
            Memory::Own(cell) => *cell.borrow_mut() = Some(frame),
            Memory::Shared(cell) => *cell.borrow_mut() = Some(frame.share()),
        }
    }

    pub fn is_mapped(&self) -> bool {
        self.zone == Zone::High
    }

    /// Panics if these are not the page's bytes.
    #[track_caller]
    pub fn compare(&self, found: &PageBytes) {
        let expected = self.bytes.borrow();
        if let Some(at) = (0..PAGE_SIZE).find(|&at| expected[at] != found[at]) {
            panic!("{:?} has {:#x} at {at}, not {:#x}", self.pfn.get(), found[at], expected[at]);
        }
    }
}

/// The frame, borrowed for writing.
pub fn exclusive<F>(cell: &RefCell<Option<F>>) -> Option<Lent<RefMut<'_, F>>> {
    RefMut::filter_map(cell.try_borrow_mut().ok()?, Option::as_mut).ok().map(Lent)
}

/// The frame, borrowed for reading.
pub fn shared<F>(cell: &RefCell<Option<F>>) -> Option<Lent<Ref<'_, F>>> {
    Ref::filter_map(cell.try_borrow().ok()?, Option::as_ref).ok().map(Lent)
}

/// The frame itself.
pub fn owned<F>(cell: &RefCell<Option<F>>) -> Option<F> {
    cell.try_borrow_mut().ok()?.take()
}

/// A lock's guard as a page, as kernels have it.
pub struct Lent<R>(pub R);

// SAFETY: I6: the frame is borrowed exclusively for as long as the value exists.
unsafe impl<F: Page> Page for Lent<RefMut<'_, F>> {
    type Paging = F::Paging;
    type Access = F::Access;

    fn pfn(&self) -> Pfn<F::Paging> {
        F::pfn(&self.0)
    }
}

// SAFETY: I6: the frame is borrowed for as long as the value exists, and the access is cut down to reading.
unsafe impl<F: Page> Page for Lent<Ref<'_, F>> {
    type Paging = F::Paging;
    type Access = <F::Access as Access>::Shared;

    fn pfn(&self) -> Pfn<F::Paging> {
        F::pfn(&self.0)
    }
}

/// What comes back of a page when it is unmapped.
pub enum Back<P> {
    Frame(Frame<P>),
    SharedFrame(SharedFrame<P>),
    Nothing,
}

/// A page that programs map: how its bytes are touched, where the types differ.
pub trait Mappable<P: Paging>: Page<Paging = P> + Sized {
    fn read<S: KmType<Set = km::Set>>(guard: &KmapAtomic<'_, K<P>, S, Self>) -> PageBytes;
    /// `false`: it may only be read.
    fn write<S: KmType<Set = km::Set>>(guard: &mut KmapAtomic<'_, K<P>, S, Self>, at: usize, bytes: &[u8]) -> bool;
    fn back(self) -> Back<P>;
}

macro_rules! mappable {
    ($($page:ty: $access:ident, $self:ident gives $back:expr;)*) => {$(
        impl<P: Paging> Mappable<P> for $page {
            mappable!(@$access);

            fn back($self) -> Back<P> {
                $back
            }
        }
    )*};
    (@referenced) => {
        mappable!(@read guard => guard[..].try_into().expect("it is a page"));
        mappable!(@write guard, at, bytes => { guard[at..at + bytes.len()].copy_from_slice(bytes); true });
    };
    (@referenced_read_only) => {
        mappable!(@read guard => guard[..].try_into().expect("it is a page"));
        mappable!(@write guard, at, bytes => { let _ = (guard, at, bytes); false });
    };
    (@copied) => {
        mappable!(@read guard => { let mut bytes = [0; PAGE_SIZE]; guard.read_at(0, &mut bytes).expect("it is a page"); bytes });
        mappable!(@write guard, at, bytes => { guard.write_at(at, bytes).expect("within the page"); true });
    };
    (@copied_read_only) => {
        mappable!(@read guard => { let mut bytes = [0; PAGE_SIZE]; guard.read_at(0, &mut bytes).expect("it is a page"); bytes });
        mappable!(@write guard, at, bytes => { let _ = (guard, at, bytes); false });
    };
    (@read $guard:ident => $read:expr) => {
        fn read<S: KmType<Set = km::Set>>($guard: &KmapAtomic<'_, K<P>, S, Self>) -> PageBytes {
            $read
        }
    };
    (@write $guard:ident, $at:ident, $bytes:ident => $write:expr) => {
        fn write<S: KmType<Set = km::Set>>($guard: &mut KmapAtomic<'_, K<P>, S, Self>, $at: usize, $bytes: &[u8]) -> bool {
            $write
        }
    };
}

mappable! {
    Frame<P>: referenced, self gives Back::Frame(self);
    SharedFrame<P>: copied, self gives Back::SharedFrame(self);
    &mut Frame<P>: referenced, self gives Back::Nothing;
    &Frame<P>: referenced_read_only, self gives Back::Nothing;
    &mut SharedFrame<P>: copied, self gives Back::Nothing;
    &SharedFrame<P>: copied_read_only, self gives Back::Nothing;
    Lent<RefMut<'_, Frame<P>>>: referenced, self gives Back::Nothing;
    Lent<Ref<'_, Frame<P>>>: referenced_read_only, self gives Back::Nothing;
    Lent<RefMut<'_, SharedFrame<P>>>: copied, self gives Back::Nothing;
    Lent<Ref<'_, SharedFrame<P>>>: copied_read_only, self gives Back::Nothing;
}

/// A guard, whatever its page.
pub trait Guard<'cx, P: Paging, S> {
    fn read(&self) -> PageBytes;
    fn write(&mut self, at: usize, bytes: &[u8]) -> bool;
    fn unmap(self: Box<Self>) -> (Slot<'cx, K<P>, S>, Back<P>);
}

impl<'cx, P, S, G> Guard<'cx, P, S> for KmapAtomic<'cx, K<P>, S, G>
where
    P: Paging,
    S: KmType<Set = km::Set>,
    G: Mappable<P>,
{
    fn read(&self) -> PageBytes {
        G::read(self)
    }

    fn write(&mut self, at: usize, bytes: &[u8]) -> bool {
        G::write(self, at, bytes)
    }

    fn unmap(self: Box<Self>) -> (Slot<'cx, K<P>, S>, Back<P>) {
        let (slot, page) = kunmap_atomic(*self);
        (slot, page.back())
    }
}
