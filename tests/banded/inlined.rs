//! Instructions for wide registers are inlined: called one by one they cost twelve times as much.

/// Names of the functions in the symbol table of this test's own file, an ELF of 64 bits.
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn functions() -> Vec<String> {
    let file = std::fs::read(std::env::current_exe().unwrap()).unwrap();
    let number = |at: usize, bytes: usize| -> usize {
        file[at..at + bytes].iter().rev().fold(0, |sum, byte| (sum << 8) | usize::from(*byte))
    };
    let (sections, size, count) = (number(0x28, 8), number(0x3a, 2), number(0x3c, 2));
    let section = |k: usize| sections + k * size;
    let table = (0..count).map(section).find(|&at| number(at + 4, 4) == 2).expect("tests are not stripped");
    let names = number(section(number(table + 0x28, 4)) + 0x18, 8);
    let symbols = (number(table + 0x18, 8)..).step_by(24).take(number(table + 0x20, 8) / 24);
    let name = |at: usize| {
        let first = names + number(at, 4);
        let length = file[first..].iter().position(|byte| *byte == 0).unwrap();
        String::from_utf8_lossy(&file[first..first + length]).into_owned()
    };
    symbols.filter(|&at| file[at + 4] & 15 == 2).map(name).collect()
}

#[test]
#[cfg(all(target_os = "linux", target_arch = "x86_64"))]
fn no_vector_instruction_is_a_function_of_its_own() {
    let all = functions();
    assert!(all.iter().any(|name| name.contains("Avx512") && name.contains("dispatch")), "kernels are named");
    let called: Vec<&String> = all
        .iter()
        .filter(|name| name.contains("_mm512_") || name.contains("_mm256_"))
        .filter(|n| n.contains("_pd"))
        .collect();
    assert!(called.is_empty(), "{called:?}: a closure in a kernel that is passed on?");
}
