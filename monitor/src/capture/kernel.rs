//! The kernel counts: programs at XDP or TC, which leave every frame alone, and counters that both sides have in memory.
//!
//! What is in the kernel is in `loaded`, how it gets to an interface in `hooks` and `clsact`, what becomes of the interface
//! in `port`, the memory in `mapped`, what a half of it holds in `half`. The programs are the package `oopsd-ebpf`.

mod clsact;
mod error;
mod half;
mod hooks;
mod known;
mod list;
mod loaded;
mod mapped;
mod pins;
mod port;
mod read;
mod room;
mod sort;
mod sys;
mod told;
pub mod trial;

pub use error::Error;

use super::Status;
use super::attribution::{Attribution, Slots};
use super::collector;
use crate::cli;
use crate::{config, privileges};
use engine::{Sample, Sight, Time, Wall};
use half::Maps;
use hooks::Rung;
use loaded::Loaded;
use pins::Pins;
use port::Port;
use read::Read;
use room::Room;
use std::time::{Duration, Instant};

#[cfg(kernel_object)]
static OBJECT: Option<&[u8]> = Some(aya::include_bytes_aligned!(concat!(env!("OUT_DIR"), "/kernel.o")));
#[cfg(not(kernel_object))]
static OBJECT: Option<&[u8]> = None;

/// Whether this binary has programs for the kernel.
#[must_use]
pub const fn is_built() -> bool {
    OBJECT.is_some()
}

/// How many bytes the counters for so many zones and prefixes take in this machine's kernel; and for how many CPUs.
///
/// # Errors
/// The latter is not known.
pub fn memory(zones: u32, prefixes: usize) -> Result<(u64, usize), Error> {
    let slots = Slots { zones, prefixes: u32::try_from(prefixes).unwrap_or(u32::MAX) };
    let room = Room::of(slots, wire::zones::buckets_for(zones as usize))?;
    Ok((room.bytes(), room.cpus))
}

/// How often it is looked what has become of the interfaces, beyond what each sample asks.
const LOOK: Duration = Duration::from_millis(500);

/// A running capture on one or several interfaces.
#[derive(Debug)]
pub struct Kernel {
    rungs: &'static [Rung],
    ports: Vec<Port>,
    /// Those of a configuration that was prepared and is not in force yet.
    prepared: Vec<Port>,
    maps: Maps,
    loaded: Loaded,
    pins: Option<Pins>,
    read: Read,
    generation: u64,
    /// Frames of the halves before this one.
    frames: u64,
    looked: Instant,
    /// Nothing is attached any more, whatever becomes of the interfaces.
    stopped: bool,
}

impl Kernel {
    /// Loads the programs and attaches them to the interfaces, on the rung that is asked for or the best that is free; or
    /// takes over those that an earlier run has pinned.
    ///
    /// # Errors
    /// What stands in the way; nothing is left behind then.
    pub fn start(config: &config::Capture, wanted: cli::Capture, attribution: &Attribution) -> Result<Self, Error> {
        let object = OBJECT.ok_or(Error::NoObject)?;
        let (_, buckets) = attribution.table().ok_or(Error::Learning)?;
        for interface in &config.interfaces {
            port::known(interface)?;
        }
        let rungs: &[Rung] = match wanted {
            cli::Capture::Xdp => &[Rung::Xdp],
            cli::Capture::Tc => &[Rung::Tcx, Rung::Clsact],
            cli::Capture::Clsact => &[Rung::Clsact],
            cli::Capture::Auto | cli::Capture::Socket => &[Rung::Xdp, Rung::Tcx, Rung::Clsact],
        };
        let room = Room::of(attribution.slots(), buckets.len())?;
        if room.bytes() > config.kernel_memory {
            let [needed, limit] =
                [room.bytes(), config.kernel_memory].map(|bytes| format!("{} MiB", bytes.div_ceil(1 << 20)));
            return Err(Error::Memory { needed, limit });
        }
        let missing = privileges::missing_for_the_kernel();
        if !missing.is_empty() {
            return Err(Error::Capability(missing.join(", ")));
        }
        let pins = Pins::open(&config.pin_path, config.pin)?;
        let taken = pins.as_ref().and_then(|pins| take(pins, object, attribution, config));
        let goes_on = taken.is_some();
        let (loaded, mut maps) = match taken {
            Some(taken) => taken,
            None => {
                let loaded = Loaded::new(object, &room)?;
                let mut maps = Maps::new(&loaded)?;
                maps.fill(attribution, config.ports)?;
                maps.flip();
                (loaded, maps)
            }
        };
        let mut kernel = Self {
            rungs,
            ports: Vec::new(),
            prepared: Vec::new(),
            read: if goes_on { Read::taken(&mut maps) } else { Read::new(&mut maps) },
            maps,
            loaded,
            pins: None,
            generation: collector::generation(),
            frames: 0,
            looked: Instant::now(),
            stopped: false,
        };
        kernel.attach(&config.interfaces, pins.as_ref())?;
        if config.pin {
            kernel.pins = pins;
            kernel.pin(object).map_err(|error| Error::Pin { path: config.pin_path.clone(), why: error.to_string() })?;
        } else if let Some(pins) = pins {
            pins.clear();
        }
        kernel.look();
        Ok(kernel)
    }

