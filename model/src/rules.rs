//! Each rule that can be broken, and the world in which that has to be noticed.

use crate::broken::Mutant;
use crate::check::{Report, find_failure};
use crate::world::Config;
use crate::{calls, world};

/// Breaks a rule and looks for what goes wrong. Of a rule that is really needed, the report has a failure.
pub fn break_rule(mutant: Mutant) -> Report {
    match world_of(mutant) {
        World::Feed(world) => find_failure(world.with(mutant)),
        World::Calls(world) => find_failure(world.with(mutant)),
    }
}

enum World {
    Feed(world::Config),
    Calls(calls::Config),
}

/// A rule that is not here does not compile.
fn world_of(mutant: Mutant) -> World {
    World::Feed(match mutant {
        Mutant::LeaseFromReceipt
        | Mutant::LeaseFromNewestRequest
        | Mutant::LeaseWithoutDrift
        | Mutant::ClockStopsAsleep
        | Mutant::RecordedAsOfBeforeReceipt
        | Mutant::UsedBeforeHead
        | Mutant::GrantOfOldHead
        | Mutant::HeadAndRecordApart
        | Mutant::SentBeforeRecorded
        | Mutant::ForgottenAtDisconnect => Config::lease(),
        Mutant::LengthensTheWait => Config::bound(),
        Mutant::InstanceShared => Config::pair(),
        Mutant::ForgottenAtStart | Mutant::InstanceKept => Config::restart(),
        Mutant::GrantAfterRelease => Config::release(),
        Mutant::GapTaken | Mutant::AckBeforePublish | Mutant::OldSnapshotSwappedIn => Config::feed(),
        Mutant::ClockBeforeIndex | Mutant::LeaseEndAfterIndex | Mutant::CachedClock => Config::decision(),
        Mutant::GenerationBeforeIndex
        | Mutant::GenerationAfterAck
        | Mutant::GenerationNever
        | Mutant::StampAfterLookup
        | Mutant::RecentOverwritten => Config::stamp(),
        Mutant::RepeatAnsweredAtOnce | Mutant::TwoSnapshots | Mutant::UntilFromClock | Mutant::NoFloor => {
            return World::Calls(calls::Config::any());
        }
    })
}
