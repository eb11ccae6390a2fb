//! A story as a picture: SVG, in light and dark, at any width.

use maud::{Markup, PreEscaped, html};

use super::story::{Context, Place, Row, Span, Story};
use super::{Part, time};

/// What makes the colours.
pub const STYLE: &str = include_str!("style.css");

/// How high the axis is, a CPU's name, a bar.
const AXIS: u64 = 26;
const NAME: u64 = 30;
const BAR: u64 = 16;

/// Where things are.
struct Layout {
    width: u64,
    /// Where bars begin: right of their names, or below them if there is little room.
    left: u64,
    row: u64,
    part: Part,
}

impl Layout {
    fn new(width: u64, part: Part) -> Self {
        if width < 640 { Self { width, left: 4, row: 34, part } } else { Self { width, left: 130, row: 20, part } }
    }

    /// Where a time is, in hundredths.
    fn x(&self, time: u64) -> u64 {
        let room = u128::from(self.width - self.left - 4) * 100;
        let inside = time.clamp(self.part.from, self.part.to) - self.part.from;
        self.left * 100 + (room * u128::from(inside) / u128::from(self.part.length().max(1))) as u64
    }

    /// Whether names are above their bars.
    fn is_narrow(&self) -> bool {
        self.left < 100
    }
}

/// Hundredths as SVG has it.
fn hundredths(number: u64) -> String {
    format!("{}.{:02}", number / 100, number % 100)
}

/// Times for the axis: round, and not too many.
fn ticks(part: Part, wanted: u64) -> Vec<u64> {
    let least = (part.length() / wanted.max(1)).max(1);
    let power = 10_u64.pow(least.ilog10());
    let step = [1, 2, 5, 10].map(|factor| factor * power).into_iter().find(|&step| step >= least).unwrap_or(least);
    (part.from.div_ceil(step)..=part.to / step).map(|number| number * step).collect()
}

/// The picture, `width` pixels wide. `alone`: with its colours, and a key, as a file of its own.
pub fn svg(story: &Story, title: &str, part: Part, width: u64, alone: bool) -> Markup {
    let layout = Layout::new(width, part);
    let rows: Vec<&Row> = story.rows.iter().filter(|row| row.spans.iter().any(|span| part.has(span))).collect();
    let mut y = AXIS;
    let mut body = Vec::new();
    let mut group = None;
    for row in &rows {
        if group != Some(row.place.cpu()) {
            group = Some(row.place.cpu());
            let name = row.place.cpu().map_or("kmap pool, all CPUs".to_owned(), |cpu| format!("CPU {cpu}"));
            body.push(html! { text .cpu x="4" y=(y + NAME - 10) { (name) } });
            y += NAME;
        }
        body.push(one_row(row, &layout, y));
        y += layout.row;
    }
    let height = y + 8 + if alone { 24 } else { 0 };
    let ticks = ticks(part, (width - layout.left) / 110);
    html! {
        svg xmlns="http://www.w3.org/2000/svg" viewBox={ "0 0 " (width) " " (height) } width=(width) height=(height) role="img" aria-label=(title) {
            title { (title) }
            @if alone {
                style { (PreEscaped(STYLE)) }
                rect .paper width=(width) height=(height) {}
            }
            @for tick in ticks {
                @let x = hundredths(layout.x(tick));
                line .tick x1=(x) x2=(x) y1=(AXIS - 6) y2=(y) {}
                text .time x=(x) y="14" text-anchor=(anchor(&layout, tick)) { (round(tick)) }
            }
            @for part in body { "\n" (part) }
            @if alone { "\n" (key(y + 12, &layout)) }
        }
    }
}

/// A round time, without what is zero behind the point.
fn round(tick: u64) -> String {
    let said = time(tick);
    let (number, unit) = said.split_once(' ').unwrap_or((&said, ""));
    format!("{} {unit}", number.trim_end_matches('0').trim_end_matches('.'))
}

/// On which side of a time its text is: within the picture.
fn anchor(layout: &Layout, tick: u64) -> &'static str {
    match layout.x(tick) / 100 {
        x if x < layout.left + 20 => "start",
        x if x + 40 > layout.width => "end",
        _ => "middle",
    }
}

