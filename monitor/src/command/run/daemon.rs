//! Everything that runs, and the thread that judges: ticks, reloads, the stop.

mod asked;
mod routing;

use super::source::Source;
use super::{Error, Order};
use crate::capture::attribution::Attribution;
use crate::capture::drops::Drops;
use crate::capture::kernel::Kernel;
use crate::capture::running::Running;
use crate::channel::{self, Channels};
use crate::cli::Run;
use crate::config::Config;
use crate::control::Control;
use crate::http::{self, Board};
use crate::interval::Intervals;
use crate::metrics::{self, Snapshot};
use crate::print::Printer;
use crate::router::{self, Routers, Status};
use crate::state::{self, State};
use crate::summary::Summary;
use caps::Capability;
use crossbeam_channel::{Receiver, Sender, select};
use engine::{Engine, Plan, Route, Sample, Time, Wall};
use std::io::{self, ErrorKind, Stdout};
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::{Duration, Instant, SystemTime};
use tokio::runtime::{Handle, Runtime};

/// How long channels get to say what they still have to say when the daemon stops.
const FAREWELL: Duration = Duration::from_millis(1_200);

/// Everything that runs.
pub(super) struct Daemon {
    source: Source,
    config: Config,
    started: Instant,
    attribution: Arc<Attribution>,
    capture: Running,
    drops: Drops,
    engine: Engine,
    channels: Channels,
    routers: Routers,
    /// Where routes are remembered; `None` without routers, and in a dry run.
    state: Option<State>,
    dry_run: bool,
    /// Who asks for something, while there is a state directory to ask in.
    control: Option<Control>,
    /// The same for what waits for channels, where that is kept.
    outbox: Option<Control>,
    orders: Sender<Order>,
    runtime: Handle,
    /// The routers, as configured before, and the routes that are not configured any more and come down.
    leaving: (Vec<router::Config>, Vec<Route>),
    /// What was said of routes that are held back.
    held_back: Vec<Option<&'static str>>,
    board: Option<Arc<Board>>,
    reloaded: (bool, Wall),
    intervals: Intervals,
    rows: Option<Printer<Stdout>>,
    first: Wall,
    /// The ladders know where the routers stood when this run began.
    found: bool,
}

impl Daemon {
    pub(super) fn start(
        arguments: &Run,
        source: Source,
        mut config: Config,
        runtime: &Runtime,
        orders: Sender<Order>,
    ) -> Result<Self, Error> {
        let rows = arguments.json || arguments.interval.is_some() || source.observes();
        let every = arguments.interval.unwrap_or(Duration::from_secs(1));
        if arguments.interval.is_some() {
            config.plan.tick = config.plan.tick.min(every);
        }
        // Before anything else: who comes second must not touch what the first one uses.
        let started = Instant::now();
        let mut engine = Engine::new(config.plan.clone());
        let (state, leaving) = Self::remember(&config, arguments.dry_run, &mut engine, Time::default())?;
        let sender = channel::Sender { node: config.node.clone(), boot: boot() };
        let directory = state::directory(config.state_directory.as_deref());
        let channels = Channels::start(&config.channels, sender, runtime.handle().clone(), Some(&directory))?;
        let attribution = source.attribution(&config, Kernel::pinned_key(&config.capture));
        let capture = Running::start(&config.capture, arguments.capture, &attribution)?;
        let board = match config.metrics {
            Some(address) => Some(serve(address, config.plan.tick, runtime)?),
            None => None,
        };
        let routes = [config.plan.routes.as_slice(), leaving.as_slice()].concat();
        let routers = Routers::start(&config.routers, &routes, arguments.dry_run, runtime.handle().clone())?;
        tracing::info!(
            node = config.node,
            interfaces = ?config.capture.interfaces,
            conditions = config.plan.conditions.len(),
            routes = config.plan.routes.len(),
            "counting"
        );
        let mut daemon = Self {
            engine,
            control: None,
            outbox: None,
            orders,
            runtime: runtime.handle().clone(),
            leaving: (Vec::new(), leaving),
            held_back: Vec::new(),
            state,
            dry_run: arguments.dry_run,
            source,
            config,
            started,
            attribution,
            capture,
            drops: Drops::default(),
            channels,
            routers,
            board,
            reloaded: (true, wall()),
            intervals: Intervals::new(every),
            rows: rows.then(|| Printer::new(io::stdout(), arguments.json)),
            first: wall(),
            found: false,
        };
        daemon.listen();
        daemon.watch_drops();
        Ok(daemon)
    }

