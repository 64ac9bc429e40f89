//! Services.

use propusk_core::id::ServiceId;
use propusk_core::store::{Page, Service, Services, StoreError};
use rusqlite::params;

use super::row::{self, Columns};
use super::transaction::SqliteTx;

pub(super) const SELECT: &str =
    "SELECT id, alg, resource_uri, access_ttl_s, rotate_every_s, created_at, version FROM services WHERE id = ?1";

pub(super) const SELECT_BY_RESOURCE: &str =
    "SELECT id, alg, resource_uri, access_ttl_s, rotate_every_s, created_at, version FROM services
    WHERE resource_uri = ?1";

pub(super) const SELECT_PAGE: &str =
    "SELECT id, alg, resource_uri, access_ttl_s, rotate_every_s, created_at, version FROM services WHERE id > ?1
    ORDER BY id LIMIT ?2";

/// An id or a URI that is taken: nothing is written.
pub(super) const INSERT: &str = "INSERT INTO services (id, alg, resource_uri, access_ttl_s, rotate_every_s, created_at)
    VALUES (?1, ?2, ?3, ?4, ?5, ?6) ON CONFLICT DO NOTHING";

pub(super) const UPDATE: &str =
    "UPDATE OR IGNORE services SET resource_uri = ?2, access_ttl_s = ?3, rotate_every_s = ?4, version = version + 1
    WHERE id = ?1";

impl Services for SqliteTx<'_> {
    fn service(&self, id: &ServiceId) -> Result<Option<Service>, StoreError> {
        self.kept(|rows| &mut rows.services, id, || self.one(SELECT, [id.as_str()], service))
    }

    fn service_by_resource(&self, uri: &str) -> Result<Option<Service>, StoreError> {
        self.one(SELECT_BY_RESOURCE, [uri], service)
    }

    fn services(&self, page: &Page) -> Result<Vec<Service>, StoreError> {
        self.all(SELECT_PAGE, params![row::after(page), row::limit(page.limit)], service)
    }

    fn insert_service(&mut self, service: &Service) -> Result<bool, StoreError> {
        let Service { id, alg, resource_uri, access_ttl_s, rotate_every_s, created_at, version: _ } = service;
        let created_at = row::time(*created_at);
        let alg = alg.as_str();
        self.write_one(INSERT, params![id.as_str(), alg, resource_uri, access_ttl_s, rotate_every_s, created_at])
    }

    fn update_service(&mut self, service: &Service) -> Result<bool, StoreError> {
        let Service { id, resource_uri, access_ttl_s, rotate_every_s, .. } = service;
        self.write_one(UPDATE, params![id.as_str(), resource_uri, access_ttl_s, rotate_every_s])
    }
}

fn service(columns: &mut Columns<'_>) -> rusqlite::Result<Service> {
    Ok(Service {
        id: columns.parsed()?,
        alg: columns.parsed()?,
        resource_uri: columns.get()?,
        access_ttl_s: columns.get()?,
        rotate_every_s: columns.get()?,
        created_at: columns.time()?,
        version: columns.number()?,
    })
}
