//! A structure that is a task or what is left of one says that it is a task.
#[path = "../prelude.rs"]
mod prelude;
use prelude::*;

enum Either<'a, 'e> {
    Whole(&'a mut Task<'e>),
    Left(&'a mut MaySleep<'e>),
}

impl<'e> AsMut<Task<'e>> for Either<'_, 'e> {
    fn as_mut(&mut self) -> &mut Task<'e> {
        match self {
            Self::Whole(task) => task,
            Self::Left(left) => left, // attack
            #[allow(unreachable_patterns)]
            Self::Left(_) => unimplemented!("it holds a mapping"),
        }
    }
}

fn main() {
    let (page, other) = (frame(0), frame(1));
    thread(|task| {
        drop(kmap(Either::Whole(task).as_mut(), &page).unwrap());
        let (mapped, left) = kmap(task, &page).unwrap();
        let _either = Either::Left(left);
        assert_eq!(mapped[0], 0);
        drop(other);
    });
}
