//! What is true of every BGP speaker that oopsd steers: the same tests for each.

use anyhow::{Context, Result, ensure};
use core::time::Duration;
use engine::Action;
use std::thread;
use tests::bgp::message::Attributes;
use tests::lab::peering::{HOST_AS, Peering, V4, V6};
use tests::lab::until;
use tests::routers::Routers;

/// Long enough for a busy machine.
pub(crate) const SOON: Duration = tests::lab::SOON;
/// And for a session to come up.
pub(crate) const LATER: Duration = Duration::from_secs(60);

/// All that a route may be asked for here, but plain.
pub(crate) const STEPS: [Action; 6] = [
    Action::Prepend(1),
    Action::Prepend(3),
    Action::Prepend(10),
    Action::Med(200),
    Action::Community(64999, 666),
    Action::GracefulShutdown,
];

/// A speaker in the lab, which announces both prefixes.
pub(crate) struct Suite<'a> {
    pub(crate) lab: &'a Peering,
    /// The keys of its `[[router]]` beside name and communities.
    pub(crate) router: String,
    /// The communities that it announces both prefixes with, and no others.
    pub(crate) communities: Vec<(u16, u16)>,
}

impl Suite<'_> {
    pub(crate) fn oopsd(&self) -> Result<Routers> {
        self.oopsd_with(&self.config(), "wet")
    }

    pub(crate) fn oopsd_with(&self, config: &str, mode: &str) -> Result<Routers> {
        Routers::start(&mut self.lab.host.command(env!("CARGO_BIN_EXE_routers")), config, mode)
    }

    pub(crate) fn config(&self) -> String {
        let communities: Vec<String> = self.communities.iter().map(|(of, value)| format!("\"{of}:{value}\"")).collect();
        let communities = communities.join(", ");
        let router = format!("[[router]]\nname = \"speaker\"\ncommunities = [{communities}]\n{}\n", self.router);
        let routes = [V4, V6].map(|prefix| format!("[[route]]\nprefix = \"{prefix}\"\n{ROUTE}"));
        format!("{CONDITION}{router}{}", routes.concat())
    }

    /// Both prefixes are announced plain.
    pub(crate) fn begins(&self) -> Result<()> {
        self.lab.listener.up(2, LATER)?;
        [V4, V6].into_iter().try_for_each(|prefix| self.reaches(prefix, Action::Plain, LATER))
    }

    /// Waits until the upstream hears `prefix` announced so.
    pub(crate) fn reaches(&self, prefix: &str, action: Action, limit: Duration) -> Result<()> {
        let right = |found: Option<&Attributes>| found.is_some_and(|found| self.is(found, action));
        self.lab.listener.reaches(prefix, limit, right).with_context(|| format!("{prefix} {action}"))
    }

    /// How many UPDATEs announced something since `mark`.
    fn announced(&self, mark: usize) -> usize {
        self.lab.listener.updates(mark).iter().filter(|(_, update)| !update.announced.is_empty()).count()
    }

    fn is(&self, found: &Attributes, action: Action) -> bool {
        let mut communities = self.communities.clone();
        let (mut longer, mut med) = (0, None);
        match action {
            Action::Plain => {}
            Action::Prepend(times) => longer = usize::from(times),
            Action::Med(value) => med = Some(value),
            Action::Community(of, value) => communities.push((of, value)),
            Action::GracefulShutdown => communities.push((65535, 0)),
            Action::Withdraw => return false,
        }
        communities.sort_unstable();
        found.path == vec![HOST_AS; 1 + longer] && found.med == med && found.communities == communities
    }

    /// Each action, and back to plain, with one UPDATE for each and nothing else.
    pub(crate) fn every_action_and_back(&self) -> Result<()> {
        self.begins()?;
        let mark = self.lab.listener.mark();
        let mut oopsd = self.oopsd()?;
        let mut changes = 0;
        for step in STEPS {
            for action in [step, Action::Plain] {
                for prefix in [V4, V6] {
                    oopsd.want(prefix, &action.to_string())?;
                    self.reaches(prefix, action, SOON)?;
                    oopsd.sees(prefix, &action.to_string())?;
                    changes += 1;
                }
            }
        }
        let updates = self.announced(mark);
        ensure!(updates == changes, "{updates} updates for {changes} changes");
        self.lab.listener.undisturbed(mark)
    }

    /// So many intents, some while the one before is being carried out: each pause ends as was wanted last. By how many announcements.
    pub(crate) fn random_intents(&self, count: u32) -> Result<usize> {
        self.begins()?;
        let mark = self.lab.listener.mark();
        let mut oopsd = self.oopsd()?;
        let mut dice = Dice(20_261_121);
        let mut last = [Action::Plain; 2];
        for _ in 0..count {
            let which = usize::from(dice.roll(2) == 1);
            let action = dice.action();
            oopsd.want([V4, V6][which], &action.to_string())?;
            last[which] = action;
            if dice.roll(2) == 0 {
                self.settled(&mut oopsd, last)?;
            }
        }
        self.settled(&mut oopsd, last)?;
        let announced = self.announced(mark);
        self.lab.listener.undisturbed(mark)?;
        Ok(announced)
    }

    /// Kills oopsd while it changes a route, over and over: nothing is withdrawn, and the next one finds its way.
    pub(crate) fn killed_at_any_moment(&self, count: u32) -> Result<()> {
        self.begins()?;
        let mark = self.lab.listener.mark();
        let mut dice = Dice(7);
        // What each may be, because the one that was killed may have asked for it already.
        let mut possible = [vec![Action::Plain], vec![Action::Plain]];
        for round in 0..count {
            let mut oopsd = self.oopsd()?;
            // Every other one is killed before it has settled anything.
            if round % 2 == 1 {
                let wanted = [dice.action(), dice.action()];
                Self::want(&mut oopsd, wanted)?;
                self.settled(&mut oopsd, wanted)?;
                possible = wanted.map(|action| vec![action]);
            }
            let wanted = [dice.action(), dice.action()];
            Self::want(&mut oopsd, wanted)?;
            // Not to wait for anything: the moment is the test.
            thread::sleep(Duration::from_micros(dice.roll(60_000).into()));
            oopsd.running.kill();
            for (possible, (prefix, action)) in possible.iter_mut().zip([V4, V6].into_iter().zip(wanted)) {
                possible.push(action);
                let found = self.lab.listener.route(prefix).context("gone")?;
                let known = possible.iter().any(|action| self.is(&found, *action));
                ensure!(known, "kill {round}: {prefix} is {found:?}, none of {possible:?}");
            }
        }
        let mut oopsd = self.oopsd()?;
        Self::want(&mut oopsd, [Action::Plain; 2])?;
        self.settled(&mut oopsd, [Action::Plain; 2])?;
        self.lab.listener.undisturbed(mark)
    }

    fn want(oopsd: &mut Routers, wanted: [Action; 2]) -> Result<()> {
        [V4, V6].into_iter().zip(wanted).try_for_each(|(prefix, action)| oopsd.want(prefix, &action.to_string()))
    }

    /// Both prefixes are announced so, and oopsd knows.
    pub(crate) fn settled(&self, oopsd: &mut Routers, wanted: [Action; 2]) -> Result<()> {
        for (prefix, action) in [V4, V6].into_iter().zip(wanted) {
            self.reaches(prefix, action, SOON)?;
            oopsd.sees(prefix, &action.to_string())?;
        }
        Ok(())
    }

    /// What an operator does with oopsd dead brings the plain paths back.
    pub(crate) fn switched_off(&self, switch: impl Fn() -> Result<()>) -> Result<()> {
        self.begins()?;
        let mark = self.lab.listener.mark();
        let mut oopsd = self.oopsd()?;
        let wanted = [Action::Prepend(3), Action::GracefulShutdown];
        Self::want(&mut oopsd, wanted)?;
        self.settled(&mut oopsd, wanted)?;
        oopsd.running.kill();
        switch()?;
        [V4, V6].into_iter().try_for_each(|prefix| self.reaches(prefix, Action::Plain, SOON))?;
        let mut oopsd = self.oopsd()?;
        [V4, V6].into_iter().try_for_each(|prefix| oopsd.sees(prefix, "plain"))?;
        self.lab.listener.undisturbed(mark)
    }

    /// Starting, stopping and wanting what is so already send nothing.
    pub(crate) fn nothing_is_sent_for_nothing(&self) -> Result<()> {
        self.begins()?;
        let mut oopsd = self.oopsd()?;
        oopsd.sees(V4, "plain")?;
        oopsd.want(V4, "prepend 3")?;
        self.reaches(V4, Action::Prepend(3), SOON)?;
        oopsd.sees(V4, "prepend 3")?;

        let mark = self.lab.listener.mark();
        for _ in 0..20 {
            oopsd.want(V4, "prepend 3")?;
            oopsd.want(V6, "plain")?;
        }
        oopsd.stop()?;
        let mut oopsd = self.oopsd()?;
        oopsd.sees(V4, "prepend 3")?;
        oopsd.sees(V6, "plain")?;
        let row = oopsd.status(V4)?;
        ensure!(row["wanted"].is_null() && row["changes"] == 0, "{row}");
        oopsd.running.kill();
        let mut oopsd = self.oopsd_with(&self.config(), "dry")?;
        oopsd.want(V4, "plain")?;
        oopsd.sees(V4, "prepend 3")?;
        oopsd.want(V6, "graceful-shutdown")?;
        oopsd.sees(V6, "plain")?;
        ensure!(self.announced(mark) == 0, "sent {:?}", self.lab.listener.updates(mark));
        self.lab.listener.undisturbed(mark)
    }

    /// A daemon that is stopped is an error; when it goes on, so does oopsd.
    pub(crate) fn stopped(&self, signal: impl Fn(i32)) -> Result<String> {
        self.begins()?;
        let mark = self.lab.listener.mark();
        let mut oopsd = self.oopsd()?;
        oopsd.sees(V4, "plain")?;
        signal(libc::SIGSTOP);
        oopsd.want(V4, "prepend 3")?;
        let error = fails_with(&mut oopsd, V4, "");
        signal(libc::SIGCONT);
        let error = error?;
        self.reaches(V4, Action::Prepend(3), LATER)?;
        oopsd.sees(V4, "prepend 3")?;
        self.lab.listener.undisturbed(mark)?;
        Ok(error)
    }

    /// What is not announced is left so, and what is wanted of it is done when it is announced again.
    pub(crate) fn absent(&self, withdraw: impl Fn() -> Result<()>, announce: impl Fn() -> Result<()>) -> Result<()> {
        self.begins()?;
        let mut oopsd = self.oopsd()?;
        oopsd.want(V4, "prepend 3")?;
        self.reaches(V4, Action::Prepend(3), SOON)?;
        // Between a look and a change of oopsd's a withdrawal is overtaken.
        oopsd.sees(V4, "prepend 3")?;
        withdraw()?;
        self.lab.listener.reaches(V4, SOON, |found| found.is_none())?;
        oopsd.sees(V4, "withdraw")?;
        fails_with(&mut oopsd, V4, "never begins one")?;
        oopsd.want(V4, "prepend 1")?;
        oopsd.want(V6, "prepend 1")?;
        self.reaches(V6, Action::Prepend(1), SOON)?;
        ensure!(self.lab.listener.path(V4).is_none(), "it was announced again");

        announce()?;
        self.reaches(V4, Action::Prepend(1), LATER)?;
        Ok(())
    }

    /// What no step says is left alone, and the error says what it is.
    pub(crate) fn foreign(&self, announce: impl Fn() -> Result<()>) -> Result<()> {
        self.begins()?;
        let mut oopsd = self.oopsd()?;
        announce()?;
        let is_foreign =
            |found: Option<&Attributes>| found.is_some_and(|found| found.communities.contains(&(64999, 9)));
        self.lab.listener.reaches(V4, SOON, is_foreign)?;
        let mark = self.lab.listener.mark();
        oopsd.want(V4, "prepend 3")?;
        let error = fails_with(&mut oopsd, V4, "left alone")?;
        ensure!(error.contains("64999:9"), "{error}");
        ensure!(self.announced(mark) == 0, "it was changed");
        Ok(())
    }
}

/// Waits until oopsd says that something is wrong, and returns what.
pub(crate) fn fails_with(oopsd: &mut Routers, prefix: &str, what: &str) -> Result<String> {
    until(&format!("an error with {what:?}"), SOON, || {
        let row = oopsd.status(prefix).ok()?;
        row["error"].as_str().filter(|error| error.contains(what)).map(str::to_owned)
    })
}

/// Numbers that are the same in every run.
struct Dice(u32);

impl Dice {
    fn roll(&mut self, sides: u32) -> u32 {
        self.0 = self.0.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (self.0 >> 8) % sides
    }

    fn action(&mut self) -> Action {
        let sides = u32::try_from(STEPS.len()).expect("few") + 1;
        STEPS.get(self.roll(sides) as usize).copied().unwrap_or(Action::Plain)
    }
}

const CONDITION: &str = "
[[condition]]
name = \"overload\"
kind = \"query-rate\"
rising = \"1k\"
";

const ROUTE: &str = "router = \"speaker\"
when = \"overload\"
policy = \"demote\"
ladder = [{ prepend = 1 }, { med = 200 }, { community = \"64999:666\" }, { graceful-shutdown = true }]
";
