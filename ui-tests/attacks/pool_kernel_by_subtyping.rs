//! Two kernels whose types differ in a lifetime only: a mapping in the pool of the one is ended in that of the other.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::marker::PhantomData;

type Host = Windowed<for<'a> fn(&'a u8)>;
type Guest = Windowed<fn(&'static u8)>;

fn end(guest: Kmap<'_, Guest, &Frame>) {
    drop(kunmap(guest));
}

fn main() {
    let page = frame(0);
    // SAFETY: the one thread of each kernel; all frames are lowmem, so the pools are never used.
    unsafe {
        Host::pool().start::<Host>();
        Guest::pool().start::<Guest>();
        highmem::Task::<Host>::enter(|host| {
            highmem::Task::<Guest>::enter(|guest| {
                end(kmap(guest, &page).unwrap().0);
                let host = kmap(host, &page).unwrap().0;
                end(host); // attack
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

// SAFETY: as `MyKernel`; whatever `T` is, it has a pool of its own.
unsafe impl<T: Window> PoolKernel for Windowed<T> {
    type PoolEntries = typenum::U2;
    type Pool = Pool<512>;
    const PKMAP_BASE: usize = T::BASE - 0x20_0000;

    fn pool() -> &'static Pool<512> {
        T::pool()
    }
    pool_of_a_process!();
}

trait Window: Sized + 'static {
    const BASE: usize;
    fn fixmap() -> &'static Fixmap<1>;
    fn pool() -> &'static Pool<512>;
}

impl Window for for<'a> fn(&'a u8) {
    const BASE: usize = 0xffa0_0000;
    fn fixmap() -> &'static Fixmap<1> {
        static FIXMAP: Fixmap<1> = Fixmap::new::<Host>();
        &FIXMAP
    }
    fn pool() -> &'static Pool<512> {
        static POOL: Pool<512> = Pool::new::<Host>();
        &POOL
    }
}

#[allow(coherence_leak_check, reason = "that the types are of one family is the point")]
impl Window for fn(&'static u8) {
    const BASE: usize = 0xffc0_0000;
    fn fixmap() -> &'static Fixmap<1> {
        static FIXMAP: Fixmap<1> = Fixmap::new::<Guest>();
        &FIXMAP
    }
    fn pool() -> &'static Pool<512> {
        static POOL: Pool<512> = Pool::new::<Guest>();
        &POOL
    }
}
