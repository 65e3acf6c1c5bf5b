//! The control socket: what can be asked of the oopsd that runs, one line of JSON each way. What is done about it is `command::run`'s.
//!
//! A Unix socket in a folder that one oopsd at a time has: the state directory for routes, its `outbox` for channels. For root and for whoever oopsd runs as. One connection at a time asks one thing, in bounded
//! size and time; who is slow or silent is dropped.

use crate::channel::{Dropped, Line, Row};
use crossbeam_channel::Sender;
use serde::{Deserialize, Serialize};
use std::fs::{self, Permissions};
use std::io::{self, ErrorKind};
use std::os::unix::fs::{MetadataExt as _, PermissionsExt as _};
use std::os::unix::net::UnixListener as Listener;
use std::path::{Path, PathBuf};
use std::time::Duration;
use tokio::io::{AsyncBufReadExt as _, AsyncReadExt as _, AsyncWriteExt as _, BufReader};
use tokio::net::{UnixListener, UnixStream};
use tokio::runtime::Handle;
use tokio::sync::oneshot;
use tokio::task::JoinHandle;

/// Its name in the state directory.
pub const NAME: &str = "control";

/// As long as a request may be, in bytes.
const MOST: u64 = 64 << 10;
/// As long as it may take to ask, while others wait.
const ASKING: Duration = Duration::from_secs(1);
/// As long as one connection may take.
const PATIENCE: Duration = Duration::from_secs(5);

/// What may be asked.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
#[serde(tag = "command", rename_all = "kebab-case", deny_unknown_fields)]
pub enum Request {
    /// How each route is.
    Routes,
    /// Takes routes back to the plain path, and keeps them there.
    Release {
        /// These; all if there is none.
        #[serde(default)]
        prefixes: Vec<String>,
        /// For so long; else until the condition has cleared, an hour at most.
        #[serde(default)]
        seconds: Option<u64>,
    },
    /// How channels stand with what waits for them.
    Outbox,
    /// What waits for a channel.
    Waiting {
        /// Which.
        channel: String,
        /// The least number that is wanted; of more than a few hundred only the first are told.
        #[serde(default)]
        from: u64,
    },
    /// Has channels try again at once.
    Retry {
        /// Which; all if none is said.
        #[serde(default)]
        channel: Option<String>,
    },
    /// Drops what waits for a channel.
    Drop {
        /// Which.
        channel: String,
        /// These signals; all if it is not there.
        #[serde(default)]
        numbers: Option<Vec<u64>>,
    },
}

/// What is answered.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "kebab-case")]
pub enum Answer {
    /// How routes are; of released ones, how they were.
    Routes(Vec<Route>),
    /// How channels stand.
    Outbox(Vec<Row>),
    /// The first signals that wait, in order; none is the end of them.
    Waiting(Vec<Line>),
    /// The channels that try again.
    Retried(Vec<String>),
    /// What was dropped.
    Dropped(Dropped),
    /// Why nothing was done.
    Error(String),
}

/// A route as wanted and as seen, each as [`engine::Action`] prints.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize)]
pub struct Route {
    /// The prefix.
    pub prefix: String,
    /// The router.
    pub router: String,
    /// How it is wanted; `None` until that is known.
    pub wanted: Option<String>,
    /// How it was read back; `None` if it could not be.
    pub seen: Option<String>,
    /// Why it is not as wanted.
    pub error: Option<String>,
}

/// A request, and where its answer is waited for.
#[derive(Debug)]
pub struct Asked {
    /// What is asked.
    pub request: Request,
    /// Where the answer goes. Who asked may have gone.
    pub answer: oneshot::Sender<Answer>,
}

/// The socket, until dropped.
#[derive(Debug)]
pub struct Control {
    path: PathBuf,
    task: JoinHandle<()>,
}

