//! How BIRD announces now: the constants that it runs with, and whether what it exports shows them. What is missing of the file is mended.

use super::constants::{Constants, Family, Level, SUM};
use super::control::Control;
use super::include::{Found, Include};
use super::{Bird, Error, exported};
use engine::Action;
use ipnet::IpNet;
use std::collections::{BTreeMap, BTreeSet};

impl Bird {
    pub(super) async fn look(&mut self, prefixes: &BTreeSet<IpNet>) -> Result<BTreeMap<IpNet, Action>, Error> {
        let found = self.file(Include::read).await?;
        let mut control = match Control::open(&self.config.socket).await {
            Err(error) if error.is_down() => {
                // It may be down for want of this file.
                self.mend(None, &found, &BTreeMap::new()).await?;
                return Err(error.into());
            }
            opened => opened?,
        };
        control.knows_empty_sets()?;
        self.missing = exported::missing(&mut control, &self.config.protocols).await?;
        let running = match self.running(&mut control, &found, prefixes).await {
            Err(error @ Error::NotIncluded { .. }) => {
                // To include the file, it has to be there.
                self.mend(None, &found, &BTreeMap::new()).await?;
                return Err(error);
            }
            running => running?,
        };
        self.mend(Some(&mut control), &found, &running).await?;
        let mut seen = BTreeMap::new();
        for (prefix, level) in running {
            let shown = match level {
                Some(level)
                    if exported::hidden(&mut control, &self.config.protocols, prefix, level).await?.is_some() =>
                {
                    Action::Plain
                }
                Some(level) => level.action(),
                None => Action::Plain,
            };
            seen.insert(prefix, shown);
        }
        self.report(&found, prefixes);
        Ok(seen)
    }

    /// The level of each prefix in the configuration that BIRD runs with.
    async fn running(
        &self,
        control: &mut Control,
        found: &Found,
        prefixes: &BTreeSet<IpNet>,
    ) -> Result<BTreeMap<IpNet, Option<Level>>, Error> {
        let sum = control.eval(SUM).await?;
        if let Found::Constants(constants) = found
            && sum == Some(constants.sum().to_string())
        {
            return Ok(prefixes.iter().map(|prefix| (*prefix, constants.level(*prefix))).collect());
        }
        if sum.is_none() {
            return Err(Error::NotIncluded { include: self.config.include.clone() });
        }
        let mut levels = self.lasting.levels();
        if let Found::Constants(constants) = found {
            levels.extend(constants.levels());
        }
        let mut running: BTreeMap<IpNet, Option<Level>> = prefixes.iter().map(|prefix| (*prefix, None)).collect();
        // The strongest comes last, and counts.
        for level in levels {
            for (prefix, seen) in &mut running {
                let member = format!("{prefix} ~ {}", level.name(Family::of(*prefix)));
                if control.eval(&member).await?.as_deref() == Some("TRUE") {
                    *seen = Some(level);
                }
            }
        }
        Ok(running)
    }

    /// Writes the file if it is missing or damaged, as BIRD runs now, and adds constants that it lacks.
    async fn mend(
        &self,
        mut control: Option<&mut Control>,
        found: &Found,
        running: &BTreeMap<IpNet, Option<Level>>,
    ) -> Result<(), Error> {
        let levels = self.lasting.levels();
        let lacks = !matches!(found, Found::Constants(constants) if constants.levels().is_superset(&levels));
        if !lacks || self.dry_run {
            return Ok(());
        }
        let _one = self.lasting.changing.lock().await;
        let (router, file) = (&self.config.name, self.config.include.display());
        let mut constants = Constants::default();
        match found {
            Found::Constants(there) => {
                constants = there.clone();
                tracing::info!(router, %file, "more constants are defined");
            }
            Found::Nothing => tracing::info!(router, %file, "written, as BIRD runs now"),
            Found::Damaged(line) => tracing::warn!(router, %file, line, "was damaged: written anew, as BIRD runs now"),
        }
        for (prefix, level) in running.iter().filter(|_| !matches!(found, Found::Constants(_))) {
            constants.set(*prefix, *level);
        }
        constants.define(&levels);
        if let (Found::Constants(_), Some(control)) = (found, control.as_deref_mut()) {
            control.check().await?;
        }
        self.file(move |include| include.replace(&constants)).await?;
        if let (Found::Constants(_), Some(control)) = (found, control)
            && let Err(error) = control.check().await
        {
            // Without them it may have been sound, and a BIRD that starts must find it so.
            self.file(Include::restore).await?;
            return Err(error.into());
        }
        Ok(self.file(Include::settle).await?)
    }

    /// Says which prefixes of the file are of no route, when they change.
    fn report(&mut self, found: &Found, prefixes: &BTreeSet<IpNet>) {
        let Found::Constants(constants) = found else { return };
        let foreign: BTreeSet<IpNet> = constants.prefixes().difference(prefixes).copied().collect();
        for prefix in foreign.difference(&self.foreign) {
            let file = self.config.include.display();
            tracing::warn!(router = self.config.name, %file, %prefix, "of no route: left as it is");
        }
        self.foreign = foreign;
    }
}
