//! L01, RDMA/nes: a queue pair keeps its work queue mapped for as long as it lives.
//!
//! Linux, `drivers/infiniband/hw/nes`, 2009. Fixed in d2fa9b26e18. Seen: the diff.
//!
//! ```c
//! qp->sq = kmap(page);
//! /* ... held until destroy */
//! ```
//!
//! With many queue pairs, `kmap()` has no entry left for anybody. The driver unmapped it in three places instead, guarded by a
//! flag. Here a guard of the pool is no longer than the borrow of the task that waited for it, and that task waits for no other.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct NesQp<'cx> {
    qp_id: u32,
    sq_vbase: Kmap<'cx, MyKernel, Frame>,
}

fn nes_create_qp<'cx>(task: &'cx mut Task<'_>, qp_id: u32, sq_page: Frame) -> Option<NesQp<'cx>> {
    let (mut sq_vbase, _task) = kmap(task, sq_page).ok()?;
    sq_vbase.fill(0);
    Some(NesQp { qp_id, sq_vbase })
}

fn nes_post_send(qp: &mut NesQp<'_>, head: usize, wqe: u8) {
    qp.sq_vbase[head * 128] = wqe;
}

fn nes_connect(task: &mut Task<'_>, sq_pages: Vec<Frame>) -> Vec<u32> {
    let mut qps = Vec::new();
    for (sq_page, qp_id) in sq_pages.into_iter().zip(1..) {
        let Some(mut qp) = nes_create_qp(task, qp_id, sq_page) else { continue };
        nes_post_send(&mut qp, 3, 0x10);
        qps.push(qp);
    }
    qps.iter().map(|qp| qp.qp_id).collect()
}

fn main() {
    thread(|task| assert_eq!(nes_connect(task, vec![frame(0), frame(1)]), [1, 2]));
}
