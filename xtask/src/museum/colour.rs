//! Colours for C, Rust and what the compiler prints, as spans with a class.
//!
//! C and Rust by the grammars of `syntect`. Of the scopes that these give to each word, a few kinds are told apart.

use std::fmt::Write as _;
use std::sync::LazyLock;

use anyhow::{Context, Result};
use maud::{Escaper, PreEscaped};
use syntect::easy::ScopeRegionIterator;
use syntect::parsing::{ParseState, Scope, ScopeStack, SyntaxSet};

/// A language of the museum.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Language {
    C,
    Rust,
}

static SYNTAXES: LazyLock<SyntaxSet> = LazyLock::new(SyntaxSet::load_defaults_newlines);

/// What has a colour, by the beginnings of scopes; the innermost scope that is here decides. None: no colour, whatever is around it.
static KINDS: LazyLock<Vec<(Scope, Option<&str>)>> = LazyLock::new(|| {
    let kinds = [
        ("comment", Some("c")),
        ("string", Some("s")),
        ("constant.character.escape", Some("e")),
        ("constant", Some("n")),
        ("keyword.operator", None),
        ("keyword", Some("k")),
        ("storage", Some("k")),
        ("entity.name.function", Some("f")),
        ("support.function", Some("f")),
        ("entity.name", Some("t")),
        ("support.type", Some("t")),
        ("support.macro", Some("f")),
        ("meta.annotation", Some("a")),
        ("punctuation.definition.string", Some("s")),
        ("punctuation.definition.comment", Some("c")),
    ];
    let scope = |name: &str| Scope::new(name).expect("a name of few atoms");
    kinds.map(|(name, kind)| (scope(name), kind)).into()
});

/// The kind of what has these scopes.
fn kind(scopes: &ScopeStack) -> Option<&'static str> {
    let kind = |scope: &Scope| KINDS.iter().find(|(prefix, _)| prefix.is_prefix_of(*scope)).map(|(_, kind)| *kind);
    scopes.as_slice().iter().rev().find_map(kind).flatten()
}

/// The lines of some code, with spans.
pub fn lines(language: Language, code: &str) -> Result<Vec<PreEscaped<String>>> {
    let name = match language {
        Language::C => "C",
        Language::Rust => "Rust",
    };
    let syntax = SYNTAXES.find_syntax_by_name(name).with_context(|| format!("there is no grammar for {name}"))?;
    let (mut state, mut scopes) = (ParseState::new(syntax), ScopeStack::new());
    let mut lines = Vec::new();
    for line in code.lines() {
        let line = format!("{line}\n");
        let operations = state.parse_line(&line, &SYNTAXES).with_context(|| format!("cannot parse `{line}`"))?;
        let mut html = String::new();
        let mut open: Option<&str> = None;
        for (text, operation) in ScopeRegionIterator::new(&operations, &line) {
            scopes.apply(operation).with_context(|| format!("cannot parse `{line}`"))?;
            let text = text.trim_end_matches('\n');
            if text.is_empty() {
                continue;
            }
            // A space between two words of a kind goes with them: fewer spans.
            let now = if text.trim().is_empty() { open } else { kind(&scopes) };
            change(&mut html, &mut open, now)?;
            write!(Escaper::new(&mut html), "{text}")?;
        }
        change(&mut html, &mut open, None)?;
        lines.push(PreEscaped(html));
    }
    Ok(lines)
}

/// Ends the span that is open and begins another, if they differ.
fn change(html: &mut String, open: &mut Option<&'static str>, now: Option<&'static str>) -> Result<()> {
    if *open != now {
        if open.is_some() {
            html.push_str("</span>");
        }
        if let Some(kind) = now {
            write!(html, "<span class={kind}>")?;
        }
        *open = now;
    }
    Ok(())
}

/// A message of the compiler, with spans: its first words, the lines' numbers, and what it marks. Sentences, which may be broken into
/// lines, are in `<i>`.
pub fn message(text: &str) -> PreEscaped<String> {
    let mut html = String::new();
    let mut is_error = true;
    for line in text.lines() {
        let place = line.trim_start();
        if let Some((word, rest)) = level(line) {
            is_error = word.starts_with("error");
            html.push_str("<i>");
            push(&mut html, Some(if is_error { "E" } else { "H" }), word);
            push(&mut html, Some("B"), rest);
            html.push_str("</i>");
        } else if place.starts_with("--> ") || place.starts_with("::: ") || place == "..." {
            push(&mut html, Some("G"), line);
        } else if let Some((gutter, rest)) = gutter(line) {
            push(&mut html, Some("G"), gutter);
            if rest.trim_start().starts_with(['^', '-', '_', '|']) {
                for (is_primary, marks) in marks(rest) {
                    push(&mut html, Some(if is_primary && is_error { "E" } else { "H" }), marks);
                }
            } else {
                push(&mut html, None, rest);
            }
        } else if let Some((equals, (word, rest))) = line.split_once("= ").and_then(|(e, rest)| Some((e, level(rest)?)))
        {
            html.push_str("<i>");
            push(&mut html, Some("G"), &format!("{equals}= "));
            push(&mut html, Some("H"), word);
            push(&mut html, None, rest);
            html.push_str("</i>");
        } else {
            push(&mut html, None, line);
        }
        html.push('\n');
    }
    html.truncate(html.trim_end().len());
    PreEscaped(html)
}