fn one_row(row: &Row, layout: &Layout, y: u64) -> Markup {
    let (name_y, bar_y) = if layout.is_narrow() { (y + 12, y + 15) } else { (y + 13, y + 1) };
    let right = hundredths((layout.width - 4) * 100);
    let middle = bar_y + BAR / 2;
    html! {
        text .slot x="4" y=(name_y) { (row.name) }
        line .empty x1=(layout.left) x2=(right) y1=(middle) y2=(middle) {}
        @for span in row.spans.iter().filter(|span| layout.part.has(span)) { (bar(row, span, layout, bar_y)) }
    }
}

fn bar(row: &Row, span: &Span, layout: &Layout, y: u64) -> Markup {
    let x = layout.x(span.from);
    // What is short can be seen all the same.
    let width = (layout.x(span.to.unwrap_or(layout.part.to)) - x).max(100);
    let (y, height) = match row.place {
        Place::Handlers { .. } if span.context == Context::Softirq => (y + 2, BAR - 4),
        Place::Handlers { .. } => (y + 4, BAR - 8),
        _ => (y, BAR),
    };
    html! {
        rect .{ "span " (class(span.context)) } x=(hundredths(x)) y=(y) width=(hundredths(width)) height=(height) {
            title { (span.describe(row)) }
        }
    }
}

/// What the colours mean.
fn key(y: u64, layout: &Layout) -> Markup {
    let step = (layout.width - 8) / Context::ALL.len() as u64;
    html! {
        @for (number, context) in (0..).zip(Context::ALL) {
            @let x = 4 + number * step;
            rect .{ "span " (class(context)) } x=(x) y=(y) width="12" height="12" {}
            text .slot x=(x + 16) y=(y + 10) { (context.name()) }
        }
    }
}

/// The class of a context in the style sheet.
pub fn class(context: Context) -> &'static str {
    match context {
        Context::Task => "task",
        Context::Softirq => "softirq",
        Context::Interrupt => "interrupt",
        Context::Nmi => "nmi",
        Context::Table => "table",
    }
}

#[cfg(test)]
mod tests {
    use super::super::story::{Counts, Mapped};
    use super::*;

    fn story() -> Story {
        let page = Some(Mapped { pfn: 1, writable: true, caller: "<a>.rs:1:2".to_owned(), switched: [false; 2] });
        let span = |from, to| Span { from, to, context: Context::Task, page: page.clone() };
        let row = Row {
            place: Place::Slot { cpu: 1, address: 4096 },
            name: "User0".to_owned(),
            spans: vec![span(1000, Some(2000)), span(5000, None), span(20_000, Some(30_000))],
        };
        Story { rows: vec![row], counts: Counts::default(), findings: Vec::new(), end: 30_000, cut: None }
    }

    #[test]
    fn a_bar_is_where_its_time_is() {
        let part = Part { from: 0, to: 10_000 };
        let wide = svg(&story(), "t", part, 1134, false).into_string();
        assert!(wide.contains(r#"<rect class="span task" x="230.00" y="57" width="100.00" height="16">"#), "{wide}");
        assert!(wide.contains(r#"x="630.00" y="57" width="500.00""#), "what does not end goes on to the right: {wide}");
        assert_eq!(wide.matches("<rect").count(), 2, "what is outside of the part is left out");
        assert!(wide.contains("by &lt;a&gt;.rs:1:2"));
        let narrow = svg(&story(), "t", part, 108, false).into_string();
        assert!(narrow.contains(r#"x="14.00" y="71" width="10.00""#), "{narrow}");
    }

    #[test]
    fn what_begins_before_the_part_and_ends_in_it_is_cut() {
        let wide = svg(&story(), "t", Part { from: 1500, to: 2500 }, 1134, false).into_string();
        assert!(wide.contains(r#"x="130.00" y="57" width="500.00""#), "{wide}");
    }

    #[test]
    fn the_axis_has_round_times() {
        assert_eq!(ticks(Part { from: 1100, to: 5900 }, 5), [2000, 3000, 4000, 5000]);
        assert_eq!(ticks(Part { from: 0, to: 3 }, 10), [0, 1, 2, 3]);
        assert_eq!(ticks(Part { from: 7, to: 7 }, 10), [7]);
        assert_eq!([0, 1500, 20_000_000].map(round), ["0 us", "1.5 us", "20 ms"]);
    }
}
