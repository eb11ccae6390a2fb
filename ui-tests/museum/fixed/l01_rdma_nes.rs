//! The queue pair keeps the page, which is mapped while it is written.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct NesQp {
    qp_id: u32,
    sq_page: Frame,
}

fn nes_create_qp(task: &mut Task<'_>, qp_id: u32, mut sq_page: Frame) -> Option<NesQp> {
    kmap(task, &mut sq_page).ok()?.0.fill(0);
    Some(NesQp { qp_id, sq_page })
}

fn nes_post_send(task: &mut Task<'_>, qp: &mut NesQp, head: usize, wqe: u8) {
    kmap_atomic(task.atomic().slots().user0, &mut qp.sq_page)[head * 128] = wqe;
}

fn nes_connect(task: &mut Task<'_>, sq_pages: Vec<Frame>) -> Vec<u32> {
    let mut qps = Vec::new();
    for (sq_page, qp_id) in sq_pages.into_iter().zip(1..) {
        let Some(mut qp) = nes_create_qp(task, qp_id, sq_page) else { continue };
        nes_post_send(task, &mut qp, 3, 0x10);
        qps.push(qp);
    }
    qps.iter().map(|qp| qp.qp_id).collect()
}

fn main() {
    thread(|task| assert_eq!(nes_connect(task, vec![frame(0), frame(1)]), [1, 2]));
}
