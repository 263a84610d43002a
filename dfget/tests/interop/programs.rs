//! The programs in Go and Python: built once, beneath the target directory.
//!
//! A test that needs one asks for it by name. Where the language is missing, or its packages cannot be had, the test is
//! told to be skipped.

use std::{
    fs::{self, File},
    path::{Path, PathBuf},
    process::{Command, Output},
    sync::OnceLock,
};

use crate::harness::{TestEnv, skip};

/// A program in Go, unless this test is to be skipped.
pub(crate) fn go(name: &str) -> Option<PathBuf> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    offered(BUILT.get_or_init(|| locked("go", build_go))).map(|directory| directory.join(name))
}

/// A place with a program in Go as the plugin of `scheme`, unless this test is to be skipped.
pub(crate) fn with_go_plugin(program: &str, scheme: &str) -> Option<TestEnv> {
    let program = go(program)?;
    let test = TestEnv::new();
    test.install_into("plugins", &program, scheme);
    Some(test)
}

/// The interpreter with pyplugin, unless this test is to be skipped.
pub(crate) fn python() -> Option<Python> {
    static BUILT: OnceLock<Result<PathBuf, String>> = OnceLock::new();
    offered(BUILT.get_or_init(|| locked("venv", build_python))).map(|venv| Python { venv })
}

/// A virtual environment, with the stubs in it.
pub(crate) struct Python {
    venv: PathBuf,
}

impl Python {
    pub(crate) fn interpreter(&self) -> PathBuf {
        self.venv.join("bin/python")
    }

    /// Where the modules of the programs are.
    pub(crate) fn path(&self) -> String {
        format!("{}:{}", folder("python").display(), self.venv.join("stubs").display())
    }
}

fn offered(built: &Result<PathBuf, String>) -> Option<PathBuf> {
    let why = match built {
        Ok(path) => return Some(path.clone()),
        Err(why) => why,
    };
    // The test harness calls a thread by the test that it runs.
    let thread = std::thread::current();
    let test = thread.name().and_then(|name| name.rsplit("::").next()).unwrap_or("a test");
    skip(test, why);
    None
}

/// The folder of the programs in a language.
pub(crate) fn folder(language: &str) -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/interop").join(language)
}

/// Builds into a directory of its own, which another run of the tests may be busy with.
fn locked(name: &str, build: fn(&Path) -> Result<(), String>) -> Result<PathBuf, String> {
    let target = Path::new(env!("CARGO_BIN_EXE_dfget")).ancestors().nth(2).expect("cargo builds into target/profile");
    let directory = target.join("interop").join(name);
    fs::create_dir_all(&directory).expect("cargo writes there, too");
    let lock = File::create(target.join("interop").join(format!("{name}.lock"))).expect("the directory is there");
    lock.lock().expect("nobody holds it for ever");
    build(&directory).map(|()| directory)
}

fn build_go(directory: &Path) -> Result<(), String> {
    let go = || {
        let mut command = Command::new("go");
        command.current_dir(folder("go"));
        command
    };
    run(go().args(["mod", "download"]))?;
    // What does not compile is no lack of this machine's.
    let built = run(go().args(["build", "-buildvcs=false", "-o"]).arg(directory).arg("./cmd/..."));
    built.unwrap_or_else(|error| panic!("{error}"));
    Ok(())
}

fn build_python(venv: &Path) -> Result<(), String> {
    let requirements = folder("python").join("requirements.txt");
    let text = fs::read_to_string(&requirements).expect("it is there");
    // It does not work in another place than the one that it was made for.
    let (wanted, stamp) = (format!("{}\n{text}", venv.display()), venv.join("made-for"));
    let python = venv.join("bin/python");
    if fs::read_to_string(&stamp).ok().as_ref() != Some(&wanted) {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(venv))?;
        run(Command::new(&python).args(["-m", "pip", "install", "--quiet", "--requirement"]).arg(requirements))?;
        fs::write(stamp, wanted).expect("pip wrote there, too");
    }
    let (stubs, bin) = (venv.join("stubs"), venv.join("bin"));
    fs::create_dir_all(&stubs).expect("pip wrote there, too");
    let compiled = run(Command::new(&python)
        .env("PATH", std::env::join_paths([bin, "/usr/bin".into(), "/bin".into()]).expect("they are names"))
        .args(["-m", "grpc_tools.protoc", "-I", concat!(env!("CARGO_MANIFEST_DIR"), "/../proto")])
        .arg(format!("--python_out={}", stubs.display()))
        .arg(format!("--grpclib_python_out={}", stubs.display()))
        .arg("dragonfly/plugin/resource/v1/resource.proto"));
    compiled.unwrap_or_else(|error| panic!("{error}"));
    Ok(())
}

/// Runs it; an error is what it said at last.
fn run(command: &mut Command) -> Result<(), String> {
    let program = command.get_program().display().to_string();
    match command.output() {
        Ok(Output { status, .. }) if status.success() => Ok(()),
        Ok(Output { stderr, .. }) => {
            let text = String::from_utf8_lossy(&stderr);
            Err(format!("{program} failed: {}", text.lines().last().unwrap_or_default()))
        }
        Err(error) => Err(format!("there is no {program}: {error}")),
    }
}
