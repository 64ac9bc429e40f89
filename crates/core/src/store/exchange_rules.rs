//! Rules of token exchange: which client may turn which tokens into which.

use super::StoreError;
use crate::id::{ClientId, ServiceId};

/// Without a rule there is no exchange.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExchangeRule {
    /// Who exchanges.
    pub actor: ClientId,
    /// The audience of the token it gets.
    pub audience: ServiceId,
    /// Whose tokens it may exchange.
    pub subjects: Vec<SubjectKind>,
    /// The audiences of the tokens it may exchange.
    pub from: Vec<ServiceId>,
}

/// The kinds of subject.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash)]
pub enum SubjectKind {
    /// A person.
    User,
    /// A client that acts for itself.
    Client,
}

impl SubjectKind {
    /// As written in the admin API and in the store.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::User => "user",
            Self::Client => "client",
        }
    }

    /// The kind that `text` names.
    pub fn from_text(text: &str) -> Option<Self> {
        [Self::User, Self::Client].into_iter().find(|kind| kind.as_str() == text)
    }
}

/// Storage of [`ExchangeRule`]s.
pub trait ExchangeRules {
    /// The rule for an actor and an audience.
    fn exchange_rule(&self, actor: &ClientId, audience: &ServiceId) -> Result<Option<ExchangeRule>, StoreError>;
    /// Makes or replaces a rule.
    fn put_exchange_rule(&mut self, rule: &ExchangeRule) -> Result<(), StoreError>;
    /// Deletes a rule; `false` if there was none.
    fn delete_exchange_rule(&mut self, actor: &ClientId, audience: &ServiceId) -> Result<bool, StoreError>;
}
