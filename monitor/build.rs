//! Builds the kernel programs, if there is a toolchain for BPF here, for the daemon to carry with it.
//!
//! `cargo xtask setup` installs that toolchain: Debian's `rustc-web` with its BPF libraries, and `bpf-linker`.

use std::path::{Path, PathBuf};
use std::process::Command;

/// Debian's, whose libraries for BPF are beside it; the one on the path has none.
const RUSTC: &str = "/usr/bin/rustc";

const TARGET: &str = "bpfel-unknown-none";

/// `v3`: comparisons of 32 bits, atomics. The feature: eight bytes of a frame are one load.
const FLAGS: [&str; 6] = [
    "-Ctarget-cpu=v3",
    "-Ctarget-feature=+allows-misaligned-mem-access",
    "-Cdebuginfo=2",
    "-Clink-arg=--btf",
    "-Ccodegen-units=1",
    "-Clinker=bpf-linker",
];

fn main() {
    println!("cargo:rustc-check-cfg=cfg(kernel_object)");
    println!("cargo:rerun-if-changed=build.rs");
    for path in ["Cargo.toml", "src", "wire/Cargo.toml", "wire/src"] {
        println!("cargo:rerun-if-changed=../ebpf/{path}");
    }
    println!("cargo:rerun-if-changed={RUSTC}");
    match object() {
        Ok(()) => println!("cargo:rustc-cfg=kernel_object"),
        Err(why) if std::env::var_os("CARGO_FEATURE_KERNEL").is_some() => panic!("no kernel capture: {why}"),
        Err(why) => println!("cargo:warning=this binary has no kernel capture: {why}"),
    }
}

fn object() -> Result<(), String> {
    let libraries = output(Command::new(RUSTC).args(["--print", "target-libdir", "--target", TARGET]))?;
    if !Path::new(libraries.trim()).is_dir() {
        return Err(format!("{RUSTC} has no libraries for {TARGET}; cargo xtask setup --for build"));
    }
    output(Command::new("bpf-linker").arg("--version"))?;
    let out = PathBuf::from(variable("OUT_DIR")?);
    let target = out.join("bpf");
    let mut cargo = Command::new(variable("CARGO")?);
    // What cargo and clippy say of this build is not for that one.
    for (name, _) in std::env::vars_os() {
        let text = name.to_string_lossy();
        if text.starts_with("CARGO") && text != "CARGO_HOME" || text.starts_with("RUSTC") || text == "RUSTFLAGS" {
            cargo.env_remove(name);
        }
    }
    cargo
        .args(["build", "--quiet", "--locked", "--release", "--package", "oopsd-ebpf", "--bin", "oopsd-ebpf"])
        .args(["--target", TARGET, "--target-dir"])
        .arg(&target)
        .env("RUSTC", RUSTC)
        // Assembler for BPF is not stable yet.
        .env("RUSTC_BOOTSTRAP", "1")
        .env("CARGO_ENCODED_RUSTFLAGS", FLAGS.join("\x1f"));
    output(&mut cargo)?;
    let built = target.join(TARGET).join("release/oopsd-ebpf");
    std::fs::copy(&built, out.join("kernel.o")).map_err(|error| format!("{}: {error}", built.display()))?;
    Ok(())
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