impl Control {
    /// Listens in a folder whose lock the caller has: what stands there is from one that is dead.
    ///
    /// # Errors
    /// When it cannot.
    pub fn start<T: From<Asked> + Send + 'static>(
        directory: &Path,
        to: Sender<T>,
        runtime: &Handle,
    ) -> io::Result<Self> {
        let path = directory.join(NAME);
        match fs::remove_file(&path) {
            Err(error) if error.kind() != ErrorKind::NotFound => return Err(error),
            Ok(()) | Err(_) => {}
        }
        let listener = Listener::bind(&path)?;
        fs::set_permissions(&path, Permissions::from_mode(0o600))?;
        // What it was made as is who may ask, also before it had its mode.
        let owner = fs::metadata(&path)?.uid();
        listener.set_nonblocking(true)?;
        let _inside = runtime.enter();
        let listener = UnixListener::from_std(listener)?;
        let task = runtime.spawn(async move {
            loop {
                match listener.accept().await {
                    Ok((stream, _)) => {
                        if tokio::time::timeout(PATIENCE, serve(stream, owner, &to)).await.is_err() {
                            tracing::debug!("who asked was too slow");
                        }
                    }
                    // No file descriptors, for example: they come back.
                    Err(error) => {
                        tracing::debug!("nobody could ask: {error}");
                        tokio::time::sleep(Duration::from_millis(100)).await;
                    }
                }
            }
        });
        Ok(Self { path, task })
    }
}

impl Drop for Control {
    fn drop(&mut self) {
        self.task.abort();
        let _ = fs::remove_file(&self.path);
    }
}

async fn serve<T: From<Asked>>(mut stream: UnixStream, owner: u32, to: &Sender<T>) {
    let answer = match ask(&mut stream, owner, to).await {
        Ok(answer) => answer,
        Err(wrong) => Answer::Error(wrong),
    };
    let mut text = serde_json::to_vec(&answer).unwrap_or_default();
    text.push(b'\n');
    // Who asked may have gone.
    let _ = stream.write_all(&text).await;
    let _ = stream.shutdown().await;
}

async fn ask<T: From<Asked>>(stream: &mut UnixStream, owner: u32, to: &Sender<T>) -> Result<Answer, String> {
    let peer = stream.peer_cred().map_err(|error| format!("who asks? {error}"))?.uid();
    if peer != 0 && peer != owner {
        return Err(String::from("only root and the user of oopsd may ask"));
    }
    let mut line = Vec::new();
    let mut reader = BufReader::new(stream.take(MOST));
    let read = tokio::time::timeout(ASKING, reader.read_until(b'\n', &mut line)).await;
    read.map_err(|_| String::from("too slow"))?.map_err(|error| format!("cannot read the request: {error}"))?;
    if line.last() != Some(&b'\n') {
        return Err(format!("a request is one line of at most {MOST} bytes"));
    }
    let request = serde_json::from_slice(&line).map_err(|error| format!("not a request: {error}"))?;
    let (answer, answered) = oneshot::channel();
    to.send(T::from(Asked { request, answer })).map_err(|_| String::from("oopsd is stopping"))?;
    answered.await.map_err(|_| String::from("oopsd is stopping"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::io::{Read as _, Write as _};
    use std::os::unix::net::UnixStream as Stream;

    #[test]
    fn a_request_is_answered_and_nonsense_is_said_to_be() {
        let (folder, runtime) = (tempfile::tempdir().unwrap(), tokio::runtime::Runtime::new().unwrap());
        let (to, asked) = crossbeam_channel::unbounded::<Asked>();
        fs::write(folder.path().join(NAME), "of one that was killed").unwrap();
        let control = Control::start(folder.path(), to, runtime.handle()).unwrap();
        let path = folder.path().join(NAME);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        std::thread::spawn(move || {
            for asked in asked {
                assert_eq!(asked.request, Request::Release { prefixes: vec![], seconds: Some(60) });
                let _ = asked.answer.send(Answer::Routes(vec![]));
            }
        });
        let exchange = |text: &[u8]| {
            let mut stream = Stream::connect(&path).unwrap();
            let _ = stream.write_all(text);
            let _ = stream.shutdown(std::net::Shutdown::Write);
            let mut answer = String::new();
            let _ = stream.read_to_string(&mut answer);
            answer
        };
        assert_eq!(exchange(b"{\"command\":\"release\",\"seconds\":60}\n"), "{\"routes\":[]}\n");
        for nonsense in [&b"{}\n"[..], b"\xff\n", b"{\"command\":\"fly\"}\n", b"{\"command\":\"release\",\"for\":1}\n"]
        {
            let answer = exchange(nonsense);
            assert!(answer.starts_with("{\"error\":\"not a request: "), "{answer}");
        }
        assert!(exchange(b"{\"command\":\"routes\"}").contains("one line"));
        assert!(exchange(&vec![b' '; 70_000]).contains("one line"));
        drop(control);
        assert!(!path.exists());
    }
}
