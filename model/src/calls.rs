//! Minting against revoking, on wall clocks that are stepped: what a call waits for, what a token is told, and what
//! may be forgotten.
//!
//! Time on monotonic clocks stands still here and one verifier has a lease for all of it, so that a revocation is
//! enforced by the verifier's acknowledgement and nothing else. The rules about the log are the shipping ones
//! ([`log::until`], [`log::unchanged_at`], [`log::limits`], [`mint::bounds`]), and so are the registry, the follower
//! and the view.

use std::time::Duration;

use propusk_core::env::Timestamp;
use propusk_core::feed::{Follower as Who, Progress, Registry, Wait};
use propusk_core::store::LogState;
use propusk_core::{log, mint};
use propusk_verify::clock::Moment;
use propusk_verify::feed::{
    Batch, Change, Drift, EndpointDecision, Event, Follower, Instance, Judgement, Question, TokenParts,
};
use propusk_verify::mutant;
use stateright::{Model, Property};

use crate::broken::{self, Mutant};
use crate::shared::Shared;
use crate::view::Held;

const AUDIENCE: &str = "cars";
const NOW: Moment = Moment::from_nanos(100);
const LEASE: Duration = Duration::from_nanos(100);
const INSTANCE: Instance = Instance([1; 16]);
const LIFE_OF_A_TOKEN: u64 = 600;
const LEEWAY: Duration = Duration::from_secs(5);

/// The authority's wall clock, in seconds: an hour ahead at first, then set right, then running on.
const WALL: [u64; 4] = [103_600, 100_000, 103_700, 130_000];

/// One world.
#[derive(Debug, Clone)]
pub struct Config {
    /// The kinds of calls that there are.
    pub kinds: &'static [Call],
    /// Calls of each kind.
    pub calls: u8,
    /// Tokens that are minted.
    pub tokens: usize,
    /// The rule that is broken in it.
    pub mutant: Option<Mutant>,
}

impl Config {
    /// All of them, in the size that a test command has time for.
    pub fn bounded() -> Vec<Self> {
        // One that is revoked, and one more.
        let tokens = |call| if call == Call::RevokeToken { 2 } else { 1 };
        let one = |call| Self { kinds: std::slice::from_ref(call), calls: 2, tokens: tokens(*call), mutant: None };
        CALLS.iter().map(one).collect()
    }

    /// Any two kinds of calls together, and more tokens.
    pub fn full() -> Vec<Self> {
        let pairs = [&CALLS[..2], &CALLS[1..3], &CALLS[2..]];
        pairs.into_iter().map(|kinds| Self { kinds, calls: 2, tokens: 2, mutant: None }).collect()
    }

    /// A world in which every rule about calls shows.
    pub fn any() -> Self {
        Self { kinds: &CALLS[1..2], calls: 2, tokens: 1, mutant: None }
    }

    /// The same world with a broken rule.
    #[must_use]
    pub fn with(self, mutant: Mutant) -> Self {
        Self { mutant: Some(mutant), ..self }
    }
}

/// What can be taken back.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Call {
    /// The first token.
    RevokeToken,
    /// The session that all tokens are of.
    EndSession,
    /// The role that tokens name.
    TakeRole,
    /// The person.
    Disable,
}

static CALLS: [Call; 4] = [Call::RevokeToken, Call::EndSession, Call::TakeRole, Call::Disable];

/// One step.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Action {
    /// Minting reads its snapshot.
    Snapshot,
    /// A token is made of it.
    Mint,
    /// A call commits, or finds that there is nothing to change, and waits.
    Call(Call),
    /// The verifier applies what is committed, and acknowledges.
    Apply,
    /// The verifier hears of the floor.
    HearFloor,
    /// Ceiling and floor are raised, and what the floor has passed is dropped.
    RaiseLimits,
    /// The wall clock goes on, or is set.
    Wall,
}

/// What the database holds.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Database {
    log: LogState,
    events: Vec<(u64, u64, Call)>,
    /// Tokens are named by their place; only the first is ever revoked.
    is_token_revoked: bool,
    has_session_ended: bool,
    has_role: bool,
    is_disabled: bool,
}

#[derive(Debug, Clone, PartialEq, Eq, Hash)]
struct Token {
    jti: usize,
    epoch: u64,
    exp: u64,
    has_role: bool,
}

/// The whole state.
#[derive(Debug, Clone, PartialEq, Eq, Hash)]
pub struct Calls {
    database: Shared<Database>,
    wall: usize,
    snapshot: Option<Shared<Database>>,
    tokens: Vec<Token>,
    registry: Shared<Registry>,
    view: Held,
    follower: Follower,
    called: [u8; CALLS.len()],
    waiting: Vec<(Call, Wait)>,
    /// Calls that were answered `enforced`.
    enforced: Vec<Call>,
}

