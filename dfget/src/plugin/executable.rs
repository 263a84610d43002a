//! Whether a file can be executed, told before the kernel says `ENOEXEC` about it, or worse, runs it.

use std::{
    env,
    ffi::OsStr,
    fs::{self, File, FileType},
    io,
    os::unix::{
        ffi::OsStrExt,
        fs::{FileExt, FileTypeExt, PermissionsExt},
    },
    path::{Path, PathBuf},
};

use rustix::fs::{Access, access};

use crate::error::Error;

/// Longest `#!` line that Linux reads.
const SCRIPT_LINE: usize = 256;

/// Length of a 64-bit ELF header.
const ELF_HEADER: usize = 64;

/// Who is to execute a file.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Kind {
    /// The kernel.
    Binary,
    /// An interpreter, which the kernel hands its path.
    Script,
}

/// Checks that what is at `path` is a regular file with the right to be executed.
///
/// # Errors
///
/// * [`Error::Unexecutable`]: it is not, and why
pub(super) fn check_file(path: &Path, kind: FileType) -> Result<(), Error> {
    check_kind(path, kind).map_err(refuse(path))
}

/// Checks that `file`, which is at `path`, is a program of this machine or a script whose interpreter is there.
///
/// # Errors
///
/// * [`Error::Unexecutable`]: it is not, and why
pub(super) fn check_content(path: &Path, file: &File) -> Result<Kind, Error> {
    judge(file).map_err(refuse(path))
}

fn refuse(path: &Path) -> impl FnOnce(Refusal) -> Error {
    |(fact, hint)| Error::Unexecutable { path: path.to_owned(), fact, hint }
}

/// A fact and the next step.
type Refusal = (String, String);

fn refusal(fact: impl Into<String>, hint: impl Into<String>) -> Refusal {
    (fact.into(), hint.into())
}

fn unreadable(error: &io::Error) -> Refusal {
    refusal(error.to_string(), "")
}

fn check_kind(path: &Path, kind: FileType) -> Result<(), Refusal> {
    let is_not = |what| refusal(format!("it is a {what}"), "a plugin is a regular file");
    match kind {
        _ if kind.is_dir() => Err(is_not("directory")),
        _ if kind.is_fifo() => Err(is_not("fifo")),
        _ if !kind.is_file() => Err(is_not("device or socket")),
        _ => access(path, Access::EXEC_OK).map_err(|_| may_not(path)),
    }
}

fn may_not(path: &Path) -> Refusal {
    let marked = fs::metadata(path).is_ok_and(|metadata| metadata.permissions().mode() & 0o111 != 0);
    if marked {
        return refusal("this user may not execute it here", "look at its rights, and whether it is mounted noexec");
    }
    refusal("it has no right to be executed", format!("chmod +x {}", path.display()))
}

fn judge(file: &File) -> Result<Kind, Refusal> {
    let head = head(file).map_err(|error| unreadable(&error))?;
    let length = file.metadata().map_err(|error| unreadable(&error))?.len();
    match head.as_slice() {
        [] => Err(refusal("it is empty", "install it again")),
        [b'#', b'!', line @ ..] => check_script(line).map(|()| Kind::Script),
        [0x7f, b'E', b'L', b'F', ..] if cfg!(target_os = "linux") => check_elf(&head, length).map(|()| Kind::Binary),
        // Mach-O, one architecture or several.
        [0xcf | 0xce, 0xfa, 0xed, 0xfe, ..] | [0xca, 0xfe, 0xba, 0xbe, ..] if cfg!(target_os = "macos") => {
            Ok(Kind::Binary)
        }
        _ if looks_like_html(&head) => {
            Err(refusal("it is an HTML page", "was an error page downloaded as the plugin?"))
        }
        _ => Err(refusal("it is neither a program nor a script", "a script begins with `#!` and its interpreter")),
    }
}

/// Not by the position of the descriptor, which others have, too.
fn head(file: &File) -> io::Result<Vec<u8>> {
    let mut head = vec![0; SCRIPT_LINE];
    let mut length = 0;
    while let read @ 1.. = file.read_at(&mut head[length..], length as u64)? {
        length += read;
    }
    head.truncate(length);
    Ok(head)
}

fn looks_like_html(head: &[u8]) -> bool {
    let text = String::from_utf8_lossy(head).trim_start().to_ascii_lowercase();
    text.starts_with("<!doctype") || text.starts_with("<html")
}

/// `line` is what follows `#!`.
fn check_script(line: &[u8]) -> Result<(), Refusal> {
    let line = line.split(|&byte| byte == b'\n').next().unwrap_or_default();
    if line.ends_with(b"\r") {
        let shown = String::from_utf8_lossy(&line[..line.len() - 1]).into_owned();
        return Err(refusal(
            format!("its first line `#!{shown}` ends in CRLF, so its interpreter is not found"),
            "save it with Unix line ends",
        ));
    }
    let mut words = line.split(|byte| b" \t".contains(byte)).filter(|word| !word.is_empty());
    let interpreter = PathBuf::from(OsStr::from_bytes(words.next().unwrap_or_default()));
    if access(&interpreter, Access::EXEC_OK).is_err() {
        return Err(missing(&interpreter));
    }
    if interpreter.file_name() == Some(OsStr::new("env")) {
        // `env -S python3 -u` is as usual as `env python3`; what other options of env take is its own affair.
        let program = words.find(|word| *word != b"-S" && !word.contains(&b'=')).filter(|word| !word.starts_with(b"-"));
        if let Some(program) = program.map(OsStr::from_bytes).filter(|program| !is_in_path(program)) {
            return Err(missing(Path::new(program)));
        }
    }
    Ok(())
}

