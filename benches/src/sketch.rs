//! The same job in C, and little more than it (`sketch.c`): how fast this machine can do it.

use crate::process::is_here;
use crate::{Outcome, frames, kernel, table};
use aya::maps::{Array, MapData};
use aya::programs::ProgramFd;
use aya::{Ebpf, Pod};
use std::fs;
use std::process::Command;
use wire::Key;
use wire::zones::{self, Bucket, Shape};

/// Any numbers, all of whose bits vary.
const KEY: Key = Key([0x9D3A_71C4_5BE2_88F1, 0x417C_E90A_2B6D_F3A5]);

/// The sketch in the kernel.
pub(crate) struct Sketch {
    pub(crate) program: ProgramFd,
    /// Its maps go with it.
    _object: Ebpf,
}

impl Sketch {
    /// Compiles and loads it with so many zones; `None` where there is no clang.
    pub(crate) fn new(zones: u64) -> Outcome<Option<Self>> {
        if !is_here("clang") {
            table::skipped("    a sketch in C, the limit here", "needs clang");
            return Ok(None);
        }
        let (shape, buckets) = table(zones);
        let processors = u32::try_from(aya::util::nr_cpus().map_err(|(_, error)| error)?)?;
        let mut loader = aya::EbpfLoader::new();
        loader.map_max_entries("ZONES", processors * u32::try_from(buckets.len())?);
        loader.map_max_entries("TOTALS", processors);
        let mut object = loader.load(&compiled()?)?;
        for (index, bucket) in (0..).zip((0..processors).flat_map(|_| &buckets)) {
            set(&mut object, "ZONES", index, *bucket)?;
        }
        let Key([seed, step]) = KEY;
        set(&mut object, "TOLD", 0, [seed, step, 0, shape.buckets, u64::from(shape.depths)])?;
        Ok(Some(Self { program: kernel::load(&mut object, "sketch")?, _object: object }))
    }
}

/// The table of the zones.
fn table(zones: u64) -> (Shape, Vec<Bucket>) {
    let names: Vec<_> = (0..zones).map(|zone| oopsd::name::to_wire(&frames::zone(zone))).collect();
    let mut many = zones::buckets_for(names.len());
    loop {
        let mut buckets = vec![[0; 8]; many];
        if let Ok(shape) = zones::build(names.iter().map(|name| &name[..]), &KEY, &mut buckets) {
            return (shape, buckets);
        }
        many = zones::more(many);
    }
}

/// Its object.
fn compiled() -> Outcome<Vec<u8>> {
    let folder = tempfile::tempdir()?;
    let (source, object) = (folder.path().join("sketch.c"), folder.path().join("sketch.o"));
    fs::write(&source, include_str!("sketch.c"))?;
    let clang = Command::new("clang")
        .args(["-O2", "-g", "-target", "bpf", "-mcpu=v3", "-c"])
        .arg(&source)
        .arg("-o")
        .arg(&object)
        .output()?;
    if !clang.status.success() {
        return Err(format!("clang: {}", String::from_utf8_lossy(&clang.stderr)).into());
    }
    Ok(fs::read(object)?)
}

fn set<T: Pod>(object: &mut Ebpf, map: &str, index: u32, value: T) -> Outcome<()> {
    let map = object.map_mut(map).ok_or("a map is missing")?;
    Ok(Array::<&mut MapData, T>::try_from(map)?.set(index, value, 0)?)
}
