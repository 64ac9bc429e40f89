//! OAuth clients.

use propusk_core::id::{ClientId, ServiceId};
use propusk_core::store::{Client, Clients, GrantType, Page, StoreError};
use rusqlite::params;

use super::row::{self, Columns};
use super::transaction::SqliteTx;

pub(super) const SELECT: &str =
    "SELECT id, name, secret, first_party, grant_types, audiences, disabled, created_at FROM clients WHERE id = ?1";

pub(super) const SELECT_PAGE: &str =
    "SELECT id, name, secret, first_party, grant_types, audiences, disabled, created_at FROM clients
    WHERE id > ?1 ORDER BY id LIMIT ?2";

pub(super) const INSERT: &str =
    "INSERT INTO clients (id, name, secret, first_party, grant_types, audiences, disabled, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6, ?7, ?8) ON CONFLICT (id) DO NOTHING";

pub(super) const UPDATE: &str =
    "UPDATE clients SET name = ?2, secret = ?3, first_party = ?4, grant_types = ?5, audiences = ?6, disabled = ?7
    WHERE id = ?1";

impl Clients for SqliteTx<'_> {
    fn client(&self, id: &ClientId) -> Result<Option<Client>, StoreError> {
        self.one(SELECT, [id.as_str()], client)
    }

    fn clients(&self, page: &Page) -> Result<Vec<Client>, StoreError> {
        self.all(SELECT_PAGE, params![row::after(page), row::limit(page.limit)], client)
    }

    fn insert_client(&mut self, client: &Client) -> Result<bool, StoreError> {
        self.write_one(
            INSERT,
            params![
                client.id.as_str(),
                client.name,
                client.secret.as_ref().map(row::hash),
                client.first_party,
                grant_types(client)?,
                audiences(client)?,
                client.disabled,
                row::time(client.created_at),
            ],
        )
    }

    fn update_client(&mut self, client: &Client) -> Result<(), StoreError> {
        self.update(
            UPDATE,
            params![
                client.id.as_str(),
                client.name,
                client.secret.as_ref().map(row::hash),
                client.first_party,
                grant_types(client)?,
                audiences(client)?,
                client.disabled,
            ],
        )
    }
}

fn grant_types(client: &Client) -> Result<String, StoreError> {
    row::list(client.grant_types.iter().copied().map(GrantType::as_str))
}

fn audiences(client: &Client) -> Result<String, StoreError> {
    row::list(client.audiences.iter().map(ServiceId::as_str))
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
    })
}