fn missing(interpreter: &Path) -> Refusal {
    let shown = interpreter.display();
    refusal(format!("its interpreter {shown} is missing"), format!("install {shown}, or correct the first line"))
}

fn is_in_path(program: &OsStr) -> bool {
    // Without one, env has a default of its own.
    let Some(path) = env::var_os("PATH") else { return true };
    env::split_paths(&path).any(|directory| access(directory.join(program), Access::EXEC_OK).is_ok())
}

fn check_elf(head: &[u8], length: u64) -> Result<(), Refusal> {
    let truncated = || refusal("it is a program that was cut short", "install it again");
    if head.len() < ELF_HEADER {
        return Err(truncated());
    }
    let machine = u16::from_ne_bytes([head[18], head[19]]);
    let (theirs, ours) = (machine_name(machine), env::consts::ARCH);
    if theirs != ours {
        return Err(refusal(
            format!("it is a program for {theirs}, and this machine is {ours}"),
            format!("install the build for {ours}"),
        ));
    }
    // Linkers put the table of sections last: a file that lacks it lost its end. A stripped one has none.
    let is_64_bit = head[4] == 2;
    if is_64_bit && elf_end(head) > length {
        return Err(truncated());
    }
    Ok(())
}

/// Where the table of sections ends, from a 64-bit header.
fn elf_end(head: &[u8]) -> u64 {
    let number = |at: usize| u64::from(u16::from_ne_bytes([head[at], head[at + 1]]));
    let offset = head[40..48].try_into().map(u64::from_ne_bytes).unwrap_or_default();
    if offset == 0 { 0 } else { offset.saturating_add(number(58) * number(60)) }
}

/// As [`env::consts::ARCH`] has them, for those with a Tier 1 or 2 toolchain.
fn machine_name(machine: u16) -> String {
    let name = match machine {
        3 => "x86",
        8 => "mips",
        20 => "powerpc",
        21 => "powerpc64",
        22 => "s390x",
        40 => "arm",
        62 => "x86_64",
        183 => "aarch64",
        243 if cfg!(target_arch = "riscv32") => "riscv32",
        243 => "riscv64",
        258 => "loongarch64",
        other => return format!("machine {other}"),
    };
    name.to_owned()
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;
    use crate::plugin::program::Program;

    /// What is said of an executable file with this content.
    fn verdict(content: &[u8]) -> String {
        let directory = tempfile::tempdir().unwrap();
        fs::set_permissions(directory.path(), fs::Permissions::from_mode(0o755)).unwrap();
        let path = directory.path().join("d7y-resource-plugin-x");
        fs::write(&path, content).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(0o755)).unwrap();
        Program::open(&path, &[]).map_or_else(|error| error.to_string(), |_| "fine".into())
    }

    #[test]
    fn a_script_is_fine_if_its_interpreter_is() {
        assert_eq!(verdict(b"#!/bin/sh\n"), "fine");
        assert_eq!(verdict(b"#! /usr/bin/env sh\n"), "fine");
        assert_eq!(verdict(b"#!/usr/bin/env -S sh -e\n"), "fine");
        assert!(verdict(b"#!/bin/sh\r\nexit\r\n").contains("`#!/bin/sh` ends in CRLF"));
        assert!(verdict(b"#!/nonexistent/python\n").contains("interpreter /nonexistent/python is missing"));
        assert!(verdict(b"#!/usr/bin/env nonexistent-python\n").contains("interpreter nonexistent-python is missing"));
    }

    #[test]
    fn what_is_no_program_is_never_run() {
        assert!(verdict(b"").ends_with("it is empty"));
        assert!(verdict(b"<!DOCTYPE html><h1>404</h1>").ends_with("it is an HTML page"));
        assert!(verdict(b"echo hello\n").ends_with("it is neither a program nor a script"));
    }

    #[cfg(target_os = "linux")]
    #[test]
    fn a_program_is_judged_by_its_header() {
        let own = fs::read(env::current_exe().unwrap()).unwrap();
        assert_eq!(verdict(&own), "fine");
        assert!(verdict(&own[..own.len() - 1]).ends_with("it is a program that was cut short"));
        assert!(verdict(&own[..20]).ends_with("it is a program that was cut short"));
        let mut foreign = own;
        let other: u16 = if cfg!(target_arch = "s390x") { 62 } else { 22 };
        foreign[18..20].copy_from_slice(&other.to_ne_bytes());
        assert!(verdict(&foreign).contains("and this machine is"));
    }
}
