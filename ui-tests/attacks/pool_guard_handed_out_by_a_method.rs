//! A structure with the task hands out guards, one under the other.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

struct Mapper<'a, 'e> {
    task: &'a mut Task<'e>,
}

impl Mapper<'_, '_> {
    fn map<'m>(&'m mut self, page: &'m Frame) -> Kmap<'m, MyKernel, &'m Frame> {
        kmap(self.task, page).unwrap().0
    }
}

fn main() {
    let (page, other) = (frame(0), frame(1));
    thread(|task| {
        let mut mapper = Mapper { task };
        let one = mapper.map(&page);
        assert_eq!(one[0], 0);
        let two = mapper.map(&other); // attack
        assert_eq!(one[0], two[0]); // attack
    });
}
