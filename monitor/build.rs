//! Builds the kernel programs, if there is a toolchain for BPF here, for the daemon to carry with it.
//!
//! `cargo xtask setup` installs that toolchain: Debian's `rustc-web` with its BPF libraries, and `bpf-linker`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's, whose libraries for BPF are beside it; the one on the path has none.
const RUSTC: &str = "/usr/bin/rustc";

const TARGET: &str = "bpfel-unknown-none";

/// `v3`: comparisons of 32 bits, atomics. The feature: eight bytes of a frame are one load.
const FLAGS: [&str; 5] = [
    "-Ctarget-cpu=v3",
    "-Ctarget-feature=+allows-misaligned-mem-access",
    "-Cdebuginfo=2",
    "-Clink-arg=--btf",
    "-Ccodegen-units=1",
];

fn main() {
    println!("cargo:rustc-check-cfg=cfg(kernel_object)");
    for path in [
        "build.rs",
        "../Cargo.lock",
        "../ebpf/Cargo.toml",
        "../ebpf/src",
        "../ebpf/wire/Cargo.toml",
        "../ebpf/wire/src",
    ] {
        watch(Path::new(path));
    }
    match object() {
        Ok(()) => println!("cargo:rustc-cfg=kernel_object"),
        Err(why) if std::env::var_os("CARGO_FEATURE_KERNEL").is_some() => panic!("no kernel capture: {why}"),
        Err(why) => println!("cargo:warning=this binary has no kernel capture: {why}"),
    }
}

/// Has cargo run this again when a file changes. One that is not there would have it run each time, so that then it is the
/// folder where it would come to be.
fn watch(path: &Path) {
    let there = path.ancestors().find(|path| path.exists()).unwrap_or(path);
    println!("cargo:rerun-if-changed={}", there.display());
}

fn object() -> Result<(), String> {
    watch(Path::new(RUSTC));
    let libraries = output(Command::new(RUSTC).args(["--print", "target-libdir", "--target", TARGET]))?;
    watch(Path::new(libraries.trim()));
    if !Path::new(libraries.trim()).is_dir() {
        return Err(format!("{RUSTC} has no libraries for {TARGET}; cargo xtask setup --for build"));
    }
    let linker = linker()?;
    watch(&linker);
    output(Command::new(&linker).arg("--version"))?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    // One for all profiles and tools: `target/bpf`. Cargo's own lock keeps those that build at the same time apart.
    let target = out.ancestors().nth(4).ok_or("OUT_DIR is not in a target folder")?.join("bpf");
    build("oopsd-ebpf", &linker, &target)?;
    let built = target.join(TARGET).join("release/oopsd-ebpf");
    std::fs::copy(&built, out.join("kernel.o")).map_err(|error| format!("{}: {error}", built.display()))?;
    // Apart: whatever is wrong with these is no loss to the daemon.
    if std::env::var_os("CARGO_FEATURE_PEERS").is_some()
        && let Err(why) = build("peers", &linker, &target)
    {
        println!("cargo:warning=the benches have no peers in the kernel: {why}");
    }
    Ok(())
}

/// Builds one of the package's programs, into `target`.
fn build(program: &str, linker: &Path, target: &Path) -> Result<(), String> {
    let mut cargo = Command::new(variable("CARGO")?);
    // What cargo and clippy say of this build is not for that one.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") && text != "CARGO_HOME" || text.starts_with("RUSTC") || text == "RUSTFLAGS" {
            cargo.env_remove(name);
        }
    }
    cargo
        .args(["build", "--quiet", "--locked", "--release", "--package", "oopsd-ebpf", "--bin", program])
        .args(["--target", TARGET, "--target-dir"])
        .arg(target)
        .env("RUSTC", RUSTC)
        // Assembler for BPF is not stable yet.
        .env("RUSTC_BOOTSTRAP", "1")
        .env(
            "CARGO_ENCODED_RUSTFLAGS",
            [&FLAGS[..], &[&format!("-Clinker={}", linker.display())]].concat().join("\x1f"),
        );
    output(&mut cargo).map(drop)
}

/// On the path, or where cargo installs programs, which not everybody has on the path.
fn linker() -> Result<PathBuf, String> {
    let home = std::env::var_os("HOME").unwrap_or_default();
    let cargo =
        std::env::var_os("CARGO_HOME").map_or_else(|| Path::new(&home).join(".cargo"), PathBuf::from).join("bin");
    let path = std::env::var_os("PATH").unwrap_or_default();
    let mut folders = std::env::split_paths(&path).chain([cargo.clone()]);
    let found = folders.find_map(|folder| Some(folder.join("bpf-linker")).filter(|program| program.is_file()));
    found.ok_or_else(|| {
        watch(&cargo.join("bpf-linker"));
        "there is no bpf-linker; cargo xtask setup --for build".to_owned()
    })
}

fn variable(name: &str) -> Result<String, String> {
    std::env::var(name).map_err(|error| format!("{name}: {error}"))
}

fn output(command: &mut Command) -> Result<String, String> {
    let program = command.get_program().to_string_lossy().into_owned();
    let output = command.output().map_err(|error| format!("{program}: {error}; cargo xtask setup --for build"))?;
    if output.status.success() {
        return Ok(String::from_utf8_lossy(&output.stdout).into_owned());
    }
    let said = String::from_utf8_lossy(&output.stderr);
    Err(format!("{program} failed: {}", said.replace('\n', " | ")))
}
