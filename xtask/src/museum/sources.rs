//! Where a bug can be read: links to commits and to messages of mailing lists.

/// A source with links to the commits and messages that it names.
pub fn with_links(source: &str) -> String {
    let commits = if source.starts_with("Xen") {
        Some("https://xenbits.xen.org/gitweb/?p=xen.git;a=commit;h=")
    } else if source.starts_with("OpenZFS") {
        Some("https://github.com/openzfs/zfs/commit/")
    } else if !source.starts_with("Linux") || source.contains("ntfs-next") {
        None
    } else if source.contains("history before git") {
        Some("https://git.kernel.org/pub/scm/linux/kernel/git/tglx/history.git/commit/?id=")
    } else {
        Some("https://git.kernel.org/pub/scm/linux/kernel/git/torvalds/linux.git/commit/?id=")
    };
    let linked = |word: &str| {
        let name = word.trim_matches(['(', ')', ',', ';', ':', '.']);
        let is_commit = (9..=40).contains(&name.len()) && name.bytes().all(|b| matches!(b, b'0'..=b'9' | b'a'..=b'f'));
        let is_message = name.split_once('@').is_some_and(|(_, host)| host.contains('.'));
        match commits {
            Some(commits) if is_commit => word.replacen(name, &format!("[{name}]({commits}{name})"), 1),
            _ if is_message => word.replacen(name, &format!("[{name}](https://lore.kernel.org/r/{name})"), 1),
            _ => word.to_owned(),
        }
    };
    source.split(' ').map(linked).collect::<Vec<_>>().join(" ")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn commits_and_messages_are_linked() {
        let commit = |of: &str, hash: &str| {
            format!("[{hash}](https://git.kernel.org/pub/scm/linux/kernel/git/{of}.git/commit/?id={hash})")
        };
        assert_eq!(
            with_links("Linux, `f.c`, 2009. Fixed in dc71c7d5dbd (introduced dee4f8ff93). Seen: the diff."),
            format!(
                "Linux, `f.c`, 2009. Fixed in {} (introduced {}). Seen: the diff.",
                commit("torvalds/linux", "dc71c7d5dbd"),
                commit("torvalds/linux", "dee4f8ff93")
            )
        );
        let old = with_links("Linux. Fixed in 5ec97f0e00 (history before git).");
        assert_eq!(old, format!("Linux. Fixed in {} (history before git).", commit("tglx/history", "5ec97f0e00")));
        assert_eq!(
            with_links("Linux: lore 2022.1-x@redhat.com; 2019.GA9372@gondor"),
            "Linux: lore [2022.1-x@redhat.com](https://lore.kernel.org/r/2022.1-x@redhat.com); 2019.GA9372@gondor"
        );
        assert!(with_links("Xen, 2e3d87cc73.").contains("xenbits.xen.org/gitweb/?p=xen.git;a=commit;h=2e3d87cc73)."));
        for plain in
            ["FreeBSD, D40028, 271333271333.", "Linux, 2009, drivers/deadbeef.c.", "Linux, 20090101, accessible."]
        {
            assert_eq!(with_links(plain), plain);
        }
    }
}
