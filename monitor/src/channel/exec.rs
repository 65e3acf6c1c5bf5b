//! Signals to a program: started anew for each, one at a time, with the signal as JSON on its standard input and in its
//! environment. No shell.
//!
//! Status 0 is yes. A program that runs for too long is killed with all that it started in its process group.

use super::Error;
use super::delivery::Answer;
use super::letter::Letter;
use crate::json;
use std::os::unix::fs::PermissionsExt as _;
use std::process::Stdio;
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWriteExt};
use tokio::process::{Child, Command};

/// A program as configured.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Config {
    /// The program, as an absolute path, and its arguments.
    pub command: Vec<String>,
    /// How long it may run.
    pub timeout: Duration,
}

/// Of what it prints, so much is logged.
const OUTPUT: usize = 4096;
/// What it started may go on, and hold its output open: nobody waits longer for that.
const REST: Duration = Duration::from_millis(100);

/// A program that can be started.
#[derive(Debug)]
pub(super) struct Settings {
    name: String,
    program: String,
    arguments: Vec<String>,
    timeout: Duration,
}

impl Settings {
    pub(super) fn load(name: &str, config: &Config) -> Result<Self, Error> {
        let (program, arguments) =
            config.command.split_first().map(|(first, rest)| (first.clone(), rest.to_vec())).unwrap_or_default();
        let runs =
            std::fs::metadata(&program).is_ok_and(|file| file.is_file() && file.permissions().mode() & 0o111 != 0);
        if !runs {
            return Err(Error::Program { channel: name.to_owned(), program });
        }
        Ok(Self { name: name.to_owned(), program, arguments, timeout: config.timeout })
    }

    async fn run(&self, letter: &Letter) -> Answer {
        let mut command = Command::new(&self.program);
        command.args(&self.arguments).env_clear().envs(environment(letter)).current_dir("/");
        command.stdin(Stdio::piped()).stdout(Stdio::piped()).stderr(Stdio::piped()).process_group(0);
        let mut child = match command.spawn() {
            Ok(child) => child,
            Err(error) => return Answer::no(format!("cannot start it: {error}")),
        };
        let mut group = Group(child.id());
        let (mut out, mut err) = (Vec::new(), Vec::new());
        let status = talk(&mut child, letter.json() + "\n", &mut out, &mut err).await;
        group.0 = None;
        for (stream, text) in [("stdout", out), ("stderr", err)] {
            if !text.is_empty() {
                let text = String::from_utf8_lossy(&text).trim_end().escape_debug().to_string();
                tracing::info!(channel = self.name, id = letter.id(), stream, text, "the program said");
            }
        }
        match status {
            Ok(status) if status.success() => Answer::Yes,
            Ok(status) => Answer::no(status.to_string()),
            Err(error) => Answer::no(error.to_string()),
        }
    }
}

impl Settings {
    /// Gives it one signal.
    pub(super) async fn attempt(&self, letter: &Letter) -> Answer {
        let late = |_| Answer::no(format!("killed after {:?}", self.timeout));
        tokio::time::timeout(self.timeout, self.run(letter)).await.unwrap_or_else(late)
    }
}

/// Gives it its input, takes its output, and waits for its end.
async fn talk(
    child: &mut Child,
    input: String,
    out: &mut Vec<u8>,
    err: &mut Vec<u8>,
) -> std::io::Result<std::process::ExitStatus> {
    let (stdin, stdout, stderr) = (child.stdin.take(), child.stdout.take(), child.stderr.take());
    let talk = async {
        let give = async {
            if let Some(mut stdin) = stdin {
                // One that does not read it has its reasons.
                let _ = stdin.write_all(input.as_bytes()).await;
            }
        };
        tokio::join!(give, take(stdout, out), take(stderr, err));
    };
    tokio::pin!(talk);
    tokio::select! {
        () = &mut talk => child.wait().await,
        status = child.wait() => {
            let _ = tokio::time::timeout(REST, talk).await;
            status
        }
    }
}

/// Reads to the end, and keeps the beginning.
async fn take(stream: Option<impl AsyncRead + Unpin>, kept: &mut Vec<u8>) {
    let Some(mut stream) = stream else { return };
    let mut chunk = [0; 1024];
    while let Ok(length @ 1..) = stream.read(&mut chunk).await {
        let room = OUTPUT.saturating_sub(kept.len());
        kept.extend_from_slice(&chunk[..length.min(room)]);
    }
}

