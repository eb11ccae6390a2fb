//! F07, sdhci-esdhc-mcf: the interrupt handler walks the scatter list without the flag that makes the walk atomic.
//!
//! Linux, `drivers/mmc/host/sdhci-esdhc-mcf.c`, 2024. lore 20240228-fix-sdhci-esdhc-mcf-2-v2. Seen: the diff.
//!
//! ```c
//! /* irq */
//! sg_miter_start(m, .., SG_MITER_TO_SG | SG_MITER_FROM_SG);
//! while (sg_miter_next(m))                 /* kmap() */
//!         swap();
//! ```
//!
//! Without `SG_MITER_ATOMIC`, each step is a `kmap()`. Here what maps in a slot takes a token, and what may sleep takes a task; a handler
//! has only the one.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "fixtures/bytes.rs"]
mod bytes;
use bytes::*;
#[path = "fixtures/scatter.rs"]
mod scatter;
#[path = "fixtures/scsi.rs"]
mod scsi;
use scsi::*;

/// The controller has the bytes of each word the other way round.
fn esdhc_mcf_buffer_swap32(buf: &mut [u8]) {
    buf.chunks_exact_mut(4).for_each(<[u8]>::reverse);
}

fn esdhc_mcf_request_done(irq: &mut HardIrq<'_, MyKernel>, cmd: &mut ScsiCmnd) {
    for sg in &mut cmd.sg {
        let (mut buffer, _) = kmap(irq, &mut sg.page).expect("an entry of the pool");
        esdhc_mcf_buffer_swap32(&mut buffer[sg.offset..][..sg.length]);
    }
}

fn main() {
    let mut mrq = scsi_cmnd(8, 8);
    put(&mut mrq.sg[0].page, 8, b"dcbahgfe_");
    interrupt(|irq| esdhc_mcf_request_done(irq, &mut mrq));
    assert_eq!(get(&mrq.sg[0].page, 8), *b"abcdefgh_");
}
