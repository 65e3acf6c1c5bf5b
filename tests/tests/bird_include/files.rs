//! The include file in trouble: it is missing, damaged, a FIFO, for everybody to write, on a full disk.

use crate::lab::{Lab, SOON};
use anyhow::{Result, ensure};
use std::fs::{self, Permissions};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::process::Command;
use tests::lab::bird::Version;
use tests::lab::peering::{V4, V6};
use tests::lab::{run, until};
use tests::routers::Routers;

#[test]
fn a_missing_or_damaged_file_is_written_as_bird_runs() -> Result<()> {
    let Some((lab, mut oopsd)) = announced()? else { return Ok(()) };
    let (text, mark) = (lab.text()?, lab.peering.listener.mark());
    fs::remove_file(lab.include())?;
    until("it is written anew", SOON, || lab.text().ok().filter(|now| *now == text))?;
    for damage in ["define OOPSD_PREPEND1_4 = [ 1, 2 ];\n", "", "protocol", &text[..text.len() / 2]] {
        fs::write(lab.include(), damage)?;
        until("it is written anew", SOON, || lab.text().ok().filter(|now| *now == text))?;
        lab.boots()?;
    }
    // Nobody remembers what was wanted, and what BIRD runs with says it.
    drop(oopsd);
    fs::remove_file(lab.include())?;
    oopsd = lab.oopsd()?;
    oopsd.sees(V4, "prepend 2")?;
    ensure!(lab.text()? == text, "{}", lab.text()?);
    ensure!(lab.peering.listener.updates(mark).is_empty());
    lab.undisturbed()
}

#[test]
fn a_fifo_in_its_place_is_never_opened() -> Result<()> {
    let Some((mut lab, mut oopsd)) = announced()? else { return Ok(()) };
    let text = lab.text()?;
    fs::remove_file(lab.include())?;
    run(Command::new("mkfifo").arg(lab.include()))?;
    let error = oopsd.fails(V4)?;
    ensure!(error.contains("not a regular file"), "{error}");
    oopsd.want(V4, "prepend 5")?;
    // Had oopsd asked BIRD to read it, BIRD would be frozen.
    ensure!(lab.bird.ask("show status").is_ok());
    lab.reaches(V4, "prepend 2")?;
    fs::remove_file(lab.include())?;
    lab.reaches(V4, "prepend 5")?;
    lab.reaches(V6, "med 200")?;
    ensure!(lab.text()? != text);
    ensure!(lab.bird.running().0.try_wait()?.is_none());
    lab.undisturbed()
}

#[test]
fn what_everybody_may_write_is_not_used() -> Result<()> {
    let Some((lab, mut oopsd)) = announced()? else { return Ok(()) };
    fs::set_permissions(lab.include(), Permissions::from_mode(0o666))?;
    let error = oopsd.fails(V4)?;
    ensure!(error.contains("everybody may write to it"), "{error}");
    oopsd.want(V4, "plain")?;
    fs::set_permissions(lab.include(), Permissions::from_mode(0o640))?;
    lab.reaches(V4, "plain")?;
    oopsd.sees(V4, "plain")?;
    ensure!(fs::metadata(lab.include())?.mode() & 0o7777 == 0o640, "the mode is another");
    lab.undisturbed()
}

#[test]
fn on_a_full_disk_the_former_file_stays() -> Result<()> {
    if !tests::lab::ready(&["ip", "bird", "mount"]) {
        return Ok(());
    }
    let disk = Disk::new()?;
    let folder = tempfile::Builder::new().prefix("include-").tempdir_in(disk.0.path())?;
    let Some(lab) = Lab::with(Version::Two, folder)? else { return Ok(()) };
    let mut oopsd = lab.oopsd()?;
    oopsd.want(V4, "prepend 2")?;
    lab.reaches(V4, "prepend 2")?;
    oopsd.sees(V4, "prepend 2")?;
    let text = lab.text()?;
    let filler = disk.0.path().join("filler");
    ensure!(fs::write(&filler, vec![0; 1 << 20]).is_err(), "the disk is not full");
    oopsd.want(V4, "prepend 3")?;
    let error = oopsd.fails(V4)?;
    ensure!(error.contains("No space left on device"), "{error}");
    ensure!(lab.text()? == text);
    lab.tidy()?;
    lab.boots()?;
    fs::remove_file(filler)?;
    lab.reaches(V4, "prepend 3")?;
    oopsd.sees(V4, "prepend 3")?;
    lab.undisturbed()
}

#[test]
fn the_switch_that_works_with_oopsd_dead() -> Result<()> {
    let Some((lab, oopsd)) = announced()? else { return Ok(()) };
    drop(oopsd);
    let conf = lab.conf()?;
    let line = conf.lines().find(|line| line.contains("without oopsd")).unwrap_or_default();
    let switch = line.split('`').nth(1).unwrap_or_default();
    let birdc = format!("birdc -s {}", lab.bird.socket().display());
    run(Command::new("sh").arg("-c").arg(switch.replace("birdc", &birdc)))?;
    lab.reaches(V4, "plain")?;
    lab.reaches(V6, "plain")?;
    lab.boots()?;
    let mut oopsd = lab.oopsd()?;
    oopsd.sees(V4, "plain")?;
    oopsd.want(V4, "prepend 1")?;
    lab.reaches(V4, "prepend 1")?;
    lab.undisturbed()
}

/// With something announced for both prefixes.
fn announced() -> Result<Option<(Lab, Routers)>> {
    let Some(lab) = Lab::new()? else { return Ok(None) };
    let mut oopsd = lab.oopsd()?;
    for (prefix, action) in [(V4, "prepend 2"), (V6, "med 200")] {
        oopsd.want(prefix, action)?;
        lab.reaches(prefix, action)?;
        oopsd.sees(prefix, action)?;
    }
    Ok(Some((lab, oopsd)))
}

/// A disk with hardly any room, unmounted when dropped.
struct Disk(tempfile::TempDir);

impl Disk {
    fn new() -> Result<Self> {
        let folder = tempfile::tempdir()?;
        run(Command::new("mount").args(["-t", "tmpfs", "-o", "size=64k", "oopsd-full"]).arg(folder.path()))?;
        Ok(Self(folder))
    }
}

impl Drop for Disk {
    fn drop(&mut self) {
        let _ = run(Command::new("umount").arg("-l").arg(self.0.path()));
    }
}
