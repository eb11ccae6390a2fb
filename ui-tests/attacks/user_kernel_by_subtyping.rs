//! Two kernels whose types differ in a lifetime only: what is user memory of the one is written by the copies of the other.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
use std::marker::PhantomData;

type Host = Split<for<'a> fn(&'a u8)>;
type Guest = Split<fn(&'static u8)>;

fn zero(guest: highmem::UserSlice<Guest>) {
    let _ = copy_to_user_inatomic(&mut guest.writer(), &[0; 8]);
}

fn main() {
    zero(highmem::UserSlice::new(0x1000, 8).unwrap());
    let host = highmem::UserSlice::<Host>::new(0xb000_0000, 8).unwrap();
    zero(host); // attack
}

struct Split<T>(PhantomData<T>);

// SAFETY: as `MyKernel`; nothing is ever mapped.
unsafe impl<T: UserEnd> Kernel for Split<T> {
    type Paging = Pae;
    type KmTypes = Set;
    type Cpus = typenum::U1;
    type Machine = highmem::machine::X86;
    type Fixmap = Fixmap<1>;
    const FIXMAP_BASE: usize = 0xffc0_0000;

    fn fixmap() -> &'static Fixmap<1> {
        unreachable!("nothing is mapped")
    }
    kernel_of_a_process!();
}

// SAFETY: no user memory is ever accessed.
unsafe impl<T: UserEnd> UserKernel for Split<T> {
    const USER_END: usize = T::USER_END;
    user_memory_of_a_process!();
}

trait UserEnd: 'static {
    const USER_END: usize;
}

impl UserEnd for for<'a> fn(&'a u8) {
    const USER_END: usize = 0xc000_0000;
}

#[allow(coherence_leak_check, reason = "that the types are of one family is the point")]
impl UserEnd for fn(&'static u8) {
    const USER_END: usize = 0x8000_0000;
}
