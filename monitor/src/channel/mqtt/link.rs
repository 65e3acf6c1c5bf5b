//! Staying connected to a broker: comes to it when it is there, comes back when it was gone, says that the monitor is there, and
//! what the broker is to keep. What is to be delivered waits in the outbox, and comes one by one.

use super::board::{Board, Retained};
use super::connection::{Connection, Message, WINDOW};
use super::reason::Refusal;
use super::topic::Topics;
use super::{Access, Will};
use crate::channel::delivery::Answer;
use crate::channel::letter::Letter;
use backon::{BackoffBuilder as _, ExponentialBuilder};
use engine::{Arguments, Signal};
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;
use tokio::runtime::Handle;
use tokio::sync::{mpsc, oneshot, watch};
use tokio::task::JoinHandle;
use tokio::time::{Instant, timeout};

/// Between two attempts to connect, the first and the last; each with up to as much again, by chance.
const WAITS: (Duration, Duration) = (Duration::from_millis(200), Duration::from_secs(10));
/// A connection that held for so long was a good one.
const GOOD: Duration = Duration::from_secs(10);
/// How long an orderly end may take.
const END: Duration = Duration::from_secs(2);

/// What the link needs, and a reload may give it anew for the next connection.
pub(super) type Shared = Arc<Mutex<Arc<Access>>>;

/// Connected, or why not. Leaves the broker when dropped.
#[derive(Debug)]
pub(super) struct Link {
    requests: mpsc::Sender<Request>,
    standing: watch::Receiver<Result<(), Refusal>>,
    leaving: watch::Sender<bool>,
    access: Shared,
    pub(super) board: Arc<Board>,
    task: Mutex<Option<JoinHandle<()>>>,
}

#[derive(Debug)]
struct Request {
    letter: Letter,
    reply: oneshot::Sender<Answer>,
}

impl Link {
    /// Begins to be connected, on `runtime`, once `before` has left; and never ends to.
    pub(super) fn start(own: Own, before: Option<Arc<Self>>, runtime: &Handle) -> Self {
        let (requests, incoming) = mpsc::channel(1);
        let (say, standing) = watch::channel(Err(Refusal::new("not yet connected")));
        let (leaving, left) = watch::channel(false);
        let (access, board) = (Arc::clone(&own.access), Arc::clone(&own.board));
        let task = runtime.spawn(async move {
            if let Some(before) = before {
                before.leave().await;
            }
            stay(&own, incoming, &left, &say).await;
        });
        Self { requests, standing, leaving, access, board, task: Mutex::new(Some(task)) }
    }

    /// Lets the next connection be made by these.
    pub(super) fn renew(&self, access: Arc<Access>) {
        *self.access.lock().unwrap_or_else(PoisonError::into_inner) = access;
    }

    /// Publishes a signal.
    pub(super) async fn send(&self, letter: &Letter, patience: Duration) -> Answer {
        // What takes time is to be connected: no further wait.
        let at_once = Some(Duration::ZERO);
        let mut standing = self.standing.clone();
        match timeout(patience, standing.wait_for(Result::is_ok)).await {
            Ok(Ok(_)) => {}
            Ok(Err(_)) => return Answer::no("the program ends"),
            Err(_) => {
                let why = self.standing.borrow().clone();
                return why.err().unwrap_or_else(|| Refusal::new("not connected")).answer(at_once);
            }
        }
        let (reply, answer) = oneshot::channel();
        let asked = async {
            self.requests.send(Request { letter: letter.clone(), reply }).await.ok()?;
            answer.await.ok()
        };
        match timeout(patience, asked).await {
            Ok(Some(answer)) => answer,
            Ok(None) | Err(_) => Refusal::new("the connection was lost before an answer came").answer(at_once),
        }
    }

    /// Leaves the broker in good order, if that does not take too long.
    pub(super) async fn leave(&self) {
        self.leaving.send_replace(true);
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).take();
        if let Some(task) = task {
            // Late or broken: the will says it then.
            let _ = timeout(END, task).await;
        }
    }
}

/// What a link goes by.
#[derive(Debug)]
pub(super) struct Own {
    pub(super) channel: String,
    pub(super) id: String,
    pub(super) topics: Topics,
    pub(super) will: Will,
    pub(super) access: Shared,
    pub(super) board: Arc<Board>,
}

