//! Compiles the feed's proto without a system protoc.

fn main() -> Result<(), Box<dyn std::error::Error>> {
    println!("cargo:rerun-if-changed=proto");
    #[cfg(feature = "grpc")]
    {
        let descriptors = protox::compile(["propusk/feed/v1/feed.proto"], ["proto"])?;
        tonic_prost_build::configure().build_server(false).bytes(".").compile_fds(descriptors)?;
    }
    Ok(())
}
