//! The rungs that `oopsd run` can stand on: what each counts, and what becomes of it when others touch the interface.

mod life;
mod pinning;
mod privileges;
mod reloads;
mod rungs;
