//! Signals over MQTT to mosquitto, read by `mosquitto_sub`: what it keeps, and what it refuses. None is lost: see `signals`.

mod refusals;
mod states;
