//! Child processes that cannot outlive or outwait us.
//!
//! A virtual machine that hangs must not hang the tests, and one whose parent was killed must not run
//! on. So a child has a time limit, is killed when its handle is dropped, and on Linux the kernel kills
//! it when this process goes away for whatever reason.

use std::io::{self, BufRead, BufReader, Read};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::mpsc::{self, RecvTimeoutError, SyncSender};
use std::thread;
use std::time::{Duration, Instant};

/// Where a line came from.
#[derive(Clone, Copy, PartialEq, Eq)]
pub enum Source {
    /// Standard output.
    Out,
    /// Standard error, if the command was told to pipe it.
    Err,
}

/// How a child ended.
pub enum End {
    /// By itself.
    Exited(ExitStatus),
    /// Killed at its time limit.
    TimedOut,
}

/// Kills and reaps the child on drop.
struct Guard(Child);

impl Drop for Guard {
    fn drop(&mut self) {
        // Both fail only if the child is gone already.
        let _ = self.0.kill();
        let _ = self.0.wait();
    }
}

/// Runs `command` and hands over each line of its output as it comes.
pub fn stream(
    command: &mut Command,
    limit: Option<Duration>,
    mut on_line: impl FnMut(Source, &str),
) -> io::Result<End> {
    let start = Instant::now();
    let mut child = spawn(command.stdout(Stdio::piped()))?;
    let (sender, receiver) = mpsc::sync_channel(256);
    read_lines(Source::Out, child.0.stdout.take(), &sender);
    read_lines(Source::Err, child.0.stderr.take(), &sender);
    drop(sender);
    let mut timed_out = false;
    loop {
        let received = match limit.filter(|_| !timed_out) {
            None => receiver.recv().map_err(RecvTimeoutError::from),
            Some(limit) => match limit.checked_sub(start.elapsed()) {
                None => Err(RecvTimeoutError::Timeout),
                Some(left) => receiver.recv_timeout(left),
            },
        };
        match received {
            Ok((source, line)) => on_line(source, &line),
            Err(RecvTimeoutError::Timeout) => {
                timed_out = true;
                child.0.kill()?;
            }
            Err(RecvTimeoutError::Disconnected) => break,
        }
    }
    let status = child.0.wait()?;
    Ok(if timed_out { End::TimedOut } else { End::Exited(status) })
}

/// Runs `command` with its output on ours. `None`: killed at the time limit.
pub fn run_limited(command: &mut Command, limit: Duration) -> io::Result<Option<ExitStatus>> {
    let start = Instant::now();
    let mut child = spawn(command)?;
    loop {
        if let Some(status) = child.0.try_wait()? {
            return Ok(Some(status));
        }
        if start.elapsed() >= limit {
            return Ok(None);
        }
        thread::sleep(Duration::from_millis(50));
    }
}

/// The standard output of a command that answers at once, if it succeeds.
pub fn answer(command: &mut Command) -> Option<String> {
    let output = command.stdin(Stdio::null()).stderr(Stdio::null()).output().ok()?;
    output.status.success().then(|| String::from_utf8_lossy(&output.stdout).into_owned())
}

fn spawn(command: &mut Command) -> io::Result<Guard> {
    die_with_parent(command);
    Ok(Guard(command.stdin(Stdio::null()).spawn()?))
}

#[cfg(target_os = "linux")]
fn die_with_parent(command: &mut Command) {
    use rustix::process::{Signal, set_parent_process_death_signal};
    use std::os::unix::process::CommandExt;

    // SAFETY: the closure runs between fork and exec, where only async-signal-safe calls are allowed; it
    // does one `prctl` system call and touches no memory, lock or allocator.
    unsafe {
        command.pre_exec(|| Ok(set_parent_process_death_signal(Some(Signal::KILL))?));
    }
}

#[cfg(not(target_os = "linux"))]
fn die_with_parent(_: &mut Command) {}

fn read_lines(source: Source, pipe: Option<impl Read + Send + 'static>, sender: &SyncSender<(Source, String)>) {
    let Some(pipe) = pipe else { return };
    let sender = sender.clone();
    thread::spawn(move || {
        let mut pipe = BufReader::new(pipe);
        let mut bytes = Vec::new();
        while pipe.read_until(b'\n', &mut bytes).is_ok_and(|count| count > 0) {
            let line = String::from_utf8_lossy(&bytes).trim_end_matches(['\r', '\n']).to_owned();
            bytes.clear();
            if sender.send((source, line)).is_err() {
                break;
            }
        }
    });
}

#[cfg(test)]
mod tests {
    use super::*;

    fn shell(script: &str) -> Command {
        let mut command = Command::new("sh");
        command.args(["-c", script]);
        command
    }

    #[test]
    fn lines_arrive_with_their_source() {
        let mut lines = Vec::new();
        let mut command = shell("echo one; echo two >&2; printf three");
        let end = stream(command.stderr(Stdio::piped()), None, |source, line| {
            lines.push((source == Source::Err, line.to_owned()));
        });
        lines.sort();
        let expected = [(false, "one"), (false, "three"), (true, "two")];
        assert_eq!(lines, expected.map(|(err, line)| (err, line.to_owned())));
        assert!(matches!(end, Ok(End::Exited(status)) if status.success()));
    }

    #[test]
    fn the_time_limit_holds_for_silent_and_for_talkative_programs() {
        for script in ["exec sleep 60", "exec yes"] {
            let start = Instant::now();
            let end = stream(&mut shell(script), Some(Duration::from_millis(200)), |_, _| ());
            assert!(matches!(end, Ok(End::TimedOut)), "{script}");
            assert!(start.elapsed() < Duration::from_secs(30), "{script}");
        }
        let limited = run_limited(&mut shell("exec sleep 60"), Duration::from_millis(100));
        assert!(matches!(limited, Ok(None)));
    }
}
