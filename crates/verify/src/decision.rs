//! What an endpoint demands, and what a decision yields: a [`Permit`], which only a passed check can make, or a
//! [`Refusal`] with its exact reason.

use std::fmt;

use crate::known::Held;
use crate::reason::Reason;
use crate::secret::RawToken;
use crate::token::AccessClaims;
use crate::verdict::Verdict;

/// How current an endpoint needs its decision to be.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum Class {
    /// From the token and from memory, which is at most `max_staleness` old.
    Ordinary,
    /// On current status and roles.
    Elite,
}

impl fmt::Display for Class {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Ordinary => "ordinary",
            Self::Elite => "elite",
        })
    }
}

/// What a decision was made on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum By {
    /// Memory: enough for an ordinary decision while it is fresh, or if its endpoint serves past the bound. On a refusal
    /// of an elite one, that no lease ran.
    Memory,
    /// Memory, under a lease: good enough for an elite decision.
    Lease,
    /// The authority's answer.
    Online,
}

impl fmt::Display for By {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(match self {
            Self::Memory => "memory",
            Self::Lease => "lease",
            Self::Online => "online",
        })
    }
}

/// What an ordinary endpoint does when the view is older than the bound.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, Default)]
pub enum PastBound {
    /// 503: nobody is let in on old knowledge.
    #[default]
    Refuse,
    /// Ask the authority; 503 if it does not answer.
    Online,
    /// Go on, until each token's own end.
    Serve,
}

/// What an endpoint demands of a caller.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Demand {
    pub(crate) class: Class,
    pub(crate) permission: Option<String>,
    pub(crate) past_bound: Option<PastBound>,
}

impl Demand {
    /// Decided from memory.
    pub fn ordinary() -> Self {
        Self { class: Class::Ordinary, permission: None, past_bound: None }
    }

    /// Decided on current status and roles.
    pub fn elite() -> Self {
        Self { class: Class::Elite, permission: None, past_bound: None }
    }

    /// One of the caller's roles has to give this permission.
    #[must_use]
    pub fn permission(mut self, permission: impl Into<String>) -> Self {
        self.permission = Some(permission.into());
        self
    }

    /// What to do past the bound, if not what the verifier does by default. Of no meaning for an elite endpoint.
    #[must_use]
    pub fn past_bound(mut self, policy: PastBound) -> Self {
        self.past_bound = Some(policy);
        self
    }

    /// Its class.
    pub fn class(&self) -> Class {
        self.class
    }
}

/// How a decision came about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Report {
    /// The endpoint's class.
    pub class: Class,
    /// On what.
    pub by: By,
    /// Everything in the log up to here was considered.
    pub as_of_seq: u64,
    /// Everything that was committed up to this many milliseconds ago was considered.
    pub age_ms: u64,
}

/// The value of the header `Propusk-Decision`.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { class, by, as_of_seq, age_ms } = self;
        write!(f, "class={class};by={by};seq={as_of_seq};age-ms={age_ms}")
    }
}

/// A caller that was let through. Only a [`Verifier`](crate::Verifier) makes one.
#[derive(Clone)]
pub struct Permit {
    pub(crate) known: Held,
    /// As the authority answered, where it was asked.
    pub(crate) current: Option<Box<Current>>,
    pub(crate) report: Report,
}

/// The subject's current roles and what they permit.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Current {
    pub(crate) roles: Vec<String>,
    pub(crate) permissions: Vec<String>,
}

impl Permit {
    /// What the token says.
    pub fn claims(&self) -> &AccessClaims {
        self.known.verified().claims()
    }

    /// The token itself, to be exchanged for one for the next service.
    pub fn token(&self) -> RawToken {
        self.known.raw()
    }

    /// The key that signed it.
    pub fn kid(&self) -> &str {
        self.known.verified().kid()
    }

    /// The roles at this service: current ones on an elite endpoint, otherwise at most as old as the report says.
    pub fn roles(&self) -> &[String] {
        self.current.as_ref().map_or(&self.claims().roles, |current| &current.roles)
    }

    /// Whether the roles give a permission, by what is known now.
    pub fn permits(&self, wanted: &str) -> bool {
        match &self.current {
            Some(current) => crate::permits(&current.permissions, wanted),
            None => self.known.policy().is_some_and(|table| table.permits(&self.claims().roles, wanted)),
        }
    }

    /// How the decision came about.
    pub fn report(&self) -> &Report {
        &self.report
    }
}

impl fmt::Debug for Permit {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Permit").field("sub", &self.claims().sub).field("report", &self.report).finish_non_exhaustive()
    }
}

/// Why a caller was not let through.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The exact reason, for our own logs; the client is told the [`Verdict`] only.
    pub reason: Reason,
    /// How the decision came about, where state was asked at all.
    pub report: Option<Report>,
}

impl Refusal {
    /// What the client is told.
    pub fn verdict(&self) -> Verdict {
        self.reason.verdict()
    }
}

impl From<Reason> for Refusal {
    fn from(reason: Reason) -> Self {
        Self { reason, report: None }
    }
}

impl fmt::Display for Refusal {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.reason.fmt(f)
    }
}

impl std::error::Error for Refusal {}
