//! Of `docs/how-to/runs-and-copies.md`.

use embedded_io::{Read, ReadExactError};
use highmem::ops::{self, Cursor, Segment, SgWalk};
use highmem::{clear_highpage, copy_highpage, memcpy_to_page};

use super::mm::{Atomic, Frame, FrameRun};

fn new_page(atomic: &mut Atomic<'_>, page: &mut Frame, template: Option<&Frame>) -> Result<(), ops::Error> {
    let mut slots = atomic.slots();
    match template {
        Some(template) => copy_highpage(slots.user1, &mut *page, slots.user0.reborrow(), template),
        None => clear_highpage(slots.user0.reborrow(), &mut *page),
    }
    memcpy_to_page(slots.user0, page, 16, b"a head") // maps, copies, unmaps
}

fn append(atomic: &mut Atomic<'_>, file: &mut FrameRun, end: usize, bytes: &[u8]) -> Result<usize, ops::Error> {
    let mut slots = atomic.slots();
    ops::memcpy_to_run(slots.user0.reborrow(), &mut *file, end, bytes)?; // over as many pages as it takes
    ops::run_zero_tail(slots.user0, file, end + bytes.len())?;
    Ok(end + bytes.len())
}

fn checksum(atomic: &mut Atomic<'_>, list: &[Segment<FrameRun>]) -> u32 {
    let mut walk = SgWalk::new(atomic.slots().user0, list);
    let mut sum = 0_u32;
    while let Some(part) = walk.next() {
        sum = part.iter().fold(sum, |sum, &byte| sum.wrapping_add(byte.into()));
    }
    sum
} // the last page is unmapped with the walk

fn longest_name(atomic: &mut Atomic<'_>, directory: &FrameRun) -> Result<u8, ReadExactError<ops::Error>> {
    let mut cursor = Cursor::over(atomic.slots().user0, directory);
    let (mut longest, mut length) = (0, [0]);
    loop {
        cursor.read_exact(&mut length)?; // from the page that is mapped, or the next
        match length {
            [0] => return Ok(longest),
            [length] => longest = longest.max(length),
        }
        cursor.skip(length[0].into());
    }
}

mod tests {
    use std::num::NonZero;

    use highmem::model::{FRESH, Machine, Zone};
    use highmem::{PAGE_SIZE, Page as _};

    use super::*;
    use crate::{atomic, check, page};

    fn run(machine: &Machine, pages: usize) -> FrameRun {
        machine.alloc_run(Zone::High, NonZero::new(pages).unwrap())
    }

    #[test]
    fn pages_are_cleared_and_copied() {
        let machine = Machine::new();
        let (mut target, template) = (page(&machine, 1), page(&machine, 2));
        atomic(&machine, |atomic| new_page(atomic, &mut target, Some(&template))).unwrap();
        assert_eq!(&machine.peek(target.pfn())[14..24], b"\x02\x02a head\x02\x02");
        atomic(&machine, |atomic| new_page(atomic, &mut target, None)).unwrap();
        assert_eq!(&machine.peek(target.pfn())[14..24], b"\0\0a head\0\0");
        check(&machine);
    }

    #[test]
    fn bytes_go_over_the_end_of_a_page_and_not_of_the_run() {
        let machine = Machine::new();
        let mut file = run(&machine, 2);
        let end = atomic(&machine, |atomic| append(atomic, &mut file, PAGE_SIZE - 2, b"text")).unwrap();
        assert_eq!(end, PAGE_SIZE + 2);
        let mut bytes = [0; 8];
        let read =
            |atomic: &mut Atomic<'_>| ops::memcpy_from_run(&mut bytes, atomic.slots().user0, &file, PAGE_SIZE - 4);
        atomic(&machine, read).unwrap();
        assert_eq!(bytes, [FRESH, FRESH, b't', b'e', b'x', b't', 0, 0]);
        let past = atomic(&machine, |atomic| append(atomic, &mut file, 2 * PAGE_SIZE - 3, b"text"));
        assert_eq!(past, Err(ops::Error::OutOfBounds { offset: 2 * PAGE_SIZE - 3, len: 4, size: 2 * PAGE_SIZE }));
        check(&machine);
    }

    #[test]
    fn a_list_is_read_part_by_part() {
        let machine = Machine::new();
        let list = [(1, PAGE_SIZE - 3, 5), (2, 0, 10)].map(|(byte, offset, len)| {
            let mut run = run(&machine, 2);
            atomic(&machine, |atomic| ops::memset_run(atomic.slots().user0, &mut run, offset, byte, len)).unwrap();
            Segment::new(run, offset, len).unwrap()
        });
        assert_eq!(atomic(&machine, |atomic| checksum(atomic, &list)), 5 + 20);
        check(&machine);
    }

    #[test]
    fn a_name_may_begin_in_one_page_and_end_in_the_next() {
        let machine = Machine::new();
        let mut directory = run(&machine, 33);
        let name = |len: u8| [vec![len], vec![0xff; len.into()]].concat();
        let mut bytes: Vec<u8> = [127].into_iter().chain([126; 33]).flat_map(name).collect();
        bytes.push(0);
        atomic(&machine, |atomic| append(atomic, &mut directory, 0, &bytes)).unwrap();
        assert_eq!(atomic(&machine, |atomic| longest_name(atomic, &directory)), Ok(127));
        atomic(&machine, |atomic| ops::memset_run(atomic.slots().user0, &mut directory, 0, 255, 33 * PAGE_SIZE))
            .unwrap();
        let endless = atomic(&machine, |atomic| longest_name(atomic, &directory));
        assert_eq!(endless, Err(ReadExactError::UnexpectedEof));
        check(&machine);
    }
}
