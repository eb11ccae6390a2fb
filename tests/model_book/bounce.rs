//! Of `docs/how-to/bounce.md`.

use highmem::bounce::{Completed, Reach, Refused, Rejected, Reserve, Segments, Submitted};
use highmem::ops::{self, Segment};

use super::mm::{FrameRun, HardIrq, K, SharedFrame, Task};

/// Sixteen low pages for the disk, and requests of up to two parts.
type Bounce = Reserve<K, SharedFrame, 16>;
type Parts = Segments<FrameRun, 2>;
type Request<'r> = Submitted<'r, K, FrameRun, SharedFrame, 16, 2>;

fn reserve(low: impl Iterator<Item = SharedFrame>) -> Result<Bounce, Rejected<SharedFrame>> {
    let reserve = Bounce::new(Reach::FOUR_GIB);
    for page in low.take(16) {
        reserve.add(page)?; // one that the device does not reach comes back
    }
    Ok(reserve)
}

fn sectors(run: FrameRun, offset: usize, len: usize) -> Result<Parts, ops::Error> {
    let mut parts = Parts::new();
    parts.push(Segment::new(run, offset, len)?).expect("the first of two");
    Ok(parts)
}

fn read<'r>(
    disk: &mut Disk,
    task: &mut Task<'_>,
    reserve: &'r Bounce,
    parts: Parts,
) -> Result<Request<'r>, Refused<FrameRun, 2>> {
    let (prepared, _task) = reserve.read(task, parts)?; // sleeps for low pages, holding none
    let request = prepared.submit();
    disk.start(request.extents()); // each within the disk's reach
    Ok(request)
}

fn write<'r>(
    disk: &mut Disk,
    task: &mut Task<'_>,
    reserve: &'r Bounce,
    parts: Parts,
) -> Result<Request<'r>, Refused<FrameRun, 2>> {
    let (prepared, _task) = reserve.write(task, parts, |atomic| atomic.slots().user0)?; // copied here
    let request = prepared.submit();
    disk.start(request.extents());
    Ok(request)
}

fn finished(irq: &mut HardIrq<'_>, request: Request<'_>, bytes: usize) -> Completed<FrameRun, (), 2> {
    // SAFETY: the disk has said that it is done with this request.
    unsafe { request.complete(irq.slots().bounce_read, Ok(bytes)) }
}

/// What the driver would program: here, it is written down.
#[derive(Default)]
struct Disk {
    extents: Vec<highmem::bounce::Extent>,
}

impl Disk {
    fn start(&mut self, extents: impl Iterator<Item = highmem::bounce::Extent>) {
        self.extents = extents.collect();
    }
}

mod tests {
    use std::num::NonZero;

    use highmem::Pfn;
    use highmem::model::{Config, Machine, Zone};

    use super::*;

    fn machine() -> Machine {
        Machine::with(Config { memory: 6 << 30, ..Config::default() })
    }

    /// Two pages of high memory.
    fn run(machine: &Machine) -> FrameRun {
        machine.alloc_run(Zone::High, NonZero::new(2).unwrap())
    }

    #[test]
    fn a_request_comes_by_way_of_low_pages() {
        let machine = machine();
        let reserve = reserve((0..2).map(|_| machine.alloc(Zone::Low).share())).unwrap();
        let (mut disk, mut target) = (Disk::default(), run(&machine));
        super::super::atomic(&machine, |atomic| {
            ops::memset_run(atomic.slots().user0, &mut target, 0, 9, 8192).unwrap();
        });
        let parts = sectors(target, 3584, 1024).unwrap();
        machine.cpu(0).task(|task| {
            let request = write(&mut disk, task, &reserve, parts).unwrap();
            assert_eq!(disk.extents.iter().map(|extent| extent.len).sum::<usize>(), 1024);
            for extent in &disk.extents {
                assert!(Reach::FOUR_GIB.last() >= extent.address);
                let pfn = Pfn::containing(extent.address).unwrap();
                assert_eq!(machine.peek(pfn)[extent.address as usize % 4096..][..extent.len], vec![9; extent.len]);
            }
            let written = machine.cpu(0).interrupt_now(|irq| finished(irq, request, 1024));
            assert_eq!(written.result, Ok(1024));

            let request = read(&mut disk, task, &reserve, written.segments).unwrap();
            for extent in &disk.extents {
                let pfn = Pfn::containing(extent.address).unwrap();
                machine.poke(pfn, extent.address as usize % 4096, &vec![4; extent.len]);
            }
            let done = machine.cpu(0).interrupt_now(|irq| finished(irq, request, 1024));
            let run = done.segments.into_iter().next().unwrap().into_run();
            let mut bytes = [0; 1026];
            ops::memcpy_from_run(&mut bytes, task.atomic().slots().user0, &run, 3583).unwrap();
            assert_eq!((bytes[0], &bytes[1..1025], bytes[1025]), (9, &[4; 1024][..], 9));
        });
        super::super::check(&machine);
    }

    #[test]
    fn what_is_wrong_comes_back() {
        let machine = machine();
        assert!(sectors(run(&machine), 8000, 512).is_err(), "past the run's end");
        let isa = Bounce::new(Reach::of_bits(12).unwrap());
        assert!(isa.add(machine.alloc(Zone::Low).share()).is_err(), "a page that is out of reach");
    }
}
