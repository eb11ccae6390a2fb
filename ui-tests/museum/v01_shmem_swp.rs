//! V01, tmpfs: unmap is given a pointer that may be into an array, and never mapped.
//!
//! Linux, `mm/shmem.c`, 2004. Fixed in e6002df88e (history before git). Seen: the diff.
//!
//! ```c
//! p = index < N ? &direct[index] : kmap_atomic(...) + offset;
//! ...
//! unmap(p);                /* if (p >= high_memory) kunmap_atomic(p) */
//! ```
//!
//! The function that unmaps guessed by the address; the repair was to pretend a mapping, for the balance. Here a pointer into either is not
//! what is unmapped, and a variable that holds a guard only sometimes is dropped only then.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;

const SHMEM_NR_DIRECT: usize = 16;

/// Where the pages of a file are in the swap: the first of them in the inode, the others in a page.
struct ShmemInode {
    direct: [u32; SHMEM_NR_DIRECT],
    indirect: Frame,
}

fn shmem_swp_set(slot: Slot<'_, MyKernel, User1>, info: &mut ShmemInode, index: usize, value: u32) {
    let mut mapped;
    let entry = if index < SHMEM_NR_DIRECT {
        &mut info.direct[index]
    } else {
        mapped = kmap_atomic(slot, &mut info.indirect);
        &mut mapped.view_slice_mut(0, 1024).unwrap()[index - SHMEM_NR_DIRECT]
    };
    *entry = value;
    kunmap_atomic(entry);
}

fn main() {
    let mut info = ShmemInode { direct: [0; SHMEM_NR_DIRECT], indirect: frame(0) };
    thread(|task| {
        let mut atomic = task.atomic();
        shmem_swp_set(atomic.slots().user1, &mut info, 15, 7);
        shmem_swp_set(atomic.slots().user1, &mut info, 17, 8);
    });
    assert_eq!(info.direct[15], 7);
    assert_eq!(get(&info.indirect, 4), [8, 0, 0, 0]);
}
