//! `oopsd run`: the daemon. Starts everything, ticks, reloads, stops.
//!
//! One thread judges: this one. Captures count in threads of their own; channels, routers and HTTP live in a runtime.

use crate::capture::attribution::Attribution;
use crate::capture::socket::{self, Socket};
use crate::channel::{self, Channels};
use crate::cli::{self, CONFIGURATION, Run};
use crate::config::{self, Config};
use crate::http::{self, Board};
use crate::interval::Intervals;
use crate::metrics::{self, Snapshot};
use crate::print::Printer;
use crate::router::{self, Routers};
use crate::summary::Summary;
use crossbeam_channel::{Receiver, Sender, select};
use engine::{Engine, Plan, Sample, Time, Wall};
use std::io::{self, ErrorKind, Stdout};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::{Builder, Runtime};
use tokio::signal::unix::{SignalKind, signal};

/// How long channels get to say what they still have to say when the daemon stops.
const FAREWELL: Duration = Duration::from_millis(1_200);

/// Why the daemon could not start, or had to stop.
#[derive(Debug, thiserror::Error)]
pub enum Error {
    /// The configuration.
    #[error(transparent)]
    Config(#[from] config::Errors),
    /// Nothing says where to count.
    #[error("no interface to count on: name one with -i, or in [capture] interfaces")]
    NoInterface,
    /// A capture that this build does not have.
    #[error("--capture {0} is not in this version: use auto or socket")]
    NoCapture(&'static str),
    /// The capture.
    #[error(transparent)]
    Capture(#[from] socket::Error),
    /// A channel.
    #[error(transparent)]
    Channel(#[from] channel::Error),
    /// A router.
    #[error(transparent)]
    Router(#[from] router::Error),
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

/// What the operating system's signals ask for.
enum Order {
    Reload,
    Stop,
}

/// Runs until SIGTERM or SIGINT.
///
/// # Errors
/// When anything that the configuration asks for cannot be started, or standard output fails.
pub fn run(arguments: &Run) -> Result<(), Error> {
    channel::install_tls();
    match arguments.capture {
        cli::Capture::Auto | cli::Capture::Socket => {}
        cli::Capture::Xdp => return Err(Error::NoCapture("xdp")),
        cli::Capture::Tc => return Err(Error::NoCapture("tc")),
    }
    let source = Source::of(arguments);
    let config = source.load()?;
    let runtime = Builder::new_multi_thread().worker_threads(2).enable_all().build().map_err(Error::Runtime)?;
    let orders = orders(&runtime).map_err(Error::Runtime)?;
    let mut daemon = Daemon::start(arguments, source, config, &runtime)?;
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

/// Where the configuration comes from, now and at every reload.
struct Source {
    file: Option<PathBuf>,
    interfaces: Vec<String>,
}

impl Source {
    fn of(arguments: &Run) -> Self {
        let observes = arguments.config.is_none() && !arguments.interfaces.is_empty();
        let default = || (!observes).then(|| Path::new(CONFIGURATION).to_owned());
        Self { file: arguments.config.clone().or_else(default), interfaces: arguments.interfaces.clone() }
    }

    const fn observes(&self) -> bool {
        self.file.is_none()
    }

    fn load(&self) -> Result<Config, Error> {
        let Some(file) = &self.file else { return Ok(Config::observe(self.interfaces.clone())) };
        let mut config = Config::load(file)?;
        for warning in &config.warnings {
            tracing::warn!("{warning}");
        }
        if !self.interfaces.is_empty() {
            config.capture.interfaces.clone_from(&self.interfaces);
        }
        if config.capture.interfaces.is_empty() { Err(Error::NoInterface) } else { Ok(config) }
    }

    fn attribution(&self, config: &Config) -> Arc<Attribution> {
        Arc::new(if self.observes() {
            Attribution::learning()
        } else {
            Attribution::new(&config.plan.names, &config.prefixes)
        })
    }
}

/// Everything that runs.
struct Daemon {
    source: Source,
    config: Config,
    started: Instant,
    attribution: Arc<Attribution>,
    socket: Socket,
    engine: Engine,
    channels: Channels,
    routers: Routers,
    board: Option<Arc<Board>>,
    reloaded: (bool, Wall),
    intervals: Intervals,
    rows: Option<Printer<Stdout>>,
    first: Wall,
}

impl Daemon {
    fn start(arguments: &Run, source: Source, mut config: Config, runtime: &Runtime) -> Result<Self, Error> {
        let rows = arguments.json || arguments.interval.is_some() || source.observes();
        let every = arguments.interval.unwrap_or(Duration::from_secs(1));
        if arguments.interval.is_some() {
            config.plan.tick = config.plan.tick.min(every);
        }
        let sender = channel::Sender { node: config.node.clone(), boot: boot() };
        let channels = Channels::start(&config.channels, sender, runtime.handle().clone())?;
        let attribution = source.attribution(&config);
        let socket = capture(&config, &attribution)?;
        let board = match config.metrics {
            Some(address) => Some(serve(address, config.plan.tick, runtime)?),
            None => None,
        };
        let routers =
            Routers::start(&config.routers, &config.plan.routes, arguments.dry_run, runtime.handle().clone())?;
        tracing::info!(
            node = config.node,
            interfaces = ?config.capture.interfaces,
            conditions = config.plan.conditions.len(),
            routes = config.plan.routes.len(),
            "counting"
        );
        Ok(Self {
            engine: Engine::new(config.plan.clone()),
            source,
            config,
            started: Instant::now(),
            attribution,
            socket,
            channels,
            routers,
            board,
            reloaded: (true, wall()),
            intervals: Intervals::new(every),
            rows: rows.then(|| Printer::new(io::stdout(), arguments.json)),
            first: wall(),
        })
    }

    /// Ticks and obeys until told to stop, or until standard output fails.
    fn judge(&mut self, orders: &Receiver<Order>) -> io::Result<()> {
        let mut ticks = crossbeam_channel::tick(self.config.plan.tick);
        loop {
            select! {
                recv(ticks) -> _ => self.tick()?,
                recv(orders) -> order => match order {
                    Ok(Order::Reload) => {
                        self.reload()?;
                        ticks = crossbeam_channel::tick(self.config.plan.tick);
                    }
                    Ok(Order::Stop) | Err(_) => return Ok(()),
                },
            }
        }
    }

    fn tick(&mut self) -> io::Result<()> {
        let taken = Instant::now();
        let sample = self.socket.sample(self.time(taken), wall());
        self.learn();
        self.take(&sample, taken)?;
        if let Some(board) = &self.board {
            let view = self.engine.view();
            let counting = !view.blind() && view.node_rates().queries.is_some();
            board.offer(counting, || Snapshot::take(view, self.beside()));
        }
        Ok(())
    }

    /// What the metrics say beside the engine's view.
    fn beside(&self) -> metrics::Daemon {
        metrics::Daemon {
            captures: self.socket.status(),
            channels: self.channels.status(),
            routers: self.routers.status(),
            reload_success: self.reloaded.0,
            reloaded: self.reloaded.1,
        }
    }

    fn take(&mut self, sample: &Sample, taken: Instant) -> io::Result<()> {
        tracing::trace!(moved = sample.moved.len(), frames = sample.sight.frames, "sample");
        let step = self.engine.step(sample);
        for signal in &step.signals {
            tracing::info!(
                condition = signal.condition,
                state = signal.state.as_str(),
                value = signal.value,
                threshold = signal.threshold,
                seq = signal.seq,
                "signal"
            );
            self.channels.send(signal, taken);
        }
        self.routers.want(&step.intents);
        let view = self.engine.view();
        if let (Some(row), Some(printer)) = (self.intervals.look(view), &mut self.rows) {
            printer.row(&row, &view.plan().names)?;
        }
        Ok(())
    }

    /// While observing, names come with the packets.
    fn learn(&mut self) {
        if self.attribution.learned_count() >= self.engine.view().plan().names.slots() {
            let plan = self.engine.view().plan().clone();
            self.engine.replan(Plan { names: Arc::new(self.attribution.learned()), ..plan });
        }
    }

    /// Takes up the configuration anew; keeps the old one if there is anything wrong with it.
    fn reload(&mut self) -> io::Result<()> {
        match self.replace() {
            Ok((last, taken)) => {
                self.reloaded = (true, wall());
                self.take(&last, taken)?;
                self.engine.replan(self.config.plan.clone());
                tracing::info!(conditions = self.config.plan.conditions.len(), "configuration reloaded");
            }
            Err(error) => {
                self.reloaded.0 = false;
                tracing::error!("not reloaded, the old configuration stays in force: {error}");
            }
        }
        Ok(())
    }
}

impl Daemon {
    /// Swaps everything that the new configuration changes. The last sample of the old attribution is still to be taken.
    fn replace(&mut self) -> Result<(Sample, Instant), Error> {
        let config = self.source.load()?;
        if config.metrics != self.config.metrics {
            tracing::warn!("[metrics] listen changes with the next start");
        }
        let attribution = self.source.attribution(&config);
        let fresh = if config.capture == self.config.capture { None } else { Some(capture(&config, &attribution)?) };
        self.channels.reload(&config.channels)?;
        self.routers.replace(&config.routers, &config.plan.routes)?;
        let taken = Instant::now();
        let (at, wall) = (self.time(taken), wall());
        let last = match fresh {
            Some(fresh) => {
                let mut old = std::mem::replace(&mut self.socket, fresh);
                old.stop();
                old.sample(at, wall)
            }
            None => self.socket.replace(&attribution, at, wall),
        };
        self.attribution = attribution;
        self.config = config;
        Ok((last, taken))
    }

    /// Stops counting, says what it all came to, and lets the channels finish. Routes stay as they are.
    fn stop(mut self) -> Result<(), Error> {
        let taken = Instant::now();
        self.socket.stop();
        let last = self.socket.sample(self.time(taken), wall());
        let _ = self.engine.step(&last);
        let waiting = self.channels.close(taken + FAREWELL);
        if waiting > 0 {
            tracing::warn!(waiting, "signals were not delivered");
        }
        tracing::info!("stopped; routes stay as they are");
        let Some(printer) = &mut self.rows else { return Ok(()) };
        let view = self.engine.view();
        let summary = Summary::new(view, &self.intervals, Some((self.first, wall())), view.sight().frames);
        printer.summary(&summary).or_else(quiet).map_err(Error::Output)
    }

    fn time(&self, now: Instant) -> Time {
        Time(u64::try_from(now.duration_since(self.started).as_nanos()).unwrap_or(u64::MAX))
    }
}

fn quiet(error: io::Error) -> io::Result<()> {
    if error.kind() == ErrorKind::BrokenPipe { Ok(()) } else { Err(error) }
}

/// The wall clock, which is only ever printed.
fn wall() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

fn capture(config: &Config, attribution: &Arc<Attribution>) -> Result<Socket, socket::Error> {
    let config::Capture { interfaces, ports, buffer, threads } = &config.capture;
    Socket::start(interfaces, *ports, *buffer, *threads, attribution)
}

fn serve(address: SocketAddr, tick: Duration, runtime: &Runtime) -> Result<Arc<Board>, http::Error> {
    let listener = runtime.block_on(http::bind(address))?;
    let board = Arc::new(Board::new(tick));
    runtime.spawn(http::serve(listener, Arc::clone(&board)));
    Ok(board)
}

/// Tells this run's signals from those of other runs.
fn boot() -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the kernel has random numbers");
    format!("{:016x}", u64::from_be_bytes(bytes))
}

fn orders(runtime: &Runtime) -> io::Result<Receiver<Order>> {
    let (sender, receiver) = crossbeam_channel::bounded(8);
    let _inside = runtime.enter();
    let forward = |kind: SignalKind, order: fn() -> Order| -> io::Result<()> {
        let mut arrivals = signal(kind)?;
        let sender: Sender<Order> = sender.clone();
        runtime.spawn(async move {
            while arrivals.recv().await.is_some() {
                // A full queue already holds enough reloads, and a stop will be asked for again.
                let _ = sender.try_send(order());
            }
        });
        Ok(())
    };
    forward(SignalKind::hangup(), || Order::Reload)?;
    forward(SignalKind::terminate(), || Order::Stop)?;
    forward(SignalKind::interrupt(), || Order::Stop)?;
    Ok(receiver)
}