impl Database {
    /// Changes what the call is about; the position to wait for.
    fn call(&mut self, call: Call, now: Timestamp) -> u64 {
        let changed = match call {
            Call::RevokeToken => !std::mem::replace(&mut self.is_token_revoked, true),
            Call::EndSession => !std::mem::replace(&mut self.has_session_ended, true),
            Call::TakeRole => std::mem::replace(&mut self.has_role, false),
            Call::Disable => !std::mem::replace(&mut self.is_disabled, true),
        };
        if !changed {
            return log::unchanged_at(&self.log);
        }
        self.log.head += 1;
        self.events.push((self.log.head, log::until(&self.log, now), call));
        self.log.head
    }

    fn raise_limits(&mut self, now: Timestamp) {
        let (ceiling, floor) = log::limits(now, LEEWAY);
        self.log.exp_ceiling = self.log.exp_ceiling.max(ceiling);
        self.log.floor = self.log.floor.max(floor);
        let floor = self.log.floor;
        self.events.retain(|(_, until, _)| *until > floor);
    }

    fn is_usable(&self) -> bool {
        !self.has_session_ended && !self.is_disabled
    }

    /// Every event after `from`.
    fn batch(&self, from: u64) -> Batch {
        let change = |call| match call {
            Call::RevokeToken => Change::TokenRevoked(jti(0)),
            Call::EndSession => Change::SessionRevoked("s_1".to_owned()),
            Call::TakeRole => Change::SubjectChanged("u_1".to_owned()),
            Call::Disable => Change::SubjectEnded("u_1".to_owned()),
        };
        let events = self.events.iter().filter(|(seq, _, _)| *seq > from);
        let events = events.map(|(seq, until, call)| Event { seq: *seq, until: *until, change: change(*call) });
        Batch { from, to: self.log.head, floor: self.log.floor, events: events.collect(), part: 0, last: true }
    }
}

fn jti(number: usize) -> String {
    format!("t_{number}")
}

impl Token {
    fn is_hit_by(&self, call: Call) -> bool {
        match call {
            Call::RevokeToken => self.jti == 0,
            Call::EndSession | Call::Disable => true,
            Call::TakeRole => self.has_role,
        }
    }
}

impl Calls {
    fn new() -> Self {
        let mut database = Database {
            log: LogState::default(),
            events: Vec::new(),
            is_token_revoked: false,
            has_session_ended: false,
            has_role: true,
            is_disabled: false,
        };
        // Nothing is minted before this ran once.
        database.raise_limits(Timestamp(WALL[0] * 1000));
        let mut registry = Registry::start(NOW, LEASE, Duration::ZERO);
        let who = Who { service: AUDIENCE.to_owned(), address: String::new(), version: String::new() };
        registry.connected(NOW, Timestamp(0), INSTANCE, who, 0).expect("the first to connect");
        let mut calls = Self {
            database: Shared::new(database),
            wall: 0,
            snapshot: None,
            tokens: Vec::new(),
            registry: Shared::new(registry),
            view: Held::new(AUDIENCE),
            follower: Follower::new(INSTANCE, Drift::default()),
            called: [0; CALLS.len()],
            waiting: Vec::new(),
            enforced: Vec::new(),
        };
        calls.hear_floor();
        calls
    }

    fn now(&self) -> Timestamp {
        Timestamp(WALL[self.wall] * 1000)
    }

    /// Renewal and grant in one go: the lease is what it was, the floor is new.
    fn hear_floor(&mut self) {
        // Each state renews for the first time, or the number of renewals would make states differ.
        let mut follower = Follower::new(INSTANCE, Drift::default());
        let renew = follower.renew(NOW);
        let log = self.database.log;
        let grant = self.registry.change(|known| known.renew(NOW, log.head, log.floor, renew.instance, renew.n));
        let grant = grant.expect("it is connected");
        self.view.change(|view| follower.grant(view, grant, NOW));
    }

    fn mint(&mut self) -> Option<()> {
        let mut snapshot = (*self.snapshot.take()?).clone();
        if mutant!(TwoSnapshots) {
            // That all reads of one transaction see one snapshot is promised by the store, and tested there for every
            // backend. This is what it would be like without: the log is read from another one.
            snapshot.log = self.database.log;
        }
        if snapshot.is_usable() {
            let wanted = WALL[self.wall] + LIFE_OF_A_TOKEN;
            let mint::Bounds { epoch, exp } = mint::bounds(&snapshot.log, wanted);
            self.tokens.push(Token { jti: self.tokens.len(), epoch, exp, has_role: snapshot.has_role });
        }
        Some(())
    }

