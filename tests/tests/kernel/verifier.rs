//! How much the verifier has to look at, which differs from kernel to kernel: 6.1 looks at half as much again.

use aya::Ebpf;
use aya::programs::Program;

/// A kernel refuses more than a million.
const CEILING: u32 = 450_000;

#[test]
fn the_verifier_has_room_left() {
    if !tests::lab::ready(&[]) {
        return;
    }
    let mut object = Ebpf::load(oopsd::capture::kernel::trial::object().unwrap()).unwrap();
    for (name, program) in object.programs_mut() {
        if let Program::Xdp(program) = program {
            program.load().unwrap();
        } else if let Program::SchedClassifier(program) = program {
            program.load().unwrap();
        }
        let verified = program.info().unwrap().verified_instruction_count().unwrap();
        println!("{name}: {verified} instructions verified");
        assert!(verified < CEILING, "{name}: {verified}");
    }
}
