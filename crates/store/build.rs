//! A new migration must rebuild the crate: the macro that embeds the folder does not watch it.

fn main() {
    println!("cargo::rerun-if-changed=migrations");
}
