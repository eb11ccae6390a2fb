//! Time on the host, by Criterion: for finding out, not for judging, since a busy machine has other figures.

use std::hint::black_box;
use std::thread;
use std::time::{Duration, Instant};

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use highmem::PAGE_SIZE;
use highmem::model::{Machine, Zone};
use highmem::paging::Pae;
use host_benches::{PAGES, Task, Work};

/// How long `count` times take, on CPU 0.
fn time(machine: &Machine<Pae>, work: &mut Work, step: fn(&mut Work, &mut Task<'_>), count: u64) -> Duration {
    machine.cpu(0).task(|task| {
        let start = Instant::now();
        for _ in 0..count {
            black_box(step)(work, task);
        }
        start.elapsed()
    })
}

/// Pairs on pages that the pool has, by one CPU, and by two at once.
fn pool(criterion: &mut Criterion) {
    let machine = Machine::new();
    let work = [(); 2].map(|()| Work::new(&machine, Zone::High));
    let mut group = criterion.benchmark_group("pool");
    for threads in [1, 2] {
        group.throughput(Throughput::Elements(threads as u64));
        group.bench_function(BenchmarkId::new("kmap, still mapped", threads), |bencher| {
            bencher.iter_custom(|count| {
                let start = Instant::now();
                thread::scope(|scope| {
                    for (cpu, work) in work.iter().enumerate().take(threads) {
                        let cpu = machine.cpu(cpu);
                        scope.spawn(move || cpu.task(|task| (0..count).for_each(|_| work.kmap_of(task))));
                    }
                });
                start.elapsed()
            });
        });
    }
}

/// Pairs, and copies that go on for several pages.
fn copies(criterion: &mut Criterion) {
    for (zone, name) in [(Zone::High, "highmem"), (Zone::Low, "lowmem")] {
        let machine = Machine::new();
        let mut work = Work::new(&machine, zone);
        let mut group = criterion.benchmark_group(name);
        let run = PAGES * PAGE_SIZE;
        for (name, step, throughput) in [
            ("kmap_atomic", Work::atomic_pair as fn(&mut Work, &mut Task<'_>), Throughput::Elements(1)),
            ("copy_highpage", Work::copy_page, Throughput::Bytes(PAGE_SIZE as u64)),
            ("memcpy_run, page by page", Work::copy_run, Throughput::Bytes(run as u64)),
            ("memcpy_run, shifted", Work::shift_run, Throughput::Bytes((run - PAGE_SIZE) as u64)),
            ("sg_copy_from_buffer", Work::fill_list, Throughput::Elements(9)),
        ] {
            group.throughput(throughput);
            group.bench_function(name, |bencher| bencher.iter_custom(|count| time(&machine, &mut work, step, count)));
        }
    }
}

criterion_group!(benches, pool, copies);
criterion_main!(benches);
