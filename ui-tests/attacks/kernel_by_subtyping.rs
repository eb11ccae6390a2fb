//! Two kernels whose types differ in a lifetime only: a token of the one is passed for a token of the other.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::marker::PhantomData;

type Host = Windowed<for<'a> fn(&'a u8)>;
type Guest = Windowed<fn(&'static u8)>;

fn map(guest: Slot<'_, Guest, User0>, page: &Frame) {
    drop(kmap_atomic(guest, page));
}

fn main() {
    let page = frame(0);
    // SAFETY: the one thread of each kernel.
    unsafe {
        highmem::Task::<Host>::enter(|host| {
            highmem::Task::<Guest>::enter(|guest| {
                let mut host = host.atomic();
                let mut guest = guest.atomic();
                let guest = guest.slots().user0;
                map(guest, &page);
                let host = host.slots().user0;
                map(host, &page); // attack
            });
        });
    }
}

struct Windowed<T>(PhantomData<T>);

// SAFETY: as `MyKernel`; whatever `T` is, it has a window of its own.
unsafe impl<T: Window> Kernel for Windowed<T> {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U1;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = T::BASE;

    fn fixmap() -> &'static Fixmap<1> {
        T::fixmap()
    }
    kernel_of_a_process!();
}

trait Window: Sized + 'static {
    const BASE: usize;
    fn fixmap() -> &'static Fixmap<1>;
}

impl Window for for<'a> fn(&'a u8) {
    const BASE: usize = 0xffa0_0000;
    fn fixmap() -> &'static Fixmap<1> {
        static FIXMAP: Fixmap<1> = Fixmap::new::<Host>();
        &FIXMAP
    }
}

#[allow(coherence_leak_check, reason = "that the types are of one family is the point")]
impl Window for fn(&'static u8) {
    const BASE: usize = 0xffc0_0000;
    fn fixmap() -> &'static Fixmap<1> {
        static FIXMAP: Fixmap<1> = Fixmap::new::<Guest>();
        &FIXMAP
    }
}
