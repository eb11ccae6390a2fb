//! Instructions on the host, by callgrind: the same in every run, and with budgets. Beyond one, the run fails and says both numbers.
#![expect(missing_docs, reason = "the macros of the harness make public items")]

use std::hint::black_box;

use gungraun::{Callgrind, EventKind, LibraryBenchmarkConfig, library_benchmark, library_benchmark_group, main};
use highmem::model::Zone;
use host_benches::Bench;

/// At most so many instructions.
fn at_most(instructions: u64) -> LibraryBenchmarkConfig {
    let mut callgrind = Callgrind::default();
    callgrind.hard_limits([(EventKind::Ir, instructions)]);
    let mut config = LibraryBenchmarkConfig::default();
    config.tool(callgrind);
    config
}

/// A pool that has forgotten all pages.
fn empty_pool(zone: Zone) -> Bench {
    let mut bench = Bench::new(zone);
    bench.forget();
    bench
}

/// A benchmark of one method, on highmem and on lowmem, with the budget of each.
macro_rules! benchmark {
    ($name:ident, $set_up:path, $highmem:literal, $lowmem:literal) => {
        #[library_benchmark]
        #[bench::highmem(args = ($set_up(Zone::High)), config = at_most($highmem))]
        #[bench::lowmem(args = ($set_up(Zone::Low)), config = at_most($lowmem))]
        fn $name(mut bench: Bench) -> Bench {
            Bench::$name(black_box(&mut bench));
            bench
        }
    };
}

benchmark!(atomic_pair, Bench::new, 1, 1);
benchmark!(kmap_hit, Bench::new, 1, 1);
benchmark!(copy_page, Bench::new, 1, 1);
benchmark!(copy_run, Bench::new, 1, 1);
benchmark!(fill_list, Bench::new, 1, 1);

#[library_benchmark(config = at_most(1))]
#[bench::highmem(empty_pool(Zone::High))]
fn kmap_miss(mut bench: Bench) -> Bench {
    black_box(&mut bench).kmap_hit();
    bench
}

library_benchmark_group!(
    name = model,
    benchmarks = [atomic_pair, kmap_hit, kmap_miss, copy_page, copy_run, fill_list]
);
main!(library_benchmark_groups = model);
