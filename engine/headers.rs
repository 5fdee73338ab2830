//! Copies the engine's C headers, which say what this build of it has, to where C looks for
//! them: $CL_ENGINE_INCLUDE, from tools/engine.sh. Without it (cargo by hand) they stay where
//! they are.

use std::path::Path;
use std::{env, fs, io};

fn copy(from: &Path, to: &Path) -> io::Result<()> {
    fs::create_dir_all(to)?;
    for entry in fs::read_dir(from)? {
        let entry = entry?;
        let target = to.join(entry.file_name());
        if entry.file_type()?.is_dir() {
            copy(&entry.path(), &target)?;
        } else if entry.path().extension().is_some_and(|kind| kind == "h") {
            fs::copy(entry.path(), &target)?;
        }
    }
    Ok(())
}

fn main() {
    println!("cargo:rerun-if-changed=../headers.rs");
    println!("cargo:rerun-if-env-changed=CL_ENGINE_INCLUDE");
    let Ok(to) = env::var("CL_ENGINE_INCLUDE") else {
        return;
    };
    // where somebody removed them they come again
    println!("cargo:rerun-if-changed={to}/wasmtime/conf.h");
    let from = env::var("DEP_WASMTIME_C_API_INCLUDE").expect("the engine's build says where its headers are");
    copy(Path::new(&from), Path::new(&to)).expect("copy the engine's headers");
}
