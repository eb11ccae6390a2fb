//! Time on the host, by Criterion: for finding out, not for judging; a busy machine has other figures.

use std::hint::black_box;
use std::thread;
use std::time::Instant;

use criterion::{BenchmarkId, Criterion, Throughput, criterion_group, criterion_main};
use highmem::PAGE_SIZE;
use highmem::model::Zone;
use host_benches::{Bench, PAGES};

/// Pairs on pages that the pool has, by one CPU and by two at once.
fn pool(criterion: &mut Criterion) {
    let bench = Bench::new(Zone::High);
    let mut group = criterion.benchmark_group("pool");
    for threads in [1, 2] {
        group.throughput(Throughput::Elements(threads as u64));
        group.bench_function(BenchmarkId::new("kmap hit", threads), |bencher| {
            bencher.iter_custom(|count| {
                let start = Instant::now();
                thread::scope(|scope| {
                    for cpu in 0..threads {
                        let bench = &bench;
                        scope.spawn(move || bench.kmap_hits(cpu, count));
                    }
                });
                start.elapsed()
            });
        });
    }
}

/// Copies that go on for several pages.
fn copies(criterion: &mut Criterion) {
    for (zone, name) in [(Zone::High, "highmem"), (Zone::Low, "lowmem")] {
        let mut bench = Bench::new(zone);
        let mut group = criterion.benchmark_group(name);
        group.throughput(Throughput::Bytes(PAGE_SIZE as u64));
        group.bench_function("copy_highpage", |bencher| bencher.iter(|| black_box(&mut bench).copy_page()));
        group.throughput(Throughput::Bytes((PAGES - 1) as u64 * PAGE_SIZE as u64));
        group.bench_function("memcpy_run", |bencher| bencher.iter(|| black_box(&mut bench).copy_run()));
        group.bench_function("sg_copy_from_buffer", |bencher| bencher.iter(|| black_box(&mut bench).fill_list()));
    }
}

criterion_group!(benches, pool, copies);
criterion_main!(benches);
