//! What a trace says: for each slot of each CPU, which page it had from when to when; and what cannot be.

use std::collections::BTreeMap;

use super::decode::{Event, Handler, Told, Trace};

/// Who had a page mapped, or what ran.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Context {
    Task,
    Softirq,
    Interrupt,
    Nmi,
    /// Whoever it was, it was a page table.
    Table,
}

impl Context {
    /// All of them.
    pub const ALL: [Self; 5] = [Self::Task, Self::Softirq, Self::Interrupt, Self::Nmi, Self::Table];

    /// In words.
    pub fn name(self) -> &'static str {
        match self {
            Self::Task => "task",
            Self::Softirq => "softirq",
            Self::Interrupt => "interrupt",
            Self::Nmi => "NMI",
            Self::Table => "page table",
        }
    }

    /// In one letter.
    pub fn letter(self) -> char {
        match self {
            Self::Task => 't',
            Self::Softirq => 's',
            Self::Interrupt => 'i',
            Self::Nmi => 'n',
            Self::Table => 'p',
        }
    }
}

impl From<Handler> for Context {
    fn from(handler: Handler) -> Self {
        match handler {
            Handler::Softirq => Self::Softirq,
            Handler::Interrupt => Self::Interrupt,
            Handler::Nmi => Self::Nmi,
        }
    }
}

/// What a row is about. Their order is that of the rows of a CPU.
#[derive(Clone, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub enum Place {
    /// The handlers of a CPU.
    Handlers { cpu: u8 },
    /// A slot of a CPU.
    Slot { cpu: u8, address: u64 },
    /// An entry of the pool, for all CPUs.
    Pool { address: u64 },
}

impl Place {
    /// The CPU, if it is one's.
    pub fn cpu(&self) -> Option<u8> {
        match self {
            Self::Handlers { cpu } | Self::Slot { cpu, .. } => Some(*cpu),
            Self::Pool { .. } => None,
        }
    }
}

/// A time line.
#[derive(Debug)]
pub struct Row {
    pub place: Place,
    pub name: String,
    /// In the order in which they begin; only handlers are within one another.
    pub spans: Vec<Span>,
}

/// Something that lasts.
#[derive(Clone, Debug, PartialEq)]
pub struct Span {
    /// Nanoseconds since the beginning.
    pub from: u64,
    /// The same; `None`: longer than the trace.
    pub to: Option<u64>,
    pub context: Context,
    /// The page, if it is one.
    pub page: Option<Mapped>,
}

/// A page that is mapped.
#[derive(Clone, Debug, PartialEq)]
pub struct Mapped {
    pub pfn: u64,
    pub writable: bool,
    pub caller: String,
    /// It went with its thread when this span began, or ended.
    pub switched: [bool; 2],
}

/// All of it.
#[derive(Debug)]
pub struct Story {
    pub rows: Vec<Row>,
    pub counts: Counts,
    /// What cannot be, if all was told and is right.
    pub findings: Vec<String>,
    /// Nanoseconds until the last event.
    pub end: u64,
    /// Where a CPU had no more room, and the story ends for that; and how many events are missing from there on.
    pub cut: Option<(u8, u64)>,
}

/// How many there were.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Counts {
    pub events: u64,
    pub maps: u64,
    pub unmaps: u64,
    /// Mappings that the end of the trace found.
    pub open: u64,
    pub handlers: u64,
    /// Local maps that were switched out.
    pub switched: u64,
}

/// A mapping that has begun.
struct Open {
    span: Span,
    /// How many guards it has.
    users: u64,
}

#[derive(Default)]
struct Teller {
    rows: BTreeMap<Place, (String, Vec<Span>)>,
    open: BTreeMap<Place, Open>,
    /// Local maps whose threads do not run.
    away: BTreeMap<(Place, u64), Vec<Span>>,
    /// What each CPU serves, with the time since when.
    serving: BTreeMap<u8, Vec<(Handler, u64)>>,
    counts: Counts,
    findings: Vec<String>,
}

