//! The programs on one interface: how they got there, whether they still are. Nobody else's program is ever replaced.

use super::clsact::{self, Filter, Way};
use super::loaded::{Entry, Loaded};
use super::pins::Pins;
use super::sys::{self, Hook};
use std::io;
use std::os::fd::{AsFd as _, BorrowedFd, OwnedFd};

/// A hook for what comes in.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Rung {
    /// XDP in the driver.
    Xdp,
    /// TC by link, from Linux 6.6.
    Tcx,
    /// TC by a filter.
    Clsact,
}

impl Rung {
    pub(super) const fn as_str(self) -> &'static str {
        match self {
            Self::Xdp => "xdp",
            Self::Tcx => "tcx",
            Self::Clsact => "clsact",
        }
    }

    pub(super) const fn entry(self) -> Entry {
        match self {
            Self::Xdp => Entry::IngressXdp,
            Self::Tcx | Self::Clsact => Entry::IngressTc,
        }
    }
}

/// What holds one program on an interface.
#[derive(Debug)]
pub(super) enum Hold {
    Link(OwnedFd),
    Filter(Filter),
}

/// The programs on one interface, one for each way.
#[derive(Debug)]
pub(super) struct Hooks {
    /// The interface's number.
    pub(super) index: u32,
    pub(super) rung: Rung,
    /// In, out.
    pub(super) holds: [Hold; 2],
}

/// Which hook cannot be had, and why.
#[derive(Debug)]
pub(super) struct Refused(pub(super) &'static str, pub(super) io::Error);

impl Hooks {
    /// Takes over links that were pinned, for the programs of `loaded`.
    pub(super) fn take(pins: &Pins, loaded: &Loaded, index: u32, rung: Rung) -> Option<Self> {
        let ingress = Hold::Link(pins.link(index, rung, 0)?);
        let egress = match pins.link(index, rung, 1) {
            Some(link) => Hold::Link(link),
            None => Hold::Filter(clsact::attach(loaded.program(Entry::EgressTc), index, Way::Out).ok()?),
        };
        let hooks = Self { index, rung, holds: [ingress, egress] };
        match hooks.update(loaded) {
            Ok(()) => Some(hooks),
            Err(error) => {
                tracing::warn!(%error, "what was pinned cannot be taken over");
                None
            }
        }
    }

    /// Attaches both.
    pub(super) fn attach(loaded: &Loaded, index: u32, rung: Rung) -> Result<Self, Refused> {
        let program = loaded.program(rung.entry());
        let link = |program, hook| sys::attach(program, index, hook).map(Hold::Link);
        let ingress = match rung {
            Rung::Xdp => link(program, Hook::Xdp),
            Rung::Tcx => link(program, Hook::TcxIngress),
            Rung::Clsact => clsact::attach(program, index, Way::In).map(Hold::Filter),
        };
        let ingress = ingress.map_err(|error| Refused(rung.as_str(), error))?;
        let program = loaded.program(Entry::EgressTc);
        let filter = || clsact::attach(program, index, Way::Out).map(Hold::Filter);
        let egress = match rung {
            Rung::Clsact => filter(),
            Rung::Xdp => link(program, Hook::TcxEgress).or_else(|_| filter()),
            Rung::Tcx => link(program, Hook::TcxEgress),
        };
        match egress {
            Ok(egress) => {
                let holds = [ingress, egress];
                for (hold, way) in holds.iter().zip([Way::In, Way::Out]) {
                    if matches!(hold, Hold::Link(_)) {
                        clsact::sweep(index, way);
                    }
                }
                Ok(Self { index, rung, holds })
            }
            Err(error) => {
                ingress.detach();
                Err(Refused("egress", error))
            }
        }
    }

    /// Whether somebody has taken one of the links off. Costs a call for each.
    pub(super) fn is_detached(&self) -> bool {
        self.holds.iter().any(|hold| match hold {
            Hold::Link(link) => sys::link(link.as_fd()).is_ok_and(|link| link.interface == 0),
            Hold::Filter(_) => false,
        })
    }

    /// As [`Hooks::is_detached`], filters too, which cost a question to the kernel.
    pub(super) fn is_detached_or_filtered(&self, loaded: &Loaded) -> bool {
        let entries = [self.rung.entry(), Entry::EgressTc];
        self.is_detached()
            || self.holds.iter().zip(entries).any(|(hold, entry)| match hold {
                Hold::Link(_) => false,
                Hold::Filter(filter) => sys::program_id(loaded.program(entry)).ok() != Some(filter.program()),
            })
    }

    /// Runs the programs of `loaded` from here on, in place.
    pub(super) fn update(&self, loaded: &Loaded) -> io::Result<()> {
        self.holds[0].update(loaded.program(self.rung.entry()))?;
        self.holds[1].update(loaded.program(Entry::EgressTc))
    }

    /// Takes both off.
    pub(super) fn detach(self) {
        self.holds.into_iter().for_each(Hold::detach);
    }
}

impl Hold {
    fn update(&self, program: BorrowedFd<'_>) -> io::Result<()> {
        match self {
            Self::Link(link) => {
                let runs = sys::link(link.as_fd())?.program;
                if runs == sys::program_id(program)? { Ok(()) } else { sys::update(link.as_fd(), program) }
            }
            Self::Filter(filter) => filter.put(program),
        }
    }

    fn detach(self) {
        match self {
            // Nobody else holds it, so that it goes.
            Self::Link(link) => drop(link),
            Self::Filter(filter) => filter.detach(),
        }
    }
}
