//! What the user sees: headings, results, tables. Colours appear on a terminal only.

use std::time::Duration;

use anstyle::{AnsiColor, Style};

const BOLD: Style = Style::new().bold();
const GREEN: Style = AnsiColor::Green.on_default().bold();
const RED: Style = AnsiColor::Red.on_default().bold();
const YELLOW: Style = AnsiColor::Yellow.on_default();
const DIM: Style = Style::new().dimmed();

fn paint(style: Style, text: &str) -> String {
    format!("{style}{text}{style:#}")
}

/// A line as it is.
pub fn line(text: &str) {
    anstream::println!("{text}");
}

/// The start of something that takes a while.
pub fn heading(text: &str) {
    anstream::println!("{}", paint(BOLD, &format!("== {text}")));
}

/// What was found, chosen or done on the way.
pub fn note(text: &str) {
    anstream::println!("   {text}");
}

/// A line that a guest or a test program printed.
pub fn guest(text: &str) {
    anstream::println!("   {} {text}", paint(DIM, "|"));
}

/// A result that is as it should be.
pub fn pass(text: &str) {
    anstream::println!("{} {text}", paint(GREEN, "ok  "));
}

/// A result that is not as it should be.
pub fn fail(text: &str) {
    anstream::println!("{} {text}", paint(RED, "FAIL"));
}

/// Something that was not checked.
pub fn skip(text: &str) {
    anstream::println!("{} {text}", paint(YELLOW, "skip"));
}

/// The sum of many results, without a mark before it.
pub fn verdict(good: bool, text: &str) {
    anstream::println!("{}", paint(if good { GREEN } else { RED }, text));
}

/// Why the command ends here.
pub fn error(text: &str) {
    anstream::eprintln!("{} {text}", paint(RED, "error:"));
}

/// Seconds, for people.
pub fn seconds(time: Duration) -> String {
    format!("{:.1} s", time.as_secs_f64())
}

/// Columns as wide as their widest cell; the first is aligned left, the others right.
pub fn table(header: &[&str], rows: &[Vec<String>]) {
    print_table(&table_lines(header, rows, false));
}

/// Columns of text, all aligned left.
pub fn listing(header: &[&str], rows: &[Vec<String>]) {
    print_table(&table_lines(header, rows, true));
}

fn print_table(lines: &[String]) {
    anstream::println!();
    for (index, row) in lines.iter().enumerate() {
        if index == 0 {
            anstream::println!("{}", paint(BOLD, row));
        } else {
            anstream::println!("{row}");
        }
    }
}

fn table_lines(header: &[&str], rows: &[Vec<String>], left: bool) -> Vec<String> {
    let header = header.iter().map(|cell| (*cell).to_owned()).collect();
    let all: Vec<&Vec<String>> = std::iter::once(&header).chain(rows).collect();
    let width = |column: usize| all.iter().map(|row| row[column].chars().count()).max().unwrap_or(0);
    let aligned = |(column, cell): (usize, &String)| match column {
        0 => format!("{cell:<0$}", width(column)),
        _ if left => format!("  {cell:<0$}", width(column)),
        _ => format!("  {cell:>0$}", width(column)),
    };
    let line = |row: &&Vec<String>| row.iter().enumerate().map(aligned).collect::<String>().trim_end().to_owned();
    all.iter().map(line).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tables_line_up() {
        let rows = [vec!["unit".to_owned(), "12".to_owned()], vec!["ui".to_owned(), "7".to_owned()]];
        assert_eq!(table_lines(&["step", "passed"], &rows, false), ["step  passed", "unit      12", "ui         7"]);
        assert_eq!(table_lines(&["step", "passed"], &rows, true), ["step  passed", "unit  12", "ui    7"]);
    }
}
