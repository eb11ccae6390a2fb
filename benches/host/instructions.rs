//! Instructions on the host, as callgrind counts them, each with a limit.
//!
//! `cargo xtask test` (step `cost`) runs this program under callgrind, which counts within [`measured`] alone, begins anew behind each call of
//! it, and gives the same counts in each run. A count that is above the limit that stands here fails the test, which says both.
//!
//! The limits are what was counted with `rustc` 1.95: where all that runs is the crate and the model, to the digit. Where two pages at once
//! have to be shown, the model calls the host's library, which has other code for other processors: there, the limit is one in a hundred higher.

use std::hint::black_box;

use highmem::flush_unused;
use highmem::model::{Machine, Zone};
use host_benches::{Task, Work};

/// What is counted. Callgrind knows it by its name.
// SAFETY: no other symbol has this name.
#[unsafe(no_mangle)]
#[inline(never)]
fn measured(step: fn(&mut Work, &mut Task<'_>), work: &mut Work, task: &mut Task<'_>) {
    step(work, task);
}

fn main() {
    let machine = Machine::new();
    let [mut high, mut low] = [Zone::High, Zone::Low].map(|zone| Work::new(&machine, zone));
    machine.cpu(0).task(|task| {
        let mut at_most = |limit: u64, name: &str, work: &mut Work, step: fn(&mut Work, &mut Task<'_>)| {
            println!("limit {limit} {name}");
            measured(black_box(step), black_box(work), task);
        };
        at_most(3736, "kmap_atomic, highmem", &mut high, Work::atomic_pair);
        at_most(205, "kmap, highmem, still mapped", &mut high, Work::kmap);
        at_most(7840, "copy_highpage, highmem", &mut high, Work::copy_page);
        at_most(122_200, "memcpy_run, highmem, page by page", &mut high, Work::copy_run);
        at_most(127_200, "memcpy_run, highmem, shifted", &mut high, Work::shift_run);
        at_most(35_004, "sg_copy_from_buffer, highmem", &mut high, Work::fill_list);
        at_most(259, "kmap_atomic, lowmem", &mut low, Work::atomic_pair);
        at_most(43, "kmap, lowmem", &mut low, Work::kmap);
        at_most(808, "copy_highpage, lowmem", &mut low, Work::copy_page);
        at_most(9687, "memcpy_run, lowmem, page by page", &mut low, Work::copy_run);
        at_most(11_654, "memcpy_run, lowmem, shifted", &mut low, Work::shift_run);
        at_most(3702, "sg_copy_from_buffer, lowmem", &mut low, Work::fill_list);
    });
    machine.cpu(0).task(|task| {
        flush_unused(task);
        println!("limit 2433 kmap, highmem, mapped anew");
        measured(black_box(Work::kmap), black_box(&mut high), task);
    });
}
