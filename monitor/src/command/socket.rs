//! Asking the oopsd that runs, and where it is to be asked.

use crate::cli::Whose;
use crate::config::{Config, Purpose, state_directory_of};
use crate::control::Request;
use crate::state;
use std::io::{self, BufRead as _, BufReader, Write as _};
use std::os::unix::net::UnixStream;
use std::path::{Path, PathBuf};
use std::time::Duration;

/// How long an answer may take.
const PATIENCE: Duration = Duration::from_secs(6);

/// The state directory, as it was said or as the configuration says, whatever is wrong with the rest of that; and the
/// configuration, if nothing is.
pub(super) fn state_of(whose: &Whose) -> (PathBuf, Option<Config>) {
    let Whose { config: file, state_directory: said } = whose;
    let config = Config::load(file, Purpose::Judge).ok();
    let configured = || config.as_ref().map_or_else(|| state_directory_of(file), |it| it.state_directory.clone());
    (said.clone().unwrap_or_else(|| state::directory(configured().as_deref())), config)
}

/// Asks one thing, and returns the line that is the answer.
pub(super) fn ask(path: &Path, request: &Request) -> io::Result<Vec<u8>> {
    let mut stream = UnixStream::connect(path)?;
    stream.set_read_timeout(Some(PATIENCE))?;
    stream.set_write_timeout(Some(PATIENCE))?;
    let mut line = serde_json::to_vec(request)?;
    line.push(b'\n');
    stream.write_all(&line)?;
    let mut answer = Vec::new();
    BufReader::new(stream).read_until(b'\n', &mut answer)?;
    Ok(answer)
}