    /// The capabilities that the thread that judges may come to need.
    pub(super) fn needs(&self) -> &'static [Capability] {
        self.capture.needs()
    }

    /// Ticks and obeys until told to stop, or until standard output fails.
    pub(super) fn judge(&mut self, orders: &Receiver<Order>) -> io::Result<()> {
        let mut ticks = crossbeam_channel::tick(self.config.plan.tick);
        loop {
            select! {
                recv(ticks) -> _ => self.tick()?,
                recv(orders) -> order => match order {
                    Ok(Order::Reload) => {
                        self.reload()?;
                        ticks = crossbeam_channel::tick(self.config.plan.tick);
                    }
                    Ok(Order::Asked(asked)) => self.answer(asked),
                    Ok(Order::Stop) | Err(_) => return Ok(()),
                },
            }
        }
    }

    fn tick(&mut self) -> io::Result<()> {
        let taken = Instant::now();
        let mut sample = self.capture.sample(self.time(taken), wall());
        sample.sight.missed = self.drops.total();
        self.learn();
        self.find();
        self.put_back();
        self.engine.troubled([self.routers.troubles(), self.channels.troubles()].concat());
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
            captures: self.capture.status(),
            channels: self.channels.status(),
            outbox: self.channels.standing(),
            routers: self.routers.status(),
            state_failures: self.state.as_ref().map(State::failures),
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
        self.announce(&step.intents);
        // Looking costs what is configured, not what moved: only for those who see it.
        let Some(printer) = &mut self.rows else { return Ok(()) };
        let view = self.engine.view();
        self.intervals.look(view).map_or(Ok(()), |row| printer.row(&row, view))
    }

    /// What a router announced before this run is where a ladder begins.
    fn find(&mut self) {
        if self.found {
            return;
        }
        let routes = self.routers.status();
        // In a table that has just been taken instead of another, what is to stand there is yet to come.
        let found = |route: &Status| route.seen.filter(|seen| route.wanted.is_none_or(|wanted| wanted == *seen));
        for route in &routes {
            if let Some(seen) = found(route) {
                self.engine.found(&route.router, &route.prefix, seen);
            }
        }
        self.found = routes.iter().all(|route| found(route).is_some());
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
                self.intervals.rename(&self.engine.view().plan().names, &self.config.plan.names);
                self.engine.replan(self.config.plan.clone());
                self.found = false;
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
        if config.state_directory != self.config.state_directory {
            tracing::warn!("`state-directory` changes with the next start");
        }
        let attribution = self.source.attribution(&config, None);
        self.capture.prepare(&config.capture, &attribution)?;
        if let Err(error) = self.replace_outlets(&config) {
            self.capture.abandon();
            return Err(error);
        }
        let taken = Instant::now();
        let mut last = self.capture.replace(&config.capture, &attribution, self.time(taken), wall());
        last.sight.missed = self.drops.total();
        self.attribution = attribution;
        self.config = config;
        self.watch_drops();
        Ok((last, taken))
    }

    /// Stops counting, says what it all came to, and lets the channels finish. Routes stay as they are.
    pub(super) fn stop(mut self) -> Result<(), Error> {
        let taken = Instant::now();
        self.capture.stop();
        let mut last = self.capture.sample(self.time(taken), wall());
        last.sight.missed = self.drops.total();
        let _ = self.engine.step(&last);
        if let Some(state) = self.state.take() {
            state.close(self.engine.records());
        }
        // Before the folder is another's.
        self.outbox = None;
        let waiting = self.channels.close(taken + FAREWELL);
        if waiting > 0 {
            tracing::warn!(waiting, "signals were not delivered");
        }
        tracing::info!("stopped; routes stay as they are, unless they are leased");
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

fn serve(address: SocketAddr, tick: Duration, runtime: &Runtime) -> Result<Arc<Board>, http::Error> {
    let listener = runtime.block_on(http::bind(address))?;
    let board = Arc::new(Board::new(tick));
    runtime.spawn(http::serve(listener, Arc::clone(&board)));
    Ok(board)
}

/// The wall clock, which is only ever printed.
fn wall() -> Wall {
    let since = SystemTime::now().duration_since(SystemTime::UNIX_EPOCH).unwrap_or_default();
    Wall(i64::try_from(since.as_nanos()).unwrap_or(i64::MAX))
}

/// Tells this run's signals from those of other runs.
fn boot() -> String {
    let mut bytes = [0; 8];
    getrandom::fill(&mut bytes).expect("the kernel has random numbers");
    format!("{:016x}", u64::from_be_bytes(bytes))
}
