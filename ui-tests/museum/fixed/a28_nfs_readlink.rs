//! An early return ends the mapping, too.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;
#[path = "../fixtures/bytes.rs"]
mod bytes;
use bytes::*;

#[derive(Debug, PartialEq)]
struct NameTooLong;

/// Ends the target of a symbolic link, which begins with its length, by a zero.
fn nfs_xdr_readlinkres(slot: Slot<'_, MyKernel, User0>, page: &mut Frame, max: usize) -> Result<(), NameTooLong> {
    let mut string = kmap_atomic(slot, page);
    let len = u32::from_be_bytes(string[..4].try_into().unwrap()) as usize;
    if len > max {
        return Err(NameTooLong);
    }
    string[4 + len] = 0;
    kunmap_atomic(string);
    Ok(())
}

fn main() {
    let mut page = frame(0);
    put(&mut page, 0, b"\0\0\0\x04/tmp#");
    thread(|task| {
        let mut atomic = task.atomic();
        assert_eq!(nfs_xdr_readlinkres(atomic.slots().user0, &mut page, 3), Err(NameTooLong));
        assert_eq!(nfs_xdr_readlinkres(atomic.slots().user0, &mut page, 4), Ok(()));
    });
    assert_eq!(get(&page, 4), *b"/tmp\0");
}
