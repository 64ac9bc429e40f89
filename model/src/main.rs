//! scratch
use model::world::Config;
use stateright::{Checker, Model, HasDiscoveries};
use std::time::Instant;
fn main() {
    for c in Config::bounded() {
        if let Some(n) = std::env::args().nth(1) { if n != c.name { continue } }
        let t = Instant::now();
        let name = c.name;
        let k = c.checker().threads(2).finish_when(HasDiscoveries::AllFailures).spawn_dfs().join();
        println!("{name}: {} states {} unique depth {} in {:?}; {:?}", k.state_count(), k.unique_state_count(), k.max_depth(), t.elapsed(),
           k.discoveries().iter().map(|(n,p)| (*n, p.clone().into_actions().len())).collect::<Vec<_>>());
    }
}
