//! The guard is unmapped.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bio.rs"]
mod bio;
use bio::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;
use highmem::linux::BioSrcIrq;

/// Copies between a request and the one buffer that the hypervisor knows.
fn ps3disk_scatter_gather(
    slot: &mut Slot<'_, MyKernel, BioSrcIrq>,
    request: &mut Bio,
    bounce: &mut [u8],
    gather: bool,
) {
    let mut offset = 0;
    for bvec in &mut request.io_vec {
        let size = bvec.len;
        let (mut buf, part) = bvec_kmap_irq(slot.reborrow(), bvec);
        if gather {
            bounce[offset..][..size].copy_from_slice(&buf[part]);
        } else {
            buf[part].copy_from_slice(&bounce[offset..][..size]);
        }
        bvec_kunmap_irq(buf);
        offset += size;
    }
}

fn main() {
    let mut request = bio();
    put(&mut request.io_vec[1].page, 512, b"sector");
    let mut bounce = vec![0; 5120];
    interrupt(|irq| {
        ps3disk_scatter_gather(&mut irq.slots().bio_src_irq, &mut request, &mut bounce, true);
        assert_eq!(&bounce[4096..][..6], b"sector");
        bounce[0] = 1;
        ps3disk_scatter_gather(&mut irq.slots().bio_src_irq, &mut request, &mut bounce, false);
    });
    assert_eq!(get(&request.io_vec[0].page, 0), [1]);
}