/// Tells what a trace says.
pub fn tell(trace: &Trace) -> Story {
    // What comes behind the first event that is missing, on whatever CPU, is half of the truth.
    let cut = trace.lost.iter().min_by_key(|lost| lost.since);
    let is_whole = |told: &&Told| cut.is_none_or(|lost| told.time < lost.since);
    let mut teller = Teller::default();
    let mut end = 0;
    for told in trace.events.iter().filter(is_whole) {
        teller.hear(told);
        end = told.time;
    }
    let missing =
        trace.events.len() as u64 - teller.counts.events + trace.lost.iter().map(|lost| lost.count).sum::<u64>();
    teller.finish();
    let mut rows: Vec<Row> = teller.rows.into_iter().map(|(place, (name, spans))| Row { place, name, spans }).collect();
    rows.iter_mut().for_each(|row| row.spans.sort_by_key(|span| span.from));
    // One CPU after the other, each with its handlers before its slots; what belongs to none comes last.
    rows.sort_by_key(|row| (row.place.cpu().is_none(), row.place.cpu(), row.place.clone()));
    let cut = cut.map(|lost| (lost.cpu, missing));
    Story { rows, counts: teller.counts, findings: teller.findings, end, cut }
}

impl Teller {
    fn hear(&mut self, told: &Told) {
        let Told { cpu, time, event } = told;
        let (cpu, from) = (*cpu, *time);
        self.counts.events += 1;
        let at = |address: &u64| Place::Slot { cpu, address: *address };
        let serving = self.serving.entry(cpu).or_default();
        let context = serving.last().map_or(Context::Task, |&(handler, _)| handler.into());
        match event {
            Event::Mapped { slot, address, pfn, writable, table, caller } => {
                self.counts.maps += 1;
                let context = if *table { Context::Table } else { context };
                self.begin(at(address), slot, Span::new(from, context, Mapped::new(*pfn, *writable, caller)));
            }
            Event::Unmapped { slot, address } => {
                self.counts.unmaps += 1;
                self.end(&at(address), slot, from);
            }
            Event::SwitchedOut { slot, address, pfn } => {
                self.counts.switched += 1;
                if let Some(mut span) = self.end(&at(address), slot, from) {
                    span.to = None;
                    self.away.entry((at(address), *pfn)).or_default().push(span);
                }
                if let Some(page) = self.last(&at(address)) {
                    page.switched[1] = true;
                }
            }
            Event::SwitchedIn { slot, address, pfn } => {
                match self.away.get_mut(&(at(address), *pfn)).and_then(Vec::pop) {
                    Some(mut span) => {
                        span.from = from;
                        if let Some(page) = &mut span.page {
                            page.switched = [true, false];
                        }
                        self.begin(at(address), slot, span);
                    }
                    None => self.find(from, cpu, slot, "a thread has a page back that it had not when it went"),
                }
            }
            Event::PoolMapped { address, pfn, writable, caller } => {
                self.counts.maps += 1;
                let place = Place::Pool { address: *address };
                let name = format!("{address:#x}");
                match self.open.get_mut(&place) {
                    Some(open) if open.span.page.as_ref().is_some_and(|page| page.pfn == *pfn) => open.users += 1,
                    Some(_) => self.find(from, cpu, &name, "mapped for one page, and in use for another"),
                    None => self.begin(place, &name, Span::new(from, context, Mapped::new(*pfn, *writable, caller))),
                }
            }
            Event::PoolUnmapped { address } => {
                self.counts.unmaps += 1;
                self.leave(&Place::Pool { address: *address }, from, cpu);
            }
            Event::Entered(handler) => {
                self.counts.handlers += 1;
                serving.push((*handler, from));
            }
            Event::Left(handler) => match serving.pop() {
                Some((entered, since)) if entered == *handler => {
                    let span = Span { from: since, to: Some(from), context: entered.into(), page: None };
                    self.row(Place::Handlers { cpu }, "handlers").push(span);
                }
                Some((entered, since)) => {
                    serving.push((entered, since));
                    self.find(from, cpu, "handlers", "one ends that is not the last that began");
                }
                None => self.find(from, cpu, "handlers", "one ends that has not begun"),
            },
        }
    }

