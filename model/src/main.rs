//! scratch
use model::world::Config;
use stateright::{Checker, Model, HasDiscoveries};
use std::time::{Duration, Instant};
fn main() {
    let secs: u64 = std::env::var("SECS").map_or(20, |s| s.parse().unwrap());
    for mut c in Config::bounded() {
        let args: Vec<String> = std::env::args().skip(1).collect();
        if args.first().is_some_and(|n| n != c.name) { continue }
        for a in &args[1..] {
            let (k, v) = a.split_once('=').unwrap();
            let n: u8 = v.parse().unwrap();
            match k { "ticks" => c.limits.ticks = n, "r0" => c.limits.renewals[0] = n, "r1" => c.limits.renewals[1] = n, "disc" => c.limits.disconnects = n,
             "last" => c.limits.last_head = n as u64, "dec" => c.limits.decisions = n, "rel" => c.limits.releases = [n > 0, false], "ar" => c.limits.authority_restarts = n,
             "mr" => c.limits.restarts[0] = n,
             "rates" => c.limits.rates = &c.limits.rates[..n as usize], _ => panic!() }
        }
        let t = Instant::now();
        let name = c.name;
        let k = c.checker().threads(2).timeout(Duration::from_secs(secs)).finish_when(HasDiscoveries::AllFailures).spawn_dfs().join();
        println!("{name}: {} states {} unique depth {} in {:?}; {:?}", k.state_count(), k.unique_state_count(), k.max_depth(), t.elapsed(),
           k.discoveries().iter().map(|(n,p)| (*n, p.clone().into_actions().len())).collect::<Vec<_>>());
    }
}