impl Own {
    fn status(&self, payload: &str) -> Message {
        Message { topic: self.topics.status(), payload: payload.to_owned(), retain: true }
    }
}

async fn stay(
    own: &Own,
    mut requests: mpsc::Receiver<Request>,
    leaving: &watch::Receiver<bool>,
    say: &watch::Sender<Result<(), Refusal>>,
) {
    let mut waits = waits();
    let mut id = own.id.clone();
    let mut is_first = true;
    loop {
        let access = Arc::clone(&own.access.lock().unwrap_or_else(PoisonError::into_inner));
        let will = own.status(&own.will.gone);
        let open = within(access.timeout, Connection::open(&access, &id, Some(&will)));
        let refusal = tokio::select! {
            opened = open => match opened {
                Ok(mut connection) => {
                    if let Some(assigned) = connection.assigned_id() {
                        id = assigned.to_owned();
                    }
                    if std::mem::take(&mut is_first) || !connection.session_present() {
                        own.board.forgotten();
                    }
                    let since = Instant::now();
                    let refusal = tokio::select! {
                        refusal = serve(own, &access, &mut connection, &mut requests, say) => refusal,
                        () = left(leaving) => {
                            depart(own, connection).await;
                            return;
                        }
                    };
                    if since.elapsed() >= GOOD {
                        waits = self::waits();
                    }
                    tracing::warn!(channel = own.channel, why = refusal.why, "the broker is gone");
                    refusal
                }
                Err(refusal) => {
                    if matches!(&*say.borrow(), Err(before) if *before == refusal) {
                        tracing::debug!(channel = own.channel, why = refusal.why, "not connected");
                    } else {
                        tracing::warn!(channel = own.channel, why = refusal.why, "not connected");
                    }
                    refusal
                }
            },
            () = left(leaving) => return,
        };
        say.send_modify(|standing| *standing = Err(refusal));
        tokio::select! {
            () = tokio::time::sleep(waits.next().unwrap_or(WAITS.1)) => {}
            () = left(leaving) => return,
        }
    }
}

/// Returns once it is time to leave: when that is said, or nobody is left to say it.
async fn left(leaving: &watch::Receiver<bool>) {
    let _ = leaving.clone().wait_for(|&leaving| leaving).await;
}

fn waits() -> backon::ExponentialBackoff {
    ExponentialBuilder::new().with_min_delay(WAITS.0).with_max_delay(WAITS.1).without_max_times().with_jitter().build()
}

/// Does what a connection is for until it is lost; why it was.
async fn serve(
    own: &Own,
    access: &Access,
    connection: &mut Connection,
    requests: &mut mpsc::Receiver<Request>,
    say: &watch::Sender<Result<(), Refusal>>,
) -> Refusal {
    let here = own.status(&own.will.here);
    match within(access.timeout, connection.publish(std::slice::from_ref(&here))).await {
        Ok(answers) => answers.iter().for_each(|answer| complain(own, &here.topic, answer.as_ref())),
        Err(refusal) => return refusal,
    }
    if let Err(refusal) = tell(own, access, connection, None).await {
        return refusal;
    }
    tracing::info!(channel = own.channel, broker = access.host, "connected");
    say.send_modify(|standing| *standing = Ok(()));
    loop {
        let done = tokio::select! {
            request = requests.recv() => match request {
                Some(request) => pass_on(own, access, connection, request).await,
                // Nobody is left to send anything; whoever leaves says so otherwise.
                None => Err(connection.idle().await),
            },
            () = own.board.changed() => tell(own, access, connection, None).await.map(|_| ()),
            refusal = connection.idle() => Err(refusal),
        };
        if let Err(refusal) = done {
            return refusal;
        }
    }
}

