//! Compiles the steering program to BPF, for `src/io/xdp/steer` to embed.

use std::path::{Path, PathBuf};
use std::process::{Command, exit};

const FOLDER: &str = "src/io/xdp/steer";

fn main() {
    for file in ["steer.c", "bpf.h"] {
        println!("cargo::rerun-if-changed={FOLDER}/{file}");
    }
    println!("cargo::rerun-if-env-changed=CLANG");
    let clang = std::env::var("CLANG").unwrap_or_else(|_| "clang".into());
    let out = std::env::var_os("OUT_DIR").expect("cargo sets OUT_DIR");
    let mut command = Command::new(&clang);
    command.args(["-target", "bpf", "-O2", "-g", "-Wall", "-Wextra", "-Werror", "-c"]);
    command.args(architecture_headers());
    command.arg(Path::new(FOLDER).join("steer.c")).arg("-o").arg(PathBuf::from(out).join("steer.o"));
    match command.status() {
        Ok(status) if status.success() => {}
        Ok(_) => {
            fail(&format!("{clang} could not compile {FOLDER}/steer.c; it needs: apt install clang linux-libc-dev"))
        }
        Err(error) => fail(&format!(
            "cannot run {clang} ({error}), which compiles the steering program: apt install clang, or set CLANG to its path"
        )),
    }
}

/// Debian keeps `asm/types.h` in a folder that clang does not search when its target is BPF.
fn architecture_headers() -> Option<String> {
    let architecture = std::env::var("CARGO_CFG_TARGET_ARCH").ok()?;
    let folder = format!("/usr/include/{architecture}-linux-gnu");
    Path::new(&folder).is_dir().then(|| format!("-idirafter{folder}"))
}

fn fail(why: &str) -> ! {
    println!("cargo::error={why}");
    exit(1);
}
