//! The museum as Markdown: an entrance, and a page for each class, as all in one would be too long to be shown.

use std::fmt::Write as _;
use std::path::Path;

use maud::PreEscaped;
use pulldown_cmark::{Event, Parser, html::push_html};

use super::case::{Case, Exhibit, Outcome, Program};
use super::hall::Class;
use super::{COMMAND, score, sources};

/// What a visitor reads first, above the scoreboard.
pub const INTRODUCTION: &str = "\
These are mistakes that kernels really had with mapped pages: Linux from 2001 to 2026, Xen, OpenZFS and others. Each mistake of code that uses a \
mapper was written anew with this crate, as somebody would who ports the driver, and given to the compiler. What it said is here as it stands. \
Beside each is the same thing done right, which runs.

The C is cut down to the lines that matter. The programs are in `ui-tests/museum/`, and the tests compile and run them all. What they \
share is left out here: `ui-tests/prelude.rs`, a small kernel whose memory all has addresses, so that they run anywhere, and in \
`ui-tests/museum/fixtures/` what stands for a request, a scatter list, a packet.";

/// What the columns of the scoreboard mean.
pub const COLUMNS: &str = "\
*Does not compile*, *caught at run time* (a typed error, a panic at the place, or a report) and *is right here* are programs: these columns \
count as mistakes of clients, and the share is that of the first among the three. What is right here has nothing that could be \
refused: an unmap that is missing, an order that does not matter. *Tested in our mapper* are mistakes of a mapper itself, which types do not \
prevent: each names the tests that look for it in ours. *Cannot be written* means that there is no function to make the mistake \
with, and *does not apply* that it is about hardware or a mechanism that is not here.";

/// The page with the scoreboard and all cases by name.
pub fn entrance(classes: &[Class]) -> String {
    let mut page = format!(
        "<!-- Made by `{COMMAND}`. -->\n\n# The misuse museum\n\n{INTRODUCTION}\n\nAll of it on one page, with colours: \
         [museum.html](museum.html).\n\n## Scoreboard\n\n"
    );
    let columns = Outcome::ALL.map(Outcome::name).join(" | ");
    _ = writeln!(page, "| class | {columns} | all | share |\n|---|{}", "--:|".repeat(8));
    let table = score::table(classes);
    let mut row = |name: &str, row: &score::Row| {
        let counts = row.counts.map(score::cell).join(" | ");
        _ = writeln!(page, "| {name} | {counts} | {} | {} |", row.all, row.share());
    };
    for (class, counts) in classes.iter().zip(&table.rows) {
        row(&format!("[{}: {}](museum/{}.md)", class.letter, class.title, class.letter.to_lowercase()), counts);
    }
    row("**all**", &table.total);
    _ = writeln!(page, "\n{COLUMNS}\n\n{}", score::sentence(classes));
    for class in classes {
        let letter = class.letter.to_lowercase();
        _ = writeln!(page, "\n## [{}: {}](museum/{letter}.md)\n\n{}\n", class.letter, class.title, class.text.trim());
        for case in &class.cases {
            let (id, anchor, outcome) = (&case.id, case.id.anchor(), case.outcome.name());
            _ = writeln!(page, "- [{id}](museum/{letter}.md#{anchor}) {}: {} *{outcome}*", case.subject, case.title);
        }
    }
    page
}

/// The page of a class.
pub fn room(class: &Class) -> String {
    let mut page = format!(
        "<!-- Made by `{COMMAND}`. -->\n\n# {}: {}\n\n{}\n\n[Back to the entrance](../museum.md)\n",
        class.letter,
        class.title,
        class.text.trim()
    );
    for case in &class.cases {
        exhibit(&mut page, case);
    }
    page
}

fn exhibit(page: &mut String, case: &Case) {
    let (id, anchor, outcome) = (&case.id, case.id.anchor(), case.outcome.name());
    _ = writeln!(page, "\n<a id=\"{anchor}\"></a>\n## {id}, {}: {outcome}\n\n{}\n", case.subject, case.title);
    block(page, "c", &case.bug);
    _ = writeln!(page, "\n{}", case.text);
    match &case.exhibit {
        Exhibit::Program { program: shown, message, twin } => {
            _ = writeln!(page, "\nHere, {}:\n", link(shown));
            block(page, "rust", &shown.code);
            if let Some(message) = message {
                page.push('\n');
                block(page, "text", &message.text);
            }
            if let Some((how, twin)) = twin {
                _ = writeln!(page, "\n<details><summary>Done right</summary>\n\n{how} ({})\n", link(twin));
                block(page, "rust", &twin.code);
                page.push_str("\n</details>\n");
            }
        }
        Exhibit::Elsewhere { tests, sabotage } => {
            if !tests.is_empty() {
                page.push_str("\nTests:\n\n");
            }
            for (path, function) in tests {
                let path = path.display();
                _ = writeln!(page, "- `{function}` in [{path}](../../{path})");
            }
            if !sabotage.is_empty() {
                let names = sabotage.iter().map(|name| format!("`{name}`")).collect::<Vec<_>>().join(", ");
                let list = "[kernel/tests/sabotage.toml](../../kernel/tests/sabotage.toml)";
                _ = writeln!(page, "\nBugs on purpose, in {list}: {names}");
            }
        }
    }
    _ = writeln!(page, "\nSource: {}", sources::with_links(&case.source));
}

/// Where a program is, with what it shares with others.
fn link(program: &Program) -> String {
    let link = |path: &Path| {
        let name = path.file_name().unwrap_or_default().display();
        format!("[{name}](../../{})", path.display())
    };
    let fixtures: Vec<String> = program.fixtures.iter().map(|path| link(path)).collect();
    let with = if fixtures.is_empty() { String::new() } else { format!(" with {}", fixtures.join(", ")) };
    format!("{}{with}", link(&program.path))
}

/// A block of code, in a fence that is not in it.
fn block(page: &mut String, language: &str, code: &str) {
    let fence = if code.contains("```") { "````" } else { "```" };
    _ = writeln!(page, "{fence}{language}\n{code}\n{fence}");
}

/// A text as HTML. What looks like HTML in it is text.
pub fn html(text: &str) -> PreEscaped<String> {
    let events = Parser::new(text).map(|event| match event {
        Event::Html(text) | Event::InlineHtml(text) => Event::Text(text),
        other => other,
    });
    let mut html = String::new();
    push_html(&mut html, events);
    PreEscaped(html)
}

/// A text of one paragraph as HTML, without the paragraph.
pub fn inline(text: &str) -> PreEscaped<String> {
    let PreEscaped(html) = html(text);
    PreEscaped(html.trim().trim_start_matches("<p>").trim_end_matches("</p>").to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn texts_become_html_and_angle_brackets_stay() {
        assert_eq!(inline("a `Vec<u8>`, <T> and *so*").0, "a <code>Vec&lt;u8&gt;</code>, &lt;T&gt; and <em>so</em>");
        assert_eq!(html("one\n\ntwo").0, "<p>one</p>\n<p>two</p>\n");
    }
}
