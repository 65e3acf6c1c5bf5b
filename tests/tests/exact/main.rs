//! On every rung and at full speed: oopsd's counts, the server's own and a packet socket's are the same, to the last one.

mod floods;
mod large;
mod reloads;
mod restarts;
mod rungs;
mod scene;
