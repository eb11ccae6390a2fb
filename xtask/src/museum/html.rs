//! The museum as one page that needs nothing else.

use anyhow::Result;
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::case::{Case, Exhibit, Outcome, Program};
use super::colour::{self, Language};
use super::hall::Class;
use super::markdown::{self, COLUMNS, INTRODUCTION};
use super::score::{self, Row};
use super::{COMMAND, sources};

const STYLE: &str = include_str!("style.css");

/// The page.
pub fn page(classes: &[Class]) -> Result<String> {
    let rooms = classes.iter().map(room).collect::<Result<Vec<_>>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                meta name="viewport" content="width=device-width, initial-scale=1";
                meta name="color-scheme" content="light dark";
                meta name="generator" content=(COMMAND);
                title { "The misuse museum" }
                style { (PreEscaped(STYLE)) }
            }
            "\n"
            body {
                nav aria-label="Classes" {
                    a href="#top" { "Museum" }
                    @for class in classes {
                        a href={ "#" (class.letter) } title=(without_ticks(&class.title)) { (class.letter) }
                    }
                }
                "\n"
                header #top {
                    h1 { "The misuse museum" }
                    (markdown::html(INTRODUCTION))
                    (contents(classes))
                    "\n"
                    h2 #scoreboard { "Scoreboard" }
                    (scoreboard(classes))
                    (markdown::html(COLUMNS))
                    (markdown::html(&score::sentence(classes)))
                }
                "\n"
                main { @for room in rooms { (room) } }
            }
        }
        "\n"
    };
    Ok(page.into_string())
}

/// All cases, each a link that has the colour of its outcome.
fn contents(classes: &[Class]) -> Markup {
    html! {
        p .legend {
            @for outcome in Outcome::ALL { span .{ "o " (outcome.word()) } { (outcome.name()) } " " }
        }
        ol .contents {
            @for class in classes {
                "\n"
                li {
                    a href={ "#" (class.letter) } { b { (class.letter) } " " (markdown::inline(&class.title)) }
                    span .cases {
                        @for case in &class.cases {
                            @let title = format!("{}: {}", case.subject, case.outcome.name());
                            a .{ "o " (case.outcome.word()) } href={ "#" (case.id.anchor()) } title=(title) { (case.id) }
                            " "
                        }
                    }
                }
            }
        }
    }
}

fn scoreboard(classes: &[Class]) -> Markup {
    let score::Table { rows, total } = score::table(classes);
    let cells = |row: &Row| {
        html! {
            @for (outcome, count) in Outcome::ALL.iter().zip(row.counts) {
                td .{ "n " (if count == 0 { "none" } else { outcome.word() }) } { (score::cell(count)) }
            }
            td .n { (row.all) }
            td .n { (row.share()) }
        }
    };
    html! {
        div .wide {
            table {
                thead {
                    tr {
                        th { "class" }
                        @for outcome in Outcome::ALL { th scope="col" { (outcome.name()) } }
                        th scope="col" { "all" }
                        th scope="col" { "share" }
                    }
                }
                tbody {
                    @for (class, row) in classes.iter().zip(&rows) {
                        "\n"
                        tr {
                            th scope="row" {
                                a href={ "#" (class.letter) } { b { (class.letter) } " " span { (markdown::inline(&class.title)) } }
                            }
                            (cells(row))
                        }
                    }
                }
                "\n"
                tfoot { tr { th scope="row" { "all" } (cells(&total)) } }
            }
        }
    }
}

fn room(class: &Class) -> Result<Markup> {
    let exhibits = class.cases.iter().map(exhibit).collect::<Result<Vec<_>>>()?;
    Ok(html! {
        "\n"
        section #(class.letter) {
            h2 { a href={ "#" (class.letter) } { (class.letter) } " " (markdown::inline(&class.title)) }
            (markdown::html(&class.text))
            @for exhibit in exhibits { (exhibit) }
        }
    })
}

fn exhibit(case: &Case) -> Result<Markup> {
    let anchor = case.id.anchor();
    let body = match &case.exhibit {
        Exhibit::Program { program, message, twin } => {
            let wrong = message.as_ref().map_or(&[][..], |message| &message.lines);
            html! {
                figure {
                    figcaption { "Here: " (path(program)) }
                    (listing(program, wrong)?)
                }
                @if let Some(message) = message {
                    figure .said {
                        figcaption { "The compiler" }
                        pre tabindex="0" { code { (colour::message(&message.text)) } }
                    }
                }
                @if let Some((how, twin)) = twin {
                    details {
                        summary { "Done right: " (markdown::inline(how)) }
                        figure {
                            figcaption { (path(twin)) }
                            (listing(twin, &[])?)
                        }
                    }
                }
            }
        }
        Exhibit::Elsewhere { tests, sabotage } => html! {
            @if !tests.is_empty() {
                p { "Tests:" }
                ul {
                    @for (path, function) in tests {
                        li { code { (function) } " in " a href={ "../" (path.display()) } { (path.display()) } }
                    }
                }
            }
            @if !sabotage.is_empty() {
                p { "Bugs on purpose, in " a href="../kernel/tests/sabotage.toml" { "kernel/tests/sabotage.toml" } ":" }
                ul { @for name in sabotage { li { code { (name) } } } }
            }
        },
    };
    let bug = colour::lines(Language::C, &case.bug)?;
    Ok(html! {
        "\n"
        article #(anchor) {
            h3 {
                a href={ "#" (anchor) } { (case.id) } " " (case.subject) ": "
                span .title { (markdown::inline(&case.title)) } " "
                span .{ "o " (case.outcome.word()) } { (case.outcome.name()) }
            }
            figure {
                figcaption { "C" }
                pre tabindex="0" { code { @for line in bug { (line) "\n" } } }
            }
            (markdown::html(&case.text))
            (body)
            p .source { (markdown::inline(&sources::with_links(&case.source))) }
        }
    })
}

/// Where a program is, with what it shares with others.
fn path(program: &Program) -> Markup {
    let path = program.path.display();
    html! {
        a href={ "../" (path) } { (path) }
        @for (number, fixture) in program.fixtures.iter().enumerate() {
            @if number == 0 { " with " } @else { ", " }
            a href={ "../" (fixture.display()) } { (fixture.file_name().unwrap_or_default().display()) }
        }
    }
}

/// A program with the numbers that its lines have in its file, and marks at those that are wrong.
fn listing(program: &Program, wrong: &[usize]) -> Result<Markup> {
    let lines = colour::lines(Language::Rust, &program.code)?;
    Ok(html! {
        pre .numbered tabindex="0" style={ "--from:" (program.first_line - 1) } {
            code {
                @for (number, line) in (program.first_line..).zip(lines) {
                    i .wrong[wrong.contains(&number)] { (line) "\n" }
                }
            }
        }
    })
}

fn without_ticks(text: &str) -> String {
    text.replace('`', "")
}
