//! One marked signal to one channel, at once, past every queue: what an operator tries first.

use super::delivery::{Answer, Peer};
use super::letter::Letter;
use super::peer::Other;
use super::running::{Ready, prepare};
use super::{Config, Error, Sender};
use engine::signal::Named;
use engine::{Arguments, Signal, State, Time, Wall};
use std::sync::Arc;
use std::time::{Duration, Instant};
use tokio::runtime::Handle;

/// What condition and kind of it are.
pub const TEST: &str = "test";

/// Sends a signal whose condition and kind are [`TEST`]; the other side's no as an error.
///
/// # Errors
/// When the channel cannot work as configured; within, why it was not accepted.
pub async fn trial(config: &Config, sender: Sender, wall: Wall) -> Result<Result<(), String>, Error> {
    let now = Instant::now();
    let letter = Letter {
        signal: Arc::new(signal(wall)),
        sender: Arc::new(sender),
        crossed: now,
        expires: now + Duration::from_mins(5),
        superseded: 0,
        lost: 0,
    };
    let answer = match prepare(config)?.to {
        Ready::Log(target) => {
            target.write(&letter).map_or_else(|error| Answer::no(error.to_string()), |()| Answer::Yes)
        }
        Ready::Other(Other::Notify(_)) => {
            Answer::no("a NOTIFY is of a zone, and this signal is of none: nothing was sent")
        }
        Ready::Other(Other::Mqtt(mqtt)) => mqtt.once(&letter).await,
        Ready::Other(Other::Dbus(dbus)) => dbus.once(&letter).await,
        Ready::Other(mut other) => {
            other.begin(None, &letter.sender, &Handle::current());
            other.attempt(std::slice::from_ref(&letter)).await
        }
    };
    Ok(match answer {
        Answer::Yes => Ok(()),
        Answer::Gone => Err("it says that it is gone (410)".to_owned()),
        Answer::No { why, .. } => Err(why),
    })
}

fn signal(wall: Wall) -> Signal {
    Signal {
        seq: 0,
        at: Time::default(),
        wall,
        condition: TEST.to_owned(),
        kind: TEST,
        state: State::Met,
        scope: Named::Node,
        value: 0.0,
        threshold: 0.0,
        window: Duration::ZERO,
        arguments: Arguments { reasons: vec!["oopsd channel test".to_owned()], ..Arguments::default() },
    }
}
