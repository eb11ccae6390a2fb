//! How an operation is measured.
//!
//! In the program that counts (feature `counted`), it is done once, and what it asked of the processor is printed: `counts NAME STORES INVLPG
//! FLUSHES UNITS`. In the other, it is done in two loops, one twice as long as the other: `bench NAME SHORT LONG ROUNDS UNITS`, the times of both;
//! the name `empty` is that of an empty loop, which whoever reads the lines takes off. `total NAME TIME UNITS` is the time of so many at once.

use core::hint::black_box;

use kernel::println;

/// How often each loop is run: an interrupt may hit one of them, but not all.
#[cfg(not(feature = "counted"))]
const BEST_OF: usize = 5;

/// Measures `operation`, of which `units` are in a round.
pub fn measure(name: &str, rounds: u32, units: u32, mut operation: impl FnMut()) {
    #[cfg(feature = "counted")]
    {
        let _ = rounds;
        // What a first time costs does not count.
        let [_, counts] = [(); 2].map(|()| {
            ticks(1, &mut operation);
            kernel::counted::take()
        });
        println!("counts {name} {} {} {} {units}", counts.writes, counts.invlpg, counts.flushes);
    }
    #[cfg(not(feature = "counted"))]
    {
        let [short, long] = [rounds, 2 * rounds]
            .map(|rounds| (0..BEST_OF).map(|_| ticks(rounds, &mut operation)).min().unwrap_or_default());
        println!("bench {name} {short} {long} {rounds} {units}");
    }
}

/// The time of so many calls of `f`. Never inlined, so that each run is the same code.
#[inline(never)]
fn ticks(mut rounds: u32, f: &mut impl FnMut()) -> u64 {
    let start = tsc();
    while rounds > 0 {
        f();
        rounds = black_box(rounds - 1);
    }
    tsc() - start
}

/// The time-stamp counter.
#[inline(always)]
pub fn tsc() -> u64 {
    // SAFETY: reads a counter.
    unsafe { x86::time::rdtsc() }
}