/// Publishes a signal, and before it how things are: who hears it can read that.
async fn pass_on(own: &Own, access: &Access, connection: &mut Connection, request: Request) -> Result<(), Refusal> {
    let Request { letter, reply } = request;
    if reply.is_closed() {
        return Ok(());
    }
    let (message, too_large) = match message(own, connection, &letter) {
        Ok(message) => (Some(message), None),
        Err(refusal) => (None, Some(refusal)),
    };
    match tell(own, access, connection, message).await {
        Ok(refused) => {
            let answer = too_large.or(refused).map_or(Answer::Yes, |refusal| refusal.answer(None));
            let _ = reply.send(answer);
            Ok(())
        }
        Err(refusal) => {
            // Nobody waits for it any more: then it is asked for again.
            let _ = reply.send(refusal.clone().answer(Some(Duration::ZERO)));
            Err(refusal)
        }
    }
}

/// A signal as a message that the broker takes: without its arguments if it is too large with them.
pub(super) fn message(own: &Own, connection: &Connection, letter: &Letter) -> Result<Message, Refusal> {
    let message = |letter: &Letter| Message { topic: own.topics.signal(), payload: letter.json(), retain: false };
    let whole = message(letter);
    if connection.is_over(&whole).is_none() {
        return Ok(whole);
    }
    let signal = Signal { arguments: Arguments::default(), ..(*letter.signal).clone() };
    let short = message(&Letter { signal: Arc::new(signal), ..letter.clone() });
    match connection.is_over(&short) {
        None => Ok(short),
        Some((size, most)) => {
            Err(Refusal::new(format!("the broker takes packets of {most} bytes at most, and a signal is {size}")))
        }
    }
}

/// Tells the broker what it is to keep, and `signal` after that, in one go where there is little to keep; why it refused that. What the
/// broker does not keep is said, and keeps nothing else waiting.
async fn tell(
    own: &Own,
    access: &Access,
    connection: &mut Connection,
    signal: Option<Message>,
) -> Result<Option<Refusal>, Refusal> {
    let (untold, too_large): (Vec<Retained>, Vec<Retained>) =
        own.board.untold().into_iter().partition(|retained| connection.is_over(&kept(retained)).is_none());
    for retained in &too_large {
        tracing::warn!(channel = own.channel, topic = retained.topic, "a state is too large for the broker");
        own.board.told(retained);
    }
    let few = if untold.len() < WINDOW { untold.len() } else { 0 };
    let (before, last) = untold.split_at(untold.len() - few);
    // As many as are answered for in the time for one.
    for some in before.chunks(256) {
        let messages: Vec<Message> = some.iter().map(kept).collect();
        let answers = within(access.timeout, connection.publish(&messages)).await?;
        is_told(own, some, &answers);
    }
    let messages: Vec<Message> = last.iter().map(kept).chain(signal).collect();
    let answers = within(access.timeout, connection.publish(&messages)).await?;
    is_told(own, last, &answers);
    let (Some(message), Some(Some(refusal))) = (messages.get(few), answers.get(few)) else { return Ok(None) };
    Ok(Some(Refusal { why: format!("{}: {}", message.topic, refusal.why), ..refusal.clone() }))
}

/// What was refused is asked for again when it changes, or when the broker has forgotten everything.
fn is_told(own: &Own, states: &[Retained], answers: &[Option<Refusal>]) {
    for (retained, answer) in states.iter().zip(answers) {
        complain(own, &retained.topic, answer.as_ref());
        own.board.told(retained);
    }
}

fn kept(retained: &Retained) -> Message {
    Message { topic: retained.topic.clone(), payload: retained.payload.clone(), retain: true }
}

fn complain(own: &Own, topic: &str, answer: Option<&Refusal>) {
    if let Some(refusal) = answer {
        tracing::warn!(channel = own.channel, topic, why = refusal.why, "not kept by the broker");
    }
}

/// Says that the monitor was stopped, and goes.
async fn depart(own: &Own, mut connection: Connection) {
    let stopped = own.status(&own.will.stopped);
    let orderly = async {
        connection.publish(&[stopped]).await?;
        connection.leave().await
    };
    if let Err(refusal) = within(END, orderly).await {
        tracing::debug!(channel = own.channel, why = refusal.why, "left the broker without a word");
    }
}

async fn within<T>(patience: Duration, work: impl Future<Output = Result<T, Refusal>>) -> Result<T, Refusal> {
    timeout(patience, work).await.unwrap_or_else(|_| Err(Refusal::new("the broker does not answer")))
}
