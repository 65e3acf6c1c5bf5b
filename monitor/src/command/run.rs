//! `oopsd run`: the daemon. What starts it, and what the operating system's signals ask of it.
//!
//! One thread judges (`daemon`). Captures count in threads of their own; channels, routers and HTTP live in a runtime.

mod daemon;
mod source;

use crate::capture::running;
use crate::cli::Run;
use crate::control::Asked;
use crate::{channel, config, http, privileges, router, state};
use caps::Capability;
use crossbeam_channel::{Receiver, Sender};
use daemon::Daemon;
use source::Source;
use std::io::{self, ErrorKind};
use std::time::Duration;
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// Why the daemon could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] config::Errors),
    /// Nothing says where to count.
    #[error("no interface to count on: name one with -i, or in [capture] interfaces")]
    NoInterface,
    /// The capture.
    #[error(transparent)]
    Capture(#[from] running::Error),
    /// A channel.
    #[error(transparent)]
    Channel(#[from] channel::Error),
    /// A router.
    #[error(transparent)]
    Router(#[from] router::Error),
    /// The state directory.
    #[error(transparent)]
    State(#[from] state::Error),
    /// The metrics' address.
    #[error(transparent)]
    Http(#[from] http::Error),
    /// Threads or signals of the operating system.
    #[error("cannot set up the runtime")]
    Runtime(#[source] io::Error),
    /// Standard output.
    #[error("cannot write to standard output")]
    Output(#[source] io::Error),
}

/// What the operating system's signals, and who uses the control socket, ask for.
enum Order {
    Reload,
    Stop,
    Asked(Asked),
}

impl From<Asked> for Order {
    fn from(asked: Asked) -> Self {
        Self::Asked(asked)
    }
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When anything that the configuration asks for cannot be started, or standard output fails.
pub fn run(arguments: &Run) -> Result<(), Error> {
    channel::install_tls();
    let source = Source::of(arguments);
    let config = source.load()?;
    // What these threads talk to is on the network: of what counting needs they have nothing.
    let tables = config.routers.iter().any(|router| matches!(router, router::Config::KernelTable(_)));
    let kept: &[Capability] = if tables { &[Capability::CAP_NET_ADMIN] } else { &[] };
    let runtime = Builder::new_multi_thread()
        .worker_threads(2)
        .on_thread_start(|| privileges::keep(kept))
        .enable_all()
        .build()
        .map_err(Error::Runtime)?;
    let (sender, orders) = orders(&runtime).map_err(Error::Runtime)?;
    let mut daemon = Daemon::start(arguments, source, config, &runtime, sender)?;
    privileges::keep(daemon.needs());
    let outcome = daemon.judge(&orders);
    let farewell = daemon.stop();
    // A name that is still being looked up would hold the runtime up.
    runtime.shutdown_timeout(Duration::from_millis(100));
    farewell?;
    match outcome {
        // Whoever read the output has seen enough.
        Err(error) if error.kind() == ErrorKind::BrokenPipe => Ok(()),
        outcome => outcome.map_err(Error::Output),
    }
}

fn orders(runtime: &Runtime) -> io::Result<(Sender<Order>, Receiver<Order>)> {
    let (sender, receiver) = crossbeam_channel::unbounded();
    let _inside = runtime.enter();
    let forward = |kind: SignalKind, order: fn() -> Order| -> io::Result<()> {
        let mut arrivals = signal(kind)?;
        let sender: Sender<Order> = sender.clone();
        runtime.spawn(async move {
            while arrivals.recv().await.is_some() {
                let order = order();
                // A reload that waits reads the file as it will be then. A stop is asked for once.
                if matches!(order, Order::Stop) || sender.is_empty() {
                    // Nobody receives any more: it stops already.
                    let _ = sender.send(order);
                }
            }
        });
        Ok(())
    };
    forward(SignalKind::hangup(), || Order::Reload)?;
    forward(SignalKind::terminate(), || Order::Stop)?;
    forward(SignalKind::interrupt(), || Order::Stop)?;
    Ok((sender, receiver))
}
