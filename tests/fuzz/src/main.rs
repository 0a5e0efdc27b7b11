//! Looks for bytes that break a rule: libFuzzer, for the target that `FUZZ_TARGET` names.
#![no_main]

use std::{fs, path::Path, process::exit, sync::OnceLock};

use fuzz::{TARGETS, Target};

fn chosen() -> &'static Target {
    static CHOSEN: OnceLock<&'static Target> = OnceLock::new();
    CHOSEN.get_or_init(|| {
        let name = std::env::var("FUZZ_TARGET").unwrap_or_default();
        let Some(target) = TARGETS.iter().find(|target| target.name == name) else { exit(2) };
        target
    })
}

/// Writes the bytes to begin with, in a folder for each target, and ends.
fn write_seeds(folder: &Path) -> std::io::Result<()> {
    for target in &TARGETS {
        let folder = folder.join(target.name);
        fs::create_dir_all(&folder)?;
        for (number, seed) in (target.seeds)().into_iter().enumerate() {
            fs::write(folder.join(number.to_string()), seed)?;
        }
    }
    exit(0)
}

libfuzzer_sys::fuzz_target!(
    init: {
        if let Some(folder) = std::env::var_os("FUZZ_SEEDS") {
            write_seeds(Path::new(&folder)).expect("a folder for seeds");
        }
        let _loaded = chosen();
    },
    |bytes: &[u8]| (chosen().check)(bytes)
);
