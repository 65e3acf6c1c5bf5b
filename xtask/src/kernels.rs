//! oopsd on another kernel: Debian's, in a machine of its own, emulated if need be. Nothing of it is installed.
//!
//! The machine boots into a file system made of busybox, oopsd, this program and the libraries they name. What happens
//! there is in `kernels/guest.rs`.

mod dns;
mod guest;

pub(crate) use guest::{Part, guest};

use crate::command::{cargo, output, run};
use crate::debian::Source;
use crate::setup::{Purpose, setup};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::env;
use std::fs::{self, File};
use std::io::{BufRead, BufReader, Write};
use std::path::{Path, PathBuf};
use std::process::{Command, Stdio};
use std::time::{Duration, Instant};

/// The package that depends on the newest kernel of Debian 12, which is 6.1.
const NEWEST: &str = "linux-image-cloud-amd64";

/// In the order in which they need each other.
const MODULES: [&str; 8] = ["llc", "stp", "garp", "mrp", "8021q", "veth", "sch_ingress", "cls_bpf"];

/// Debian's programs that run in it.
const PROGRAMS: [&str; 2] = ["ip", "bpftool"];

/// Emulated on two cores that had much else to do it has taken 170 s.
const LIMIT: Duration = Duration::from_secs(600);

/// Runs it, and fails unless everything was counted.
pub(crate) fn kernels(kvm: bool) -> Result<()> {
    setup(&[Purpose::Kernels])?;
    run(&mut cargo(&["build", "--quiet", "--package", "oopsd", "--locked"]))?;
    let folder = Path::new("target/kernels").to_owned();
    fs::create_dir_all(&folder)?;
    let kernel = kernel(&folder)?;
    let image = image(&folder, &kernel)?;
    boot(&folder, &kernel, &image, kvm)
}

/// The kernel's package, unpacked: its folder.
fn kernel(folder: &Path) -> Result<PathBuf> {
    let depends = output(Command::new("apt-cache").args(["depends", "--important", NEWEST]))?;
    let package = depends
        .lines()
        .find_map(|line| line.trim().strip_prefix("Depends: linux-image"))
        .map(|rest| format!("linux-image{rest}"))
        .with_context(|| format!("apt knows no {NEWEST}; apt-get update"))?;
    let unpacked = folder.join(&package);
    if !unpacked.is_dir() {
        println!("kernels: fetching {package}");
        Source::of_this_machine().unpack(&[&package], &unpacked)?;
    }
    Ok(unpacked)
}

/// The file system that it boots into, as cpio.
fn image(folder: &Path, kernel: &Path) -> Result<PathBuf> {
    let root = folder.join("root");
    if root.exists() {
        fs::remove_dir_all(&root)?;
    }
    for part in ["bin", "dev", "lib64", "modules", "proc", "run", "sys", "tmp", "var"] {
        fs::create_dir_all(root.join(part))?;
    }
    fs::copy(found_program("busybox")?, root.join("bin/busybox"))?;
    let mut programs = vec![PathBuf::from("target/debug/oopsd"), env::current_exe()?];
    programs.extend(PROGRAMS.into_iter().map(found_program).collect::<Result<Vec<_>>>()?);
    let mut libraries = BTreeSet::new();
    for program in &programs {
        fs::copy(program, root.join("bin").join(program.file_name().context("a program has a name")?))?;
        let named = output(Command::new("ldd").arg(program))?;
        libraries.extend(named.split_whitespace().filter(|word| word.starts_with('/')).map(str::to_owned));
    }
    for library in libraries {
        let place = root.join(library.trim_start_matches('/'));
        fs::create_dir_all(place.parent().context("a library is in a folder")?)?;
        fs::copy(&library, place)?;
    }
    let modules = output(Command::new("find").arg(kernel).args(["-name", "*.ko"]))?;
    let mut init = String::from("#!/bin/busybox sh\n");
    init += "/bin/busybox --install -s /bin\nexport PATH=/bin\n";
    for (kind, place) in
        [("proc", "/proc"), ("sysfs", "/sys"), ("devtmpfs", "/dev"), ("tmpfs", "/run"), ("bpf", "/sys/fs/bpf")]
    {
        init += &format!("mount -t {kind} {kind} {place}\n");
    }
    for module in MODULES {
        let file = format!("{module}.ko");
        let from = modules.lines().find(|path| path.rsplit('/').next() == Some(&file));
        fs::copy(
            from.with_context(|| format!("{} has no {module}", kernel.display()))?,
            root.join("modules").join(&file),
        )?;
        init += &format!("insmod /modules/{file}\n");
    }
    init += "xtask guest all\npoweroff -f\n";
    fs::write(root.join("init"), init)?;
    run(Command::new("chmod").arg("755").arg(root.join("init")))?;
    let image = folder.join("image.cpio");
    let archive = Command::new("sh")
        .args(["-c", "find . | busybox cpio -o -H newc -R 0:0 2>/dev/null"])
        .current_dir(&root)
        .stdout(File::create(&image)?)
        .status()?;
    ensure!(archive.success(), "cpio ended with {archive}");
    Ok(image)
}

