//! One interface over its life: down, up, renamed, deleted, made anew; and what others do to it meanwhile.

use super::super::bypass::{self, BYPASSED};
use super::super::interface::{DOWN, GONE, Interface, look, name_of};
use super::Error;
use super::hooks::{Hooks, Refused, Rung};
use super::loaded::Loaded;
use super::pins::Pins;

const DETACHED: &str = "somebody has taken the programs off the interface; a reload puts them back";

/// An interface to count on.
#[derive(Debug)]
pub(super) struct Port {
    /// As it is configured.
    pub(super) interface: String,
    rungs: &'static [Rung],
    pub(super) hooks: Option<Hooks>,
    /// What it is called now.
    called: String,
    /// Why nothing is seen, as far as only [`Port::look`] finds out.
    blind: Option<String>,
    /// The reason that was logged last.
    said: Option<String>,
}

impl Port {
    /// Attaches to the interface of this name, by the first of `rungs` that is free and fit.
    pub(super) fn new(interface: &str, rungs: &'static [Rung], loaded: &Loaded) -> Result<Self, Error> {
        let found = known(interface)?;
        let mut port = Self::with(interface, rungs, None);
        match port.attach(found, loaded) {
            Ok(()) => Ok(port),
            Err(Refused(hook, source)) => Err(Error::Attach { interface: interface.to_owned(), hook, source }),
        }
    }

    /// With the programs that were pinned on it, if one of `rungs` was.
    pub(super) fn take(interface: &str, rungs: &'static [Rung], pins: &Pins, loaded: &Loaded) -> Option<Self> {
        let index = look(interface)?.index;
        let hooks = rungs.iter().find_map(|rung| Hooks::take(pins, loaded, index, *rung))?;
        tracing::info!(interface, kind = hooks.rung.as_str(), "counting in the kernel, as before");
        Some(Self::with(interface, rungs, Some(hooks)))
    }

    fn with(interface: &str, rungs: &'static [Rung], hooks: Option<Hooks>) -> Self {
        let called = interface.to_owned();
        Self { interface: interface.to_owned(), rungs, hooks, called, blind: None, said: None }
    }

    /// Leaves the programs where they are.
    pub(super) fn leave(&mut self) {
        self.hooks = None;
    }

    /// Whether a reload leaves it as it is.
    pub(super) fn is_kept(&self) -> bool {
        self.hooks.as_ref().is_none_or(|hooks| !hooks.is_detached()) && self.blind.as_deref() != Some(DETACHED)
    }

    /// The hook for what comes in, as metrics name it.
    pub(super) fn kind(&self) -> &'static str {
        self.hooks.as_ref().map_or(self.rungs[0], |hooks| hooks.rung).as_str()
    }

    /// Why nothing is seen at this moment.
    pub(super) fn blind(&self) -> Option<String> {
        let Some(hooks) = &self.hooks else { return self.blind.clone() };
        if hooks.is_detached() {
            let there = look(&self.called).is_some_and(|found| found.index == hooks.index);
            return Some(String::from(if there { DETACHED } else { GONE }));
        }
        match look(&self.called) {
            Some(found) if found.index == hooks.index && !found.up => Some(String::from(DOWN)),
            _ => self.blind.clone(),
        }
    }

    /// Follows what has become of the interface, and says so; whether there are other links than before. To be called
    /// twice a second.
    pub(super) fn look(&mut self, loaded: &Loaded) -> bool {
        let before = self.hooks.as_ref().map(|hooks| hooks.index);
        self.follow(loaded);
        self.say();
        self.hooks.as_ref().map(|hooks| hooks.index) != before
    }

    fn say(&mut self) {
        let now = self.blind();
        if now == self.said {
            return;
        }
        match &now {
            Some(why) => tracing::warn!(interface = self.interface, why, "capture is blind"),
            None => tracing::info!(interface = self.interface, kind = self.kind(), "capture sees again"),
        }
        self.said = now;
    }

    fn follow(&mut self, loaded: &Loaded) {
        self.blind = match (&self.hooks, look(&self.interface)) {
            (Some(hooks), Some(found)) if found.index == hooks.index => {
                self.called.clone_from(&self.interface);
                seen(hooks, loaded)
            }
            (_, Some(found)) => match self.attach(found, loaded) {
                Ok(()) => self.hooks.as_ref().and_then(|hooks| seen(hooks, loaded)),
                Err(Refused(hook, error)) => Some(format!("it was made anew, and {hook} is not to be had: {error}")),
            },
            (Some(hooks), None) => match name_of(hooks.index) {
                Some(name) => {
                    if name != self.called {
                        tracing::warn!(interface = self.interface, name, "renamed; it is counted on as before");
                        self.called = name;
                    }
                    seen(hooks, loaded)
                }
                None => {
                    self.detach();
                    Some(String::from(GONE))
                }
            },
            (None, None) => Some(String::from(GONE)),
        };
    }

    fn attach(&mut self, found: Interface, loaded: &Loaded) -> Result<(), Refused> {
        self.detach();
        let mut refused = None;
        for &rung in self.rungs {
            match Hooks::attach(loaded, found.index, rung) {
                Ok(hooks) => {
                    tracing::info!(interface = self.interface, kind = rung.as_str(), "counting in the kernel");
                    self.hooks = Some(hooks);
                    self.called.clone_from(&self.interface);
                    return Ok(());
                }
                Err(Refused(hook, error)) => {
                    if self.said.is_none() {
                        tracing::info!(interface = self.interface, rung = rung.as_str(), hook, %error, "not to be had");
                    }
                    refused = Some(Refused(hook, error));
                }
            }
        }
        Err(refused.expect("at least one rung is tried"))
    }

    /// Takes the programs off.
    pub(super) fn detach(&mut self) {
        if let Some(hooks) = self.hooks.take() {
            hooks.detach();
        }
    }
}

impl Drop for Port {
    fn drop(&mut self) {
        self.detach();
    }
}

/// The interface of this name, if the programs can read its frames.
pub(super) fn known(interface: &str) -> Result<Interface, Error> {
    match look(interface) {
        None => Err(Error::NoInterface(interface.to_owned())),
        Some(found) if !found.ethernet => Err(Error::NotEthernet(interface.to_owned())),
        Some(found) => Ok(found),
    }
}

/// Why nothing is seen with `hooks` on an interface that is there.
fn seen(hooks: &Hooks, loaded: &Loaded) -> Option<String> {
    if hooks.is_detached_or_filtered(loaded) {
        return Some(String::from(DETACHED));
    }
    (hooks.rung != Rung::Xdp && bypass::is_bypassed(hooks.index)).then(|| String::from(BYPASSED))
}
