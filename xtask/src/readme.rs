//! The parts of README.md that commands write, each between two marks of its name.

use anyhow::{Context, Result};

/// The README with `text` in the part `name`.
///
/// # Errors
///
/// If it has no such part.
pub fn with_part(readme: &str, name: &str, text: &str) -> Result<String> {
    let (begin, end) = (format!("<!-- {name} -->\n"), format!("<!-- {name} ends -->\n"));
    let parts = readme.split_once(&begin).and_then(|(before, rest)| Some((before, rest.split_once(&end)?.1)));
    let (before, behind) = parts.with_context(|| {
        format!("README.md has no part `{name}`: a line `{}`, and a line `{}`", begin.trim(), end.trim())
    })?;
    Ok(format!("{before}{begin}{}\n{end}{behind}", text.trim_end()))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_is_what_stands_between_its_marks() {
        let readme = "one\n<!-- museum -->\nold\n<!-- museum ends -->\ntwo\n";
        let new = with_part(readme, "museum", "new\n").unwrap();
        assert_eq!(new, "one\n<!-- museum -->\nnew\n<!-- museum ends -->\ntwo\n");
        assert_eq!(with_part(&new, "museum", "new").unwrap(), new);
        for bad in [
            "",
            "<!-- museum -->\n",
            "<!-- museum ends -->\n<!-- museum -->\n",
            "<!-- costs -->\n<!-- costs ends -->\n",
        ] {
            let error = with_part(bad, "museum", "new").unwrap_err().to_string();
            assert!(error.starts_with("README.md has no part `museum`"), "{bad}");
        }
    }
}
