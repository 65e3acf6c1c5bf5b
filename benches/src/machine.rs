//! What makes figures comparable: the machine, and how busy it is.

use std::fs;
use std::process::Command;

/// Prints processor, kernel, compiler and load.
pub(crate) fn print() {
    let processors = fs::read_to_string("/proc/cpuinfo").unwrap_or_default();
    let models: Vec<&str> =
        processors.lines().filter_map(|line| line.strip_prefix("model name")?.split(": ").nth(1)).collect();
    let kernel = fs::read_to_string("/proc/sys/kernel/osrelease").unwrap_or_default();
    let rustc = Command::new("rustc").arg("--version").output().map(|output| output.stdout).unwrap_or_default();
    println!("processor: {} x {}", models.len(), models.first().unwrap_or(&"unknown"));
    println!("kernel: {}; {}", kernel.trim(), String::from_utf8_lossy(&rustc).trim());
    print_load();
}

/// Prints the load average of now.
pub(crate) fn print_load() {
    println!("load average: {}", fs::read_to_string("/proc/loadavg").unwrap_or_default().trim());
}
