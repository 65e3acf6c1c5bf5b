//! What this machine makes of a configuration, and what it or this process lacks.

use crate::capture::kernel;
use crate::config::Config;
use crate::config::units::show_size;
use crate::privileges;
use crate::router::{Config as Router, kernel_table};
use caps::Capability;
use engine::{Policy, Route};
use std::fmt::Write as _;
use std::fs::File;
use std::path::Path;

/// A line for each.
pub(super) fn here(config: &Config) -> Vec<String> {
    let mut here = Vec::new();
    for interface in &config.capture.interfaces {
        if !Path::new("/sys/class/net").join(interface).exists() {
            here.push(format!("there is no interface {interface}"));
        }
    }
    if kernel::is_built() {
        here.push(match kernel::memory(config.plan.names.zones(), config.prefixes.len()) {
            Ok((needed, cpus)) => {
                let mut text = format!("counters in the kernel take {} MiB for CPUs: {cpus}", needed.div_ceil(1 << 20));
                if needed > config.capture.kernel_memory {
                    let limit = show_size(config.capture.kernel_memory);
                    let _ = write!(text, ", and `kernel-memory` allows {limit}: packet sockets would count");
                }
                text
            }
            Err(error) => format!("packet sockets would count: {}", error.whole()),
        });
    } else {
        here.push(String::from("this binary has no kernel capture: packet sockets would count"));
    }
    for router in &config.routers {
        if let Router::Bird(bird) = router
            && !bird.include.exists()
        {
            let file = bird.include.display();
            here.push(format!(
                "there is no {file}, and BIRD does not start without it: `oopsd check --write-include` makes it"
            ));
        }
    }
    let kernel = privileges::missing_for_the_kernel();
    if !kernel.is_empty() {
        here.push(format!("missing, and needed to count in the kernel: {}", kernel.join(", ")));
    }
    let socket = privileges::missing(&[Capability::CAP_NET_RAW]);
    if !socket.is_empty() {
        here.push(String::from("missing, and needed to count by packet sockets: CAP_NET_RAW"));
    }
    if !kernel.is_empty() || !socket.is_empty() {
        let program = std::env::current_exe().map_or_else(|_| String::from("oopsd"), |path| path.display().to_string());
        here.push(format!("{} {program}", privileges::SETCAP));
    }
    let tables = config.routers.iter().any(|router| matches!(router, Router::KernelTable(_)));
    if tables && !privileges::missing(&[Capability::CAP_NET_ADMIN]).is_empty() {
        here.push(String::from("missing, and needed by kernel tables: CAP_NET_ADMIN"));
    }
    if leases(config) && File::options().read(true).write(true).open(kernel_table::TUN).is_err() {
        here.push(format!(
            "cannot be opened, and needed to withdraw and to drain by kernel tables: {}",
            kernel_table::TUN
        ));
    }
    here
}

/// Whether a ladder has a step that a kernel table leases.
fn leases(config: &Config) -> bool {
    let by_table = |route: &&Route| {
        config.routers.iter().any(|router| matches!(router, Router::KernelTable(table) if table.name == route.router))
    };
    config.plan.routes.iter().filter(by_table).any(|route| match &route.policy {
        Policy::Demote(ladder) => ladder.steps.iter().copied().any(kernel_table::is_leased),
        Policy::Absorb => false,
    })
}