/// A line that begins with how grave it is, as `error[E0382]`, and the rest of it.
fn level(line: &str) -> Option<(&str, &str)> {
    let is_level = ["error", "warning", "note", "help"].iter().any(|level| line.starts_with(level));
    let end = line.find(": ").filter(|end| is_level && !line[..*end].contains(' '))?;
    Some(line.split_at(end))
}

/// A line of a message that shows code, at the end of its `12 |`.
fn gutter(line: &str) -> Option<(&str, &str)> {
    let (number, _) = line.split_once('|')?;
    let is_number = number.chars().all(|c| c.is_ascii_digit() || c == ' ');
    is_number.then(|| line.split_at(number.len() + 1))
}

/// The marks under a line of code, each with its label, and whether it marks what is wrong.
fn marks(line: &str) -> Vec<(bool, &str)> {
    let mut marks = Vec::new();
    let mut is_primary = false;
    let mut start = 0;
    let mut before = ' ';
    for (at, c) in line.char_indices() {
        let begins = before == ' ' && (c == '^' || line[at..].starts_with("--"));
        if begins && is_primary != (c == '^') {
            if !line[start..at].trim().is_empty() {
                marks.push((is_primary, &line[start..at]));
                start = at;
            }
            is_primary = c == '^';
        }
        before = c;
    }
    marks.push((is_primary, &line[start..]));
    marks
}

/// Adds text as it is, in a span of that kind.
fn push(html: &mut String, kind: Option<&str>, text: &str) {
    if text.is_empty() {
        return;
    }
    if let Some(kind) = kind {
        html.push_str(&format!("<span class={kind}>"));
    }
    Escaper::new(html).write_str(text).expect("a string takes all text");
    if kind.is_some() {
        html.push_str("</span>");
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn coloured(language: Language, code: &str) -> Vec<String> {
        lines(language, code).unwrap().into_iter().map(PreEscaped::into_string).collect()
    }

    #[test]
    fn code_has_its_words_in_spans_and_nothing_else_is_changed() {
        let [one, two] = &coloured(Language::Rust, "// <one>\nlet a = \"&\";")[..] else { panic!("two lines") };
        assert_eq!(one, "<span class=c>// &lt;one&gt;</span>");
        assert_eq!(two, "<span class=k>let</span> a = <span class=s>&quot;&amp;&quot;</span>;");
        let [c] = &coloured(Language::C, "return 1; /* wrong */")[..] else { panic!("one line") };
        assert_eq!(c, "<span class=k>return </span><span class=n>1</span>; <span class=c>/* wrong */</span>");
    }

    #[test]
    fn what_goes_on_over_lines_is_closed_in_each() {
        let lines = coloured(Language::C, "/* one\ntwo */ three");
        assert_eq!(lines, ["<span class=c>/* one</span>", "<span class=c>two */</span> three"]);
    }

    #[test]
    fn messages_have_marks() {
        let text =
            "error[E1]: a `<T>`\n  --> f.rs:1:2\n   |\n12 |     f(page);\n   |     - ^^^^ wanted\n   = note: keep it";
        let html = message(text).into_string();
        let lines: Vec<&str> = html.lines().collect();
        assert_eq!(lines[0], "<i><span class=E>error[E1]</span><span class=B>: a `&lt;T&gt;`</span></i>");
        assert_eq!(lines[1], "<span class=G>  --&gt; f.rs:1:2</span>");
        assert_eq!(lines[3], "<span class=G>12 |</span>     f(page);");
        assert_eq!(lines[4], "<span class=G>   |</span><span class=H>     - </span><span class=E>^^^^ wanted</span>");
        assert_eq!(lines[5], "<i><span class=G>   = </span><span class=H>note</span>: keep it</i>");
        assert_eq!(lines.len(), 6);
    }

    #[test]
    fn what_is_marked_in_a_note_is_no_error() {
        let html = message("note: here\n3 | fn f()\n  |    ^").into_string();
        assert!(html.ends_with("<span class=G>  |</span><span class=H>    ^</span>"), "{html}");
        assert!(!html.contains("class=E"), "{html}");
    }
}
