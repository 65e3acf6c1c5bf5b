//! The routes of the daemon: what they have been through is remembered, and written down before they change; those that are not
//! configured any more keep their routers until they have come down.

use super::{Daemon, Error};
use crate::config::Config;
use crate::control::Control;
use crate::router;
use crate::state::{self, State};
use engine::{Action, Engine, HeldBack, Intent, Policy, Route, Time};
use std::time::Instant;

impl Daemon {
    /// Takes the state directory, if there are routes that may be changed; and those routes that come down.
    pub(super) fn remember(
        config: &Config,
        dry_run: bool,
        engine: &mut Engine,
        at: Time,
    ) -> Result<(Option<State>, Vec<Route>), state::Error> {
        if dry_run || config.routers.is_empty() {
            return Ok((None, Vec::new()));
        }
        let (state, mut records) = State::open(&state::directory(config.state_directory.as_deref()))?;
        records.retain(|record| {
            let known = config.routers.iter().any(|router| router.name() == record.router);
            if !known {
                let (router, prefix, action) = (&record.router, &record.prefix, record.action);
                tracing::warn!(router, prefix, %action, "its router is not configured any more: the route stays as it is");
            }
            known
        });
        engine.restore(at, &records);
        let leaving = engine.left_by(engine.view().plan());
        Ok((Some(state), leaving))
    }

    /// Lets itself be asked, once there is a state directory.
    pub(super) fn listen(&mut self) {
        self.listen_for_channels();
        let (None, Some(state)) = (&self.control, &self.state) else { return };
        match Control::start(state.directory(), self.orders.clone(), &self.runtime) {
            Ok(control) => self.control = Some(control),
            Err(error) => {
                let directory = state.directory().display();
                tracing::warn!("no control socket in {directory}, so `oopsd release` cannot work: {error}");
            }
        }
    }

    fn listen_for_channels(&mut self) {
        let (None, Some(folder)) = (&self.outbox, self.channels.folder()) else { return };
        match Control::start(folder, self.orders.clone(), &self.runtime) {
            Ok(control) => self.outbox = Some(control),
            Err(error) => {
                let folder = folder.display();
                tracing::warn!("no control socket in {folder}, so `oopsd outbox` cannot retry or drop: {error}");
            }
        }
    }

    /// Has interfaces asked what they lost, where a route wants to know.
    pub(super) fn watch_drops(&mut self) {
        let asks = |route: &Route| match &route.policy {
            Policy::Demote(ladder) => ladder.evidence.is_some_and(|evidence| evidence.drops),
            Policy::Absorb => false,
        };
        let wanted = self.config.plan.routes.iter().any(asks);
        let interfaces = if wanted { self.config.capture.interfaces.as_slice() } else { &[] };
        if let Err(error) = self.drops.watch(interfaces) {
            tracing::warn!("nobody asks what interfaces lost, so that this is no evidence: {error}");
        }
    }

    /// Writes down what will have been done, and does it.
    pub(super) fn announce(&mut self, intents: &[Intent]) {
        if let Some(state) = &mut self.state {
            state.keep(self.engine.records());
        }
        self.routers.want(intents);
        self.say_what_is_held_back();
        self.forget();
    }

    /// Answers the routers that want to put back what somebody else changed: by the budget of the prefix, and written down before.
    pub(super) fn put_back(&mut self) {
        let asking = self.routers.asking();
        if asking.is_empty() {
            return;
        }
        let may: Vec<bool> = asking.iter().map(|(router, prefix)| self.engine.put_back(router, prefix)).collect();
        if let Some(state) = &mut self.state {
            state.keep(self.engine.records());
        }
        for ((router, prefix), may) in asking.iter().zip(may) {
            self.routers.answer(router, prefix, may);
        }
    }

    /// Over-budget has a signal of its own.
    fn say_what_is_held_back(&mut self) {
        let view = self.engine.view();
        let now: Vec<_> = view.rungs().iter().map(|rung| rung.held_back.map(HeldBack::as_str)).collect();
        for (index, (route, reason)) in view.plan().routes.iter().zip(&now).enumerate() {
            if let Some(reason) = reason.filter(|_| self.held_back.get(index) != Some(reason)) {
                tracing::info!(prefix = route.prefix, router = route.router, reason, "a step up is due and not made");
            }
        }
        self.held_back = now;
    }

    /// Lets go of the routers of routes that have come down.
    fn forget(&mut self) {
        if self.leaving.1.is_empty() {
            return;
        }
        let (on_the_way, status) = (self.engine.view().leaving(), self.routers.status());
        let is = |route: &Route, router: &str, prefix: &str| route.router == router && route.prefix == prefix;
        let still = |route: &Route| {
            let plain = Some(Action::Plain);
            on_the_way.iter().any(|(other, rung)| is(other, &route.router, &route.prefix) && rung.action != plain)
                || !self.dry_run
                    && status.iter().any(|status| is(route, &status.router, &status.prefix) && status.seen != plain)
        };
        let left: Vec<Route> = self.leaving.1.iter().filter(|route| still(route)).cloned().collect();
        if left.len() == self.leaving.1.len() {
            return;
        }
        for route in self.leaving.1.iter().filter(|route| !left.contains(route)) {
            tracing::info!(
                prefix = route.prefix,
                router = route.router,
                "plain, and not configured any more: forgotten"
            );
        }
        let before = std::mem::take(&mut self.leaving.0);
        self.leaving = (needed(before, &left), left);
        let config = self.config.clone();
        if let Err(error) = self.route(&config) {
            tracing::warn!("{error}");
        }
    }

    /// Gives the routers what is configured, and what comes down.
    fn route(&mut self, config: &Config) -> Result<(), router::Error> {
        let named = |router: &&router::Config| config.routers.iter().all(|other| other.name() != router.name());
        let former = self.leaving.0.iter().filter(named);
        let routers: Vec<_> = config.routers.iter().chain(former).cloned().collect();
        let routes = [config.plan.routes.as_slice(), self.leaving.1.as_slice()].concat();
        self.routers.replace(&routers, &routes)
    }

    pub(super) fn replace_outlets(&mut self, config: &Config) -> Result<(), Error> {
        if self.state.is_none() {
            let at = self.time(Instant::now());
            let (state, _) = Self::remember(config, self.dry_run, &mut self.engine, at)?;
            self.state = state;
        }
        self.channels.reload(&config.channels)?;
        self.listen();
        let former = std::mem::take(&mut self.leaving);
        let routes = self.engine.left_by(&config.plan);
        let routers = [self.config.routers.as_slice(), former.0.as_slice()].concat();
        self.leaving = (needed(routers, &routes), routes);
        if let Err(error) = self.route(config) {
            self.leaving = former;
            return Err(error.into());
        }
        Ok(())
    }
}

/// The routers that these routes need.
fn needed(mut routers: Vec<router::Config>, routes: &[Route]) -> Vec<router::Config> {
    routers.retain(|router| routes.iter().any(|route| route.router == router.name()));
    routers
}
