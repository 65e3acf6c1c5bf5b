//! `oopsd channel test` with the daemon down.

use anyhow::{Result, ensure};
use std::fs;
use std::process::Command;
use tests::lab::oopsd;
use tests::receiver::SECRET;
use tests::receivers::{Http, Mood};

#[test]
fn a_channel_is_tried_without_the_daemon_and_what_the_other_side_says_is_said() -> Result<()> {
    let folder = tempfile::tempdir()?;
    let receiver = Http::start()?;
    let file = folder.path().join("oopsd.toml");
    fs::write(folder.path().join("webhook.secret"), SECRET)?;
    let config = format!(
        "[[channel]]\ntype = \"webhook\"\nname = \"siem\"\nurl = \"http://{}/\"\nsecret-file = \"webhook.secret\"\n\
         [[channel]]\ntype = \"log\"\nfile = \"signals.jsonl\"\n\
         [[channel]]\ntype = \"exec\"\ncommand = \"/bin/false\"\n",
        receiver.address
    );
    fs::write(&file, config)?;
    let test = |name: &str| -> Result<(bool, String)> {
        let output = Command::new(oopsd()?).args(["channel", "test", name, "-c"]).arg(&file).output()?;
        let said = [output.stdout, output.stderr].concat();
        Ok((output.status.success(), String::from_utf8(said)?))
    };
    for name in ["siem", "log"] {
        let (well, said) = test(name)?;
        ensure!(well && said.starts_with(&format!("{name}: accepted after ")), "{said}");
    }
    let got = fs::read_to_string(folder.path().join("signals.jsonl"))?;
    let got: serde_json::Value = serde_json::from_str(&got)?;
    ensure!(got["condition"] == "test" && got["kind"] == "test", "{got}");
    receiver.mood(Mood::Fails);
    for (name, why) in
        [("siem", "500 Internal Server Error"), ("exec", "exit status: 1"), ("nobody", "there are: siem, log, exec")]
    {
        let (well, said) = test(name)?;
        ensure!(!well && said.contains(why), "{name}: {said}");
        ensure!(!said.contains(SECRET), "{said}");
    }
    ensure!(!folder.path().join("outbox").exists());
    Ok(())
}
