//! Posts: who wrote what. Who that is, `users` knows.

use axum::Json;
use axum::extract::rejection::QueryRejection;
use axum::extract::{Query, State};
use axum::response::{AppendHeaders, IntoResponse};
use demo_common::db::DbError;
use http::StatusCode;
use http::header::LINK;
use propusk_verify::axum::{ApiError, Caller, StrictJson};
use propusk_verify::problem::Problem;
use rusqlite::{Connection, Row, Transaction};
use serde::{Deserialize, Serialize};

use crate::Posts;
use crate::authors::{Author, Directory};

/// The longest post, in code points.
const MAX_CONTENT: usize = 10_000;

/// How many posts are shown at once, unless asked otherwise and at most.
const DEFAULT_LIMIT: u32 = 50;
const MAX_LIMIT: u32 = 200;

/// A post as it is stored.
struct Post {
    post_id: i64,
    content: String,
    user_id: String,
}

/// A post as it is shown.
#[derive(Serialize)]
pub(crate) struct View {
    post_id: String,
    content: String,
    user_id: String,
    /// `null` when `users` is away, or does not know them.
    user_data: Option<Author>,
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct Page {
    /// The last post of the page before.
    cursor: Option<i64>,
    limit: Option<u32>,
}

/// `GET /posts`: newest first. If there may be more, the header `Link` leads to the next page (RFC 8288).
pub(crate) async fn list(
    State(posts): State<Posts>,
    caller: Caller,
    query: Result<Query<Page>, QueryRejection>,
) -> Result<impl IntoResponse, ApiError> {
    let Query(Page { cursor, limit }) = query.map_err(|rejection| bad_request(rejection.body_text()))?;
    let limit = limit.unwrap_or(DEFAULT_LIMIT);
    if !(1..=MAX_LIMIT).contains(&limit) {
        return Err(bad_request(format!("limit is 1 to {MAX_LIMIT}")).into());
    }
    let page = posts.db.read(move |db| newest(db, cursor, limit)).await?;
    let authors = posts.authors.look_up(&caller, page.iter().map(|post| post.user_id.as_str())).await;
    let last = page.last().filter(|_| page.len() == limit as usize);
    let next = last.map(|post| (LINK, format!("</posts?cursor={}&limit={limit}>; rel=\"next\"", post.post_id)));
    Ok((AppendHeaders(next), Json(page.into_iter().map(|post| post.shown(&authors)).collect::<Vec<_>>())))
}

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
pub(crate) struct NewPost {
    content: String,
}

/// `POST /posts`.
pub(crate) async fn create(
    State(posts): State<Posts>,
    caller: Caller,
    StrictJson(NewPost { content }): StrictJson<NewPost>,
) -> Result<(StatusCode, Json<View>), ApiError> {
    if !caller.claims().is_person() {
        return Err(Problem::new(403, "people-only", "Only people write posts")
            .detail("This token speaks for a client itself. Send one that speaks for a person.")
            .into());
    }
    if !(1..=MAX_CONTENT).contains(&content.chars().count()) {
        let right = format!("1 to {MAX_CONTENT} code points");
        return Err(Problem::new(422, "invalid-field", "A member has a wrong value").error("/content", right).into());
    }
    let user_id = caller.claims().sub.clone();
    let post = posts.db.write(move |tx| insert(tx, user_id, content)).await?;
    // By this call `users` gets to know a new author, so that other readers find them there.
    let authors = posts.authors.look_up(&caller, [post.user_id.as_str()]).await;
    Ok((StatusCode::CREATED, Json(post.shown(&authors))))
}

fn bad_request(detail: impl Into<String>) -> Problem {
    Problem::new(400, "bad-request", "The request is not well-formed").detail(detail)
}

impl Post {
    fn shown(self, authors: &Directory) -> View {
        View {
            post_id: self.post_id.to_string(),
            content: self.content,
            user_data: authors.get(&self.user_id).cloned(),
            user_id: self.user_id,
        }
    }

    fn of_row(row: &Row<'_>) -> rusqlite::Result<Self> {
        Ok(Self { post_id: row.get("post_id")?, content: row.get("content")?, user_id: row.get("user_id")? })
    }
}

fn newest(db: &Connection, before: Option<i64>, limit: u32) -> Result<Vec<Post>, DbError> {
    let mut query = db.prepare_cached(
        "SELECT post_id, content, user_id FROM posts WHERE post_id < ?1 ORDER BY post_id DESC LIMIT ?2",
    )?;
    let posts = query.query_map((before.unwrap_or(i64::MAX), limit), Post::of_row)?;
    Ok(posts.collect::<Result<_, _>>()?)
}

fn insert(tx: &Transaction<'_>, user_id: String, content: String) -> Result<Post, DbError> {
    tx.execute("INSERT INTO posts (user_id, content) VALUES (?1, ?2)", (&user_id, &content))?;
    Ok(Post { post_id: tx.last_insert_rowid(), content, user_id })
}
