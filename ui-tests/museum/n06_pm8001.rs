//! N06, pm8001: a DMA address is taken for a physical one, and that for one that is mapped.
//!
//! Linux, `drivers/scsi/pm8001`, 2021. lore 1637940933-107862-1-git-send-email-john.garry@huawei.com. Seen: the diff.
//!
//! ```c
//! v = phys_to_virt(sg_dma_address(sg));
//! memcpy(..., v, n);
//! ```
//!
//! Behind an IOMMU it is somebody else's memory, and in high memory it is none. The repair maps the page of the entry. Here a number is no
//! page, whichever number it is.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/scatter.rs"]
mod scatter;
use scatter::*;
use highmem::memcpy_from_page;

/// An entry of a list, and at which address the device finds it.
struct DmaSg {
    sg: Sg,
    dma_address: u64,
}

/// Builds the request that the controller is to send for a SCSI command.
fn pm80xx_chip_smp_req(slot: Slot<'_, MyKernel, Irq0>, req: &DmaSg, smp_cmd: &mut [u8]) {
    memcpy_from_page(smp_cmd, slot, req.dma_address, req.sg.offset).unwrap();
}

fn main() {
    let [_, sg] = scatterlist();
    let mut req = DmaSg { sg, dma_address: 0xffff_1200 };
    put(&mut req.sg.page, 512, b"\x40\x00\x10\x08");
    let mut smp_cmd = [0; 4];
    interrupt(|irq| pm80xx_chip_smp_req(irq.slots().irq0, &req, &mut smp_cmd));
    assert_eq!(&smp_cmd, b"\x40\x00\x10\x08");
}