    /// The secret that keyed the counters that an earlier run has pinned: with it, their zones are recognised.
    #[must_use]
    pub fn pinned_key(config: &config::Capture) -> Option<wire::Key> {
        Maps::key(&config.pin_path)
    }

    fn attach(&mut self, interfaces: &[String], pins: Option<&Pins>) -> Result<(), Error> {
        let taken = |interface: &String| Port::take(interface, self.rungs, pins?, &self.loaded);
        let taken: Vec<Option<Port>> = interfaces.iter().map(taken).collect();
        if let Some(pins) = pins {
            // Nothing counts twice: what is not wanted goes before what is wanted comes.
            let hooks = taken.iter().flatten().filter_map(|port| port.hooks.as_ref());
            let _ = pins.keep_links(hooks);
        }
        for (interface, taken) in interfaces.iter().zip(taken) {
            self.ports.push(match taken {
                Some(port) => port,
                None => Port::new(interface, self.rungs, &self.loaded)?,
            });
        }
        Ok(())
    }

    fn pin(&self, object: &[u8]) -> std::io::Result<()> {
        let Some(pins) = &self.pins else { return Ok(()) };
        pins.keep(&self.loaded, object)?;
        pins.keep_links(self.ports.iter().filter_map(|port| port.hooks.as_ref()))
    }

    /// The totals of all interfaces now.
    #[must_use]
    pub fn sample(&mut self, at: Time, wall: Wall) -> Sample {
        if !self.stopped && self.looked.elapsed() >= LOOK {
            self.look();
        }
        let mut sample = self.read.sample(&self.maps, self.generation, at, wall);
        // Who was blind before the totals were read is so still.
        sample.sight = self.sight();
        sample
    }

    /// Whether some programs are held by filters, not links.
    pub(super) fn has_filters(&self) -> bool {
        let holds = self.ports.iter().filter_map(|port| port.hooks.as_ref()).flat_map(|hooks| &hooks.holds);
        holds.into_iter().any(|hold| matches!(hold, hooks::Hold::Filter(_)))
    }

    /// What each interface says of itself, in the order they were given.
    #[must_use]
    pub fn status(&self) -> Vec<Status> {
        let frames = self.frames();
        let status = |(index, port): (usize, &Port)| Status {
            interface: port.interface.clone(),
            kind: port.kind(),
            // All count into the same totals.
            frames: if index == 0 { frames } else { 0 },
            dropped: 0,
            blind: port.blind(),
        };
        self.ports.iter().enumerate().map(status).collect()
    }

    /// Makes ready for [`Kernel::replace`]: fills the half that is not in force, attaches to interfaces that are new or
    /// from which somebody has taken the programs.
    ///
    /// # Errors
    /// [`Error::Room`], or what a new interface says; all stays as it was.
    pub fn prepare(&mut self, config: &config::Capture, attribution: &Attribution) -> Result<(), Error> {
        self.abandon();
        self.maps.fill(attribution, config.ports)?;
        for interface in &config.interfaces {
            let known = self.ports.iter_mut().find(|port| port.interface == *interface);
            if !known.as_ref().is_some_and(|port| port.is_kept()) {
                if let Some(known) = known {
                    // It is blind with what it has left.
                    known.detach();
                }
                self.prepared.push(Port::new(interface, self.rungs, &self.loaded)?);
            }
        }
        Ok(())
    }

