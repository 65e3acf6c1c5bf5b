//! What it cannot do it says at the start, in one line that names the thing, and exits with 1.

use anyhow::{Context, Result, ensure};
use std::net::TcpListener;
use std::process::Command;
use tests::lab;
use tests::site::Site;

#[test]
fn an_unknown_interface_is_named() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    refused(site.host.command(&program()?).args(["run", "-i", "nosuch0"]), &["nosuch0", "no such interface"])
}

#[test]
fn a_missing_configuration_is_named() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let file = "/nonexistent/oopsd.toml";
    refused(site.host.command(&program()?).args(["run", "-c", file]), &[file, "No such file"])
}

#[test]
fn a_broken_configuration_is_refused_with_its_place() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("oopsd.toml");
    std::fs::write(&file, "[capture]\ninterfaces = [\"eth0\"]\nprots = [53]\n")?;
    let file = file.to_str().context("UTF-8")?;
    refused(site.host.command(&program()?).args(["run", "-c", file]), &["oopsd.toml:3:1: ", "`prots`", "`ports`"])
}

#[test]
fn a_metrics_address_that_is_taken_is_named() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let _taken = site.host.inside(|| Ok(TcpListener::bind("127.0.0.1:9553")?))?;
    let folder = tempfile::tempdir()?;
    let file = folder.path().join("oopsd.toml");
    std::fs::write(&file, "[capture]\ninterfaces = [\"eth0\"]\n[metrics]\n")?;
    let file = file.to_str().context("UTF-8")?;
    refused(site.host.command(&program()?).args(["run", "-c", file]), &["127.0.0.1:9553", "Address already in use"])
}

#[test]
fn a_missing_capability_is_named() -> Result<()> {
    let Some(site) = Site::new()? else { return Ok(()) };
    let mut command = site.host.command("setpriv");
    command.args(["--bounding-set", "-net_raw", "--inh-caps", "-net_raw", &program()?, "run", "-i", "eth0"]);
    refused(&mut command, &["CAP_NET_RAW"])
}

fn program() -> Result<String> {
    Ok(lab::oopsd()?.to_str().context("UTF-8")?.to_owned())
}

/// It exits with 1 and says all of `words` in its last line.
fn refused(command: &mut Command, words: &[&str]) -> Result<()> {
    let output = command.output()?;
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.code() == Some(1), "{}: {said}", output.status);
    let last = said.lines().last().unwrap_or_default();
    ensure!(words.iter().all(|word| last.contains(word)), "{words:?} are not in {said}");
    Ok(())
}