/// What the program finds in its environment; nothing else of ours is there.
fn environment(letter: &Letter) -> [(&'static str, String); 11] {
    let signal = &letter.signal;
    let variables = [
        ("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_owned()),
        ("OOPSD_ID", letter.id()),
        ("OOPSD_NODE", letter.sender.node.clone()),
        ("OOPSD_SEQ", signal.seq.to_string()),
        ("OOPSD_AT", json::at(signal.wall)),
        ("OOPSD_CONDITION", signal.condition.clone()),
        ("OOPSD_KIND", signal.kind.to_owned()),
        ("OOPSD_STATE", signal.state.as_str().to_owned()),
        ("OOPSD_SCOPE", signal.scope.to_string()),
        ("OOPSD_VALUE", signal.value.to_string()),
        ("OOPSD_THRESHOLD", signal.threshold.to_string()),
    ];
    // No program can be given one.
    variables.map(|(name, value)| (name, value.replace('\0', "\u{2400}")))
}

/// A process group that is killed if it is forgotten: when the time is over, or the channel ends.
struct Group(Option<u32>);

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(group) = self.0.and_then(|id| libc::pid_t::try_from(id).ok()) {
            // SAFETY: no memory is involved; its leader was not waited for, so that the number is still its own.
            unsafe { libc::kill(-group, libc::SIGKILL) };
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::channel::escaping::hostile_letter;
    use crate::channel::letter::tests::letter;
    use engine::{Named, Signal};
    use proptest::prelude::*;
    use std::path::Path;
    use std::sync::Arc;
    use std::time::Instant;

    #[tokio::test]
    async fn a_program_gets_the_signal_as_json_and_in_its_environment_and_nothing_else() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let text = format!("cat > {0}; env | sort >> {0}; echo \"$1|$2\" >> {0}", out.display());
        let peer = script(folder.path(), &text, &["a b", "$(id)"]);
        assert_eq!(peer.attempt(&letter(7)).await, Answer::Yes);
        let said = std::fs::read_to_string(&out).unwrap();
        let mut lines = said.lines();
        assert_eq!(lines.next().unwrap(), letter(7).json());
        assert!(said.contains("OOPSD_CONDITION=nl-overload\nOOPSD_ID=b00t-7\nOOPSD_KIND=query-rate\n"), "{said}");
        assert!(said.contains("OOPSD_SCOPE=zone nl.\nOOPSD_SEQ=7\nOOPSD_STATE=met\n"), "{said}");
        assert!(!said.contains("HOME=") && !said.contains("CARGO"), "{said}");
        assert!(said.ends_with("a b|$(id)\n"), "no shell looked at it: {said}");
    }

    #[tokio::test]
    async fn what_fails_is_no_and_says_how() {
        let folder = tempfile::tempdir().unwrap();
        let peer = script(folder.path(), "exit 3", &[]);
        assert_eq!(peer.attempt(&letter(1)).await, Answer::no("exit status: 3"));
    }

    #[tokio::test]
    async fn what_runs_too_long_is_killed_with_what_it_started() {
        let folder = tempfile::tempdir().unwrap();
        let child = folder.path().join("child");
        let text = format!("sleep 600 & echo $! > {0}.new; mv {0}.new {0}; wait", child.display());
        let peer = Settings { timeout: Duration::from_secs(2), ..script(folder.path(), &text, &[]) };
        assert_eq!(peer.attempt(&letter(1)).await, Answer::no("killed after 2s"));
        let child = std::fs::read_to_string(&child).unwrap();
        let start = Instant::now();
        let is_alive =
            || std::fs::read_to_string(format!("/proc/{}/stat", child.trim())).is_ok_and(|s| !s.contains(") Z"));
        while is_alive() {
            assert!(start.elapsed() < Duration::from_secs(10), "{child} is still there");
            std::thread::sleep(Duration::from_millis(1));
        }
    }

    #[tokio::test]
    async fn what_it_left_running_keeps_nobody_waiting_and_endless_output_fills_no_memory() {
        let folder = tempfile::tempdir().unwrap();
        let peer = script(folder.path(), "sleep 20 & head -c 10000000 /dev/zero", &[]);
        let start = Instant::now();
        assert_eq!(peer.attempt(&letter(1)).await, Answer::Yes);
        assert!(start.elapsed() < Duration::from_secs(15), "{:?}", start.elapsed());
    }

    proptest! {
        #[test]
        fn every_text_fits_into_an_environment_and_says_the_same(letter in hostile_letter()) {
            let all = environment(&letter);
            let of = |name: &str| all.iter().find(|(known, _)| *known == name).unwrap().1.clone();
            prop_assert!(all.iter().all(|(_, value)| !value.contains('\0')));
            let plain = |text: &str| text.replace('\0', "\u{2400}");
            prop_assert_eq!(of("OOPSD_CONDITION"), plain(&letter.signal.condition));
            prop_assert_eq!(of("OOPSD_NODE"), plain(&letter.sender.node));
            prop_assert_eq!(of("OOPSD_SCOPE"), plain(&letter.signal.scope.to_string()));
        }
    }

    #[tokio::test]
    async fn no_text_of_a_signal_keeps_a_program_from_being_started() {
        let folder = tempfile::tempdir().unwrap();
        let out = folder.path().join("out");
        let peer = script(folder.path(), &format!("cat > {}", out.display()), &[]);
        let hostile = "a\0b\n=c\u{1b}[31m$(id)";
        let signal =
            Signal { condition: hostile.into(), scope: Named::Zone(hostile.into()), ..(*letter(1).signal).clone() };
        let letter = Letter { signal: Arc::new(signal), ..letter(1) };
        assert_eq!(peer.attempt(&letter).await, Answer::Yes);
        assert_eq!(std::fs::read_to_string(&out).unwrap(), letter.json() + "\n");
    }

    #[test]
    fn what_cannot_be_run_is_an_error_that_names_it() {
        let config = Config { command: vec!["/nonexistent/x".into()], timeout: REST };
        let error = Settings::load("script", &config).unwrap_err().to_string();
        assert_eq!(error, "channel script: /nonexistent/x is no program that can be run");
    }

    fn script(folder: &Path, text: &str, arguments: &[&str]) -> Settings {
        let path = folder.join("script");
        std::fs::write(&path, format!("#!/bin/sh\n{text}\n")).unwrap();
        std::fs::set_permissions(&path, std::fs::Permissions::from_mode(0o700)).unwrap();
        let command = [path.to_str().unwrap()].iter().chain(arguments).map(|&word| word.to_owned()).collect();
        Settings::load("script", &Config { command, timeout: Duration::from_secs(20) }).unwrap()
    }
}