    fn find(&mut self, time: u64, cpu: u8, row: &str, what: &str) {
        self.findings.push(format!("{}, CPU {cpu}, {row}: {what}", super::time(time)));
    }

    fn row(&mut self, place: Place, name: &str) -> &mut Vec<Span> {
        &mut self.rows.entry(place).or_insert_with(|| (name.to_owned(), Vec::new())).1
    }

    fn last(&mut self, place: &Place) -> Option<&mut Mapped> {
        self.rows.get_mut(place)?.1.last_mut()?.page.as_mut()
    }

    fn begin(&mut self, place: Place, name: &str, span: Span) {
        self.row(place.clone(), name);
        let from = span.from;
        if let Some(before) = self.open.insert(place.clone(), Open { span, users: 1 }) {
            self.find(from, place.cpu().unwrap_or_default(), name, "mapped, and was not unmapped before");
            self.row(place, name).push(Span { to: Some(from), ..before.span });
        }
    }

    fn end(&mut self, place: &Place, name: &str, to: u64) -> Option<Span> {
        let Some(open) = self.open.remove(place) else {
            self.find(to, place.cpu().unwrap_or_default(), name, "unmapped, and was not mapped");
            return None;
        };
        let span = Span { to: Some(to), ..open.span };
        self.row(place.clone(), name).push(span.clone());
        Some(span)
    }

    /// A user of the pool goes; the mapping is over with the last.
    fn leave(&mut self, place: &Place, time: u64, cpu: u8) {
        let users = self.open.get_mut(place).map(|open| &mut open.users);
        let name = if let Place::Pool { address } = place { format!("{address:#x}") } else { String::new() };
        match users {
            Some(users) if *users > 1 => *users -= 1,
            Some(_) => {
                self.end(place, &name, time);
            }
            None => self.find(time, cpu, &name, "unmapped, and was not mapped"),
        }
    }

    fn finish(&mut self) {
        self.counts.open = self.open.values().map(|open| open.users).sum::<u64>();
        self.counts.open += self.away.values().map(|spans| spans.len() as u64).sum::<u64>();
        for (place, open) in std::mem::take(&mut self.open) {
            self.row(place, "").push(open.span);
        }
        for (cpu, serving) in std::mem::take(&mut self.serving) {
            for (handler, from) in serving {
                let span = Span { from, to: None, context: handler.into(), page: None };
                self.row(Place::Handlers { cpu }, "handlers").push(span);
            }
        }
    }
}

impl Mapped {
    fn new(pfn: u64, writable: bool, caller: &str) -> Self {
        Self { pfn, writable, caller: caller.to_owned(), switched: [false; 2] }
    }
}

impl Span {
    fn new(from: u64, context: Context, page: Mapped) -> Self {
        Self { from, to: None, context, page: Some(page) }
    }

