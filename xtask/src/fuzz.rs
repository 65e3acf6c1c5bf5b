//! Fuzzing, by libFuzzer through cargo-fuzz. The targets and the corpus that they begin with are in `ebpf/wire/fuzz`; what
//! a run finds stays in target/fuzz.

use crate::command::{cargo, run, text};
use crate::setup::{Purpose, setup};
use anyhow::{Context, Result, bail, ensure};
use std::collections::BTreeSet;
use std::env;
use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

/// The package whose `fuzz/` holds the targets.
const PACKAGE: &str = "ebpf/wire";

/// No line for each input that it keeps, but the sum at the end.
const QUIETLY: [&str; 2] = ["-verbosity=0", "-print_final_stats=1"];

/// Fuzzes one target, or all one after the other, each for so many seconds; goes on to the next after a crash, and fails.
pub(crate) fn fuzz(target: Option<&str>, seconds: u32) -> Result<()> {
    let targets = targets()?;
    if let Some(target) = target {
        ensure!(targets.contains(target), "there is no target {target}: {}", list(&targets));
    }
    setup(&[Purpose::Fuzz])?;
    let folder = env::current_dir()?.join("target/fuzz");
    let asked = targets.iter().filter(|name| target.is_none_or(|target| target == *name));
    let crashed: Vec<String> = asked
        .map(|name| Ok((name, Target::build(name, &folder)?.fuzz(seconds)?)))
        .filter_map(|outcome: Result<_>| match outcome {
            Ok((_, None)) => None,
            Ok((name, Some(crash))) => Some(Ok(format!("{name}: {crash}"))),
            Err(error) => Some(Err(error)),
        })
        .collect::<Result<_>>()?;
    ensure!(crashed.is_empty(), "{}", crashed.join("; "));
    Ok(())
}

/// The names of all targets.
fn targets() -> Result<BTreeSet<String>> {
    let folder = Path::new(PACKAGE).join("fuzz/fuzz_targets");
    let files = fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
    files
        .map(|file| Ok(file?.path().file_stem().context("a target has a name")?.to_string_lossy().into_owned()))
        .collect()
}

fn list(targets: &BTreeSet<String>) -> String {
    targets.iter().map(String::as_str).collect::<Vec<_>>().join(", ")
}

/// A target that is built.
struct Target {
    program: PathBuf,
    /// What it begins with, committed.
    seeds: PathBuf,
    /// What it has found worth keeping, in this run and those before.
    corpus: PathBuf,
    /// What it has crashed on.
    artifacts: PathBuf,
}

impl Target {
    fn build(name: &str, folder: &Path) -> Result<Self> {
        // It has no unsafe code, so that a sanitizer, which takes a nightly compiler, would find nothing.
        let mut build = cargo(&["fuzz", "build", "--sanitizer", "none", "--target-dir"]);
        build.arg(folder).arg(name).current_dir(PACKAGE).env("RUSTC_BOOTSTRAP", "1");
        run(&mut build)?;
        let built = fs::read_dir(folder)?.filter_map(|entry| Some(entry.ok()?.path().join("release").join(name)));
        let program = built.filter(|program| program.is_file()).last();
        let target = Self {
            program: program.with_context(|| format!("{} built no {name}", text(&build)))?,
            seeds: Path::new(PACKAGE).join("fuzz/corpus").join(name),
            corpus: folder.join("corpus").join(name),
            artifacts: folder.join("artifacts").join(name),
        };
        for folder in [&target.corpus, &target.artifacts] {
            fs::create_dir_all(folder).with_context(|| format!("cannot make {}", folder.display()))?;
        }
        Ok(target)
    }

    /// Runs it; what it crashed on, if it did.
    fn fuzz(&self, seconds: u32) -> Result<Option<String>> {
        let before = inputs(&self.artifacts)?;
        let mut command = Command::new(&self.program);
        command.arg(&self.corpus).arg(&self.seeds).arg(format!("-max_total_time={seconds}"));
        command.arg(format!("-artifact_prefix={}/", self.artifacts.display())).args(QUIETLY);
        println!("fuzz: {}", text(&command));
        let status = command.status().with_context(|| format!("cannot start {}", self.program.display()))?;
        if status.success() {
            return Ok(None);
        }
        let Some(input) = inputs(&self.artifacts)?.into_iter().find(|input| !before.contains(input)) else {
            bail!("{} ended with {status}, and left no input", self.program.display());
        };
        Ok(Some(format!("{} (again: {} {0})", input.display(), self.program.display())))
    }
}

fn inputs(artifacts: &Path) -> Result<BTreeSet<PathBuf>> {
    fs::read_dir(artifacts)?.map(|entry| Ok(entry?.path())).collect()
}
