//! What is there all the time: a million zones in memory, and a daemon that has nothing to do.

use crate::figure::{Figure, in_turn, nanoseconds};
use crate::process::{self, Daemon};
use crate::{Outcome, frames, table, trace};
use engine::Engine;
use oopsd::capture::attribution::Attribution;
use oopsd::config::{Config, Purpose};
use std::fs::{self, File};
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::thread::sleep;
use std::time::Duration;

const IDLE: Duration = Duration::from_secs(10);

/// Measures memory first, in a process that is still small, then time.
pub(crate) fn measure() -> Outcome<()> {
    let folder = tempfile::tempdir()?;
    let million = configuration(folder.path(), 1_000_000, 53)?;
    let few = folder.path().join("few.pcap");
    trace::write(&few, 1_000, 1_000)?;

    let spent = process::run(process::oopsd()?.args(["replay", "-c"]).arg(&million).arg(&few))?;
    table::ours(
        "1 M zones: `replay` of 1 K packets, most memory ever",
        "MB",
        &Figure::once(spent.megabytes),
        Some(200.0),
    );
    match Daemon::start(&million) {
        Ok(daemon) => {
            // Its first window fills.
            sleep(Duration::from_secs(1));
            let resident = Figure::once(daemon.megabytes("VmRSS")?);
            let most = Figure::once(daemon.megabytes("VmHWM")?);
            table::ours("1 M zones: `run` on lo, resident", "MB", &resident, Some(200.0));
            table::ours("1 M zones: `run` on lo, most memory ever", "MB", &most, None);
        }
        Err(why) => table::skipped("1 M zones: `run` on lo, resident", &why.to_string()),
    }

    match Daemon::start(&configuration(folder.path(), 100, 5399)?) {
        Ok(daemon) => {
            let before = daemon.nanoseconds()?;
            // What is measured is what it costs while nothing happens, for so long.
            sleep(IDLE);
            let share = (daemon.nanoseconds()? - before) / IDLE.as_nanos() as f64;
            table::ours(
                "100 zones: `run` on lo without traffic for 10 s",
                "%",
                &Figure::once(share * 100.0),
                Some(0.5),
            );
        }
        Err(why) => table::skipped("100 zones: `run` on lo without traffic", &why.to_string()),
    }

    let mut load = nanoseconds(1_000_000, || {
        let config = Config::load(&million, Purpose::Run).expect("the configuration was written above");
        let attribution = Attribution::new(&config.plan.names, &config.prefixes);
        assert_eq!(attribution.slots().zones, 1_000_000);
        drop(Engine::new(config.plan));
    });
    let [loaded] = in_turn(3, [&mut load]);
    table::ours("1 M zones: from configuration to ready", "ms", &loaded, Some(1000.0));
    Ok(())
}

/// Writes a configuration that counts these many zones on lo, at one port; nobody uses 5399.
fn configuration(folder: &Path, zones: u64, port: u16) -> Outcome<PathBuf> {
    let list = folder.join(format!("{zones}.zones"));
    let mut to = BufWriter::new(File::create(&list)?);
    for number in 0..zones {
        writeln!(to, "{}", frames::zone(number))?;
    }
    to.flush()?;
    let file = folder.join(format!("{zones}.toml"));
    let list = list.display();
    fs::write(&file, format!("[capture]\ninterfaces = [\"lo\"]\nports = [{port}]\n[zones]\nfile = \"{list}\"\n"))?;
    Ok(file)
}
