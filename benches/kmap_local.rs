//! What local maps cost, in instructions: a pair, and a switch from one thread to another and back. As `kmap_atomic`, which see.

#![no_std]
#![no_main]

use core::hint::black_box;

use highmem::local::{SaveArea, switch_in, switch_out};
use highmem::{LocalKernel, kmap_local_page};
use kernel::frames::{self, Frame, Zone};
use kernel::kmap::{ExampleKernel, LOCAL_LEVELS, Local, Task};
use kernel::{irq, paging, println};

kernel::main!(costs);

const ROUNDS: u32 = 10_000;

fn costs(task: &mut Task<'_>) {
    let own = cfg!(feature = "cpu-window");
    let which = if own { "_with_own_window" } else { "_with_cpu_number" };
    let limits = |own_window, cpu_number| if own { own_window } else { cpu_number };
    let mut high = frames::alloc_highmem().expect("a frame of high memory");
    let mut low = frames::alloc(Zone::Low).expect("a frame of lowmem");

    budget("local_pair_and_pin", which, limits([18, 25, 21], [24, 32, 26]), task, |task| {
        drop(kmap_local_page(&mut task.pinned().local().0, black_box(&mut high)));
    });

    static NOTHING: SaveArea<LOCAL_LEVELS> = SaveArea::new();
    budget("local_switch_with_nothing_mapped", "", [6; 3], task, |_| {
        // SAFETY: the area is of no thread.
        unsafe {
            switch_out::<ExampleKernel>(&NOTHING);
            switch_in::<ExampleKernel>(&NOTHING);
        }
    });

    let mut pinned = task.pinned();
    let (mut local, _) = pinned.local();
    budget("local_pair", which, limits([12, 20, 16], [19, 28, 22]), &mut local, |local| pair(local, &mut high));
    budget("local_pair_on_lowmem", which, limits([5, 6, 6], [5, 6, 6]), &mut local, |local| pair(local, &mut low));

    switch(which, "local_switch_with_0_maps", limits([108, 124, 120], [110, 130, 122]));
    let (_one, mut local) = kmap_local_page(&mut local, &mut high);
    switch(which, "local_switch_with_1_map", limits([112, 129, 126], [116, 137, 130]));
    let [mut two, mut three, mut four] = [(); 3].map(|()| frames::alloc(Zone::High).expect("a frame of high memory"));
    let (_two, mut local) = kmap_local_page(&mut local, &mut two);
    switch(which, "local_switch_with_2_maps", limits([116, 134, 132], [122, 144, 138]));
    let (_three, mut local) = kmap_local_page(&mut local, &mut three);
    let (_four, _) = kmap_local_page(&mut local, &mut four);
    switch(which, "local_switch_with_4_maps", limits([124, 144, 144], [134, 158, 154]));
}

#[inline(always)]
fn pair(local: &mut Local<'_>, page: &mut Frame) {
    drop(kmap_local_page(local, black_box(page)).0);
}

/// Out and in again, with what this thread has mapped.
fn switch(which: &str, name: &str, limits: [u32; 3]) {
    // SAFETY: that of this thread.
    let area = unsafe { ExampleKernel::save_area().as_ref() };
    budget(name, which, limits, &mut (), |()| {
        // SAFETY: this thread goes, and comes back at once, with interrupts off.
        unsafe {
            switch_out::<ExampleKernel>(area);
            switch_in::<ExampleKernel>(area);
        }
    });
}

/// Measures `operation` and prints it beside what it may cost at most: without PAE, with PAE, with 64 bits.
fn budget<T>(name: &str, which: &str, limits: [u32; 3], with: &mut T, mut operation: impl FnMut(&mut T)) {
    let page = &mut 0;
    let cost = irq::with_disabled(|| {
        let empty = cost_of(|| {
            black_box(&mut *page);
        });
        cost_of(|| operation(with)) - empty
    });
    let [non_pae, pae, long] = limits;
    let limit = match paging::levels() {
        2 => non_pae,
        3 => pae,
        _ => long,
    };
    println!("budget {name}{which} measured {cost} limit {limit}");
}

/// What one call of `f` costs, with the loop around it.
fn cost_of(mut f: impl FnMut()) -> u32 {
    // The difference of two runs of one loop: what comes before and after the loop does not count.
    let [short, long] = [ROUNDS, 2 * ROUNDS].map(|rounds| instructions(rounds, &mut f));
    let cost = long - short;
    assert_eq!(cost % ROUNDS, 0, "a round does not cost the same each time: run this with --icount");
    cost / ROUNDS
}

/// The instructions of so many calls of `f`. Never inlined, so that each run is the same code.
#[inline(never)]
fn instructions(mut rounds: u32, f: &mut impl FnMut()) -> u32 {
    let start = tsc();
    while rounds > 0 {
        f();
        rounds = black_box(rounds - 1);
    }
    (tsc() - start) as u32
}

#[inline(always)]
fn tsc() -> u64 {
    // SAFETY: reads a counter.
    unsafe { x86::time::rdtsc() }
}