    /// Forgets what was prepared.
    pub fn abandon(&mut self) {
        self.prepared.clear();
    }

    /// Turns to what was prepared: gives the last sample of the old generation and begins a new one.
    #[must_use]
    pub fn replace(&mut self, config: &config::Capture, at: Time, wall: Wall) -> Sample {
        self.ports.retain(|port| self.prepared.iter().all(|fresh| fresh.interface != port.interface));
        self.ports.append(&mut self.prepared);
        let place = |port: &Port| config.interfaces.iter().position(|interface| *interface == port.interface);
        self.ports.retain(|port| place(port).is_some());
        self.ports.sort_by_key(place);
        self.pin_anew(config);
        self.maps.flip();
        let mut last = self.read.sample(&self.maps, self.generation, at, wall);
        self.frames = self.frames.wrapping_add(self.read.frames(&self.maps));
        self.read = Read::new(&mut self.maps);
        self.generation = collector::generation();
        last.sight = self.sight();
        last
    }

    /// Takes the programs off the interfaces, unless they are pinned; what they counted can still be sampled.
    pub fn stop(&mut self) {
        self.stopped = true;
        for port in &mut self.ports {
            if self.pins.is_some() {
                port.leave();
            } else {
                port.detach();
            }
        }
        mapped::until_all_programs_have_ended();
    }

    fn look(&mut self) {
        self.looked = Instant::now();
        let mut moved = false;
        for port in &mut self.ports {
            moved |= port.look(&self.loaded);
        }
        if moved {
            self.pin_links();
        }
    }

    /// Pins or does not, as `config` says.
    fn pin_anew(&mut self, config: &config::Capture) {
        match (config.pin, self.pins.take()) {
            (false, Some(pins)) => pins.clear(),
            (true, None) => {
                let pinned = Pins::open(&config.pin_path, true).map(|pins| self.pins = pins);
                let failed =
                    |error: std::io::Error| Error::Pin { path: config.pin_path.clone(), why: error.to_string() };
                if let Err(error) = pinned.and_then(|()| self.pin(OBJECT.unwrap_or_default()).map_err(failed)) {
                    tracing::warn!("{error}");
                }
            }
            (_, pins) => {
                self.pins = pins;
                self.pin_links();
            }
        }
    }

    fn pin_links(&self) {
        let Some(pins) = &self.pins else { return };
        if let Err(error) = pins.keep_links(self.ports.iter().filter_map(|port| port.hooks.as_ref())) {
            tracing::warn!(%error, "links are not pinned");
        }
    }

    fn frames(&self) -> u64 {
        self.frames.wrapping_add(self.read.frames(&self.maps))
    }

    fn sight(&self) -> Sight {
        let blind = |port: &Port| port.blind().map(|why| format!("{}: {why}", port.interface));
        Sight { blind: self.ports.iter().filter_map(blind).collect(), frames: self.frames(), dropped: 0, missed: 0 }
    }
}

/// What an earlier run has pinned, made to count by `attribution`; `None` if that cannot be.
fn take(pins: &Pins, object: &[u8], attribution: &Attribution, config: &config::Capture) -> Option<(Loaded, Maps)> {
    let (same_layout, same_object) = pins.fits(object)?;
    if !same_layout {
        tracing::warn!(
            "the counters that were pinned are another version's, which this one cannot read: all begin anew"
        );
        return None;
    }
    let took = || -> Result<(Loaded, Maps), Error> {
        let failed = |error: std::io::Error| Error::Pin { path: config.pin_path.clone(), why: error.to_string() };
        let loaded = if same_object { pins.loaded().map_err(failed)? } else { pins.upgraded(object)? };
        let mut maps = Maps::new(&loaded)?;
        if maps.take(attribution, config.ports) {
            tracing::info!("the counters that were pinned go on");
        } else {
            maps.fill(attribution, config.ports)?;
            let before = maps.active();
            maps.flip();
            let frames = maps.frames(before);
            tracing::info!(frames, "other zones than those of the counters that were pinned: these begin anew");
        }
        Ok((loaded, maps))
    };
    match took() {
        Ok(taken) => Some(taken),
        Err(error) => {
            tracing::warn!(reason = error.whole(), "counters that were pinned are not taken over");
            None
        }
    }
}
