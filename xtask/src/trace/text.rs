//! A story as text: a time line of characters for each row, and a table of what was mapped.

use super::story::{Context, Place, Row, Span, Story};
use super::{Part, time};

/// So many mappings a table has at the most, and so many findings a report.
pub const SPANS: usize = 400;
pub const FINDINGS: usize = 20;

/// How many there were of what, and what is left out.
pub fn summary(story: &Story, part: Part) -> Vec<String> {
    let counts = story.counts;
    let mut lines = vec![format!(
        "{} events in {}: {} maps and {} unmaps, {} still mapped at the end; {} handlers, {} local maps switched out.",
        counts.events,
        time(story.end),
        counts.maps,
        counts.unmaps,
        counts.open,
        counts.handlers,
        counts.switched
    )];
    let all = story.rows.iter().flat_map(|row| &row.spans).count();
    let shown = story.rows.iter().flat_map(|row| &row.spans).filter(|span| part.has(span)).count();
    if shown < all {
        lines.push(format!(
            "Shown are {} from {} on, {shown} of {all} bars; --from and --for show others.",
            time(part.length()),
            time(part.from)
        ));
    }
    if let Some((cpu, missing)) = story.cut {
        lines
            .push(format!("It ends where CPU {cpu} had no more room for events; {missing} are missing from there on."));
    }
    lines
}

/// The time lines, `width` characters long, and a table of so many mappings.
pub fn lines(story: &Story, part: Part, width: usize, most: usize) -> Vec<String> {
    let rows: Vec<&Row> = story.rows.iter().filter(|row| row.spans.iter().any(|span| part.has(span))).collect();
    let name = |row: &Row| match row.place.cpu() {
        Some(cpu) => format!("CPU {cpu} {}", row.name),
        None => format!("pool {}", row.name),
    };
    let longest = rows.iter().map(|row| name(row).chars().count()).max().unwrap_or(0);
    let key: Vec<String> =
        Context::ALL.iter().map(|context| format!("{} {}", context.letter(), context.name())).collect();
    let (from, to) = (time(part.from), time(part.to));
    let gap = (width + 2).saturating_sub(from.chars().count());
    let mut lines = vec![format!("{:longest$} {from}{to:>gap$}", "")];
    lines.extend(rows.iter().map(|row| format!("{:<longest$} |{}|", name(row), line(row, part, width))));
    lines.push(format!("{:longest$}  {}", "", key.join(", ")));
    lines.push(String::new());

    let mut spans: Vec<(&Row, &Span)> =
        rows.iter().flat_map(|row| row.spans.iter().map(move |span| (*row, span))).collect();
    spans.retain(|(row, span)| part.has(span) && !matches!(row.place, Place::Handlers { .. }));
    spans.sort_by_key(|(_, span)| span.from);
    lines.extend(spans.iter().take(most).map(|(row, span)| span.describe(row)));
    if spans.len() > most {
        lines.push(format!("and {} more", spans.len() - most));
    }
    lines
}

/// One character for each bit of time: what had the slot there, for however short a while.
fn line(row: &Row, part: Part, width: usize) -> String {
    let mut line = vec!['.'; width];
    let at = |time: u64| {
        let inside = u128::from(time.clamp(part.from, part.to) - part.from);
        ((inside * width as u128 / u128::from(part.length().max(1))) as usize).min(width - 1)
    };
    for span in row.spans.iter().filter(|span| part.has(span)) {
        let to = span.to.unwrap_or(part.to);
        // What ends where a character begins is not in it.
        let last = at(to.saturating_sub(1).max(span.from));
        line[at(span.from)..=last].fill(span.context.letter());
    }
    line.into_iter().collect()
}

#[cfg(test)]
mod tests {
    use super::super::decode::{Event, Lost, Told, Trace};
    use super::super::story::tell;
    use super::*;

    fn story(lost: Vec<Lost>) -> Story {
        let (slot, address) = ("User0".to_owned(), 4096);
        let mapped = |pfn| Event::Mapped {
            slot: slot.clone(),
            address,
            pfn,
            writable: false,
            table: pfn == 2,
            caller: "a.rs:1:2".to_owned(),
        };
        let unmapped = Event::Unmapped { slot: slot.clone(), address };
        let events = [(100, mapped(1)), (300, unmapped.clone()), (500, mapped(2)), (501, unmapped), (900, mapped(3))];
        let events = events.map(|(time, event)| Told { cpu: 0, time, event }).to_vec();
        tell(&Trace { cpus: 1, events, lost })
    }

    #[test]
    fn a_character_is_where_its_time_is() {
        let lines = lines(&story(Vec::new()), Part { from: 0, to: 1000 }, 10, 2);
        let expected = [
            "            0.000 us   1.000 us",
            "CPU 0 User0 |.tt..p...t|",
            "             t task, s softirq, i interrupt, n NMI, p page table",
            "",
            "pfn 0x1 in User0, CPU 0, from 0.100 us for 0.200 us; read only, task, by a.rs:1:2",
            "pfn 0x2 in User0, CPU 0, from 0.500 us for 0.001 us; read only, page table, by a.rs:1:2",
            "and 1 more",
        ];
        assert_eq!(lines[1..], expected[1..]);
        assert!(lines[0].trim_start().starts_with("0.000 us") && lines[0].ends_with("1.000 us"), "{}", lines[0]);
    }

    #[test]
    fn what_is_left_out_is_said() {
        let whole = summary(&story(Vec::new()), Part { from: 0, to: 1000 });
        let counts = "5 events in 0.900 us: 3 maps and 2 unmaps, 1 still mapped at the end; 0 handlers, 0 local maps switched out.";
        assert_eq!(whole, [counts]);
        let part = summary(&story(Vec::new()), Part { from: 400, to: 600 });
        assert_eq!(part[1], "Shown are 0.200 us from 0.400 us on, 1 of 3 bars; --from and --for show others.");
        let lost = summary(&story(vec![Lost { cpu: 0, count: 4, since: 600 }]), Part { from: 0, to: 1000 });
        assert_eq!(lost[1], "It ends where CPU 0 had no more room for events; 5 are missing from there on.");
    }
}