    fn call(&mut self, call: Call) {
        self.called[call as usize] += 1;
        let now = self.now();
        let seq = self.database.change(|database| database.call(call, now));
        self.waiting.push((call, self.registry.wait(NOW, seq)));
    }

    fn apply(&mut self) {
        let batch = self.database.batch(self.view.get().applied());
        let follower = &mut self.follower;
        self.view.change(|view| follower.batch(view, batch));
        let applied = self.view.get().applied();
        self.registry.change(|known| known.acked(NOW, INSTANCE, applied));
    }

    fn look_at_waits(&mut self) {
        for (call, mut wait) in std::mem::take(&mut self.waiting) {
            let progress = self.registry.change(|known| known.progress(&mut wait, NOW));
            if progress != Progress::Enforced {
                self.waiting.push((call, wait));
            } else if !self.enforced.contains(&call) {
                self.enforced.push(call);
                self.enforced.sort_unstable();
            }
        }
    }

    /// Whether an elite endpoint lets the token in by its lease. The verifier's own wall clock has stopped: to it every
    /// token is alive.
    fn lets_in(&self, token: &Token) -> bool {
        let jti = jti(token.jti);
        let parts = TokenParts {
            aud: AUDIENCE,
            jti: &jti,
            sid: Some("s_1"),
            sub: "u_1",
            client_id: "gateway",
            actors: &[],
            epoch: token.epoch,
            exp: token.exp,
            kid: "k_1",
        };
        let view = self.view.get();
        let keys = view.keys_of_parts(&parts).expect("the view is of this audience");
        let question = Question::about(&keys, None);
        let outcome = EndpointDecision::run(view, question, || NOW);
        outcome.standing.is_leased && outcome.judgement == Judgement::Good
    }

    fn lets_in_what_is_revoked(&self) -> bool {
        let is_revoked = |token: &Token| self.enforced.iter().any(|call| token.is_hit_by(*call));
        self.tokens.iter().any(|token| is_revoked(token) && self.lets_in(token))
    }
}

impl Model for Config {
    type State = Calls;
    type Action = Action;

    fn init_states(&self) -> Vec<Calls> {
        broken::set(self.mutant);
        vec![Calls::new()]
    }

    fn actions(&self, calls: &Calls, actions: &mut Vec<Action>) {
        broken::set(self.mutant);
        match calls.snapshot {
            None if calls.tokens.len() < self.tokens => actions.push(Action::Snapshot),
            None => {}
            Some(_) => actions.push(Action::Mint),
        }
        let may_call = |call: &Call| {
            // Nobody knows a token that was not made yet.
            let exists = *call != Call::RevokeToken || !calls.tokens.is_empty();
            exists && calls.called[*call as usize] < self.calls
        };
        actions.extend(self.kinds.iter().copied().filter(may_call).map(Action::Call));
        actions.extend([Action::Apply, Action::HearFloor, Action::RaiseLimits]);
        if calls.wall + 1 < WALL.len() {
            actions.push(Action::Wall);
        }
    }

    fn next_state(&self, calls: &Calls, action: Action) -> Option<Calls> {
        broken::set(self.mutant);
        let mut next = calls.clone();
        match action {
            Action::Snapshot => next.snapshot = Some(next.database.clone()),
            Action::Mint => next.mint()?,
            Action::Call(call) => next.call(call),
            Action::Apply => next.apply(),
            Action::HearFloor => next.hear_floor(),
            Action::RaiseLimits => {
                let now = next.now();
                next.database.change(|database| database.raise_limits(now));
            }
            Action::Wall => next.wall += 1,
        }
        next.look_at_waits();
        Some(next)
    }

    fn properties(&self) -> Vec<Property<Self>> {
        vec![
            Property::always("after `enforced` nothing that was revoked is let in", |config: &Self, calls: &Calls| {
                broken::set(config.mutant);
                !calls.lets_in_what_is_revoked()
            }),
            Property::sometimes("a good token is let in", |_, calls: &Calls| {
                calls.tokens.iter().any(|token| calls.lets_in(token))
            }),
            Property::sometimes("a token of an old snapshot is made after a change is enforced", |_, calls: &Calls| {
                let is_old = |snapshot: &Shared<Database>| snapshot.is_usable() && snapshot.log.head == 0;
                !calls.enforced.is_empty() && calls.snapshot.as_ref().is_some_and(is_old)
            }),
            Property::sometimes("everything is forgotten", |_, calls: &Calls| {
                calls.database.events.is_empty() && calls.view.get().is_empty() && !calls.enforced.is_empty()
            }),
            Property::sometimes("a repeated call is enforced", |_, calls: &Calls| {
                calls.called.contains(&2) && calls.waiting.is_empty()
            }),
        ]
    }
}
