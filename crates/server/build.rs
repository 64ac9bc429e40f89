//! Compiles the feed's proto, which `propusk-verify` owns, without a system protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    const PROTO: &str = "../verify/proto";
    println!("cargo:rerun-if-changed={PROTO}");
    let descriptors = protox::compile(["propusk/feed/v1/feed.proto"], [PROTO])?;
    tonic_prost_build::configure().build_client(false).bytes(".").compile_fds(descriptors)?;
    Ok(())
}
