//! T04, IDE: a buffer that was never mapped is unmapped, and the preemption count is off by one.
//!
//! Linux, `include/linux/ide.h`, 2002. Fixed in 37eb06f858 (history before git). Seen: the diff.
//!
//! ```c
//! map:    if (rq->bio) kmap_irq(..) else rq->buffer
//! unmap:  kunmap_irq(..) always
//! ```
//!
//! Map and unmap decide the same question, in two functions. Here what ends a mapping takes the guard, and a request without one has only
//! bytes.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/ide.rs"]
mod ide;
use ide::*;

/// Reads the data of a request.
fn task_sectors(irq: &mut HardIrq<'_, MyKernel>, rq: &mut IdeRequest) {
    let slot = irq.slots().bio_src_irq;
    match &mut rq.bio {
        Some(page) => {
            let mut buffer = kmap_atomic(slot, page);
            taskfile_input_data(&mut buffer[..512]);
            kunmap_atomic(buffer);
        }
        None => {
            let buffer = &mut rq.buffer[..512];
            taskfile_input_data(buffer);
            kunmap_atomic(buffer);
        }
    }
}

fn main() {
    let mut rq = IdeRequest { bio: Some(frame(0)), buffer: vec![0; 512] };
    interrupt(|irq| task_sectors(irq, &mut rq));
    assert_eq!(get(rq.bio.as_ref().unwrap(), 510), [0xd5, 0xd5, 0]);
    rq.bio = None;
    interrupt(|irq| task_sectors(irq, &mut rq));
    assert_eq!(rq.buffer, [0xd5; 512]);
}