    /// All there is to say.
    pub fn describe(&self, row: &Row) -> String {
        let place = match row.place.cpu() {
            Some(cpu) => format!("CPU {cpu}"),
            None => "all CPUs".to_owned(),
        };
        let held = self.to.map_or("to the end".to_owned(), |to| format!("for {}", super::time(to - self.from)));
        let when = format!("from {} {held}", super::time(self.from));
        let Some(page) = &self.page else { return format!("{}, {place}, {when}", self.context.name()) };
        let access = if page.writable { "read-write" } else { "read only" };
        let switched = match page.switched {
            [false, false] => "",
            [true, false] => ", switched in",
            [false, true] => ", then switched out",
            [true, true] => ", switched in, then out",
        };
        let (pfn, context, caller, slot) = (page.pfn, self.context.name(), &page.caller, &row.name);
        format!("pfn {pfn:#x} in {slot}, {place}, {when}{switched}; {access}, {context}, by {caller}")
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::Lost;
    use super::*;

    const ADDRESS: u64 = 0xffc0_0000;

    fn told(cpu: u8, time: u64, event: Event) -> Told {
        Told { cpu, time, event }
    }

    fn map(cpu: u8, time: u64, pfn: u64) -> Told {
        let (slot, caller) = ("User0".to_owned(), "a.rs:1:2".to_owned());
        told(cpu, time, Event::Mapped { slot, address: ADDRESS, pfn, writable: true, table: false, caller })
    }

    fn unmap(cpu: u8, time: u64) -> Told {
        told(cpu, time, Event::Unmapped { slot: "User0".to_owned(), address: ADDRESS })
    }

    fn story(events: Vec<Told>) -> Story {
        tell(&Trace { cpus: 2, events, lost: Vec::new() })
    }

    fn times(story: &Story) -> Vec<Vec<(u64, Option<u64>)>> {
        story.rows.iter().map(|row| row.spans.iter().map(|span| (span.from, span.to)).collect()).collect()
    }

    #[test]
    fn a_row_has_what_its_cpu_and_slot_had() {
        let story = story(vec![map(0, 10, 1), map(1, 20, 2), unmap(0, 30), map(0, 40, 3), unmap(1, 50)]);
        assert_eq!(times(&story), [vec![(10, Some(30)), (40, None)], vec![(20, Some(50))]]);
        assert_eq!(story.findings, [""; 0]);
        let counts = Counts { events: 5, maps: 3, unmaps: 2, open: 1, handlers: 0, switched: 0 };
        assert_eq!((story.counts, story.end), (counts, 50));
        let said = "pfn 0x1 in User0, CPU 0, from 0.010 us for 0.020 us; read-write, task, by a.rs:1:2";
        assert_eq!(story.rows[0].spans[0].describe(&story.rows[0]), said);
    }

    #[test]
    fn rows_are_those_of_one_cpu_after_the_other() {
        let handler =
            |cpu| [Event::Entered(Handler::Softirq), Event::Left(Handler::Softirq)].map(|event| told(cpu, 1, event));
        let address = 0xfe00_0000;
        let pool = Event::PoolMapped { address, pfn: 9, writable: false, caller: "a.rs:1:2".to_owned() };
        let mut events = vec![told(0, 0, pool)];
        events.extend(handler(1));
        events.extend(handler(0));
        events.extend([map(1, 2, 1), map(0, 3, 2)]);
        let rows = story(events).rows;
        let rows: Vec<_> = rows.iter().map(|row| (row.place.cpu(), row.name.as_str())).collect();
        let of = |cpu| [(Some(cpu), "handlers"), (Some(cpu), "User0")];
        assert_eq!(rows, [&of(0)[..], &of(1), &[(None, "0xfe000000")]].concat());
    }

    #[test]
    fn what_is_left_out_is_found() {
        let begins = [map(0, 10, 1), map(0, 20, 1), unmap(0, 30)];
        assert_eq!(story(begins.to_vec()).findings, ["0.020 us, CPU 0, User0: mapped, and was not unmapped before"]);
        assert_eq!(story(vec![unmap(1, 30)]).findings, ["0.030 us, CPU 1, User0: unmapped, and was not mapped"]);
        let address = 0xfe00_0000;
        let pool = story(vec![told(0, 5, Event::PoolUnmapped { address })]).findings;
        assert_eq!(pool, ["0.005 us, CPU 0, 0xfe000000: unmapped, and was not mapped"]);
        let left = story(vec![told(0, 5, Event::Left(Handler::Softirq))]).findings;
        assert_eq!(left, ["0.005 us, CPU 0, handlers: one ends that has not begun"]);
        let crossed =
            [Event::Entered(Handler::Softirq), Event::Entered(Handler::Interrupt), Event::Left(Handler::Softirq)];
        let crossed = story(crossed.map(|event| told(0, 5, event)).to_vec()).findings;
        assert_eq!(crossed, ["0.005 us, CPU 0, handlers: one ends that is not the last that began"]);
        let (slot, address) = ("User0".to_owned(), ADDRESS);
        let back = story(vec![told(0, 5, Event::SwitchedIn { slot, address, pfn: 1 })]).findings;
        assert_eq!(back, ["0.005 us, CPU 0, User0: a thread has a page back that it had not when it went"]);
    }

    #[test]
    fn a_context_is_that_of_the_handler_that_runs() {
        let entered = |time, handler| told(0, time, Event::Entered(handler));
        let left = |time, handler| told(0, time, Event::Left(handler));
        let (softirq, interrupt) = (Handler::Softirq, Handler::Interrupt);
        let events = vec![
            entered(1, softirq),
            entered(2, interrupt),
            map(0, 3, 1),
            map(1, 4, 1),
            unmap(0, 5),
            left(6, interrupt),
            map(0, 7, 1),
            unmap(0, 8),
            left(9, softirq),
            map(0, 10, 1),
        ];
        let story = story(events);
        assert_eq!(story.rows[0].name, "handlers");
        assert_eq!(times(&story)[0], [(1, Some(9)), (2, Some(6))]);
        let contexts: Vec<_> = story.rows[1].spans.iter().map(|span| span.context).collect();
        assert_eq!(contexts, [Context::Interrupt, Context::Softirq, Context::Task]);
        assert_eq!(story.rows[2].spans[0].context, Context::Task);
        assert_eq!(story.findings, [""; 0]);
    }

    #[test]
    fn local_maps_go_and_come_with_their_thread() {
        let (slot, address) = ("User0".to_owned(), ADDRESS);
        let out = |time, pfn| told(0, time, Event::SwitchedOut { slot: slot.clone(), address, pfn });
        let back = |time, pfn| told(0, time, Event::SwitchedIn { slot: slot.clone(), address, pfn });
        let story = story(vec![
            map(0, 1, 7),
            out(2, 7),
            map(0, 3, 8),
            out(4, 8),
            back(5, 7),
            unmap(0, 6),
            back(7, 8),
            out(8, 8),
        ]);
        assert_eq!(times(&story), [[(1, Some(2)), (3, Some(4)), (5, Some(6)), (7, Some(8))]]);
        let pages = story.rows[0].spans.iter().filter_map(|span| span.page.as_ref());
        let pages: Vec<_> = pages.map(|page| (page.pfn, page.switched)).collect();
        assert_eq!(pages, [(7, [false, true]), (8, [false, true]), (7, [true, false]), (8, [true, true])]);
        assert_eq!((story.counts.open, story.counts.switched, story.findings.len()), (1, 3, 0));
    }

    #[test]
    fn an_entry_of_the_pool_is_in_use_from_its_first_user_to_its_last() {
        let address = 0xfe00_0000;
        let map = |cpu, time| {
            told(cpu, time, Event::PoolMapped { address, pfn: 9, writable: false, caller: "a.rs:1:2".to_owned() })
        };
        let unmap = |cpu, time| told(cpu, time, Event::PoolUnmapped { address });
        let story = story(vec![map(0, 1), map(1, 2), unmap(0, 3), unmap(0, 4), map(1, 5)]);
        assert_eq!(times(&story), [[(1, Some(4)), (5, None)]]);
        assert_eq!((story.counts.maps, story.counts.unmaps, story.counts.open), (3, 2, 1));
    }

    #[test]
    fn the_story_ends_where_a_cpu_had_no_more_room() {
        let events = vec![map(0, 10, 1), map(1, 20, 2), unmap(0, 30), unmap(1, 50)];
        let lost = vec![Lost { cpu: 0, count: 7, since: 40 }];
        let story = tell(&Trace { cpus: 2, events, lost });
        assert_eq!((story.counts.events, story.end, story.cut), (3, 30, Some((0, 8))));
        assert_eq!(times(&story), [[(10, Some(30))], [(20, None)]]);
    }
}