/// Boots it, shows what it says, and fails if that is not that all is well.
fn boot(folder: &Path, kernel: &Path, image: &Path, kvm: bool) -> Result<()> {
    let began = Instant::now();
    let mut machine = Command::new("qemu-system-x86_64");
    if kvm {
        machine.args(["-accel", "kvm"]);
    }
    machine
        .args([
            "-accel",
            "tcg",
            "-cpu",
            "max",
            "-smp",
            "2",
            "-m",
            "1536",
            "-no-reboot",
            "-nodefaults",
            "-display",
            "none",
        ])
        .args(["-serial", "stdio", "-append", "console=ttyS0 quiet panic=-1", "-kernel"])
        .arg(found(&kernel.join("boot"), "vmlinuz", "")?)
        .arg("-initrd")
        .arg(image)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(File::create(folder.join("qemu.log"))?);
    let mut machine = machine.spawn().context("cannot start qemu-system-x86_64")?;
    let console = BufReader::new(machine.stdout.take().context("piped")?);
    let log = folder.join("console.log");
    let mut file = File::create(&log)?;
    let reader = std::thread::spawn(move || show(console, &mut file));
    let status = loop {
        if let Some(status) = machine.try_wait()? {
            break Some(status);
        }
        if began.elapsed() > LIMIT {
            machine.kill()?;
            machine.wait()?;
            break None;
        }
        std::thread::sleep(Duration::from_millis(50));
    };
    let well = reader.join().ok().context("the reader of the console panicked")??;
    println!("kernels: {:.0} s from boot to end", began.elapsed().as_secs_f64());
    match status {
        None => bail!("it did not end within {LIMIT:?}: {}", log.display()),
        Some(status) => ensure!(well && status.success(), "not all is well: {status}, {}", log.display()),
    }
    Ok(())
}

/// Prints what is meant for a person, and writes down all of the console; whether it ended well.
fn show(console: impl BufRead, log: &mut File) -> Result<bool> {
    let mut well = false;
    for line in console.split(b'\n') {
        let line = line?;
        log.write_all(&[&line[..], b"\n"].concat())?;
        let line = String::from_utf8_lossy(&line).replace('\r', "");
        if let Some((_, said)) = line.split_once(guest::MARK) {
            println!("{said}");
            well = said == guest::WELL;
        }
    }
    Ok(well)
}

/// The one file in a folder whose name begins and ends so.
fn found(folder: &Path, begins: &str, ends: &str) -> Result<PathBuf> {
    let fits = |path: &PathBuf| {
        path.file_name()
            .and_then(|name| name.to_str())
            .is_some_and(|name| name.starts_with(begins) && name.ends_with(ends))
    };
    let mut files = fs::read_dir(folder)?.filter_map(|entry| entry.ok().map(|entry| entry.path()));
    files.find(fits).with_context(|| format!("no {begins}*{ends} in {}", folder.display()))
}

fn found_program(name: &str) -> Result<PathBuf> {
    let folders = ["/usr/bin", "/usr/sbin", "/bin", "/sbin"].map(|folder| Path::new(folder).join(name));
    folders.into_iter().find(|program| program.is_file()).with_context(|| format!("{name} is not installed"))
}
