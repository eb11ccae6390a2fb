//! A story as one page that needs nothing else.

use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::draw::{self, class};
use super::story::{Context, Story};
use super::{Part, text};

const STYLE: &str = include_str!("page.css");

/// Says at the bottom what the pointer, or a finger, is on: there is no hovering on a phone.
const SCRIPT: &str = "
const said = document.getElementById('said');
let chosen = null;
function choose(event) {
  const bar = event.target.closest('.span');
  if (!bar || !bar.querySelector('title')) return;
  if (chosen) chosen.classList.remove('chosen');
  chosen = bar;
  bar.classList.add('chosen');
  said.textContent = bar.querySelector('title').textContent;
}
document.addEventListener('pointerover', choose);
document.addEventListener('click', choose);
";

/// How wide the pictures are that a page has: for a desktop, and for a phone.
const WIDTHS: [(u64, &str); 2] = [(1200, "wide"), (360, "narrow")];

/// The page. `machine`: what the program ran on.
pub fn page(story: &Story, program: &str, machine: &str, part: Part) -> String {
    let title = format!("{program}: what was mapped, and when");
    let picture = |(width, name): (u64, &str)| html! { div .(name) { (draw::svg(story, &title, part, width, false)) } };
    html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content="cargo xtask trace";
                title { (title) }
                style { (PreEscaped(draw::STYLE)) (PreEscaped(STYLE)) }
            }
            "\n"
            body {
                h1 { (title) }
                p { "On " (machine) ". A bar is a page in a slot, from the beginning of its mapping to the end." }
                @for line in text::summary(story, part) { p { (line) } }
                @if !story.findings.is_empty() {
                    p .findings { "This cannot be:" }
                    ul .findings { @for finding in story.findings.iter().take(text::FINDINGS) { li { (finding) } } }
                }
                (key())
                @for width in WIDTHS { "\n" (picture(width)) }
                "\n"
                details {
                    summary { "The same as text" }
                    pre tabindex="0" { (text::lines(story, part, 100, text::SPANS).join("\n")) }
                }
                p #said aria-live="polite" { "Point at a bar, or tap it: page, slot, time, and who mapped it." }
                script { (PreEscaped(SCRIPT)) }
            }
        }
        "\n"
    }
    .into_string()
}

fn key() -> Markup {
    html! {
        ul .key {
            @for context in Context::ALL {
                li { svg viewBox="0 0 12 12" aria-hidden="true" { rect .(class(context)) width="12" height="12" {} } (context.name()) }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::decode::{Event, Told, Trace};
    use super::super::story::tell;
    use super::*;

    #[test]
    fn a_page_needs_nothing_else() {
        let mapped = Event::Mapped {
            slot: "User0".to_owned(),
            address: 4096,
            pfn: 7,
            writable: true,
            table: false,
            caller: "<b>.rs:1:2".to_owned(),
        };
        let events = vec![Told { cpu: 0, time: 5, event: mapped }];
        let story = tell(&Trace { cpus: 1, events, lost: Vec::new() });
        let page = page(&story, "<hello>", "a PC", Part { from: 0, to: 10 });
        assert!(page.contains("<h1>&lt;hello&gt;: what was mapped"));
        assert!(page.contains("by &lt;b&gt;.rs:1:2") && !page.contains("<b>"));
        for outside in ["src=", "href=", "url(", "@import"] {
            assert!(!page.contains(outside), "{outside}");
        }
        assert_eq!(page.matches("http").count(), page.matches("http://www.w3.org/2000/svg").count());
    }
}
