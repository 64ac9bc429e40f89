//! Temporary.
#[path = "../verify/mod.rs"]
mod verify;
fn main() {
    let many = std::env::args().nth(1).map_or(100_000, |text| text.parse().unwrap());
    let size = verify::Size { rounds: 21, slice: std::time::Duration::from_millis(30), many };
    verify::run(size, None).unwrap();
}
