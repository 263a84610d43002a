//! Compiles the .proto files to Rust with protox, so that no protoc is needed.

use std::{env, error::Error, fs, path::PathBuf};

use prost::Message;

const FILES: [&str; 3] =
    ["dragonfly/plugin/resource/v1/resource.proto", "plugin/grpc_controller.proto", "plugin/grpc_stdio.proto"];

fn main() -> Result<(), Box<dyn Error>> {
    for folder in ["dragonfly", "plugin"] {
        println!("cargo:rerun-if-changed=proto/{folder}");
    }
    let descriptors = protox::compile(FILES, ["proto"])?;
    let out = PathBuf::from(env::var("OUT_DIR")?);
    fs::write(out.join("descriptors.bin"), descriptors.encode_to_vec())?;
    tonic_prost_build::configure()
        // Bytes: a chunk is cut from the received buffer instead of copied.
        .bytes(".")
        // Sorted maps: the same attributes are the same bytes everywhere.
        .btree_map(".")
        .compile_fds(descriptors)?;
    Ok(())
}
