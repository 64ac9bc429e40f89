//! OAuth clients.

use propusk_core::id::{ClientId, ServiceId};
use propusk_core::store::{AuthMethod, Client, Clients, GrantType, Page, PreviousSecret, StoreError};
use rusqlite::params;

use super::row::{self, Columns};
use super::transaction::SqliteTx;

macro_rules! select {
    ($rest:literal) => {
        concat!(
            "SELECT id, name, secret, first_party, grant_types, audiences, disabled, created_at, version, auth_method,
            redirect_uris, previous_secret, previous_until FROM clients ",
            $rest
        )
    };
}

pub(super) const SELECT: &str = select!("WHERE id = ?1");
pub(super) const SELECT_PAGE: &str = select!("WHERE id > ?1 ORDER BY id LIMIT ?2");

pub(super) const INSERT: &str =
    "INSERT INTO clients (id, name, secret, first_party, grant_types, audiences, disabled, auth_method, redirect_uris,
        previous_secret, previous_until, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8, ?9, ?10, ?11, ?12) ON CONFLICT (id) DO NOTHING";

pub(super) const UPDATE: &str =
    "UPDATE clients SET name = ?2, secret = ?3, first_party = ?4, grant_types = ?5, audiences = ?6, disabled = ?7,
        auth_method = ?8, redirect_uris = ?9, previous_secret = ?10, previous_until = ?11, version = version + 1
    WHERE id = ?1";

impl Clients for SqliteTx<'_> {
    fn client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        self.kept(|rows| &mut rows.clients, id, || self.one(SELECT, [id.as_str()], client))
    }

    fn clients(&self, page: &Page) -> Result<Vec<Client>, StoreError> {
        self.all(SELECT_PAGE, params![row::after(page), row::limit(page.limit)], client)
    }

    fn insert_client(&mut self, client: &Client) -> Result<bool, StoreError> {
        let lists = Lists::of(client)?;
        let values = params![
            client.id.as_str(),
            client.name,
            client.secret.as_ref().map(row::hash),
            client.first_party,
            lists.grant_types,
            lists.audiences,
            client.disabled,
            client.auth_method.as_str(),
            lists.redirect_uris,
            client.previous_secret.as_ref().map(|previous| row::hash(&previous.secret)),
            client.previous_secret.map(|previous| row::time(previous.until)),
            row::time(client.created_at),
        ];
        self.write_one(INSERT, values)
    }

    fn update_client(&mut self, client: &Client) -> Result<(), StoreError> {
        let lists = Lists::of(client)?;
        let values = params![
            client.id.as_str(),
            client.name,
            client.secret.as_ref().map(row::hash),
            client.first_party,
            lists.grant_types,
            lists.audiences,
            client.disabled,
            client.auth_method.as_str(),
            lists.redirect_uris,
            client.previous_secret.as_ref().map(|previous| row::hash(&previous.secret)),
            client.previous_secret.map(|previous| row::time(previous.until)),
        ];
        self.update(UPDATE, values)
    }
}

/// A client's lists as they are written.
struct Lists {
    grant_types: String,
    audiences: String,
    redirect_uris: String,
}

impl Lists {
    fn of(client: &Client) -> Result<Self, StoreError> {
        Ok(Self {
            grant_types: row::list(client.grant_types.iter().copied().map(GrantType::as_str))?,
            audiences: row::list(client.audiences.iter().map(ServiceId::as_str))?,
            redirect_uris: row::list(client.redirect_uris.iter().map(String::as_str))?,
        })
    }
}

fn client(columns: &mut Columns<'_>) -> rusqlite::Result<Client> {
    Ok(Client {
        id: columns.parsed()?,
        name: columns.get()?,
        secret: columns.optional_hash()?,
        first_party: columns.get()?,
        grant_types: columns.list()?,
        audiences: columns.list()?,
        disabled: columns.get()?,
        created_at: columns.time()?,
        version: columns.number()?,
        auth_method: columns.named("a way to authenticate", AuthMethod::from_text)?,
        redirect_uris: columns.named_list("a URI", |uri| Some(uri.to_owned()))?,
        previous_secret: previous(columns.optional_hash()?, columns.optional_time()?),
    })
}

fn previous(
    secret: Option<propusk_core::secret::HashedSecret>,
    until: Option<propusk_core::env::Timestamp>,
) -> Option<PreviousSecret> {
    Some(PreviousSecret { secret: secret?, until: until? })
}
