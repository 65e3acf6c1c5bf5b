//! `type = "bird"` against a real BIRD: an include file and the control socket, judged at the upstream by what came over the wire, and in the
//! file by `bird -p`.

mod actions;
mod bird3;
mod crashes;
mod files;
mod lab;
mod operator;
mod outages;
